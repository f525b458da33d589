"""Scores of translations against sacrebleu's command line, a loop over n-grams, and fairseq's own scorer."""

import json
import math
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

pytest.importorskip("sacrebleu")

from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

from lskd.errors import UserError
from lskd.translation import bleu

WORDS = "The the HERE cat's Red-hot house, stands (here) at 3.5 % of it; wasn't Straße «so» HTML & more".split()


def texts(seed: int, errors: float, count: int = 45) -> tuple[list[str], list[str]]:
    """References, and the same with a share of the words replaced."""
    draw = np.random.default_rng([seed, round(100 * errors)])
    references = np.random.default_rng(seed)
    rows = [list(references.choice(WORDS, references.integers(4, 12))) for _ in range(count)]
    wrong = [[str(draw.choice(WORDS)) if draw.random() < errors else word for word in row] for row in rows]
    return [" ".join(row) for row in wrong], [" ".join(row) for row in rows]


def command(*arguments, **environment) -> str:
    """What sacrebleu's command line prints."""
    process = subprocess.run(
        [sys.executable, "-m", "sacrebleu", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | environment,
    )
    return process.stdout


@pytest.fixture
def files(tmp_path):
    hypotheses, references = texts(1, 0.3)
    paths = tmp_path / "hypotheses", tmp_path / "references"
    for path, lines in zip(paths, (hypotheses, references), strict=True):
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return hypotheses, references, *paths


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("bleu", ("-m", "bleu")),
        ("bleu_tokenised_lowercase", ("-m", "bleu", "-lc", "-s", "none")),
        ("chrf", ("-m", "chrf")),
    ],
)
def test_each_score_is_that_of_the_command_line(files, name, arguments):
    hypotheses, references, hypotheses_path, references_path = files
    printed = json.loads(command(references_path, "-i", hypotheses_path, *arguments, "-f", "json", "-w", "9"))
    own = bleu.scores(hypotheses, references)[name]
    assert own.value == pytest.approx(printed["score"], abs=1e-8)
    assert 10 < own.value < 90
    fields = dict(field.split(":") for field in own.signature.split("|"))
    assert {key: printed[key] for key in fields} == fields


def counted(rows: list[list[str]], n: int) -> list[Counter]:
    return [Counter(tuple(row[i : i + n]) for i in range(len(row) - n + 1)) for row in rows]


def multi_bleu(hypotheses: list[list[str]], references: list[list[str]]) -> float:
    """The formula of multi-bleu.perl, token by token."""
    log_precision = 0.0
    for n in range(1, 5):
        pairs = list(zip(counted(hypotheses, n), counted(references, n), strict=True))
        right = sum((one & other).total() for one, other in pairs)
        if not right:
            return 0.0
        log_precision += math.log(right / sum(one.total() for one, _ in pairs)) / 4
    lengths = [sum(map(len, rows)) for rows in (hypotheses, references)]
    return 100 * math.exp(log_precision) * min(1, math.exp(1 - lengths[1] / lengths[0]))


def tokenised(lines: list[str]) -> list[list[str]]:
    return [Tokenizer13a()(line.lower()).split() for line in lines]


@pytest.mark.parametrize(("seed", "errors"), [(1, 0.3), (2, 0.6), (3, 0.2), (4, 1.0)])
def test_the_papers_form_is_multi_bleu_of_lower_cased_tokens(seed, errors):
    hypotheses, references = texts(seed, errors, count=3 if errors == 1 else 90)
    expected = multi_bleu(tokenised(hypotheses), tokenised(references))
    assert (expected == 0) == (errors == 1)
    scores = bleu.scores(hypotheses, references)
    assert scores["bleu_tokenised_lowercase"].value == pytest.approx(expected, abs=1e-9)
    assert scores["bleu"].value != pytest.approx(expected)


def test_the_papers_form_is_what_fairseq_prints_of_such_tokens():
    pytest.importorskip("fairseq")
    import torch
    from fairseq.scoring.bleu import BleuConfig, Scorer

    hypotheses, references = map(tokenised, texts(5, 0.4))
    numbers = {word: 4 + i for i, word in enumerate(sorted({w for row in hypotheses + references for w in row}))}
    scorer = Scorer(BleuConfig())
    for hypothesis, reference in zip(hypotheses, references, strict=True):
        scorer.add(*(torch.tensor([numbers[word] for word in row]).int() for row in (reference, hypothesis)))
    assert bleu.scores(*texts(5, 0.4))["bleu_tokenised_lowercase"].value == pytest.approx(scorer.score(), abs=1e-9)


def test_the_form_of_the_papers_has_no_case():
    hypotheses, references = texts(1, 0.3)
    plain = [line.replace("Straße", "street") for line in hypotheses]  # whose capitals are no ß
    one, two = (bleu.scores(each, references) for each in (plain, [line.upper() for line in plain]))
    assert one["bleu_tokenised_lowercase"].value == pytest.approx(two["bleu_tokenised_lowercase"].value, abs=1e-9)
    assert one["bleu"].value > two["bleu"].value + 5


def test_the_paired_bootstrap_is_that_of_the_command_line(tmp_path, monkeypatch):
    baseline, references = texts(6, 0.4)
    systems = [texts(6, errors)[0] for errors in (0.1, 0.39)]
    paths = [tmp_path / name for name in ("references", "baseline", "better", "alike")]
    for path, lines in zip(paths, (references, baseline, *systems), strict=True):
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    printed = json.loads(
        command(paths[0], "-i", *paths[1:], "-m", "bleu", "--paired-bs", "-f", "json", SACREBLEU_SEED="12345")
    )
    monkeypatch.setenv("SACREBLEU_SEED", "7")  # of the user's shell: it changes nothing, and is kept
    pairs = bleu.paired_bootstrap(baseline, systems, references)
    assert os.environ["SACREBLEU_SEED"] == "7"
    assert len(pairs) == 2
    for pair, row in zip(pairs, printed[1:], strict=True):
        assert pair.value == pytest.approx(row["BLEU"]["score"], abs=1e-9)
        assert pair.p == row["BLEU"]["p_value"]
        assert pair.baseline == pytest.approx(printed[0]["BLEU"]["score"], abs=1e-9)
        assert "seed:12345" in pair.signature
        assert "bs:1000" in pair.signature
    assert pairs[0].p < 0.01 < 0.05 < pairs[1].p


def test_the_same_text_is_perfect_and_no_different():
    _, references = texts(1, 0.3)
    assert {name: one.value for name, one in bleu.scores(references, references).items()} == pytest.approx(
        dict.fromkeys(bleu.METRICS, 100)
    )


def test_without_sacrebleu_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    for score in (lambda: bleu.scores(["a"], ["a"]), lambda: bleu.paired_bootstrap(["a"], [["a"]], ["a"])):
        with pytest.raises(
            UserError, match=r"translation: sacrebleu is not installed; pip install 'lskd\[translation\]'"
        ):
            score()
