"""The sentences of a corpus job as token ids, in fairseq's numbering. NumPy alone; sentencepiece where text is made.

N: sentences, T: tokens of one sentence. The piece that sentencepiece numbers i is token i + 3: its unknown, 0, is UNK.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from lskd.errors import UserError, mend
from lskd.io.atomic import atomic

BOS, PAD, EOS, UNK = 0, 1, 2, 3
SPECIALS = 4  # how many symbols fairseq's Dictionary puts before the pieces
SPLITS = ("train", "val", "test")
SIDES = ("source", "target")
FROM_PIECE = UNK  # what is added to sentencepiece's number, whose unknown is 0

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Ragged:
    """N sentences of different lengths: all ids one after the other, int32, and where each sentence ends, int64 [N]."""

    ids: Array
    ends_n: Array

    def __len__(self) -> int:
        return len(self.ends_n)

    def __getitem__(self, sentence: int) -> Array:
        """The ids of a sentence, int32 [T] (a view, without EOS). IndexError beyond the last."""
        if not 0 <= sentence < len(self.ends_n):
            raise IndexError(sentence)
        return self.ids[self.ends_n[sentence - 1] if sentence else 0 : self.ends_n[sentence]]

    @property
    def lengths_n(self) -> Array:
        """How many tokens each sentence has, int64 [N]; EOS is not counted."""
        return np.diff(self.ends_n, prepend=0)


@dataclass(frozen=True)
class Sentences:
    """The two sides of a split; sentence i of both is row i of that split in corpus.parquet."""

    source: Ragged
    target: Ragged

    def __len__(self) -> int:
        return len(self.source)


def ragged(sentences: Iterable[Sequence[int]]) -> Ragged:
    """Sentences given as lists of ids."""
    listed = list(sentences)
    lengths = np.fromiter(map(len, listed), np.int64, len(listed))
    ids = np.fromiter((token for sentence in listed for token in sentence), np.int32, int(lengths.sum()))
    return Ragged(ids, lengths.cumsum())


def write_tokens(path: Path, splits: Mapping[str, Sentences], origin: dict[str, Any]) -> None:
    """Write the splits as `{split}.{side}.ids` int32 [total] and `.ends` int64 [N], with `origin`, atomically."""
    tensors: dict[str, Array] = {}
    for split, sentences in splits.items():
        for side in SIDES:
            rows: Ragged = getattr(sentences, side)
            tensors |= {f"{split}.{side}.ids": rows.ids, f"{split}.{side}.ends": rows.ends_n}
    with atomic(path) as temporary:
        save_file(tensors, temporary, {"lskd": json.dumps(origin, sort_keys=True)})


def read_tokens(path: Path, split: str) -> Sentences:
    """The sentences of a split ("train", "val" or "test") of a tokens.safetensors.

    Raises UserError where the file is missing, damaged or holds no such split.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            sides = [
                Ragged(file.get_tensor(f"{split}.{side}.ids"), file.get_tensor(f"{split}.{side}.ends"))
                for side in SIDES
            ]
    except (OSError, SafetensorError) as error:
        why = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: missing or damaged tokens ({why}); {mend(path)}") from None
    return Sentences(*sides)


def vocabulary(path: Path) -> int:
    """How many tokens a network tells apart, by a pieces.txt: its pieces and fairseq's four symbols."""
    return SPECIALS + len(read_pieces(path))


def read_pieces(path: Path) -> list[str]:
    """The pieces of a pieces.txt; piece i is token 4 + i. UserError where it is missing or not UTF-8."""
    try:
        return path.read_bytes().decode().split("\n")[:-1]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: missing or damaged pieces ({error}); {mend(path)}") from None


def processor(path: Path) -> Any:
    """The sentencepiece model of a pieces.model, read once. UserError where it is missing or damaged."""
    try:
        written = path.stat().st_mtime_ns
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {mend(path)}") from None
    return _processor(path, written)


@lru_cache(maxsize=4)
def _processor(path: Path, written: int) -> Any:
    package = sentencepiece()
    try:
        model = package.SentencePieceProcessor()
        model.LoadFromSerializedProto(path.read_bytes())
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"{path}: no sentencepiece model ({' '.join(str(error).split())[:200]}); {mend(path)}"
        ) from None
    return model


def sentencepiece() -> Any:
    """The package; UserError where the extra is not installed."""
    try:
        import sentencepiece as package
    except ImportError:
        raise UserError("translation: sentencepiece is not installed; pip install 'lskd[translation]'") from None
    return package


def tokenise(texts: Sequence[str], pieces_model_path: Path) -> Ragged:
    """The token ids of texts, without EOS."""
    encoded = processor(pieces_model_path).EncodeAsIds(list(texts), num_threads=1)
    rows = ragged(encoded)
    return Ragged(rows.ids + np.int32(FROM_PIECE), rows.ends_n)


def detokenise(ids: Iterable[int], pieces_model_path: Path) -> str:
    """The text of token ids; BOS, PAD and EOS say nothing, UNK is written as sentencepiece does ("⁇")."""
    pieces = [int(token) - FROM_PIECE for token in ids if token not in (BOS, PAD, EOS)]
    return processor(pieces_model_path).DecodeIds(pieces)
