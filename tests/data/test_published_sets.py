"""Readers of published image sets, on tiny copies of their true layouts: sizes, labels, classes, families; damage."""

import json
from collections import Counter
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from lskd.data.content import content
from lskd.data.layouts import missing
from lskd.data.prepare import prepare
from lskd.errors import UserError
from lskd.study.registry import DATASETS
from tests.data import layouts


def load(name: str, root: Path, **options):
    module, _, function = DATASETS[name].entry.partition(":")
    return getattr(import_module(module), function)(root, workers=2, **{"image_size": 8} | options)


@pytest.fixture(scope="session")
def imagenet(tmp_path_factory) -> Path:
    """ImageNet and ImageNet-LT, for reading only."""
    root = tmp_path_factory.mktemp("imagenet")
    wnids = layouts.imagenet(root, train=3)
    names = "train/{folder}/{folder}_{number}.JPEG", "val/{folder}/ILSVRC2012_val_{number:08}.JPEG"
    layouts.long_tailed(root, "ImageNet_LT", wnids, *names)
    return root


def made(name: str, root: Path) -> Path:
    getattr(layouts, {"places365_lt": "places365"}.get(name, name))(root)
    return root


def counts(samples, classes: int) -> list[int]:
    return np.bincount(samples.labels, minlength=classes).tolist()


def levels(data, split: str) -> list[int]:
    """The grey level of each image of a split, to the nearest 80: the label from which the layout drew it, mod 4."""
    samples = getattr(data, split)
    (pixels,) = (np.concatenate([b.images for b in samples.images.blocks(samples.names, 2)]),)
    return np.rint(pixels.mean((1, 2, 3)) / 80).astype(int).tolist()


def test_imagenet(imagenet):
    data = load("imagenet", imagenet, stream=True)
    assert (len(data.train), data.val, len(data.test), len(data.classes)) == (3000, None, 1000, 1000)
    assert counts(data.train, 1000) == [3] * 1000 and counts(data.test, 1000) == [1] * 1000
    assert levels(data, "test") == [label % 4 for label in data.test.labels]
    assert data.train.names[0] == "train/n01440764/n01440764_0.JPEG"
    families = dict(zip(data.classes, data.families, strict=True))
    assert families["toy poodle"] == families["miniature poodle"] != families["tench"]
    assert len(set(data.classes)) == 1000 and {"crane (n02012849)", "crane (n03126707)"} < set(data.classes)


def test_imagenets_val_as_its_archive_has_it(tmp_path, imagenet):
    """The devkit's numbers are in no order of WordNet ids, and its list in that of file names."""
    wnids = layouts.imagenet(tmp_path, flat=True, train=1)
    data = load("imagenet", tmp_path)
    assert levels(data, "test") == [label % 4 for label in data.test.labels]
    assert data.test.labels.tolist() == list(range(999, -1, -1))
    assert data.classes == load("imagenet", imagenet).classes
    truth = tmp_path / "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"
    meta = truth.with_name("meta.mat")
    whole = truth.read_text(), meta.read_bytes()
    for damage, message in (
        (lambda: truth.write_text(whole[0] + "7\n"), "1000 images, but .* has 1001 classes"),
        (lambda: truth.write_text("x" + whole[0]), "line 1: found 'x"),
        (lambda: truth.write_text("1001\n" + whole[0].split("\n", 1)[1]), "line 1: found 1001, no class of the 1,000"),
        (lambda: meta.write_bytes(whole[1][:500]), "meta.mat: missing or damaged"),
        (lambda: meta.write_bytes(b"no matlab file" * 99), "meta.mat: missing or damaged"),
        (meta.unlink, "meta.mat: missing or damaged"),
        (truth.unlink, "ground_truth.txt: cannot be read"),
    ):
        truth.write_text(whole[0])
        meta.write_bytes(whole[1])
        damage()
        with pytest.raises(UserError, match=message):
            load("imagenet", tmp_path)
    truth.write_text(whole[0])
    meta.write_bytes(whole[1])
    layouts.remove(tmp_path / "train" / wnids[5])
    with pytest.raises(UserError, match=f"train/{wnids[5]}: is not there; put that class there"):
        load("imagenet", tmp_path)


def test_imagenet_lt(imagenet):
    data = load("imagenet_lt", imagenet, stream=True)
    assert [len(samples) for samples in (data.train, data.val, data.test)] == [1001, 1000, 1000]
    assert counts(data.train, 1000) == [2] + [1] * 999
    assert levels(data, "train") == [label % 4 for label in data.train.labels]
    assert data.classes == load("imagenet", imagenet).classes


def test_places365_lt(tmp_path):
    rows = layouts.places365(tmp_path)
    data = load("places365_lt", tmp_path)
    for split, lines in rows.items():
        samples = getattr(data, split)
        assert list(zip(samples.names, samples.labels.tolist(), strict=True)) == lines
        assert levels(data, split) == samples.labels.tolist()
    assert data.classes == ("airfield", "arena-hockey", "arena-rodeo")
    assert data.families == ("airfield", "arena", "arena")


@pytest.mark.parametrize("named", [True, False])
def test_inat2019(tmp_path, named):
    layouts.inat2019(tmp_path, named)
    data = load("inat2019", tmp_path)
    assert counts(data.train, 3) == [4, 4, 4] and counts(data.test, 3) == [1, 1, 1]
    assert levels(data, "train") == [{0: 1, 1: 0, 2: 2}[label] for label in data.train.labels]  # labels by number
    assert data.classes == (
        ("Quercus robur", "Pinus pinea", "Quercus ilex") if named else ("hidden 3", "hidden 7", "hidden 11")
    )
    assert data.families == (("Quercus", "Pinus", "Quercus") if named else ())


def test_imaterialist2019_leaves_out_what_is_gone_and_counts_it(tmp_path):
    layouts.imaterialist2019(tmp_path)
    data = load("imaterialist2019", tmp_path, stream=True)
    assert (len(data.train), len(data.test), len(data.classes)) == (2 * 2019 - 1, 2019, 2019)
    assert counts(data.train, 2019)[:3] == [1, 2, 2]
    assert data.skipped == {("train", "0"): Counter({"not there": 1})}
    assert data.families[:4] == tuple(f"level1_node1/level2_node1/level3_node{k % 3}" for k in range(4))
    layouts.remove(tmp_path / "product_tree.json")
    assert load("imaterialist2019", tmp_path).families == ()
    layouts.write(tmp_path / "product_tree.json", json.dumps({"a": ["0"]}))
    with pytest.raises(UserError, match="product_tree.json: no tree of the 2,019 products"):
        load("imaterialist2019", tmp_path)


def test_cub200(tmp_path):
    labels = layouts.cub200(tmp_path)
    data = load("cub200", tmp_path)
    assert (len(data.train), len(data.test)) == (9, 6)
    for samples in (data.train, data.test):
        assert [labels[name] for name in samples.names] == samples.labels.tolist()
    assert data.classes == ("Black footed Albatross", "Laysan Albatross", "Common Tern")
    assert data.families == ("Albatross", "Albatross", "Tern")


def test_tiny_imagenet(tmp_path):
    layouts.tiny_imagenet(tmp_path)
    data = load("tiny_imagenet", tmp_path)
    assert (len(data.train), len(data.test)) == (9, 3)
    assert data.classes == ("miniature poodle", "tench", "toy poodle")
    assert data.families[0] == data.families[2] != data.families[1]
    for split in ("train", "test"):
        assert levels(data, split) == getattr(data, split).labels.tolist()


DAMAGED = {  # a set, a file of it, what becomes of it (None: it goes), what is said
    "cub200, a line short": ("cub200", "images.txt", "1\n", r"images.txt: line 1 has 1 of 2 fields; get"),
    "cub200, other images": ("cub200", "train_test_split.txt", "1 1\n", "split.txt: not of the images in images.txt"),
    "cub200, a word": ("cub200", "images.txt", "one a/b.jpg\n", "images.txt: line 1: found 'one', a number is needed"),
    "cub200, gone": (
        "cub200",
        "images/003.Common_Tern/Common_Tern_0002.jpg",
        None,
        "images.txt names it and it is not",
    ),
    "places, no label": ("places365_lt", "Places_LT_val.txt", "a.jpg\n", "Places_LT_val.txt: line 1 has 1 of 2 fields"),
    "places, two labels": (
        "places365_lt",
        "Places_LT_test.txt",
        "val/airfield/x.jpg 1\n",
        "airfield has label 1, which is",
    ),
    "places, elsewhere": ("places365_lt", "Places_LT_test.txt", "../a/x.jpg 0\n", "no path below this folder"),
    "places, gone": ("places365_lt", "train/airfield/00000001.jpg", None, "Places_LT_train.txt names it and it is not"),
    "inat, no json": ("inat2019", "train2019.json", "{", "train2019.json: not JSON that holds a list"),
    "inat, no list": ("inat2019", "val2019.json", "{}", "val2019.json: not JSON that holds a list 'annotations'"),
    "inat, a text": (
        "inat2019",
        "categories.json",
        '[{"id": "1"}]',
        r"categories.json: entry\[0\] has no 'id' of type int",
    ),
    "inat, other species": ("inat2019", "categories.json", '[{"id": 1, "name": "a"}]', "which is none of them"),
    "inat, gone": (
        "inat2019",
        "train_val2019/Plants/7/train0.jpg",
        None,
        "train2019.json names it and it is not there",
    ),
    "imat, a text": (
        "imaterialist2019",
        "val.json",
        '{"images": [{"id": "a", "class": "1"}]}',
        "no 'class' of type int",
    ),
    "imat, a class more": (
        "imaterialist2019",
        "val.json",
        '{"images": [{"id": "val0of0.jpg", "class": 2019}]}',
        "0 to 2018",
    ),
    "imat, nothing": ("imaterialist2019", "val.json", '{"images": []}', "test has no image; docs/data.md says"),
    "tiny, twice": ("tiny_imagenet", "wnids.txt", "n1\nn1\n", "wnids.txt: a WordNet id stands twice"),
    "tiny, no words": ("tiny_imagenet", "words.txt", "n1\tone\n", "words.txt: no words of n02113712"),
    "tiny, other val": ("tiny_imagenet", "val/val_annotations.txt", "a\tn9\t0\n", "n9 is not in wnids.txt"),
    "tiny, latin": ("tiny_imagenet", "words.txt", b"n1\t\xff\n", "words.txt: not UTF-8"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_one_line(case, tmp_path):
    name, file, change, message = DAMAGED[case]
    made(name, tmp_path)
    if change is None:
        layouts.remove(tmp_path / file)
    else:
        layouts.write(tmp_path / file, change)
    with pytest.raises(UserError, match=message) as caught:
        load(name, tmp_path)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_a_damaged_image_is_told_by_its_name(tmp_path):
    layouts.cub200(tmp_path)
    layouts.write(tmp_path / "images/003.Common_Tern/Common_Tern_0002.jpg", b"no jpeg")
    with pytest.raises(UserError, match="images/003.Common_Tern/Common_Tern_0002.jpg: "):
        prepare(load("cub200", tmp_path), tmp_path, images=tmp_path / "images.arrow", val_fraction=0.3, workers=1)


@pytest.mark.parametrize("name", ["places365_lt", "inat2019", "cub200", "tiny_imagenet"])
def test_content_is_of_what_counts_and_missing_parts_are_named(name, tmp_path):
    root = made(name, tmp_path / "set")
    assert missing(name, root) == ""
    before = content(name, str(root), tmp_path / "cache", True)
    layouts.write(root / "notes.txt", "beside it")
    assert content(name, str(root), tmp_path / "cache", True) == content(name, str(root), None, False) == before
    for part in DATASETS[name].parts:
        (root / part).rename(root / "away")
        assert f": {part} is not there at {root}" in missing(name, root)
        (root / "away").rename(root / part)
    for part in (*DATASETS[name].parts, *DATASETS[name].also):
        place = root / part if (root / part).is_file() else next(p for p in (root / part).rglob("*") if p.is_file())
        whole = place.read_bytes()
        place.write_bytes(whole + b" ")
        assert content(name, str(root), None, False) != before
        place.write_bytes(whole)
    assert content(name, str(root), None, False) == before


def test_two_sets_at_one_root_share_the_digests_of_their_images(imagenet, tmp_path, monkeypatch):
    both = [content(name, str(imagenet), tmp_path, True) for name in ("imagenet", "imagenet_lt")]
    assert both[0]["files"] + 3 == both[1]["files"] == 4003
    assert both[0]["digest"] != both[1]["digest"]
    caches = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert both == [content(name, str(imagenet), tmp_path, True) for name in ("imagenet", "imagenet_lt")]
    assert caches.items() <= {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}.items()
