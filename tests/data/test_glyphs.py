"""The letters: their bytes, what they are functions of, and the rules by which classes are chosen."""

import hashlib
import unicodedata
from itertools import zip_longest
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.ft2font import FT2Font, LoadFlags

from lskd.data import glyphs
from lskd.data.glyph_classes import CHARACTERS, base
from lskd.errors import UserError

OPTIONS = {
    "workers": 1,
    "classes": 10,
    "images": 6,
    "test_images": 4,
    "pixels": 16,
    "distortion": 1.0,
    "test_faces": 0,
    "data_seed": 0,
}
SCRIPTS = ("LATIN", "GREEK", "CYRILLIC")


def load(**options):
    return glyphs.load(Path(), **OPTIONS | options)


def digest(samples) -> str:
    return hashlib.sha256(samples.images.tobytes()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("options", "train", "test"),
    [
        ({"classes": 64, "images": 8, "test_faces": 3, "data_seed": 7}, "4978cddb9dd2263b", "dbf6283180087463"),
        (
            {"classes": 64, "images": 8, "test_faces": 3, "data_seed": 7, "pixels": 28},
            "bb15e1d7f04e7faa",
            "463f660783b72e96",
        ),
        ({"classes": 1000, "images": 4, "test_images": 1}, "d127f6c6ff1fc5cb", None),
    ],
)
def test_the_bytes_are_the_same_on_every_machine(options, train, test):
    arrays = load(**options)
    assert digest(arrays.train) == train
    assert test in (None, digest(arrays.test))


def test_an_image_is_a_function_of_seed_class_and_index():
    some, more = load(), load(classes=12, images=9, test_images=7)
    for one, other, few, many in ((some.train, more.train, 6, 9), (some.test, more.test, 4, 7)):
        of_class = other.images.reshape(12, many, 1, 16, 16)[:10, :few]
        assert (one.images.reshape(10, few, 1, 16, 16) == of_class).all()
    assert (load(data_seed=1).train.images != some.train.images).any()
    images = np.concatenate([some.train.images, some.test.images])
    assert len({image.tobytes() for image in images}) == len(images)


def test_form():
    arrays = load(pixels=28)
    assert arrays.train.images.dtype == np.uint8 and arrays.train.images.shape == (60, 1, 28, 28)
    assert arrays.train.labels.dtype == np.int64 and np.bincount(arrays.test.labels).tolist() == [4] * 10
    assert arrays.classes == tuple(CHARACTERS[:10])
    assert len(set(arrays.train.names + arrays.test.names)) == 100


def test_without_distortion_an_image_is_its_face_s_letter():
    images = load(distortion=0.0, images=300, classes=10).train.images.reshape(10, 300, -1)
    for of_class in images:
        assert 8 <= len({image.tobytes() for image in of_class}) <= len(glyphs.FACES)  # some faces share a letter


@pytest.mark.parametrize("number", range(1, 9))
def test_held_out_faces_are_those_of_test_alone(number):
    parts = load(distortion=0.0, images=200, test_images=200, test_faces=number)
    seen = [{image.tobytes() for image in samples.images} for samples in (parts.train, parts.test)]
    whole = load(distortion=0.0, images=200, test_images=200)
    assert not seen[0] & seen[1]
    assert seen[1] <= {image.tobytes() for image in np.concatenate([whole.train.images, whole.test.images])}


def test_other_letters_than_those_of_the_results_are_refused(monkeypatch):
    monkeypatch.setattr(glyphs, "LETTERS", "0" * 64)
    with pytest.raises(UserError, match=r"glyphs: matplotlib .* draws other letters .* install that one"):
        load()


def test_families_are_unicode_s():
    arrays = load(classes=1000)
    for name, family in zip(arrays.classes, arrays.families, strict=True):
        letter = name
        while parts := [part for part in unicodedata.decomposition(letter).split() if part.startswith(("0", "1"))]:
            if unicodedata.decomposition(letter).startswith("<"):  # a look-alike, not a letter with accents
                break
            letter = chr(int(parts[0], 16))
        assert family == letter
    assert arrays.families[arrays.classes.index("é")] == arrays.families[arrays.classes.index("ê")] == "e"


def test_the_classes_are_those_of_the_rule():
    """All DejaVu faces have them; homoglyphs are left out; relatives come in turns of four, those without one last."""
    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    fonts = {face: FT2Font(str(folder / f"{face}.ttf")) for face in glyphs.FACES}
    having = {face: set(font.get_charmap()) for face, font in fonts.items()}
    stix = [face for face in glyphs.FACES if face not in glyphs.DEJAVU]
    letters = [
        chr(code)
        for code in set.intersection(*(having[face] for face in glyphs.DEJAVU))
        if code < 0x2000 and unicodedata.category(chr(code)) in ("Lu", "Ll") and script(chr(code)) is not None
    ]
    seen, kept = set(), []
    for letter in sorted(letters, key=lambda letter: (script(letter), ord(letter))):
        outlines = {outline(fonts[face], face, letter) for face in glyphs.FACES if ord(letter) in having[face]}
        if not outlines & seen and not any(empty for _, _, empty in outlines):
            kept.append(letter)
            seen |= outlines
    full = [letter for letter in kept if all(ord(letter) in having[face] for face in stix)]
    assert "".join(ordered(full) + ordered([letter for letter in kept if letter not in full])) == CHARACTERS
    assert len(CHARACTERS) >= 1000


def script(letter: str) -> int | None:
    name = unicodedata.name(letter, "")
    return next((place for place, one in enumerate(SCRIPTS) if name.startswith(one)), None)


def outline(font: FT2Font, face: str, letter: str) -> tuple[str, bytes, bool]:
    font.set_size(64, 72)
    font.load_char(ord(letter), flags=LoadFlags.NO_SCALE)
    points, codes = font.get_path()
    moved = np.round(points - points.min(0), 3) if len(points) else points
    return face, moved.tobytes() + bytes(codes), not len(points)


def ordered(letters: list[str]) -> list[str]:
    families: dict[str, list[str]] = {}
    for letter in letters:
        families.setdefault(base(letter), []).append(letter)
    alone = [members[0] for members in families.values() if len(members) == 1]
    left = {name: members for name, members in families.items() if len(members) > 1}
    order = []
    while any(left.values()):
        turn = []
        for size in (4, 3, 2, 1):
            names = [name for name in left if left[name] and min(len(left[name]), 4) == size]
            turn += woven(sorted(names, key=lambda name: (name.isupper(), ord(name))))
        for name in turn:
            order += left[name][:4]
            left[name] = left[name][4:]
    return order + woven(alone)


def woven(letters: list[str]) -> list[str]:
    """One of each script in turn."""
    by_script = [[letter for letter in letters if script(letter) == place] for place in range(3)]
    return [letter for turn in zip_longest(*by_script) for letter in turn if letter]
