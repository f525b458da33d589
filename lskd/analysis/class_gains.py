"""What label smoothing gains where there are more classes, or where some have few images (Shen 2021, section 7).

A gain is the test top-1 of a network with smoothing minus without, in points, paired by seed: of a teacher its own
smoothing, of a student its teacher's. Gains, and the differences between those of networks that were trained on labels,
are one family of claims (`family.py`); differences between the gains of students stand beside.
"""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from lskd.analysis.family import judged
from lskd.analysis.statistics import compare, look_level
from lskd.analysis.students import records
from lskd.errors import UserError

NETWORK = ["role", "model", "teacher_model", "recipe", "soft_weight", "temperature", "variant"]
SIZES = ["classes", "train_images", "largest", "smallest"]
GAIN, DIFFERENCE = "same T", "interaction"  # as `family.TOLD` knows them
MARGIN = 0.5  # points below which there is no difference, unless the study says another
EVEN = 2.0  # largest over smallest class up to which data are balanced
BALANCED, TAILED = "balanced", "long-tailed"
COLUMNS = [
    *("question", "what", "form", "dataset", *NETWORK, "label_smoothing", *SIZES, "other_dataset", "other_classes"),
    *("other_form", "this", "other", "mean", "spread", "n", "low", "high", "t", "p", "p_adj", "weight", "claims"),
    *("level", "margin", "p_equivalence", "low_equivalence", "high_equivalence", "detectable", "verdict"),
]

Row = dict[str, Any]
Options = dict[str, Any]
Gain = tuple[Row, "pd.Series[float]"]  # what is compared, and the gain in points by seed


def form_of(row: Row) -> str:
    """Whether the classes of a data set have as many images each, up to EVEN."""
    return BALANCED if row["largest"] <= EVEN * row["smallest"] else TAILED


def claims(accuracy: pd.DataFrame, sizes: pd.DataFrame, options: Options) -> pd.DataFrame:
    """The judged comparisons, a row each, of the metric families accuracy and class_sizes.

    `what` is gain (at one label smoothing, on one data set), classes (that gain minus the one where the same network
    has the fewest classes, of data of the same form), tail (the gain on long-tailed minus on balanced data of as many
    classes) or, beside the claims, average (of several networks on one data set). Options: margin (points), looks and
    planned_looks. Raises UserError where no network was trained with and without smoothing.
    """
    top1 = accuracy[(accuracy["metric"] == "top1") & (accuracy["split"] == "test")].drop_duplicates("run")
    measured = top1.assign(points=100 * top1["value"]).merge(sizes[["run", *SIZES]].drop_duplicates("run"), on="run")
    gains = [gain for _, part in measured.groupby(["dataset", *NETWORK], dropna=False) for gain in _gains(part)]
    if not gains:
        alphas = ", ".join(f"{alpha:g}" for alpha in sorted(set(top1["label_smoothing"]))) or "none"
        raise UserError(f"classes_gain: found networks with label_smoothing {alphas}; it takes 0 and another of one")
    margin = options.get("margin") or MARGIN
    compared = [*gains, *_by_classes(gains), *_by_tail(gains), *_averages(gains)]
    rows = [_row(about, gain, margin) for about, gain in compared]
    level = look_level(top1["seed"].nunique(), options.get("looks") or (), options.get("planned_looks") or ())[0]
    return pd.DataFrame(judged(rows, level)).reindex(columns=COLUMNS)


def _gains(part: pd.DataFrame) -> Iterator[Gain]:
    """The gains of one network on one data set, one for each label smoothing, over the seeds that have both."""
    alphas = sorted(float(alpha) for alpha in part["label_smoothing"].unique())
    by_alpha = {alpha: part[part["label_smoothing"] == alpha].groupby("seed")["points"].mean() for alpha in alphas}
    about = {name: records(part)[0][name] for name in ("dataset", *NETWORK, *SIZES)}
    for alpha in alphas:
        if alpha > 0 and 0.0 in by_alpha:
            pairs = pd.concat([by_alpha[alpha], by_alpha[0.0]], axis=1, join="inner", keys=["this", "other"])
            if len(pairs):
                means = {name: float(pairs[name].mean()) for name in ("this", "other")}
                own = {"question": GAIN, "what": "gain", "form": form_of(about), "label_smoothing": alpha}
                yield about | own | means, pairs["this"] - pairs["other"]


def _key(about: Row, *names: str) -> tuple[Any, ...]:
    """What tells comparisons apart; None stands for a missing value, which unlike NaN equals itself."""
    values = (about[name] for name in (*NETWORK, "label_smoothing", *names))
    return tuple(None if pd.isna(value) else value for value in values)


def _by_classes(gains: list[Gain]) -> Iterator[Gain]:
    """Each network's gains minus the one with the fewest classes, of data of one form."""
    for about, gain in gains:
        alike = [other for other in gains if _key(other[0], "form") == _key(about, "form")]
        fewest, of_fewest = min(alike, key=lambda other: (other[0]["classes"], other[0]["dataset"]))
        if fewest["classes"] < about["classes"]:
            yield from _difference("classes", about, gain, fewest, of_fewest)


def _by_tail(gains: list[Gain]) -> Iterator[Gain]:
    """Each gain on long-tailed data minus the one on balanced data of as many classes, where there is one such."""
    for about, gain in gains:
        even = [
            other
            for other in gains
            if other[0]["form"] == BALANCED and _key(other[0], "classes") == _key(about, "classes")
        ]
        if about["form"] == TAILED and len(even) == 1:
            yield from _difference("tail", about, gain, *even[0])


def _difference(
    what: str, about: Row, gain: "pd.Series[float]", other: Row, of_other: "pd.Series[float]"
) -> Iterator[Gain]:
    pairs = pd.concat([gain, of_other], axis=1, join="inner", keys=["this", "other"])
    if len(pairs):
        compared = {"other_dataset": other["dataset"], "other_classes": other["classes"], "other_form": other["form"]}
        means = {name: float(pairs[name].mean()) for name in ("this", "other")}
        yield about | compared | means | {"question": DIFFERENCE, "what": what}, pairs["this"] - pairs["other"]


def _averages(gains: list[Gain]) -> Iterator[Gain]:
    """The mean gain over the teachers of one data set, by seed, where there are several (Shen's figure 9)."""
    of_teachers = [(about, gain) for about, gain in gains if about["role"] != "student"]
    for place in sorted({(about["dataset"], about["label_smoothing"]) for about, _ in of_teachers}):
        own = [(about, gain) for about, gain in of_teachers if (about["dataset"], about["label_smoothing"]) == place]
        if len(own) > 1:
            mean = pd.concat([gain for _, gain in own], axis=1, join="inner").mean(axis=1)
            unnamed = {"what": "average", "model": f"average of {len(own)}", "recipe": "", "this": None, "other": None}
            yield own[0][0] | unnamed, mean


def _row(about: Row, gain: "pd.Series[float]", margin: float) -> Row:
    is_beside = about["what"] == "average" or (about["question"] == DIFFERENCE and about["role"] == "student")
    how = {"weight": 0.0 if is_beside else 1.0, "sign": 1, "is_one_sided": False, "margin": margin}
    return how | about | compare(gain.to_numpy())
