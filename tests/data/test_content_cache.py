"""Which digests the cache may spare: those of files that have not changed since, whatever their mtime and size say."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import xxhash

from lskd.data.content import content
from tests.data.content_folders import NAMES, uncached, write

# --- replaced with the mtime and the size of before ---


def move_over(root: Path, spare: Path) -> None:
    subprocess.run(["mv", spare / "a/0.png", root / "a/0.png"], check=True)


def swap_by_moving(root: Path, spare: Path) -> None:
    for source, target in (("a/0.png", "tmp"), ("b/0.png", "a/0.png"), ("tmp", "b/0.png")):
        subprocess.run(["mv", root / source, root / target], check=True)


def copy_over(root: Path, spare: Path) -> None:
    subprocess.run(["cp", "-p", spare / "a/0.png", root / "a/0.png"], check=True)


def unpack_over(root: Path, spare: Path) -> None:
    subprocess.run(["tar", "cf", spare / "all.tar", "-C", spare, "a"], check=True)
    subprocess.run(["tar", "xpf", spare / "all.tar", "-C", root], check=True)


def synchronise(root: Path, spare: Path) -> None:
    """What `rsync -a` does: a new file beside the old one with the source's mtime, moved over it."""
    if shutil.which("rsync"):
        subprocess.run(["rsync", "-a", "--ignore-times", f"{spare}/a", root], check=True)
    else:
        shutil.copy2(spare / "a/0.png", root / "a/.0.png.Xq3")
        (root / "a/.0.png.Xq3").replace(root / "a/0.png")


def write_in_place(root: Path, spare: Path) -> None:
    (root / "a/0.png").write_bytes((spare / "a/0.png").read_bytes())
    os.utime(root / "a/0.png", (1e9, 1e9))


def retarget_link(root: Path, spare: Path) -> None:
    (root / "a/0.png").unlink()
    (root / "a/0.png").symlink_to(spare / "a/0.png")


@pytest.mark.parametrize(
    "replace", [move_over, swap_by_moving, copy_over, unpack_over, synchronise, write_in_place, retarget_link]
)
def test_a_replacement_of_the_same_size_and_mtime_is_noticed(replace, root, tmp_path, later, reads):
    spare, cache = tmp_path / "spare", tmp_path / "cache"
    write(spare, {"a/0.png": b"a/X.png"})
    os.utime(spare / "a/0.png", (1e9, 1e9))
    later(10)
    before = content("imagefolder", str(root), cache, True)
    assert content("imagefolder", str(root), cache, True) == before and len(reads) == 6  # a warm cache is used
    time.sleep(0.02)  # some ticks of the kernel's clock
    replace(root, spare)
    assert ((root / "a/0.png").stat().st_mtime, (root / "a/0.png").stat().st_size) == (1e9, 7)
    after = content("imagefolder", str(root), cache, True)
    assert after != before and after == uncached(root)


# --- the cache ---


def test_only_new_images_are_read(root, tmp_path, later, reads):
    later(10)
    content("imagefolder", str(root), tmp_path / "cache", True)
    reads.clear()
    write(root, {"b/new.png": b"new"})
    content("imagefolder", str(root), tmp_path / "cache", True)
    content("imagefolder", str(root), tmp_path / "cache", True)
    assert reads == [str(root / "b/new.png")]


def test_an_image_that_was_just_written_is_not_trusted(root, tmp_path, later, reads):
    for _ in range(2):
        content("imagefolder", str(root), tmp_path / "cache", True)
    assert len(reads) == 12  # as a second change within one tick would leave the same ctime
    later(1.5)
    content("imagefolder", str(root), tmp_path / "cache", True)
    assert len(reads) == 18
    later(10)
    for _ in range(2):
        content("imagefolder", str(root), tmp_path / "cache", True)
    assert len(reads) == 24


def test_a_ctime_in_the_future_is_not_trusted(root, tmp_path, later, reads):
    later(10)
    content("imagefolder", str(root), tmp_path / "cache", True)
    later(-3600)  # the clock was ahead and was set back
    for _ in range(2):
        content("imagefolder", str(root), tmp_path / "cache", True)
    assert len(reads) == 18


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def another_json(path: Path) -> None:
    path.write_text('{"entries": []}\n[1, 2]')


def not_text(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def flip_a_digest(path: Path) -> None:
    text = path.read_text()
    digest = xxhash.xxh3_128_hexdigest(NAMES[0].encode())
    assert digest in text
    path.write_text(text.replace(digest, "0" * 32))


@pytest.mark.parametrize("damage", [cut, empty, another_json, not_text, a_folder, flip_a_digest])
def test_a_damaged_cache_is_ignored(damage, root, tmp_path, later):
    cache = tmp_path / "cache"
    later(10)
    expected = content("imagefolder", str(root), cache, True)
    (file,) = cache.iterdir()
    damage(file)
    for write_cache in (False, True, True):
        assert content("imagefolder", str(root), cache, write_cache) == expected


def test_no_flipped_bit_in_the_cache_changes_the_content(root, tmp_path, later):
    cache = tmp_path / "cache"
    later(10)
    expected = content("imagefolder", str(root), cache, True)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    for place in range(0, len(whole), 3):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert content("imagefolder", str(root), cache, False) == expected


def test_a_cache_that_cannot_be_written_costs_time_alone(root, tmp_path, later):
    (tmp_path / "cache").write_text("a file where the folder should be")
    later(10)
    assert content("imagefolder", str(root), tmp_path / "cache", True) == uncached(root)


def test_nothing_is_written_unless_asked_and_nothing_beside_the_images(root, tmp_path, later):
    later(10)
    listed = sorted(root.rglob("*"))
    content("imagefolder", str(root), tmp_path / "cache", False)
    assert not (tmp_path / "cache").exists()
    content("imagefolder", str(root), tmp_path / "cache", True)
    assert sorted(root.rglob("*")) == listed


def test_vanished_images_are_dropped_and_other_roots_kept(root, tmp_path, later, reads):
    other, cache = tmp_path / "other", tmp_path / "cache"
    write(other, dict.fromkeys(NAMES, b"other"))
    later(10)
    for path in (root, other):
        content("imagefolder", str(path), cache, True)
    file = cache / xxhash.xxh3_128_hexdigest(bytes(root))
    assert b"a/2.png" in file.read_bytes()
    write(root, {"a/3.png": b"", "a/4.png": b""})
    (root / "a/2.png").unlink()
    content("imagefolder", str(root), cache, True)
    assert b"a/2.png" not in file.read_bytes()
    reads.clear()
    content("imagefolder", str(other), cache, True)
    assert reads == []


def test_twenty_thousand_images_are_planned_fast(tmp_path, later, reads):
    root, cache = tmp_path / "images", tmp_path / "cache"
    for name in range(20):
        write(root, {f"{name}/{index:05}.png": bytes(4096) + b"%d" % index for index in range(1000)})
    later(10)

    def seconds() -> float:
        start = time.perf_counter()
        content("imagefolder", str(root), cache, True)
        return time.perf_counter() - start

    seconds()
    assert len(reads) == 20_000
    warm = min(seconds() for _ in range(3))
    assert len(reads) == 20_000 and warm < 1.5  # measured: 0.14 s; 0.65 s with every image read
