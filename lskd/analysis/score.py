"""What students are compared by: classifiers by top-1, translators by BLEU; and its words."""

from typing import NamedTuple

import pandas as pd


class Score(NamedTuple):
    """A metric as points: `factor` times its value; `beside` are metrics that a grid shows after it."""

    metric: str
    beside: tuple[str, ...]
    factor: float
    unit: str  # after a number
    name: str  # in a sentence
    short: str
    words: str  # of a caption
    axis: str  # and the column of a table


SCORES = {
    score.metric: score
    for score in (
        Score("top1", ("top5",), 100.0, " %", "accuracy", "top-1", "top-1 in percent", "accuracy (%)"),
        Score("bleu", (), 1.0, " BLEU", "BLEU", "BLEU", "BLEU (sacrebleu, 13a, cased)", "BLEU"),
    )
}
AS_TRAINED = 1.0  # the softmax temperature of decoding at which translators are compared


def scored(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The rows of the family by which students are compared: accuracy, or bleu at the temperature of training."""
    if "accuracy" in frames:
        return frames["accuracy"]
    return frames["bleu"][frames["bleu"]["temperature_at"] == AS_TRAINED].assign(k=0)


def score_of(rows: pd.DataFrame) -> Score:
    """The score of rows of its family (`metric`), or of comparisons (`what`); of no rows, top-1."""
    names = set(rows["metric" if "metric" in rows else "what"])
    return next(score for score in SCORES.values() if score.metric in names or not names)
