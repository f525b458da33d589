"""A teacher's soft targets at several T against the uniform distribution of label smoothing (Yuan 2020, figure S.1)."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lskd.figures import style
from lskd.figures.rows import SETTING, alphas, cell, groups, measured, named, order, over_seeds, pick, present

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "softmax(z/T) of a teacher, averaged over one class's images, against the uniform distribution 1/K (Yuan "
    "2020, figure S.1)."
)
FEW = 20  # classes; among more, the probabilities at a high T are too small for a linear axis


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """The mean soft target of one class's train images (the first of options.classes, else the sixth) at each T."""
    values = pick(frames, "probabilities", split="train")
    values = values[values["role"] != "student"] if (values["role"] != "student").any() else values
    names = order(values, "class")
    correct = (options.get("classes") or [names[min(5, len(names) - 1)]])[0]
    values = pick({"probabilities": values}, "probabilities", **{"class": correct})
    if options.get("temperatures"):
        wanted = [float(t) for t in options["temperatures"]]
        values = pick({"probabilities": values}, "probabilities", temperature_at=wanted)
    numbers = named(over_seeds(values, [*SETTING, "class", "temperature_at", "predicted"]))
    numbers["uniform"] = 1 / numbers["predicted"].nunique()
    return present(numbers, _layout(numbers, values), _caption(numbers, values, options), FORMULA)


def _layout(numbers: pd.DataFrame, values: pd.DataFrame) -> pd.DataFrame:
    """By T: the right class, the largest other one, and the total variation distance from the uniform distribution."""
    rows = []
    for first, part in groups(numbers, [*SETTING, "temperature_at"]):
        right = part[part["predicted"] == part["class"]].iloc[0]
        other = part[part["predicted"] != part["class"]].nlargest(1, "mean").iloc[0]
        rows.append(
            {
                "Network": f"{first['dataset']}: {first['network']}",
                "α": f"{first['label_smoothing']:g}",
                "T": f"{first['temperature_at']:g}",
                "right class": cell(right["mean"], right["spread"], right["n"], 4),
                "largest other": f"{cell(other['mean'], other['spread'], other['n'], 4)}: {other['predicted']}",
                "distance from uniform": f"{0.5 * (part['mean'] - part['uniform']).abs().sum():.4f}",
            }
        )
    return pd.DataFrame(rows)


def _caption(numbers: pd.DataFrame, values: pd.DataFrame, options: Options) -> str:
    name = numbers["class"].iloc[0]
    what = (
        f"Mean soft targets of the train images of class {name} at several T, and the uniform distribution u(k) = 1/K"
    )
    return f"{what} (number of seeds in brackets; the distance is the total variation). {measured(values, options)}"


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A row for each network, a panel for each T: bars for the classes, a dashed line at 1/K; K > FEW: logarithmic."""
    rows = list(groups(table, ["dataset", "network", "label_smoothing"]))
    degrees = sorted(table["temperature_at"].unique())
    classes = order(frames["probabilities"], "predicted")
    columns = min(len(degrees), 5)
    bands = -(-len(degrees) // columns)
    figure = style.figure(style.DOUBLE, 1.45 * bands * len(rows) + 0.4, options)
    axes = figure.subplots(bands * len(rows), columns, squeeze=False, sharey=True)
    for i, (_, part) in enumerate(rows):
        for j, degree in enumerate(degrees):
            panel = axes[i * bands + j // columns, j % columns]
            _panel(panel, part[part["temperature_at"] == degree], classes)
            panel.set_title(f"T = {degree:g}")
        for j in range(len(degrees), bands * columns):
            axes[i * bands + j // columns, j % columns].remove()
    for panel in axes[-1]:
        panel.set_xlabel("class" if max(map(len, table["predicted"])) == 1 else "class number")
    for panel in axes[:, 0]:
        panel.set_ylabel("probability")
    handles = [
        style.handle(f"soft target, {style.alpha_text(a)}", color=style.alpha_colour(a), linewidth=4)
        for a in alphas(table)
    ]
    handles.append(style.handle("uniform, 1/K", color=style.BLACK, linestyle="--", linewidth=1))
    style.legend_below(figure, handles, 3)
    return figure


def _panel(panel: Any, part: pd.DataFrame, classes: list[str]) -> None:
    alpha = alphas(part)[0]
    own = part.set_index("predicted").reindex(classes)
    bars: dict[str, Any] = {"elinewidth": 0.7, "ecolor": style.BLACK}
    panel.bar(
        range(len(classes)), own["mean"], color=style.alpha_colour(alpha), yerr=own["spread"].fillna(0), error_kw=bars
    )
    uniform = own["uniform"].iloc[0]
    panel.axhline(uniform, color=style.BLACK, linestyle="--", linewidth=1)
    if len(classes) > FEW:
        panel.set_yscale("log")
        panel.set_ylim(uniform / 100, 1.3)
    short = max(map(len, classes)) == 1
    every = -(-len(classes) // 10)
    names = classes if short else [f"{i + 1}" for i in range(len(classes))]
    panel.set_xticks(range(0, len(classes), every), names[::every])
    panel.grid(axis="x", visible=False)
