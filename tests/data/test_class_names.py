"""The class names that planning knows, against torchvision's and the loaders'."""

from pathlib import Path

import pytest
from sklearn.datasets import load_digits
from torchvision.datasets import MNIST, FashionMNIST

from lskd.data import glyphs
from lskd.data.class_names import CLASS_NAMES, class_names
from lskd.data.content import PUBLISHED


def test_they_are_those_of_the_libraries():
    assert list(CLASS_NAMES["mnist"]) == MNIST.classes
    assert list(CLASS_NAMES["fashion_mnist"]) == FashionMNIST.classes
    assert list(CLASS_NAMES["digits"]) == [str(name) for name in load_digits().target_names]
    assert CLASS_NAMES.keys() == {"digits", *PUBLISHED}


def test_those_of_cifar_are_as_many_as_published_and_in_the_order_of_the_alphabet():
    for name, count in (("cifar10", 10), ("cifar100", 100)):
        assert len(set(CLASS_NAMES[name])) == count
        assert list(CLASS_NAMES[name]) == sorted(CLASS_NAMES[name])


@pytest.mark.parametrize("number", [10, 64, 1000])
def test_those_of_glyphs_are_the_loaders(number):
    options = {"images": 4, "test_images": 1, "pixels": 16, "distortion": 0.0, "test_faces": 0, "data_seed": 0}
    if number < 1000:  # a thousand letters take a while to draw
        assert (
            class_names("glyphs", Path(), number) == glyphs.load(Path(), workers=1, classes=number, **options).classes
        )
    names = class_names("glyphs", Path(), number)
    assert names is not None
    assert len(set(names)) == number and names == (class_names("glyphs", Path()) or ())[:number]


def test_a_folder_of_images_has_its_folders(tmp_path):
    for name in ("cat", "ant", "déjà"):
        (tmp_path / name).mkdir()
    assert class_names("imagefolder", tmp_path) == ("ant", "cat", "déjà")
    assert class_names("imagefolder", tmp_path / "none") is None
    assert class_names("npz", Path("x.npz")) is None
