"""A folder of JPEGs in ImageNet's layout: streamed as resident, with any number of workers; blended images, cached as
online.
"""

import io

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from lskd.io.store import open_logits
from tests.workflow.conftest import Tree

CLASSES = ("ant", "bee", "cat")
STUDY = {
    "study": "streamed",
    "seeds": [0],
    "data": {"dataset": "imagefolder", "root": "images", "image_size": 12, "stream": True},
    "recipes": {"mixed": {"epochs": 2, "batch_size": 16, "lr": 0.05, "crop_padding": 2, "flip": True, "mixup": 0.4}},
    "teachers": {"t": {"model": {"name": "mlp", "width": 8}, "recipe": "mixed", "label_smoothing": [0.1]}},
    "students": {
        "stored": {
            "teacher": "t",
            "model": {"name": "plain_cnn", "width": 2},
            "recipe": "mixed",
            "temperature": [2],
            "soft_weight": [0.7],
        }
    },
    "figures": {"grid": {"kind": "grid"}},
    "runtime": {"device": "cpu", "workers": 1},
}
STUDY["students"]["online"] = STUDY["students"]["stored"] | {"draws": "online"}


def save_images(root):
    draw = np.random.default_rng(0)
    for split, count in (("train", 24), ("val", 9)):
        for label, name in enumerate(CLASSES):
            for i in range(count):
                pixels = draw.integers(0, 120, (17, 20, 3)).astype(np.uint8)
                pixels[:, :: label + 2] += np.uint8(90)
                path = root / split / name / f"{i:03d}.JPEG"
                path.parent.mkdir(parents=True, exist_ok=True)
                encoded = io.BytesIO()
                Image.fromarray(pixels).save(encoded, "JPEG", quality=90)
                path.write_bytes(encoded.getvalue())


def weights(tree: Tree, pattern: str) -> dict[str, np.ndarray]:
    """The weights of the one run that a pattern names."""
    (path,) = tree.results(f"runs/{pattern}/model.safetensors")
    return load_file(path)


def logits(tree: Tree) -> list[np.ndarray]:
    """The teacher's stored logits of every draw."""
    (path,) = tree.results("teacher_logits/**/logits.parquet")
    stored = open_logits(path)
    return [stored.read_draw(draw)[2] for draw in stored.draws]


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """The study streamed by one worker, streamed by three, and resident."""
    data = STUDY["data"]
    variants = {
        "one worker": {},
        "three workers": {"runtime": {"device": "cpu", "workers": 3}},
        "resident": {"data": {name: value for name, value in data.items() if name != "stream"}},
    }
    by_name = {}
    for name, change in variants.items():
        tree = Tree(tmp_path_factory.mktemp("streamed"))
        save_images(tree.folder / "images")
        tree.configure(STUDY | change)
        tree.run("--cores", "2")
        by_name[name] = tree
    return by_name


@pytest.mark.parametrize("run", ["images/mlp*/**/seed0-*", "images/plain_cnn*/mixed/kd-T2-w0.7-from-*/seed0-*"])
@pytest.mark.parametrize("other", ["three workers", "resident"])
def test_a_streamed_study_equals_a_resident_one_to_the_bit(trees, run, other):
    streamed, others = weights(trees["one worker"], run), weights(trees[other], run)
    assert streamed.keys() == others.keys()
    assert all(np.array_equal(streamed[name], others[name]) for name in streamed)
    assert all(map(np.array_equal, logits(trees["one worker"]), logits(trees[other])))


def test_streamed_data_hold_the_very_files(trees):
    (folder,) = {path.parent for path in trees["one worker"].results("data/*/images.arrow")}
    assert "train_images" not in load_file(folder / "data.safetensors")
    content = (folder / "images.arrow").read_bytes()
    for path in trees["one worker"].folder.glob("images/*/*/*.JPEG"):
        assert path.read_bytes() in content


def test_a_student_of_blended_images_learns_the_same_from_the_store_as_beside_its_teacher(trees):
    stored = weights(trees["resident"], "images/plain_cnn*/mixed/kd-T2-w0.7-from-*/seed0-*")
    online = weights(trees["resident"], "images/plain_cnn*/mixed/kd-T2-w0.7-online-from-*/seed0-*")
    for name in stored:  # a forward pass in other batches rounds otherwise
        np.testing.assert_allclose(stored[name], online[name], rtol=0, atol=1e-4, err_msg=name)


def test_blended_images_are_not_the_single_ones(trees):
    tree = trees["resident"]
    single = STUDY["recipes"]["mixed"] | {"mixup": 0.0}
    assert "train ls0.1/0" in _planned(tree, single)
    assert "mixup0.4" in next(iter(tree.results("teacher_logits/**/logits.parquet"))).parent.name


def _planned(tree: Tree, recipe: dict) -> set[str]:
    data = {name: value for name, value in STUDY["data"].items() if name != "stream"}
    tree.configure(STUDY | {"data": data, "recipes": {"mixed": recipe}})
    return tree.pending()
