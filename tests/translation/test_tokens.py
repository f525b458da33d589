"""Sentences as tokens: written and read, and text back from them."""

import numpy as np
import pytest

from lskd.errors import UserError
from lskd.translation import tokens
from lskd.translation.tokens import EOS, PAD, UNK, Sentences, ragged

ROWS = [[5, 6, 7], [], [4], [9, 9]]


def test_a_ragged_array_is_the_list_of_its_rows():
    rows = ragged(ROWS)
    assert [row.tolist() for row in rows] == ROWS
    assert len(rows) == 4 and rows.lengths_n.tolist() == [3, 0, 1, 2]
    assert (rows.ids.dtype, rows.ends_n.dtype) == (np.int32, np.int64)
    for beyond in (4, -1):
        with pytest.raises(IndexError):
            rows[beyond]


def test_written_and_read(tmp_path):
    path = tmp_path / "tokens.safetensors"
    splits = {
        split: Sentences(ragged(ROWS[first:]), ragged(ROWS[: 4 - first]))
        for first, split in enumerate(["train", "val"])
    }
    tokens.write_tokens(path, splits, {"title": "x"})
    for split, expected in splits.items():
        sentences = tokens.read_tokens(path, split)
        assert len(sentences) == len(expected)
        for side in tokens.SIDES:
            assert [row.tolist() for row in getattr(sentences, side)] == [
                row.tolist() for row in getattr(expected, side)
            ]
    with pytest.raises(UserError, match=r"tokens\.safetensors: missing or damaged tokens"):
        tokens.read_tokens(path, "test")


def test_a_damaged_or_missing_file_is_one_line(tmp_path):
    path = tmp_path / "tokens.safetensors"
    with pytest.raises(UserError, match="missing or damaged tokens.*snakemake"):
        tokens.read_tokens(path, "train")
    path.write_bytes(b"\xff" * 40)
    with pytest.raises(UserError, match="missing or damaged tokens.*snakemake"):
        tokens.read_tokens(path, "train")


def test_the_vocabulary_is_the_pieces_and_fairseqs_four(tmp_path):
    path = tmp_path / "pieces.txt"
    path.write_text("▁a\nb\n")
    assert tokens.vocabulary(path) == 6 and tokens.read_pieces(path) == ["▁a", "b"]
    with pytest.raises(UserError, match="missing or damaged pieces"):
        tokens.vocabulary(tmp_path / "none.txt")


def test_no_model_is_one_line(tmp_path):
    path = tmp_path / "pieces.model"
    with pytest.raises(UserError, match=r"pieces\.model: cannot be read"):
        tokens.processor(path)
    pytest.importorskip("sentencepiece")
    path.write_bytes(b"no model")
    with pytest.raises(UserError, match=r"pieces\.model: no sentencepiece model"):
        tokens.processor(path)


def test_special_symbols_are_fairseqs():
    dictionary = pytest.importorskip("fairseq.data").Dictionary()
    assert len(dictionary) == tokens.SPECIALS
    assert (dictionary.bos(), dictionary.pad(), dictionary.eos(), dictionary.unk()) == (tokens.BOS, PAD, EOS, UNK)
    assert dictionary.add_symbol("▁first") == tokens.SPECIALS
