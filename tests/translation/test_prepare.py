"""A corpus job from end to end."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd.data.content import content_of_files
from lskd.errors import UserError
from lskd.jobs.work import Work
from lskd.translation import aligned, help_extract, prepare
from lskd.translation.cleaning import key
from lskd.translation.pairs import Pair
from lskd.translation.tokens import SPLITS, UNK, detokenise, read_tokens, vocabulary

pytest.importorskip("sentencepiece")
WORDS = st.text("abcdefgh ", min_size=1, max_size=3)
SPEC = {
    "dataset": "help_extract",
    "source": "en",
    "target": "de",
    "pieces": 500,
    "longest": 100,
    "val_fraction": 0.05,
    "test_fraction": 0.1,
    "content": {},
}


def prepared(folder: Path, module=help_extract, place=Path(), **spec) -> Work:
    folder.mkdir(exist_ok=True)
    functions = {"load": module.load, "files": module.files}
    work = Work("a corpus", "0123456789", SPEC | spec, folder, {}, functions, place=place)
    prepare.run(work)
    return work


def rows(folder: Path) -> list[dict]:
    return pq.read_table(folder / "corpus.parquet").to_pylist()


def test_the_files_say_the_same(tmp_path, capsys):
    work = prepared(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "corpus.parquet",
        "pieces.model",
        "pieces.txt",
        "tokens.safetensors",
    ]
    table = rows(tmp_path)
    assert vocabulary(tmp_path / "pieces.txt") == 504
    for split in SPLITS:
        part = [row for row in table if row["split"] == split]
        sentences = read_tokens(tmp_path / "tokens.safetensors", split)
        assert len(sentences) == len(part) and [row["sentence"] for row in part] == list(range(len(part)))
        for side in ("source", "target"):
            for row, ids in zip(part, getattr(sentences, side), strict=True):
                text = detokenise(ids, tmp_path / "pieces.model")
                assert text == row[side] or (split != "train" and UNK in ids)
    assert capsys.readouterr().err.strip() == work.notes["corpus"]
    assert work.notes["corpus"].startswith("help_extract en-de: ")


def test_splits_share_no_document_and_no_sentence(tmp_path):
    prepared(tmp_path)
    table = rows(tmp_path)
    for what in (lambda row: row["document"], lambda row: key(row["source"]), lambda row: key(row["target"])):
        parts = [{what(row) for row in table if row["split"] == split} for split in SPLITS]
        assert sum(map(len, parts)) == len(set.union(*parts))
    shares = {split: sum(row["split"] == split for row in table) / len(table) for split in SPLITS}
    assert shares["val"] == pytest.approx(0.05, abs=0.02) and shares["test"] == pytest.approx(0.1, abs=0.02)


@given(
    st.lists(
        st.builds(Pair, st.sampled_from("abcdefghij"), WORDS, WORDS, st.sampled_from(["", "train", "val", "test"])),
        min_size=9,
    )
)
def test_no_split_shares_a_sentence_with_another_whatever_the_corpus(pairs):
    try:
        splits, removed = prepare.separate(pairs, {"val": 0.2, "test": 0.2}, False, "here")
    except UserError as error:
        assert str(error).startswith("here: ")
        return
    assert sum(map(len, splits.values())) + removed.total() == len(pairs)
    published = {pair.split for pair in pairs} & {"val", "test"}
    for name in published:
        assert splits[name] == [pair for pair in pairs if pair.split == name]
    keys = {
        name: {(side, key(getattr(pair, side))) for pair in chosen for side in ("source", "target")}
        for name, chosen in splits.items()
    }
    assert keys["train"].isdisjoint(keys["val"] | keys["test"])
    assert "val" in published or keys["val"].isdisjoint(keys["test"])


def test_it_is_the_same_twice(tmp_path):
    for name in "ab":
        prepared(tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def own(root: Path, leak: bool) -> Path:
    root.mkdir()
    lines = [f"sentence number {n} of our text" for n in range(60)]
    parts = {
        "train": lines[:40],
        "val": lines[40:50],
        "test": lines[50:] + ["x", "sentence number 3, of our text"] * leak,
    }
    for split, texts in parts.items():
        (root / f"{split}.en").write_text("".join(f"{text}\n" for text in texts))
        (root / f"{split}.de").write_text("".join(f"Satz mit {text}\n" for text in texts))
    return root


def test_a_users_own_leaks_are_refused_or_dropped_from_train(tmp_path):
    place = own(tmp_path / "own", leak=True)
    spec = {"dataset": "aligned", "pieces": 50}
    with pytest.raises(
        UserError, match=r"aligned en-de: 1 of 40 training pairs .*; take them out of train, or say leaks"
    ):
        prepared(tmp_path / "a", aligned, place, **spec, leaks="refuse")
    work = prepared(tmp_path / "b", aligned, place, **spec, leaks="drop")
    parts = [row["split"] for row in rows(tmp_path / "b")]
    assert [parts.count(split) for split in SPLITS] == [39, 10, 12]
    assert "removed 1 leaked" in work.notes["corpus"]
    prepared(tmp_path / "c", aligned, own(tmp_path / "clean", leak=False), **spec, leaks="refuse")


def test_files_that_changed_since_planning_are_refused(tmp_path):
    place = own(tmp_path / "own", leak=False)
    spec = {
        "dataset": "aligned",
        "pieces": 50,
        "content": content_of_files(place, aligned.files(place, "en", "de"), None, write=False),
    }
    prepared(tmp_path / "a", aligned, place, **spec)
    (place / "test.de").write_text((place / "test.de").read_text().replace("Satz", "Saetze", 1))
    with pytest.raises(UserError, match="the files changed since this job was planned; run again"):
        prepared(tmp_path / "b", aligned, place, **spec)


def test_an_unknown_pair_is_one_line(tmp_path):
    with pytest.raises(UserError, match="help_extract: found the pair en-fr; two different of de, en, ru are there"):
        prepared(tmp_path, target="fr")
