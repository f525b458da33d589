"""How a table was judged, in plain words for its caption: family, margin, looks, registration, and what spreads."""

from typing import Any

import numpy as np
import pandas as pd

from lskd.analysis.statistics import look_level
from lskd.analysis.wording import listed, seeds

CLAIMS = {  # by question: one claim, and several
    "same T": ("1 effect of smoothing", "effects of smoothing"),
    "interaction": ("1 difference of effects", "differences of effects"),
    "omnibus": ("1 test of any difference between T", "tests of any difference between T"),
    "best on val": ("the set of the best on val", "sets of the best on val"),
    "choice": ("1 choice", "choices"),
    "rule": ("1 comparison with the rule", "comparisons with the rule"),
    "prediction": ("1 prediction", "predictions"),
    "truncation": ("1 effect of truncation", "effects of truncation"),
    "smoothing": ("1 effect of smoothing", "effects of smoothing"),
}

Options = dict[str, Any]


def protocol(numbers: pd.DataFrame, seeds_measured: int, options: Options) -> str:
    """All of it: the text that follows a verdict."""
    parts = family(numbers), margin(numbers, options), looks(seeds_measured, options), registration(options)
    return " ".join([*parts, *spread(numbers)])


def family(numbers: pd.DataFrame) -> str:
    """Which claims are corrected together, and how."""
    first = numbers.iloc[0]
    counts = numbers.loc[numbers["n"].gt(2)].groupby("question")["weight"].sum().round().astype(int)
    parts = [_count(int(counts[question]), *CLAIMS[question]) for question in CLAIMS if counts.get(question, 0) > 0]
    if not parts:
        return "Nothing is claimed."
    return (
        f"One family of {first['claims']} claims ({listed(parts)}): p is multiplied by their number (Bonferroni) and"
        f" compared with {first['level']:.3g}; their intervals hold together with {100 * (1 - first['level']):.4g} %."
    )


def _count(number: int, one: str, several: str) -> str:
    return one if number == 1 else f"{number} {several}"


def margin(numbers: pd.DataFrame, options: Options) -> str:
    """Within which margin "no difference" is claimed."""
    margins = sorted({f"{value:.2g}" for value in numbers["margin"].dropna()}, key=float)
    if not margins:
        return ""
    why = "as the study says" if options.get("margin") else "0.5, or a fifth of what distillation gains on val if more"
    points = f"{margins[0]} points" if len(margins) == 1 else f"{margins[0]} to {margins[-1]} points"
    return f"No difference: two one-sided tests within {points} ({why})."


def looks(seeds_measured: int, options: Options) -> str:
    """Which looks at the same comparisons there were, this one's level, and the bound over all of them."""
    earlier, planned = options.get("looks") or [], options.get("planned_looks") or []
    level, bound = look_level(seeds_measured, earlier, planned)
    if not earlier and not planned:
        return f"One look, at {seeds(seeds_measured)}."
    parts = [f"This look, at {seeds(seeds_measured)}, has the level {level:.3g}"]
    if planned:
        is_planned = "it is one of them" if seeds_measured in planned else "it is none of them"
        parts.append(f"looks were planned at {listed([str(n) for n in planned])} seeds, and {is_planned}")
    if earlier:
        parts.append(f"it was looked at before without a plan, at {listed([str(n) for n in earlier])} seeds")
    return f"{'; '.join(parts)}. Over all looks the chance of any false claim is at most {bound:.3g}."


def registration(options: Options) -> str:
    """Whether the comparisons were registered before their test numbers existed."""
    registered = options.get("registered")
    if not registered:
        return "Not registered: this study was explored."
    text = f"Registered on {registered['date']}, before its test numbers existed ({registered['file']})"
    if registered.get("differences"):
        return f"{text}, but today's study differs: {'; '.join(registered['differences'])}."
    return f"{text}."


def one_teacher(accuracy: pd.DataFrame) -> list[str]:
    """Where teachers that came trained are one file for all seeds, that seeds are then of students alone.

    Seen by a negative log-likelihood on test that is the same to the bit at every seed.
    """
    is_used = (accuracy["role"] == "teacher") & (accuracy["recipe"] == "given") & (accuracy["metric"] == "nll")
    given = accuracy[is_used & (accuracy["split"] == "test")]
    by_teacher = given.groupby(["lineage", "label_smoothing"])
    if not ((by_teacher["value"].nunique() == 1) & (by_teacher["seed"].nunique() > 1)).any():
        return []
    return ["Given teachers are one file for all seeds: seeds are of students alone, and other teachers may differ."]


def spread(numbers: pd.DataFrame) -> list[str]:
    """How the effects spread between seeds and between students of one seed, where seeds have several students."""
    effects = numbers[numbers["question"].isin(["same T", "rule"])]
    if "between_students" not in effects or effects["between_students"].isna().all():
        return ["A seed has one student: what differs between students of one teacher is part of what differs by seed."]
    between, within = (np.sqrt((effects[name] ** 2).mean()) for name in ("between_seeds", "between_students"))
    return [
        f"A difference has a standard deviation of {between:.2g} points between seeds of the teachers and {within:.2g}"
        " between the students of one seed (variance components, mean over the rows)."
    ]
