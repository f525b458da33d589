"""One look for all figures: the same colour, marker and line for the same thing everywhere; and fixed bytes.

Colours are Okabe and Ito's, safe for the colour-blind. alpha tells the colour, T the marker.
"""

import math
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

TITLE = 44  # characters of a line above a panel
COLUMN, DOUBLE = 3.3, 6.9  # inches: one column, two columns
BLUE, VERMILLION, GREY, BLACK = "#0072B2", "#D55E00", "#6B6B6B", "#000000"
CLASSES = ("#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#0072B2", "#D55E00", "#F0E442", "#6B6B6B")
CLASS_MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")
MARKERS: dict[float, str] = {1: "o", 2: "s", 3: "^", 64: "D"}  # of the default study
MARKERS |= {4: "v", 6: "<", 8: "P", 10: ">", 12: "X", 16: "p", 20: "h", 40: "8"}

# light to dark, so that more smoothing is darker; 0.1 is Okabe and Ito's vermillion
_SMOOTHED = LinearSegmentedColormap.from_list(
    "smoothed", [(0.0, "#F0B030"), (0.1, VERMILLION), (0.4, "#8C1C5A"), (1.0, "#1F0A33")]
)

_RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same glyphs on every machine
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "figure.titlesize": 9,
    "figure.dpi": 200,
    "axes.linewidth": 0.6,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.5,
    "xtick.color": "#3C3C3C",
    "ytick.color": "#3C3C3C",
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "legend.columnspacing": 1.2,
    "svg.fonttype": "path",
    "svg.hashsalt": "lskd",
    "pdf.fonttype": 3,  # glyphs as paths: small, and four times faster to write than subsets of the font
}


@contextmanager
def context() -> Iterator[None]:
    """Draw and save inside this, so that no matplotlibrc of the machine matters."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)
        yield


def figure(width: float, height: float, options: dict[str, Any]) -> Figure:
    """An empty figure in inches, with the title that `options` may hold."""
    empty = Figure(figsize=(width, height), layout="constrained")
    if options.get("title"):
        empty.suptitle(str(options["title"]))
    return empty


def alpha_colour(alpha: float) -> str:
    """The colour of a label smoothing: blue for none, and a ramp that darkens from yellow over vermillion (0.1)."""
    return BLUE if alpha == 0 else to_hex(_SMOOTHED(float(alpha)))


def alpha_text(alpha: float) -> str:
    """The label of a label smoothing, in the papers' words."""
    return f"{'w/' if alpha else 'w/o'} LS (α = {alpha:g})"


def marker(temperature: float) -> str:
    """The marker of a temperature; a network without one has the same as T = 1."""
    return "o" if math.isnan(temperature) else MARKERS.get(temperature, "d")


def temperature_text(temperature: float) -> str:
    """The label of a temperature; "-" where there is none, as the papers print it."""
    return "-" if math.isnan(temperature) else f"T = {temperature:g}"


def degree_text(row: Any) -> str:
    """What a student's label adds: its T."""
    return "" if math.isnan(row["temperature"]) else f", T = {row['temperature']:g}"


def network_text(row: Any) -> str:
    """A network's label: its model and what it learned from; how, where that has no temperature."""
    if row["role"] == "student":
        way = f", {row['variant']}" if math.isnan(row["temperature"]) else ""
        return f"{row['model']} ← {row['teacher_model']}{way}"
    return f"{row['model']} ({row['role']})"


def handle(label: str, **looks: Any) -> Line2D:
    """A legend's entry."""
    return Line2D([], [], label=label, **looks)


def legend_below(figure: Figure, handles: list[Any], columns: int) -> None:
    """A legend under all panels, outside the data."""
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)


def settle(figure: Figure) -> None:
    """Lay the figure out once; panels of fixed aspect need two rounds before their titles have room."""
    if engine := figure.get_layout_engine():
        engine.execute(figure)


def few_ticks(axes: Axes, x: int | None = None, y: int | None = None) -> None:
    """At most so many intervals between ticks; None leaves an axis alone."""
    if x is not None:
        axes.xaxis.set_major_locator(MaxNLocator(x, steps=[1, 2, 5, 10]))  # 2.5 takes one digit more
    if y is not None:
        axes.yaxis.set_major_locator(MaxNLocator(y, steps=[1, 2, 2.5, 5, 10]))


def in_lines(title: str) -> str:
    """A panel's title, in lines that fit the panel."""
    return "\n".join(textwrap.wrap(title, TITLE))
