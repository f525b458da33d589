"""What label smoothing gains against the number of classes, on balanced and long-tailed data (Shen 2021, figure 9)."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lskd.analysis import class_gains, protocol
from lskd.analysis.class_gains import BALANCED, NETWORK
from lskd.analysis.family import CANNOT_TELL, NO_DIFFERENCE
from lskd.analysis.wording import listed
from lskd.figures import style
from lskd.figures.beside import published
from lskd.figures.rows import groups, measured, number, pick, present, records
from lskd.figures.verdict import chance, span

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "gain = test top-1 with label smoothing − without, in points, by seed, mean over the students of a seed; of a"
    " student it is its teacher that is smoothed. Differences are of gains, by seed. t = mean / (std/√n), two-sided p"
    " times the number of claims; no difference where the interval with t(1 − level/m) lies within the margin"
    " (docs/statistics.md)."
)
COMPARED = {
    "gain": "gain",
    "classes": "gain, minus that at {other} classes",
    "tail": "gain, minus that of balanced data",
}
PAPER = {"ImageNet-100": 100, "ImageNet-500": 500, "ImageNet-1K": 1000}  # classes of the paper's data sets
LOOKS: dict[str, dict[str, Any]] = {
    BALANCED: {"marker": "o", "linestyle": "-"},
    class_gains.TAILED: {"marker": "s", "linestyle": "--"},
}
WORDS = {"helps": "helps", "hurts": "hurts", NO_DIFFERENCE: "makes no difference", CANNOT_TELL: "cannot be told"}


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """Gains in points by network and data set, and their differences, a row each, with what the paper prints.

    Raises UserError where no network was trained with and without smoothing.
    """
    runs = pick(frames, "accuracy", split="test", metric="top1")
    numbers = class_gains.claims(runs, pick(frames, "class_sizes"), options)
    numbers = numbers.assign(paper=_papers(numbers, options), network=_networks(numbers))
    keys = ["role", "network", "label_smoothing", "form", "classes", "what"]
    numbers = numbers.sort_values(keys, key=_order, kind="stable")
    answer = " ".join(_sentence(part) for _, part in groups(numbers, [*NETWORK, "network", "label_smoothing"]))
    judged_by = [
        protocol.family(numbers),
        f"No difference: two one-sided tests within {numbers['margin'].iloc[0]:g} points.",
        protocol.looks(runs["seed"].nunique(), options),
        protocol.registration(options),
        'Rows with "no claim" stand beside, each with a 95 % interval of its own.',
    ]
    caption = " ".join([answer, *judged_by, _paper_text(numbers), measured(runs, options)])
    page = present(numbers, _layout(numbers), caption, FORMULA)
    page.attrs["answer"] = answer
    return page


def _order(column: "pd.Series[Any]") -> "pd.Series[Any]":
    ranks = {"what": ["gain", "average", "classes", "tail"], "role": ["teacher", "baseline", "student"]}
    return column.map(ranks[str(column.name)].index) if column.name in ranks else column


def _networks(numbers: pd.DataFrame) -> list[str]:
    """Each row's network in words; the recipe where networks of one model differ in it."""
    names = [style.network_text(row) + style.degree_text(row) for row in records(numbers)]
    plain = pd.DataFrame({"name": names, "recipe": numbers["recipe"].to_list()})
    several = plain[plain["recipe"] != ""].groupby("name")["recipe"].nunique()
    return [
        f"{name}, {recipe}" if recipe and several.get(name, 1) > 1 else name
        for name, recipe in zip(plain["name"], plain["recipe"], strict=True)
    ]


def _papers(numbers: pd.DataFrame, options: Options) -> list[float]:
    """The paper's gain, averaged over its networks, beside each gain of a teacher on so many balanced classes."""
    theirs = published(options)
    if theirs is None:
        return [float("nan")] * len(numbers)
    gains = theirs[theirs["metric"] == "top1_gain"]
    by_classes = {PAPER[row["dataset"]]: row["value"] for row in records(gains) if row["dataset"] in PAPER}
    is_like = numbers["what"].isin(["gain", "average"]) & numbers["role"].ne("student") & numbers["form"].eq(BALANCED)
    return [
        by_classes.get(k, float("nan")) if like else float("nan")
        for k, like in zip(numbers["classes"], is_like, strict=True)
    ]


def _paper_text(numbers: pd.DataFrame) -> str:
    if numbers["paper"].isna().all():
        return ""
    return (
        "The paper's gains are averages of ResNet-18 and ResNet-101 on curated ImageNet, without a spread, and stand"
        " beside data of as many classes."
    )


def _layout(numbers: pd.DataFrame) -> pd.DataFrame:
    lines = [
        {
            "Network": row["network"],
            "Data": f"{row['dataset']} ({row['form']})",
            "Classes": f"{row['classes']:,.0f}",
            "Images (largest to smallest class)": _images(row),
            "α": f"{row['label_smoothing']:g}",
            "What": _what(row),
            "Value": number(row["this"]),
            "Other": number(row["other"]),
            "Difference (points)": number(row["mean"], sign=True) + _spread(row),
            "Interval": span(row),
            "n": f"{row['n']:.0f}",
            "p (all)": chance(row["p_adj"]),
            "Verdict": row["verdict"],
            "Paper": number(row["paper"], 3, sign=True),
        }
        for row in records(numbers)
    ]
    rows_shown = pd.DataFrame(lines)
    return rows_shown if numbers["paper"].notna().any() else rows_shown.drop(columns="Paper")


def _images(row: dict[str, Any]) -> str:
    return f"{row['train_images']:,.0f} ({row['largest']:.0f} to {row['smallest']:.0f})"


def _what(row: dict[str, Any]) -> str:
    if row["what"] == "average":
        return "gain, mean of networks"
    return COMPARED[row["what"]].format(other=f"{row['other_classes']:,.0f}")


def _spread(row: dict[str, Any]) -> str:
    return "" if pd.isna(row["spread"]) else f" ± {row['spread']:.2f}"


def _sentence(part: pd.DataFrame) -> str:
    """What smoothing does to one network, over the numbers of classes and forms of data."""
    first = records(part)[0]
    gains = [_gain(row) for row in records(part[part["what"].isin(["gain", "average"])])]
    of_gains = part[part["what"].isin(["classes", "tail"]) & part["weight"].gt(0)]
    differences_text = (
        f" Of these gains, {listed([_difference(row) for row in records(of_gains)])}." if len(of_gains) else ""
    )
    return f"{first['network']}, α = {first['label_smoothing']:g}: {listed(gains)}.{differences_text}"


def _gain(row: dict[str, Any]) -> str:
    word = f", {WORDS[row['verdict']]}" if row["verdict"] in WORDS else ""
    size = f"{number(row['mean'], sign=True)}{_spread(row)} points"
    return f"{size} at {row['classes']:,.0f} {row['form']} classes (n = {row['n']:.0f}{word})"


def _difference(row: dict[str, Any]) -> str:
    against = "on balanced data" if row["what"] == "tail" else f"at {row['other_classes']:,.0f}"
    words = {CANNOT_TELL: "is not told from", NO_DIFFERENCE: "is no different from"}
    word = words.get(row["verdict"], f"is {row['verdict']} than")
    return f"that at {row['classes']:,.0f} {row['form']} classes {word} that {against}"


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A panel for each network: gain over the number of classes; filled where it is told, with the joint interval."""
    networks = list(groups(table[table["what"].isin(["gain", "average"])], ["network"]))
    columns = min(len(networks), 3)
    rows = -(-len(networks) // columns)
    width = style.COLUMN * 1.2 if columns == 1 else style.DOUBLE
    figure = style.figure(width, 2.3 * rows + 0.8, options)
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for panel, (first, part) in zip(axes.flat, networks, strict=False):
        _panel(panel, part)
        panel.set_title(style.in_lines(first["network"]))
        panel.set_xlabel("classes")
    for panel in list(axes.flat)[len(networks) :]:
        panel.set_axis_off()
    for panel in axes[:, 0]:
        panel.set_ylabel("gain in test top-1 (points)")
    style.legend_below(figure, _handles(table), 2)
    return figure


def _panel(panel: Axes, part: pd.DataFrame) -> None:
    for first, own in groups(part, ["label_smoothing", "form"], sort=True):
        own = own.sort_values("classes")
        look = LOOKS[first["form"]] | {"color": style.alpha_colour(first["label_smoothing"])}
        panel.plot(own["classes"], own["mean"], **look | {"markersize": 0})
        for row in records(own):
            bar = [[0 if pd.isna(row["low"]) else row["mean"] - row["low"]]] * 2
            is_told = row["verdict"] in ("helps", "hurts", NO_DIFFERENCE)
            face: dict[str, Any] = {"markerfacecolor": look["color"] if is_told else "white", "linestyle": ""}
            panel.errorbar([row["classes"]], [row["mean"]], yerr=bar, capsize=2, elinewidth=0.8, **look | face)
    theirs = part[part["paper"].notna()].drop_duplicates("classes").sort_values("classes")
    if len(theirs):
        panel.plot(theirs["classes"], theirs["paper"], color=style.GREY, marker="x", linestyle=":")
    panel.axhline(0, color=style.BLACK, linewidth=0.8)
    panel.set_xscale("log")
    known = sorted(set(part["classes"]))
    panel.set_xticks(known, [f"{classes:,.0f}" for classes in known])
    panel.minorticks_off()
    panel.margins(x=0.15)


def _handles(table: pd.DataFrame) -> list[Any]:
    handles = []
    for first, _ in groups(table[table["what"] == "gain"], ["label_smoothing", "form"], sort=True):
        look = LOOKS[first["form"]] | {"color": style.alpha_colour(first["label_smoothing"])}
        handles.append(style.handle(f"α = {first['label_smoothing']:g}, {first['form']} (filled: told)", **look))
    level = f"{100 * (1 - table['level'].iloc[0]):.4g} %"
    handles.append(style.handle(f"bars: {level} interval of all claims", color=style.GREY, marker="|", linestyle=""))
    if table["paper"].notna().any():
        handles.append(style.handle("paper's average, ImageNet", color=style.GREY, marker="x", linestyle=":"))
    return handles
