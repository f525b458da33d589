"""What identifies the content of a folder of images, and what does not."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from lskd.data import content as module
from lskd.data import imagefolder
from lskd.data.content import content
from lskd.data.image_folders import scan
from tests.data.content_folders import NAMES, uncached, write
from tests.data.test_imagefolder import write_classes


def test_it_is_the_digest_of_paths_and_bytes(root):
    total = xxhash.xxh3_128()
    for name in NAMES:
        total.update(name.encode() + b"\0" + xxhash.xxh3_128_hexdigest(name.encode()).encode())
    assert uncached(root) == {"images": 6, "digest": total.hexdigest()}
    assert json.loads(json.dumps(uncached(root))) == uncached(root)


def test_the_place_of_the_folder_does_not_matter(root, tmp_path, monkeypatch):
    expected = uncached(root)
    shutil.copytree(root, tmp_path / "copy")
    (tmp_path / "link").symlink_to(root)
    monkeypatch.chdir(tmp_path)
    for name in ("images", "./images", "images/", "copy", "link", str(root), "images/../copy"):
        assert uncached(name) == expected
    monkeypatch.chdir(root)
    assert uncached(".") == expected


def test_only_what_the_loader_reads_counts(root):
    expected = uncached(root)
    write(
        root, {"a/.hidden.png": b"h", "a/.thumbs/1.png": b"t", ".git/x/1.png": b"g", "a/notes.txt": b"n", "b/x": b"x"}
    )
    write(root, {"loose.png": b"beside the classes"})
    assert uncached(root) == expected
    write(root, {"a/deep/er/4.JPG": b"counts"})
    assert uncached(root)["images"] == 7


@pytest.mark.parametrize("parts", [("",), ("train/", "test/")])
def test_the_loader_opens_exactly_the_images_that_count(parts, tmp_path, monkeypatch):
    for part in parts:
        write_classes(tmp_path / f"{part}a", {"": 3, "deep": 1})
        write_classes(tmp_path / part, {"a-b": 3, "B": 4})
        (tmp_path / f"{part}a" / "link.png").symlink_to(tmp_path / f"{part}a" / "00.png")
        write(tmp_path / part, {"loose.png": b"", "a/.hidden.png": b"", "a/notes.txt": b""})
    opened = []
    read = imagefolder._read
    monkeypatch.setattr(imagefolder, "_read", lambda path: (opened.append(path), read(path))[1])
    data = imagefolder.load(tmp_path, image_size=8, test_fraction=0.3, workers=1)
    for samples in (data.train, data.test):
        list(samples.images.blocks(samples.names, 1))
    counted = module._stamps(module._images(tmp_path), 0)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in opened) == sorted(counted)
    assert len(counted) == uncached(tmp_path)["images"] == 12 * len(parts)


def test_the_order_of_the_file_system_does_not_matter(root, monkeypatch):
    write(
        root,
        {
            "a-b/1.png": b"1",
            "a-b/deep/2.png": b"2",
            "a-b/deep-er/3.png": b"3",
            "ä/1.png": b"",
            "ä/2.png": b"",
            "ä/3.png": b"",
        },
    )
    expected = uncached(root)
    monkeypatch.setattr(module, "scan", lambda folder: reversed(list(scan(folder))))
    monkeypatch.setattr(module, "image_folders", lambda root: [root / name for name in ("ä", "b", "a-b", "a")])
    assert uncached(root) == expected


def test_names_that_are_no_text(root, tmp_path):
    write(root, {"a/line\nbreak.png": b"", os.fsdecode(b"a/\xff\xfe.png"): b""})
    first = content("imagefolder", str(root), tmp_path / "cache", True)
    assert first["images"] == 8 and first == content("imagefolder", str(root), tmp_path / "cache", True)
    (root / os.fsdecode(b"a/\xff\xfe.png")).rename(root / os.fsdecode(b"a/\xfe\xff.png"))
    assert content("imagefolder", str(root), tmp_path / "cache", True) != first


FOUR_EACH = {f"{name}/filler{index}.png": b"filler" for name in ("a", "b") for index in range(4)}
paths = st.builds("{}/{}.png".format, st.sampled_from(["a", "b"]), st.sampled_from(["1", "2", "3", "d/1"]))
images_of_two_classes = st.dictionaries(paths, st.binary(min_size=1, max_size=4)).map(lambda extra: FOUR_EACH | extra)


@settings(deadline=None, max_examples=100)
@given(first=images_of_two_classes, second=images_of_two_classes)
def test_two_folders_have_the_same_content_only_if_they_hold_the_same(first, second):
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder, "1"), first)
        write(Path(folder, "2"), dict(reversed(second.items())))
        assert (uncached(f"{folder}/1") == uncached(f"{folder}/2")) == (first == second)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), images=images_of_two_classes)
def test_every_edit_gives_another_content_and_taking_it_back_the_first(data, images):
    with tempfile.TemporaryDirectory() as folder:
        root, cache = Path(folder, "images"), Path(folder, "cache")
        write(root, images)
        before = content("imagefolder", str(root), cache, True)
        name, other = (root / name for name in data.draw(st.permutations(sorted(images)))[:2])
        kind = data.draw(st.sampled_from(["swap", "rename", "flip", "add", "move"]))
        old, new = name.read_bytes(), other.read_bytes()
        if kind == "swap":
            name.write_bytes(new), other.write_bytes(old)
        elif kind == "rename":
            name.rename(name.with_name("renamed.png"))
        elif kind == "flip":
            place = data.draw(st.integers(0, len(old) - 1))
            name.write_bytes(old[:place] + bytes([old[place] ^ 1 << data.draw(st.integers(0, 7))]) + old[place + 1 :])
        elif kind == "add":
            write(root, {"a/added.png": old})
        else:
            name.rename(root / ("b" if name.relative_to(root).parts[0] == "a" else "a") / "moved.png")
        after = content("imagefolder", str(root), cache, True)
        assert (after == before) == (kind == "swap" and old == new)
        shutil.rmtree(root)
        write(root, images)
        assert content("imagefolder", str(root), cache, True) == before
