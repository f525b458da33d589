import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.datasets import CIFAR10, CIFAR100, MNIST, FashionMNIST

from lskd.data import content as module
from lskd.data import imagefolder
from lskd.data.content import DIGITS, PUBLISHED, check_same, content
from lskd.data.image_folders import check, scan
from lskd.errors import UserError
from tests.data.test_imagefolder import write_classes

NAMES = [f"{name}/{index}.png" for name in ("a", "b") for index in range(3)]


def write(root: Path, images: dict[str, bytes]) -> None:
    for name, data in images.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


def uncached(root: Path | str) -> dict:
    return content("imagefolder", str(root), None, False)


def refuses(root: Path, *parts: str) -> None:
    with pytest.raises(UserError) as caught:
        uncached(root)
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


@pytest.fixture
def root(tmp_path) -> Path:
    """Two classes of three images of one size and one mtime, as no mtime or size may be needed to tell them apart."""
    write(tmp_path / "images", {name: name.encode() for name in NAMES})
    for name in NAMES:
        os.utime(tmp_path / "images" / name, (1e9, 1e9))
    return tmp_path / "images"


@pytest.fixture
def later(monkeypatch):
    """Move this process's clock by some seconds: what was written now was written long ago."""
    clock = time.time_ns

    def move(seconds: float) -> None:
        monkeypatch.setattr(time, "time_ns", lambda: clock() + int(seconds * 1e9))

    return move


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """The paths whose bytes are read, as they are read."""
    paths: list[str] = []
    read = module._read_digest
    monkeypatch.setattr(module, "_read_digest", lambda path: (paths.append(path), read(path))[1])
    return paths


# --- what identifies the content ---


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


# --- what cannot be read ---


def test_a_folder_that_is_missing_is_refused_as_check_does(tmp_path):
    for path in (tmp_path / "missing", Path("fashion_mnits")):
        with pytest.raises(UserError) as expected:
            check(path)
        refuses(path, str(expected.value))


def test_broken_links_are_named(root):
    (root / "a/7.png").symlink_to("nowhere.png")
    refuses(root, f"{root}/a/7.png: a link to nowhere.png", "missing")
    (root / "a/7.png").unlink()
    (root / "c").symlink_to("/nowhere")
    refuses(root, f"{root}/c: a link to /nowhere")
    (root / "c").unlink()
    (root / "a/7.png").symlink_to("7.png")  # a link to itself
    refuses(root, f"{root}/a/7.png")


def test_an_image_that_vanishes_while_it_is_looked_at(root, monkeypatch):
    def vanishing(folder):
        for name, entry in scan(folder):
            Path(entry.path).unlink()
            yield name, entry

    monkeypatch.setattr(module, "scan", vanishing)
    refuses(root, f"{root}/a/", ".png: cannot be read (No such file or directory)")


def test_an_image_or_folder_that_vanishes_before_it_is_read(root, monkeypatch):
    stamps = module._stamps

    def vanishing(listed, settled):
        paths = stamps(listed, settled)
        (root / "b/1.png").unlink()
        return paths

    monkeypatch.setattr(module, "_stamps", vanishing)
    refuses(root, f"{root}/b/1.png: cannot be read (No such file or directory)")
    with pytest.raises(UserError, match="gone: cannot be read"):
        list(scan(root / "gone"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("name", ["", "a", "a/0.png"])
def test_what_may_not_be_read_is_named(name, root):
    (root / name).chmod(0)
    refuses(root, "cannot be read (Permission denied)")
    (root / name).chmod(0o755)


# --- published sets ---


def test_published_sets_need_no_file(tmp_path):
    for dataset, files in PUBLISHED.items():
        assert content(dataset, str(tmp_path / "missing"), tmp_path / "cache", True) == {"files": files}
    assert content("digits", "", tmp_path / "cache", True) == {"digest": DIGITS}
    assert not (tmp_path / "cache").exists()


def test_published_digests_are_of_the_files_that_torchvision_names():
    for cls in (MNIST, FashionMNIST):
        files = PUBLISHED["mnist" if cls is MNIST else "fashion_mnist"]
        assert [f"{name}.gz" for name in files] == [name for name, _ in cls.resources]
        assert {len(sha256) for sha256 in files.values()} == {64}
    for cls in (CIFAR10, CIFAR100):
        members = [*cls.train_list, *cls.test_list, (cls.meta["filename"], cls.meta["md5"])]
        assert PUBLISHED[cls.__name__.lower()] == dict(members)


def test_planning_imports_no_big_package():
    banned = {"torch", "torchvision", "numpy", "PIL", "sklearn", "pandas"}
    code = (
        "import sys; from lskd.data.content import content, _check_digits; content('digits', '', None, False);"
        f"_check_digits(); assert not {banned} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- unchanged since planning ---


def test_images_edited_since_planning_are_refused(root, tmp_path, later):
    planned = json.loads(json.dumps(uncached(root)))
    check_same(planned, "imagefolder", str(root))
    later(10)
    content("imagefolder", str(root), tmp_path / "cache", True)
    time.sleep(0.02)
    write(root, {"b/1.png": b"b/X.png"})
    for cache in (None, tmp_path / "cache"):
        with pytest.raises(UserError, match="images: the images changed since this job was planned; run again$"):
            check_same(planned, "imagefolder", str(root), cache)


def test_digits_are_compared_with_the_installed_file(tmp_path, monkeypatch):
    check_same({"digest": DIGITS}, "digits", "data")
    file = tmp_path / "sklearn/datasets/data/digits.csv.gz"
    write(tmp_path, {"sklearn/__init__.py": b"", "sklearn/datasets/data/digits.csv.gz": b"others"})
    monkeypatch.delitem(sys.modules, "sklearn", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="digits.csv.gz: not the published digits .* reinstall scikit-learn$"):
        check_same({"digest": DIGITS}, "digits", "data")
    file.unlink()
    with pytest.raises(UserError, match="digits.csv.gz: cannot be read"):
        check_same({"digest": DIGITS}, "digits", "data")


# --- every other data set ---


def files_of(root: Path) -> dict:
    return content("mine", str(root), None, False)


def test_any_other_set_is_all_its_files(root, tmp_path):
    write(root, {"notes.txt": b"n", ".git/x": b"g", "a/.DS_Store": b"d"})
    total = xxhash.xxh3_128()
    for name, data in sorted([*((name, name.encode()) for name in NAMES), ("notes.txt", b"n")]):
        total.update(name.encode() + b"\0" + xxhash.xxh3_128_hexdigest(data).encode())
    assert files_of(root) == {"files": 7, "digest": total.hexdigest()}
    shutil.copytree(root, tmp_path / "copy")
    (tmp_path / "link").symlink_to(root)
    assert files_of(tmp_path / "copy") == files_of(tmp_path / "link") == files_of(root)


@pytest.mark.parametrize(
    "edit",
    [
        lambda root: (root / "a/0.png").write_bytes(b"other"),
        lambda root: (root / "a/0.png").rename(root / "a/9.png"),
        lambda root: (root / "a/0.png").unlink(),
        lambda root: write(root, {"deep/new": b""}),
    ],
)
def test_every_edit_of_any_other_set_is_seen_and_refused_by_its_job(edit, root, tmp_path, later):
    later(10)
    planned = content("mine", str(root), tmp_path / "cache", True)
    time.sleep(0.02)
    edit(root)
    assert content("mine", str(root), tmp_path / "cache", True) == files_of(root) != planned
    with pytest.raises(UserError, match="images: the files changed since this job was planned; run again$"):
        check_same(planned, "mine", str(root))


def test_a_file_as_a_root_is_its_name_and_bytes_and_read_once(tmp_path, later, reads):
    file = tmp_path / "numbers.dat"
    file.write_bytes(bytes(5 << 20) + b"end")  # of several chunks
    digest = xxhash.xxh3_128_hexdigest(file.read_bytes())
    later(10)
    for _ in range(2):
        identity = content("mine", str(file), tmp_path / "cache", True)
    assert reads == [str(file)]
    total = xxhash.xxh3_128(b"numbers.dat\0" + digest.encode())
    assert identity == {"files": 1, "digest": total.hexdigest()}


def test_a_linked_file_counts_by_its_bytes_and_a_linked_folder_is_refused(root, tmp_path):
    """As the hub's cache holds its files."""
    write(tmp_path / "blobs", {"x": NAMES[0].encode()})
    expected = files_of(root)
    (root / NAMES[0]).unlink()
    (root / NAMES[0]).symlink_to(tmp_path / "blobs/x")
    assert files_of(root) == expected
    for target in (tmp_path / "blobs", tmp_path / "nowhere"):
        (root / "more").symlink_to(target)
        with pytest.raises(UserError, match="more: neither a file nor a folder of this data set"):
            files_of(root)
        (root / "more").unlink()


@pytest.mark.parametrize("dataset", ["mine", "npz", "hf_dataset"])
def test_a_root_that_is_missing_or_empty_is_refused(dataset, tmp_path):
    for root in (tmp_path / "missing", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(
            UserError, match=f"{root.name}: (an empty|no such file or) folder; put the data set {dataset}"
        ):
            content(dataset, str(root), None, False)
