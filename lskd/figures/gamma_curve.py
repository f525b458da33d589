"""Accuracy against the equivalent label smoothing gamma (Müller 2019, figure 5)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lskd.errors import UserError
from lskd.figures import style
from lskd.figures.rows import SETTING, cell, groups, measured, named, number, over_seeds, pick, present, records

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = "γ = E[sum over wrong classes k of p_k(T)] · K/(K − 1) of the targets (Müller 2019, section 4 and figure 5)."
CURVES: dict[str, dict[str, Any]] = {
    "teacher with LS": {"color": style.BLACK, "linestyle": "-", "marker": "o"},
    "student with LS, without distillation": {"color": style.GREY, "linestyle": "-", "marker": "s"},
    "students of the hard teacher, T =": {"color": style.BLUE, "linestyle": "--", "marker": "D"},
    "students of LS teachers, T = 1": {"color": style.VERMILLION, "linestyle": "--", "marker": "^"},
}
TICKS = (0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)  # of gamma, by its root, as most T lie below 0.1
TEACHER, ALONE, HARD, SMOOTH = CURVES


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """Test accuracy in percent, gamma and entropy by curve and point: mean, spread, min and max over seeds.

    gamma of a network trained on labels is its alpha; that of a student its teacher's at the student's T, on train, as
    is the entropy, in nats. A student whose way of teaching has no temperature is on no curve.
    Raises UserError where the teachers' gamma was not measured at the students' temperatures.
    """
    runs = pick(frames, "accuracy", split="test", metric="top1")
    runs = runs.assign(value=runs["value"] * 100, curve=_curve(runs))
    runs = _with_gamma(runs[runs["curve"] != ""], frames["smoothness"])
    by = [*SETTING, "curve"]
    softness = runs.groupby(by, dropna=False)[["gamma", "entropy"]].mean().reset_index()
    numbers = named(over_seeds(runs, by).merge(softness, on=by))
    numbers["rank"] = numbers["curve"].map(list(CURVES).index)
    numbers = numbers.sort_values(["rank", "dataset", "gamma", *SETTING], kind="stable").drop(columns="rank")
    return present(numbers, _layout(numbers), _caption(runs, options), FORMULA)


def _curve(runs: pd.DataFrame) -> pd.Series:
    """Which of the four curves a run belongs to; "" for none (an LS teacher's student at another T, or none)."""
    role, alpha, temperature = runs["role"], runs["label_smoothing"], runs["temperature"]
    curve = pd.Series("", index=runs.index)
    curve[role == "teacher"] = TEACHER
    curve[role == "baseline"] = ALONE
    curve[(role == "student") & (alpha > 0) & (temperature == 1)] = SMOOTH
    curve[(role == "student") & (alpha == 0) & temperature.notna()] = HARD
    return curve


def _with_gamma(runs: pd.DataFrame, smoothness: pd.DataFrame) -> pd.DataFrame:
    """`runs` with gamma and, of students, the entropy of what taught them."""
    student = runs["role"] == "student"
    at = list(zip(runs["teacher"], runs["temperature"], strict=True))
    for metric in ("gamma", "entropy"):
        known = _by_teacher(smoothness, metric)
        runs = runs.assign(**{metric: pd.Series([known.get(key) for key in at], runs.index, dtype=float)})
    gamma = runs["gamma"].where(student, runs["label_smoothing"])
    missing = sorted(runs.loc[gamma.isna(), "temperature"].unique())
    if missing:
        measured = ", ".join(f"{t:g}" for t in sorted({t for _, t in _by_teacher(smoothness, "gamma")})) or "none"
        needed = ", ".join(f"{t:g}" for t in missing)
        raise UserError(
            f"temperatures: the teachers' gamma is needed at T {needed}, measured are {measured}; list them all"
        )
    return runs.assign(gamma=gamma)


def _by_teacher(smoothness: pd.DataFrame, metric: str) -> dict[tuple[str, float], float]:
    """A teacher's number on train by its title and T."""
    train_rows = smoothness[(smoothness["metric"] == metric) & (smoothness["split"] == "train")]
    return {(row["run"], float(row["temperature_at"])): row["value"] for row in records(train_rows)}


def _layout(numbers: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Curve": row["curve"].removesuffix(", T ="),
            "Network": row["network"],
            "α": f"{row['label_smoothing']:g}",
            "T": style.temperature_text(row["temperature"]),
            "γ": f"{row['gamma']:.4f}",
            "entropy (nats)": number(row["entropy"], 4),
            "top-1 (%)": cell(row["mean"], row["spread"], row["n"]),
            "min": f"{row['low']:.2f}",
            "max": f"{row['high']:.2f}",
        }
        for row in records(numbers)
    )


def _caption(runs: pd.DataFrame, options: Options) -> str:
    what = "Test accuracy in % against the equivalent label smoothing γ (number of seeds in brackets)"
    how = (
        "γ is α for networks trained on labels; for students the mass that the teacher at T puts on wrong classes, "
        "averaged over train, times K/(K−1), beside the entropy of these targets"
    )
    picture = (
        "Dots are means, bars go from the smallest to the largest; axes are by the root of γ and the logarithm of the"
        " error"
    )
    return f"{what}. {how}. {picture}. {measured(runs, options)}"


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """Four curves over gamma, each with min and max; the hard teacher's students lie along gamma by their T."""
    data = list(groups(table, ["dataset"]))
    figure = style.figure(style.COLUMN * 1.35 if len(data) == 1 else style.DOUBLE, 3.6, options)
    axes = figure.subplots(1, len(data), squeeze=False)[0]
    for panel, (first, part) in zip(axes, data, strict=True):
        for curve, look in CURVES.items():
            own = _points(part, curve)
            bars = [own["mean"] - own["low"], own["high"] - own["mean"]]
            panel.errorbar(own["gamma"], own["mean"], yerr=bars, capsize=2, elinewidth=0.8, markersize=3.5, **look)
        panel.set_xscale("function", functions=(_root, lambda place: place * np.abs(place)))
        panel.set_xlim(left=-0.001)
        panel.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
        panel.set_yscale("function", functions=(_of_error, _to_accuracy))
        panel.set_xlabel("equivalent label smoothing γ")
        panel.set_title(_title(first["dataset"], part))
    axes[0].set_ylabel("test accuracy (%)")
    handles = []
    for curve, look in CURVES.items():
        own = table[table["curve"] == curve]
        if len(own):
            degrees = ", ".join(f"{t:g}" for t in sorted(own["temperature"].unique())) if curve == HARD else ""
            handles.append(style.handle(curve + (f" {degrees}" if degrees else ""), **look))
    handles.append(style.handle("bars: smallest to largest of the seeds", color=style.GREY, marker="|", linestyle=""))
    style.legend_below(figure, handles, 1 if len(data) == 1 else 2)
    return figure


def _root(gamma: Any) -> Any:
    """Where a gamma stands on its axis; a little room below 0 is for the dots there."""
    return np.sign(gamma) * np.sqrt(np.abs(gamma))


def _of_error(accuracy: Any) -> Any:
    """Where an accuracy in percent stands on its axis: equal steps for equal ratios of the error, down to 0.05 %."""
    return -np.log(np.maximum(100 - np.asarray(accuracy), 0.05))


def _to_accuracy(place: Any) -> Any:
    return 100 - np.exp(-np.asarray(place))


def _points(part: pd.DataFrame, curve: str) -> pd.DataFrame:
    """A curve's points by gamma; that of the LS teachers starts with the hard teacher's student at T = 1."""
    own = part["curve"] == curve
    if curve == SMOOTH:
        own |= (part["curve"] == HARD) & (part["temperature"] == 1)
    return part[own].sort_values("gamma")


def _title(name: str, part: pd.DataFrame) -> str:
    students = part[part["role"] == "student"]
    if students.empty:
        return name
    return f"{name}: {students['model'].iloc[0]} ← {students['teacher_model'].iloc[0]}"
