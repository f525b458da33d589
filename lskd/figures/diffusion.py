"""Diffusion index eta of each target class towards similar (S1) and other (S2) classes (Chandrasegaran 2022)."""

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lskd.errors import UserError
from lskd.figures import style
from lskd.figures.beside import published
from lskd.figures.rows import (
    SETTING,
    alphas,
    cell,
    groups,
    measured,
    named,
    number,
    order,
    over_seeds,
    pick,
    present,
    records,
)

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "η(T₁, T₂; π, S) = mean over k in S of (d(c_π(T₂), c_k(T₂)) − d(c_π(T₁), c_k(T₁))) / d(c_π(T₁), c_k(T₁)), "
    "with centroids c of penultimate features and normalised distances d (Chandrasegaran 2022). S1: classes "
    "similar to the target π; S2: the others."
)
LOOKS = {"S1": "o", "S2": "s"}
MEAN = "mean"


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """eta by target class, set, split and alpha, and its mean over targets; the paper's own target classes follow.

    Each normalisation that was measured has its rows. Raises UserError where no pair of students was measured.
    """
    if frames["diffusion"].empty:
        raise UserError("diffusion: nothing to show; η takes 3 classes or more and students at two temperatures")
    values = pick(frames, "diffusion")
    held_out = "val" if (values["split"] == "val").any() else "test"
    values = pick(frames, "diffusion", split=["train", held_out])
    if options.get("targets"):
        values = pick({"diffusion": values}, "diffusion", target=options["targets"])
    by = [*SETTING, "normalisation", "t1", "t2", "set", "split"]
    means = (
        values.sort_values(["seed", "target"], kind="stable")
        .groupby([*by, "seed"], dropna=False)["value"]
        .mean()
        .reset_index()
    )
    numbers = pd.concat([over_seeds(values, [*by, "target"]), over_seeds(means.assign(target=MEAN), [*by, "target"])])
    numbers = named(numbers.rename(columns={"mean": "ours"})).assign(scale=options.get("scale", ""))
    numbers["held_out"] = numbers["split"] != "train"
    numbers["place"] = numbers["target"].map([*order(values, "target"), MEAN].index)
    by = [*SETTING, "normalisation", "place", "held_out", "set"]
    numbers = numbers.sort_values(by, kind="stable").drop(columns=["held_out", "place", "low", "high"])
    numbers = _beside(numbers, options)
    return present(numbers, _layout(numbers), _caption(numbers, values, options), FORMULA)


def _beside(numbers: pd.DataFrame, options: Options) -> pd.DataFrame:
    """The paper's number where it has our target class with LS, then rows for its other classes, without ours.

    No difference of the two: the paper's unit is not said.
    """
    theirs = published(options)
    known = {}
    if theirs is not None and theirs["class_set"].ne("").any():
        known = {(r["target_class"], r["class_set"], r["split"]): r for r in records(theirs)}
    rows = []
    for row in records(numbers):
        them = known.get((row["target"], row["set"], row["split"].replace("test", "val")))
        is_smoothed = row["label_smoothing"] > 0  # the paper prints eta with an LS teacher alone
        rows.append(row | {"paper": them["value"] if them and is_smoothed else math.nan})
    beside_ours = {row["target"] for row in rows if not math.isnan(row["paper"])}
    for (target, name, split), them in known.items():
        if target not in beside_ours:
            about = {"dataset": them["dataset"], "network": them["model"], "t1": 1.0, "t2": 3.0}
            rows.append(about | {"target": target, "set": name, "split": split, "paper": them["value"]})
    return pd.DataFrame(rows)


def _layout(numbers: pd.DataFrame) -> pd.DataFrame:
    """The paper's: a row for each target, columns Train: S1, Train: S2, Val: S1, Val: S2.

    Of the normalisations that are not drawn, only the mean over targets.
    """
    main = main_normalisation(numbers)
    main_rows = numbers[
        (numbers["normalisation"] == main) | numbers["normalisation"].isna() | (numbers["target"] == MEAN)
    ]
    rows = []
    for first, part in groups(main_rows, ["network", "label_smoothing", "normalisation", "dataset", "target"]):
        theirs = pd.isna(first["normalisation"])
        row = {
            "Target class": first["target"],
            "Student": f"{first['dataset']}: {first['network']}",
            "α": "w/ LS" if theirs else f"{first['label_smoothing']:g}",
            "Normalisation": "the paper's" if theirs else first["normalisation"],
        }
        for one in records(part):
            name = f"{one['split'].capitalize()}: {one['set']}"
            row[name] = number(one["paper"], 3) if theirs else cell(one["ours"], one["spread"], one["n"], 3)
            if not theirs and not math.isnan(one["paper"]):
                row[f"paper, {name}"] = number(one["paper"], 3)
        rows.append(row)
    return pd.DataFrame(rows).fillna("—")


def _caption(numbers: pd.DataFrame, values: pd.DataFrame, options: Options) -> str:
    t1, t2 = numbers["t1"].iloc[0], numbers["t2"].iloc[0]
    what = f"Diffusion index η (T₁ = {t1:g}, T₂ = {t2:g}) of students towards similar classes S1 and the others S2"
    how = f"distances normalised by {main_normalisation(numbers)}; number of seeds in brackets"
    source = f" S1: {'; '.join(sorted(map(str, values['source'].unique())))}." if "source" in values else ""
    paper = ""
    if numbers["paper"].notna().any():
        paper = (
            " The paper's are on ImageNet-1K; its val is ImageNet's validation set, ours a part of the training images"
            " held out. Its normalisation and unit are not said (its η goes below −1): compare the signs."
        )
    return f"{what}; {how}.{source} {measured(values, options)}{paper}"


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A column for each split, a row for each student network; in each a line for each target class and the mean."""
    main_rows = table[table["normalisation"] == main_normalisation(table)]
    parts = list(groups(main_rows, ["dataset", "network"]))
    splits = list(dict.fromkeys(main_rows["split"]))
    targets = list(dict.fromkeys(main_rows["target"]))  # the mean is the last
    figure = style.figure(style.DOUBLE, (0.27 * len(targets) + 0.75) * len(parts) + 0.35, options)
    axes = figure.subplots(len(parts), len(splits), squeeze=False, sharey=True, sharex=True)
    for i, (first, part) in enumerate(parts):
        for panel, split in zip(axes[i], splits, strict=True):
            _panel(panel, part[part["split"] == split], targets)
            panel.set_title(f"{first['dataset']}: {first['network']}, {split}")
        axes[i, 0].set_ylabel("target class")
        axes[i, 0].invert_yaxis()
    for panel in axes[-1]:
        t1, t2 = main_rows["t1"].iloc[0], main_rows["t2"].iloc[0]
        panel.set_xlabel(f"η (T₁ = {t1:g}, T₂ = {t2:g})")
    handles = [
        style.handle(f"{name}, {style.alpha_text(alpha)}", **_look(name, alpha), linestyle="")
        for name in LOOKS
        for alpha in alphas(main_rows)
    ]
    style.legend_below(figure, handles, 4)
    return figure


def main_normalisation(table: pd.DataFrame) -> str:
    """The normalisation that is drawn, where several were measured."""
    normalisations = sorted(table["normalisation"].dropna().unique())
    return "mean_norm" if "mean_norm" in normalisations else str(normalisations[0])


def _look(name: str, alpha: float) -> dict[str, Any]:
    colour = style.alpha_colour(alpha)
    return {"marker": LOOKS[name], "color": colour, "markerfacecolor": colour if name == "S1" else "white"}


def _panel(panel: Axes, part: pd.DataFrame, targets: list[str]) -> None:
    lines = [(alpha, name) for alpha in alphas(part) for name in LOOKS]
    for i, (alpha, name) in enumerate(lines):
        shift = (i - (len(lines) - 1) / 2) * 0.8 / len(lines)
        own = part[(part["label_smoothing"] == alpha) & (part["set"] == name)].set_index("target")
        look = _look(name, alpha) | {"linestyle": "", "markersize": 3.5, "elinewidth": 0.8}
        rows = [targets.index(target) + shift for target in own.index]
        panel.errorbar(own["ours"], rows, xerr=own["spread"].fillna(0), **look)
        panel.axvline(float(own["ours"].iloc[-1]), color=style.alpha_colour(alpha), linewidth=0.6, linestyle=":")
    panel.axvline(0, color=style.GREY, linewidth=0.8)
    panel.axhline(len(targets) - 1.5, color=style.GREY, linewidth=0.5)
    panel.set_yticks(range(len(targets)), targets)
    panel.grid(axis="y", visible=False)
