"""Diffusion index eta of each target class towards similar (S1) and other (S2) classes (Chandrasegaran 2022)."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lskd.figures import style
from lskd.figures.beside import published
from lskd.figures.rows import SETTING, alphas, cell, groups, measured, number, over_seeds, pick, present, records

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
LOOKS = {"S1": "o", "S2": "s"}


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """eta by target class, set, split and alpha, beside the paper's of the same target class where it has one."""
    found = pick(frames, "diffusion")
    held_out = "val" if (found["split"] == "val").any() else "test"
    found = pick(frames, "diffusion", split=["train", held_out])
    if options.get("targets"):
        found = pick({"diffusion": found}, "diffusion", target=options["targets"])
    setting = [key for key in SETTING if key != "temperature"]
    # a row is of two students, at t1 and t2
    by = [*setting, "normalisation", "t1", "t2", "target", "set", "split"]
    made = over_seeds(found, by).rename(columns={"mean": "ours"})
    made["sort"] = made["split"].ne("train")
    made = made.sort_values([*setting, "normalisation", "target", "sort", "set"], kind="stable").drop(columns="sort")
    made = _beside(made, options)
    return present(made, _layout(made), _caption(made, found, options))


def _beside(made: pd.DataFrame, options: Options) -> pd.DataFrame:
    theirs = published(options)
    made = made.assign(paper=float("nan"), difference=float("nan"), scale=options.get("scale", ""))
    if theirs is None or "class_set" not in theirs or not theirs["class_set"].ne("").any():
        return made
    known = {(r["target_class"], r["class_set"], r["split"]): r["value"] for r in records(theirs)}
    smoothed = made["label_smoothing"] > 0  # the paper prints eta with an LS teacher alone
    keys = zip(made["target"], made["set"], made["split"].replace("test", "val"), strict=True)
    made["paper"] = pd.Series([known.get(key, float("nan")) for key in keys], made.index).where(smoothed)
    made["difference"] = made["ours"] - made["paper"]
    return made


def _layout(made: pd.DataFrame) -> pd.DataFrame:
    """The paper's: a row for each target, columns Train: S1, Train: S2, Val: S1, Val: S2."""
    rows = []
    several = made["group"].nunique() > 1
    for first, part in groups(made, ["group", "label_smoothing", "normalisation", "target"]):
        row = {"Target class": first["target"], "α": f"{first['label_smoothing']:g}"}
        row |= {"Group": first["group"]} if several else {}
        row |= {"Normalisation": first["normalisation"]} if made["normalisation"].nunique() > 1 else {}
        for one in records(part):
            name = f"{one['split'].capitalize()}: {one['set']}"
            row[name] = cell(one["ours"], one["spread"], one["n"], 3).replace("-", "−")
            if made["paper"].notna().any():
                row[f"paper, {name}"] = number(one["paper"], 3)
        rows.append(row)
    return pd.DataFrame(rows).fillna("—")


def _caption(made: pd.DataFrame, found: pd.DataFrame, options: Options) -> str:
    t1, t2 = made["t1"].iloc[0], made["t2"].iloc[0]
    how = ", ".join(sorted(made["normalisation"].unique()))
    source = f" S1: {', '.join(sorted(map(str, found['source'].unique())))}." if "source" in found else ""
    what = f"Diffusion index η (T₁ = {t1:g}, T₂ = {t2:g}) of students towards similar classes S1 and the others S2"
    paper = ""
    if made["paper"].isna().all() and published(options) is not None:
        paper = " The paper's numbers are of ten ImageNet-1K classes: all negative on S1 and positive on S2."
    return f"{what}, normalisation {how}; number of runs in brackets.{source} {measured(found, options)}{paper}"


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A column for each split, a row for each student network; in each a line for each target class and the mean."""
    shown = table[table["normalisation"] == main_normalisation(table)]
    parts = list(groups(shown, ["dataset", "group", "model"]))
    splits = list(dict.fromkeys(shown["split"]))
    targets = list(dict.fromkeys(shown["target"]))
    made = style.figure(style.DOUBLE, (0.19 * (len(targets) + 1) + 0.75) * len(parts) + 0.35, options)
    axes = made.subplots(len(parts), len(splits), squeeze=False, sharey=True)
    for i, (first, part) in enumerate(parts):
        for panel, split in zip(axes[i], splits, strict=True):
            _panel(panel, part[part["split"] == split], targets)
            panel.set_title(f"{first['dataset']}: {first['model']}, {split}")
        axes[i, 0].set_ylabel("target class")
        axes[i, 0].invert_yaxis()
    for panel in axes[-1]:
        t1, t2 = shown["t1"].iloc[0], shown["t2"].iloc[0]
        panel.set_xlabel(f"η (T₁ = {t1:g}, T₂ = {t2:g})")
    handles = [
        style.handle(f"{name}, {style.alpha_text(alpha)}", **_look(name, alpha), linestyle="")
        for name in LOOKS
        for alpha in alphas(shown)
    ]
    style.legend_below(made, handles, 4)
    return made


def main_normalisation(table: pd.DataFrame) -> str:
    """The normalisation that is drawn: the first by name, where several were measured."""
    return str(sorted(table["normalisation"].unique())[0])


def _look(name: str, alpha: float) -> dict[str, Any]:
    colour = style.alpha_colour(alpha)
    return {"marker": LOOKS[name], "color": colour, "markerfacecolor": colour if name == "S1" else "white"}


def _panel(panel: Axes, part: pd.DataFrame, targets: list[str]) -> None:
    smoothings = alphas(part)
    for i, alpha in enumerate(smoothings):
        shift = 0.22 * (i - (len(smoothings) - 1) / 2)
        for name in LOOKS:
            own = part[(part["label_smoothing"] == alpha) & (part["set"] == name)].set_index("target")
            look = _look(name, alpha) | {"linestyle": "", "markersize": 3.5, "elinewidth": 0.8}
            rows = [targets.index(target) + shift for target in own.index]
            panel.errorbar(own["ours"], rows, xerr=own["spread"].fillna(0), **look)
            mean = own["ours"].mean()
            panel.plot([mean], [len(targets) + shift], **_look(name, alpha), markersize=5)
            if name == "S1":
                panel.axvline(mean, color=style.alpha_colour(alpha), linewidth=0.6, linestyle=":")
    panel.axvline(0, color=style.GREY, linewidth=0.8)
    panel.axhline(len(targets) - 0.5, color=style.GREY, linewidth=0.5)
    panel.set_yticks(range(len(targets) + 1), [*targets, "mean"])
    panel.grid(axis="y", visible=False)
