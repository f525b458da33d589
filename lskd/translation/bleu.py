"""BLEU and chrF of translations, all by sacrebleu: no torch, and sacrebleu is imported where it is used.

Three numbers, named apart:

- `bleu`: sacrebleu's default, on the text as it is (mteval's tokenisation 13a, cased; Post 2018).
- `bleu_tokenised_lowercase`: what the codes of the papers print. They score tokenised, lower-cased text (by
  prepare-iwslt14.sh and its kin: Moses' tokenizer.perl, then lowercase.perl) by the formula of multi-bleu.perl without
  smoothing (fairseq's libbleu: 0 where no 4-gram matches). Formula and case are the same here; the tokens are
  mteval's 13a instead of Moses', which is no part of the extra. They differ in apostrophes and hyphens, so it stands
  beside a paper's number and is not it.
- `chrf`: chrF2 (Popovic 2015).

All are in 0..100.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NamedTuple

from lskd.errors import UserError

METRICS = ("bleu", "bleu_tokenised_lowercase", "chrf")
RESAMPLES, RESAMPLING_SEED = 1000, 12345  # sacrebleu's own defaults


class Score(NamedTuple):
    """A corpus's score, in 0..100, and sacrebleu's signature, which says how it was made."""

    value: float
    signature: str


class Paired(NamedTuple):
    """A system against a baseline: their BLEU, p of sacrebleu's paired bootstrap (two-sided) and its signature."""

    value: float
    baseline: float
    p: float
    signature: str


def scores(hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, Score]:
    """Each of METRICS of a corpus: one reference a hypothesis. UserError where sacrebleu is not installed."""
    by_metric = {}
    for name, metric in _metrics(_sacrebleu("metrics")).items():
        value = metric.corpus_score(list(hypotheses), [list(references)]).score
        by_metric[name] = Score(float(value), str(metric.get_signature()))
    return by_metric


def paired_bootstrap(
    baseline: Sequence[str], systems: Sequence[Sequence[str]], references: Sequence[str]
) -> list[Paired]:
    """Each system's BLEU against the baseline's, by sacrebleu's paired bootstrap over sentences (Koehn 2004).

    RESAMPLES resamples, RESAMPLING_SEED. It tells whether two networks differ on other sentences of this kind; whether
    two ways of training do is told by seeds.
    """
    metric, paired_test = _sacrebleu("metrics").BLEU(), _sacrebleu("significance").PairedTest
    named = [("baseline", list(baseline)), *((f"system {i}", list(each)) for i, each in enumerate(systems))]
    with _seed(RESAMPLING_SEED):
        test = paired_test(named, {"BLEU": metric}, [list(references)], test_type="bs", n_samples=RESAMPLES, n_jobs=1)
        signatures, by_metric = test()
    first, *others = by_metric["BLEU"]
    return [Paired(one.score, first.score, one.p_value, str(signatures["BLEU"])) for one in others]


def _metrics(package: Any) -> dict[str, Any]:
    as_papers = package.BLEU(lowercase=True, smooth_method="none")
    return dict(zip(METRICS, (package.BLEU(), as_papers, package.CHRF()), strict=True))


@contextmanager
def _seed(seed: int) -> Iterator[None]:
    """sacrebleu takes the seed of its resampling from the environment alone."""
    before = os.environ.get("SACREBLEU_SEED")
    os.environ["SACREBLEU_SEED"] = str(seed)
    try:
        yield
    finally:
        if before is None:
            del os.environ["SACREBLEU_SEED"]
        else:
            os.environ["SACREBLEU_SEED"] = before


def _sacrebleu(module: str) -> Any:
    try:
        return import_module(f"sacrebleu.{module}")
    except ImportError:
        raise UserError("translation: sacrebleu is not installed; pip install 'lskd[translation]'") from None
