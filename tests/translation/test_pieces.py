"""The vocabulary: the same each time, without unknowns in train, and its texts come back."""

from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lskd.errors import UserError
from lskd.translation import pieces
from lskd.translation.cleaning import normalise
from lskd.translation.tokens import FROM_PIECE, SPECIALS, UNK, detokenise, read_pieces, tokenise, vocabulary

pytest.importorskip("sentencepiece")
TEXTS = ["Open the file.", "Öffnen Sie die Datei.", "Откройте файл: <unk> <s>", "the other file, the other"] * 3
FOLDERS = count()


def learn(folder, texts=TEXTS, size=60):
    folder.mkdir()
    pieces.learn(texts, size, folder)
    return folder / "pieces.model"


def test_the_same_texts_give_the_same_bytes(tmp_path):
    files = [learn(tmp_path / name).parent for name in "ab"]
    for name in ("pieces.model", "pieces.txt"):
        assert (files[0] / name).read_bytes() == (files[1] / name).read_bytes()


def test_ids_are_those_of_the_lines_of_pieces_txt(tmp_path):
    model = learn(tmp_path / "a")
    listed = read_pieces(model.with_name("pieces.txt"))
    assert len(listed) == 60 and vocabulary(model.with_name("pieces.txt")) == 64
    for text, ids in zip(TEXTS, tokenise(TEXTS, model), strict=True):
        spelled = "".join(listed[token - SPECIALS] for token in ids)
        assert spelled.replace("▁", " ").strip() == text
        assert detokenise([*ids, 2, 1, 1], model) == text
    assert FROM_PIECE == SPECIALS - 1


def test_an_unknown_character_is_unk_and_is_seen(tmp_path):
    model = learn(tmp_path / "a")
    (ids,) = tokenise(["the Ω"], model)
    assert ids[-1] == UNK and "⁇" in detokenise(ids, model)
    assert detokenise([], model) == ""


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(normalise), min_size=1, max_size=9))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_cleaned_text_comes_back(tmp_path, texts):
    texts = [*texts, "a b"]
    characters = len(set().union(*texts) - {" "}) + 1  # and the mark of a word's begin
    model = learn(tmp_path / str(next(FOLDERS)), texts, characters)
    rows = tokenise(texts, model)
    assert not (rows.ids == UNK).any()
    assert [detokenise(ids, model) for ids in rows] == texts


def test_the_largest_and_smallest_vocabulary_are_told_and_are_possible(tmp_path):
    for size, said in ((5000, "give at most "), (7, "give at least ")):
        with pytest.raises(UserError, match=rf"data\.pieces: found {size}; .*{said}\d+") as caught:
            learn(tmp_path / said.strip(), size=size)
        possible = int(str(caught.value).split(said)[1].split(":")[0])
        learn(tmp_path / f"{possible}", size=possible)


def test_no_text_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"data\.pieces: sentencepiece made no 60 pieces of 0 texts"):
        learn(tmp_path / "a", [])


def test_many_texts_are_sampled_but_no_character_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "MOST_TEXTS", 4)
    model = learn(tmp_path / "a", TEXTS, 50)
    assert not (tokenise(TEXTS, model).ids == UNK).any()
