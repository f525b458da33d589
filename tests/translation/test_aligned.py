"""A user's own two files, and what can be wrong with them."""

import pytest

from lskd.errors import UserError
from lskd.translation.aligned import files, load
from lskd.translation.pairs import Pair, read_lines


def write(root, **texts):
    root.mkdir(exist_ok=True)
    for name, text in texts.items():
        (root / name.replace("_", ".")).write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def test_train_alone_or_with_val_and_test(tmp_path):
    root = write(tmp_path / "own", train_en="One.\r\nTwo.\n", train_de="Eins.\nZwei.")
    assert [(pair.source, pair.target, pair.split) for pair in load(root, "en", "de")] == [
        ("One.", "Eins.", "train"),
        ("Two.", "Zwei.", "train"),
    ]
    write(root, test_en="Three.\n", test_de="Drei.\n")
    assert list(load(root, "de", "en"))[-1] == Pair("test/000000", "Drei.", "Three.", "test")
    assert [path.name for path in files(root, "de", "en")] == ["train.de", "train.en", "test.de", "test.en"]


def test_neighbouring_lines_are_one_document(tmp_path):
    root = write(tmp_path, train_en="a\n" * 25, train_de="b\n" * 25)
    documents = [pair.document for pair in load(root, "en", "de")]
    assert len(set(documents)) == 3 and documents == sorted(documents)


def test_lines_end_where_wc_counts_them(tmp_path):
    root = write(tmp_path, train_en="a\x85b\u2028c\x0cd\n")
    assert read_lines(root / "train.en") == ["a\x85b\u2028c\x0cd"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            {"train_en": "a\nb\n", "train_de": "a\n"},
            r"train\.de: 1 lines, but train\.en has 2 \(line 2 of it has no par",
        ),
        ({"train_en": "a\n", "train_de": "a\nb\nc\n"}, r"train\.en: 1 lines, but train\.de has 3 \(line 2 of it"),
        ({"train_en": "a\n \nb\n", "train_de": "a\nb\nc\n"}, r"train\.en: line 2 is empty; delete that line in both"),
        ({"train_en": "a\nb\n", "train_de": "a\n\n"}, r"train\.de: line 2 is empty"),
        ({"train_en": "a\nb\n", "train_de": b"a\nM\xfcll\n"}, r"train\.de: line 2 is not UTF-8 \(byte 2 is 0xfc\)"),
        ({"train_en": "a\n"}, r"train\.de: no such file; put both train\.en and train\.de there.*is there in en\)"),
        ({}, r"train\.en: no such file; put both"),
        (
            {"train_en": "a\n", "train_de": "b\n", "val_de": "c\n"},
            r"val\.en: no such file; put both val\.en and val\.de",
        ),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, texts, message):
    root = write(tmp_path, **texts)
    with pytest.raises(UserError, match=message) as caught:
        list(load(root, "en", "de"))
    assert "\n" not in str(caught.value)
