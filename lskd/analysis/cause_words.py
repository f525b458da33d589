"""What the interventions of `causes.py` say, in words: of each cause one word, by a rule.

Of its three claims (the plain gap, what remains of it, how much smaller that is), each judged in the family:

- "survives": there is a gap, told and not within the margin; it is told to be smaller; and what remains is within the
  margin (equivalence), or told and of the other sign;
- "part of it": it is told to be smaller, and a gap of the same sign is told to remain, not within the margin;
- "at least part of it": it is told to be smaller; whether a gap remains cannot be told;
- "does not explain it": a gap of the same sign is told to remain, and it is not told to be smaller;
- "cannot tell": all else, as where there is no gap at first.

Of erasure, the slope over lambda stands for "smaller": told in the direction in which erasing moves the hard teacher's
students towards the LS teacher's.
"""

import numpy as np
import pandas as pd

from lskd.analysis.family import CANNOT_TELL, NO_DIFFERENCE
from lskd.analysis.students import Row, records
from lskd.analysis.wording import interval, listed, seeds

CAUSES = {  # by cause: the plain gap, what remains, and how much smaller that is
    "softness": ("plain", "matched at T0", "matched at T0, smaller"),
    "calibration": ("plain", "calibrated", "calibrated, smaller"),
    "scale": ("plain", "standardized", "standardized, smaller"),
    "erasure": ("plain", "erased", "slope"),
}
AFTER = {  # when what remains was measured
    "softness": "where the hard teacher's targets are as soft",
    "calibration": "with both teachers at their fitted T*",
    "scale": "with standardised logits",
    "erasure": "against a hard teacher whose differences within classes are erased",
}
SURVIVES, PART, PART_OR_ALL, NOT = "survives", "part of it", "at least part of it", "does not explain it"
SMALLER, LARGER, NO_CLAIM = "smaller", "larger", "no claim"
UNTOLD = (CANNOT_TELL, NO_DIFFERENCE)
SAID = {
    SURVIVES: "{cause} survives as its cause",
    PART: "{cause} is part of it",
    PART_OR_ALL: "{cause} is at least part of it",
    NOT: "{cause} does not explain it",
    CANNOT_TELL: "whether {cause} explains it cannot be told",
}


def word(gap: Row, remaining: Row, smaller: Row) -> str:
    """A cause in one word, by the rule above; of each claim mean, verdict, p_equivalence and level."""
    if gap["verdict"] in UNTOLD or _is_within_margin(gap):
        return CANNOT_TELL
    direction = np.sign(gap["mean"])
    is_smaller = smaller["verdict"] not in UNTOLD and smaller["mean"] * direction < 0
    is_told, is_turned = remaining["verdict"] not in UNTOLD, remaining["mean"] * direction < 0
    if not is_smaller:
        return NOT if is_told and not is_turned else CANNOT_TELL
    if _is_within_margin(remaining) or (is_told and is_turned):
        return SURVIVES
    return PART if is_told else PART_OR_ALL


def _is_within_margin(row: Row) -> bool:
    return bool(row["p_equivalence"] < row["level"])


def in_words(row: Row) -> str:
    """The verdict of a row; of a difference of two gaps, whether this is smaller than the other."""
    if row["verdict"] in UNTOLD:
        return str(row["verdict"])
    if row["question"] == "prediction" and not row["weight"]:
        return NO_CLAIM
    if row["question"] != "interaction":
        return str(row["verdict"])
    size = SMALLER if row["mean"] * row["other"] < 0 else LARGER
    return size if row["weight"] else f"{size}, {NO_CLAIM}"


def sentences(numbers: pd.DataFrame) -> list[str]:
    """A paragraph for each pair of networks of `causes.causes`: the gap, the word of each cause, other losses."""
    return [_paragraph(part) for _, part in numbers.groupby("pair", sort=False)]


def _paragraph(part: pd.DataFrame) -> str:
    (gap,) = records(part[part["what"] == "plain"])
    causes = records(part[part["question"] == "cause"])
    texts = [_first(gap)]
    if gap["verdict"] not in UNTOLD:
        texts += [_cause(row) for row in causes]
    elif causes:
        texts.append("So there is nothing here to explain.")
    return " ".join([*texts, *_losses(part), *_rivals(part)])


def _first(gap: Row) -> str:
    """The plain gap at T0."""
    where = f"On {gap['dataset']}, smoothing the teacher {gap['teacher_model']} (α = {gap['label_smoothing']:g})"
    whom = f"its student {gap['model']} at T = {gap['temperature']:g}"
    if gap["verdict"] in UNTOLD:
        what = "makes no difference to" if gap["verdict"] == NO_DIFFERENCE else "cannot be told to help or hurt"
        return f"{where} {what} {whom} ({seeds(gap['n'])})."
    low, high = sorted(np.sign(gap["mean"]) * np.array([gap["low"], gap["high"]]))
    between = "" if np.isnan(low) else f"{interval(gap, low, high, 2)}, "
    return f"{where} {gap['verdict']} {whom} by {abs(gap['mean']):.2f} points ({between}{seeds(gap['n'])})."


def _cause(row: Row) -> str:
    """ "Scale does not explain it: with standardised logits −2.0 points remain of −2.1."."""
    said = SAID[row["verdict"]].format(cause=row["cause"])
    said = said[0].upper() + said[1:]
    if np.isnan(row["this"]):
        return f"{said}: no point {AFTER[row['cause']]} was measured."
    this, other = (f"{row[side]:+.2f}".replace("-", "−") for side in ("this", "other"))
    return f"{said}: {AFTER[row['cause']]}, {this} points remain of {other}."


def _losses(part: pd.DataFrame) -> list[str]:
    """Under which other losses the gap is told."""
    words = {"hurts": "hurts under {}", "helps": "helps under {}", NO_DIFFERENCE: "makes no difference under {}"}
    texts = _by_verdict(part[part["what"] == "loss"], words | {CANNOT_TELL: "cannot be told to help or hurt under {}"})
    return [f"Smoothing {listed(texts)}."] if texts else []


def _rivals(part: pd.DataFrame) -> list[str]:
    """How other kinds of teacher compare with the hard one."""
    words = {
        "better": "those of {} are better",
        "worse": "those of {} are worse",
        NO_DIFFERENCE: "those of {} are as good",
    }
    texts = _by_verdict(part[part["what"] == "rival"], words | {CANNOT_TELL: "those of {} cannot be told apart"})
    return [f"Against students of the hard teacher, {listed(texts)}."] if texts else []


def _by_verdict(rows: pd.DataFrame, words: dict[str, str]) -> list[str]:
    """For each verdict that rows have, its words with their kinds and T."""
    texts = []
    for verdict, text in words.items():
        same = rows[rows["verdict"] == verdict]
        if len(same):
            texts.append(text.format(listed([_kinds(part) for _, part in same.groupby("temperature", dropna=False)])))
    return texts


def _kinds(rows: pd.DataFrame) -> str:
    """Losses or kinds of teacher of one T: "dkd and wttm (T = 4)"."""
    t = rows["temperature"].iloc[0]
    return listed(list(rows["kind"])) + ("" if np.isnan(t) else f" (T = {t:g})")
