"""The content of published sets, which needs no file, and of every other data set, which is all its files."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import xxhash
from torchvision.datasets import CIFAR10, CIFAR100, MNIST, FashionMNIST

from lskd.data.content import DIGITS, PUBLISHED, check_same, content
from lskd.errors import UserError
from tests.data.content_folders import NAMES, write

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


def test_files_are_read_when_no_thread_starts_any_more(root, monkeypatch):
    """As at the interpreter's end, when a study's page is made."""
    expected = files_of(root)

    def refuse(*_):
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    monkeypatch.setattr("concurrent.futures.ThreadPoolExecutor.submit", refuse)
    assert files_of(root) == expected


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
