"""An overview of data sets: classes, sizes, and how even they are (Shen 2021, table 5)."""

import math
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lskd.figures import style
from lskd.figures.beside import published, same_name
from lskd.figures.rows import pick, present, records

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "Counted in the prepared data. Train holds what was taken from it as val, unless it was thinned then; imbalance is "
    "the largest class of train over the smallest; a class of the head has more than 100 images, a rare one fewer than "
    "20."
)
CAPTION = "Data sets: classes, property and numbers of images. Counted, not measured: n = 1, no spread."
PRINTED = {"classes": "classes", "train_images": "train", "test_images": "test"}  # the paper's metrics, and ours


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """A row a data set, with what the paper prints of it where it is the paper's."""
    theirs = published(options)
    cards = [card | _printed(card["dataset"], theirs) for card in records(pick(frames, "data_card"))]
    numbers = pd.DataFrame(cards).assign(n=1, spread=math.nan, scale=options.get("scale", ""))
    return present(numbers, pd.DataFrame([_line(card) for card in cards]), CAPTION, FORMULA)


def _printed(dataset: str, theirs: pd.DataFrame | None) -> dict[str, Any]:
    """What the paper prints, as paper_classes and so on; NaN where it prints nothing, or the set is another."""
    row = {f"paper_{name}": math.nan for name in PRINTED.values()}
    for printed in records(theirs) if theirs is not None else []:
        if printed["metric"] in PRINTED and same_name(dataset, printed["dataset"]):
            row[f"paper_{PRINTED[printed['metric']]}"] = printed["value"]
    return row


def _line(card: dict[str, Any]) -> dict[str, Any]:
    val = f"{card['val']:,}" if card["val"] else f"{card['taken']:,} of train"
    return {
        "Data": card["dataset"],
        "Classes": _beside(card, "classes"),
        "Similar": f"{card['groups']} groups" if card["groups"] else "—",
        "Property": card["property"],
        "Train": _beside(card, "train"),
        "Val": val,
        "Test": _beside(card, "test"),
        "Largest class": f"{card['largest']:,}",
        "Smallest class": f"{card['smallest']:,}",
        "Imbalance": f"{card['imbalance']:.3g}",
        "Head": f"{card['head']:,}",
        "Rare": f"{card['rare']:,}",
    }


def _beside(card: dict[str, Any], name: str) -> str:
    """A number, and in brackets the paper's where it prints another."""
    theirs = card[f"paper_{name}"]
    return f"{card[name]:,}" + ("" if math.isnan(theirs) or theirs == card[name] else f" (paper: {theirs:,.0f})")


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A row a data set; left images of train and test, right those of the largest and the smallest class."""
    names = [str(name) for name in table["dataset"]]
    figure = style.figure(style.DOUBLE, 0.25 * len(names) + 1.1, options)
    axes = figure.subplots(1, 2, sharey=True)
    handles = []
    sides = (("images", "o", ("train", "test")), ("images of a class of train", "s", ("largest", "smallest")))
    for panel, (label, marker, columns) in zip(axes, sides, strict=True):
        wide: dict[str, Any] = {"color": style.BLUE, "markerfacecolor": "white", "markersize": 6}
        narrow: dict[str, Any] = {"color": style.VERMILLION, "markersize": 3.5}
        for column, own in zip(columns, (wide, narrow), strict=True):  # so that both are seen where they are equal
            look = {"linestyle": "", "marker": marker} | own
            panel.plot(table[column], range(len(names)), **look)
            handles.append(style.handle(column, **look))
        panel.set_xscale("log")
        panel.set_xlabel(label)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.4, -0.6)
    style.legend_below(figure, handles, 4)
    return figure
