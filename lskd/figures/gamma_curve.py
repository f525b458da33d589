"""Accuracy against the equivalent label smoothing gamma (Müller 2019, figure 5)."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lskd.errors import UserError
from lskd.figures import style
from lskd.figures.rows import SETTING, cell, groups, measured, over_seeds, pick, present, records

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = "γ = E[sum over wrong classes k of p_k(T)] · K/(K − 1) of the targets (Müller 2019, section 4 and figure 5)."
CURVES: dict[str, dict[str, Any]] = {
    "teacher with LS": {"color": style.BLACK, "linestyle": "-", "marker": "o"},
    "student with LS, without distillation": {"color": style.GREY, "linestyle": "-", "marker": "s"},
    "students of the hard teacher, T =": {"color": style.BLUE, "linestyle": "--", "marker": "D"},
    "students of LS teachers, T = 1": {"color": style.VERMILLION, "linestyle": "--", "marker": "^"},
}
TEACHER, ALONE, HARD, SMOOTH = CURVES


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """Test accuracy in percent and gamma by curve and point: mean, spread, min and max over seeds.

    gamma of a network trained on labels is its alpha; that of a student its teacher's at the student's T, on train.
    Raises UserError where the teachers' gamma was not measured at the students' temperatures.
    """
    runs = pick(frames, "accuracy", split="test", metric="top1")
    runs = runs.assign(value=runs["value"] * 100, curve=_curve(runs))
    runs = _with_gamma(runs[runs["curve"] != ""], frames["smoothness"])
    by = [*SETTING, "curve"]
    numbers = over_seeds(runs, by).merge(runs.groupby(by, dropna=False)["gamma"].mean().reset_index(), on=by)
    numbers["rank"] = numbers["curve"].map(list(CURVES).index)
    numbers = numbers.sort_values(["rank", "dataset", "gamma", *SETTING], kind="stable").drop(columns="rank")
    return present(numbers, _layout(numbers), _caption(runs, options), FORMULA)


def _curve(runs: pd.DataFrame) -> pd.Series:
    """Which of the four curves a run belongs to; "" for none (an LS teacher's student at another T)."""
    role, alpha, temperature = runs["role"], runs["label_smoothing"], runs["temperature"]
    curve = pd.Series("", index=runs.index)
    curve[role == "teacher"] = TEACHER
    curve[role == "baseline"] = ALONE
    curve[(role == "student") & (alpha > 0) & (temperature == 1)] = SMOOTH
    curve[(role == "student") & (alpha == 0)] = HARD
    return curve


def _with_gamma(runs: pd.DataFrame, smoothness: pd.DataFrame) -> pd.DataFrame:
    gammas = smoothness[(smoothness["metric"] == "gamma") & (smoothness["split"] == "train")]
    known = {(row["run"], float(row["temperature_at"])): row["value"] for row in records(gammas)}
    student = runs["role"] == "student"
    taught = pd.Series([known.get(key) for key in zip(runs["teacher"], runs["temperature"], strict=True)], runs.index)
    gamma = taught.astype(float).where(student, runs["label_smoothing"])
    missing = sorted(runs.loc[gamma.isna(), "temperature"].unique())
    if missing:
        there = ", ".join(f"{t:g}" for t in sorted({t for _, t in known})) or "none"
        needed = ", ".join(f"{t:g}" for t in missing)
        raise UserError(
            f"temperatures: the teachers' gamma is needed at T {needed}, measured are {there}; list them all"
        )
    return runs.assign(gamma=gamma)


def _layout(numbers: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Curve": row["curve"].removesuffix(", T ="),
            "Network": row["model"],
            "α": f"{row['label_smoothing']:g}",
            "T": style.temperature_text(row["temperature"]),
            "γ": f"{row['gamma']:.4f}",
            "top-1 (%)": cell(row["mean"], row["spread"], row["n"]),
            "min": f"{row['low']:.2f}",
            "max": f"{row['high']:.2f}",
        }
        for row in records(numbers)
    )


def _caption(runs: pd.DataFrame, options: Options) -> str:
    what = "Test accuracy in % against the equivalent label smoothing γ (number of runs in brackets)"
    how = (
        "γ is α for networks trained on labels; for students the mass that the teacher at T puts on wrong classes, "
        "averaged over train, times K/(K−1)"
    )
    picture = "Dots are means, bars go from the smallest to the largest"
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
