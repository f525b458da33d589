"""Content that is refused: what cannot be read, and what changed since it was planned."""

import json
import sys
import time
from pathlib import Path

import pytest

from lskd.data import content as module
from lskd.data.content import DIGITS, check_same, content
from lskd.data.image_folders import check, scan
from lskd.errors import UserError
from tests.data.content_folders import refuses, uncached, write
from tests.rights import bound_by_modes

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


@pytest.mark.parametrize("name", ["", "a", "a/0.png"])
def test_what_may_not_be_read_is_named(name, root):
    (root / name).chmod(0)
    with bound_by_modes():
        refuses(root, "cannot be read (Permission denied)")
    (root / name).chmod(0o755)


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
