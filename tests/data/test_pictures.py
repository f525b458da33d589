import subprocess
import sys
from pathlib import Path

from lskd.data.pictures import pictures


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_pictures_are_sorted_and_only_pictures(tmp_path):
    touch(tmp_path, "b/2.JPG", "a/1.png", "a/deep/0.webp", "a/notes.txt", "a/.hidden.png", ".cache/3.png")
    assert pictures(tmp_path) == [tmp_path / name for name in ("a/1.png", "a/deep/0.webp", "b/2.JPG")]


def test_images_are_sorted_by_the_bytes_of_their_paths(tmp_path):
    touch(tmp_path, "d/1.png", "d-2/1.png", "D.png", "é.png", "z.png")
    assert pictures(tmp_path) == [tmp_path / name for name in ("D.png", "d-2/1.png", "d/1.png", "z.png", "é.png")]


def test_linked_images_are_listed_but_linked_folders_not_entered(tmp_path):
    touch(tmp_path, "a/1.png", "elsewhere/2.png")
    (tmp_path / "a/link.png").symlink_to(tmp_path / "elsewhere/2.png")
    (tmp_path / "a/folder").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "a/loop").symlink_to(tmp_path / "a")
    (tmp_path / "a/folder.png").mkdir()
    assert pictures(tmp_path / "a") == [tmp_path / "a/1.png", tmp_path / "a/link.png"]


def test_none_where_none_are(tmp_path):
    assert pictures(tmp_path / "missing") == []


def test_imports_neither_torch_nor_numpy():
    code = "import lskd.data.pictures, sys; assert not {'torch', 'numpy', 'PIL'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
