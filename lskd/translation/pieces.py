"""The vocabulary: byte-pair encoding by sentencepiece, joint over both languages, learnt on train alone.

Sennrich, Haddow and Birch (2016), "Neural Machine Translation of Rare Words with Subword Units", section 3.2.
"""

import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from lskd.errors import UserError
from lskd.io.atomic import atomic, write_text
from lskd.translation import tokens

MOST_TEXTS = 2_000_000  # that the merges are learnt of, as memory goes with them: evenly spaced ones of more
_LONGEST = 1 << 24  # bytes of a text: sentencepiece leaves longer ones out


def learn(texts: Sequence[str], pieces: int, folder: Path) -> None:
    """Write `pieces.model` and `pieces.txt`, of `pieces` pieces, into a folder; the same texts give the same bytes.

    Every character of the texts is a piece, so that they hold no unknowns; bytes are no pieces, for a network would
    never see most of them. Text is taken as it is (no normalisation of Unicode). Raises UserError where the texts give
    no such number of pieces, with what they give.
    """
    model = io.BytesIO()
    step = -(-len(texts) // MOST_TEXTS)
    try:
        tokens.sentencepiece().SentencePieceTrainer.train(
            sentence_iterator=iter(texts[:: step or 1]),
            model_writer=model,
            model_type="bpe",
            vocab_size=pieces + 1,  # and the unknown
            required_chars="".join(sorted(_characters(texts))),
            character_coverage=1.0,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            max_sentence_length=_LONGEST,
            unk_id=0,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            num_threads=1,  # with more the order of equal merges could differ
            minloglevel=2,
        )
    except RuntimeError as error:
        raise UserError(_why(str(error), pieces, len(texts))) from None
    with atomic(folder / "pieces.model") as temporary:
        temporary.write_bytes(model.getvalue())
    processor = tokens.processor(folder / "pieces.model")
    write_text(folder / "pieces.txt", "".join(f"{processor.IdToPiece(piece)}\n" for piece in range(1, pieces + 1)))


def _characters(texts: Iterable[str]) -> set[str]:
    return set().union(*texts) - {" "}


def _why(error: str, pieces: int, texts: int) -> str:
    """The line for what sentencepiece says of a vocabulary that it cannot make."""
    if too_many := re.search(r"too high.*<= (\d+)", error):
        largest = int(too_many[1]) - 1
        return f"data.pieces: found {pieces}; the {texts:,} texts of train give at most {largest}: give that or fewer"
    if too_few := re.search(r"smaller than required_chars\. \d+ vs (\d+)", error):
        fewest = int(too_few[1]) - 1
        return f"data.pieces: found {pieces}; train has {fewest} different characters alone: give at least {fewest}"
    return f"data.pieces: sentencepiece made no {pieces} pieces of {texts:,} texts ({' '.join(error.split())[-200:]})"
