"""Tiny copies of published data sets in their true layouts."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from lskd.data.wordnet import synsets


def jpeg(level: int, side: int = 12) -> bytes:
    """A grey image of one level, larger than it is high, as JPEG."""
    content = io.BytesIO()
    Image.fromarray(np.full((side, side + 4, 3), level, dtype=np.uint8)).save(content, "jpeg")
    return content.getvalue()


GREYS = [jpeg(level) for level in (0, 80, 160, 240)]  # of label k number k % 4


def write(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def remove(path: str | Path) -> None:
    path = Path(path)
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def cub200(root: str | Path) -> dict[str, int]:
    """Three birds, five images each; the label of each file, and in "train" and "test" how many images those have."""
    root = Path(root)
    birds = ("001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Common_Tern")
    lists: dict[str, list[str]] = {"images": [], "image_class_labels": [], "train_test_split": []}
    labels = {}
    for number in range(15):
        bird = number % 3
        file = f"{birds[bird]}/{birds[bird][4:]}_{number:04}.jpg"
        write(root / "images" / file, jpeg(80 * bird + number))
        lists["images"].append(f"{number + 1} {file}")
        lists["image_class_labels"].append(f"{number + 1} {bird + 1}")
        lists["train_test_split"].append(f"{number + 1} {int(number % 5 < 3)}")
        labels[f"images/{file}"] = bird
    for name, lines in lists.items():
        write(root / f"{name}.txt", "\n".join(lines) + "\n")
    write(root / "classes.txt", "".join(f"{k + 1} {bird}\n" for k, bird in enumerate(birds)))
    return labels


def imagenet(root: Path, flat: bool = False, train: int = 2) -> list[str]:
    """The 1,000 classes, so many training images and one of val each; with `flat` val as its archive has it.

    The WordNet ids in the order of labels.
    """
    wnids = [synset.wnid for synset in synsets()]
    numbers = np.random.default_rng(1).permutation(1000) + 1  # of synsets, in the devkit's own order
    for label, wnid in enumerate(wnids):
        for image in range(train):
            write(root / "train" / wnid / f"{wnid}_{image}.JPEG", GREYS[label % 4])
        place = "" if flat else f"{wnid}/"
        number = 1000 - label if flat else label + 1
        write(root / "val" / f"{place}ILSVRC2012_val_{number:08}.JPEG", GREYS[label % 4])
    if flat:
        devkit = root / "ILSVRC2012_devkit_t12/data"
        write(devkit / "ILSVRC2012_validation_ground_truth.txt", "".join(f"{n}\n" for n in numbers[::-1]))
        kinds = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("gloss", "O"), ("num_children", "O")]
        rows = [(n, w, "words", "gloss", 0) for n, w in zip(numbers.tolist(), wnids, strict=True)]
        rows.append((1001, "n00001740", "entity", "gloss", 2))  # inner synsets are there too
        savemat(devkit / "meta.mat", {"synsets": np.array(rows, dtype=kinds)})
    return wnids


def long_tailed(root: Path, name: str, classes: list[str], train: str, test: str) -> dict[str, list[tuple[str, int]]]:
    """Lists of a long-tailed set: of class k 1 + (k == 0) images as train, one as val, one as test.

    `train` and `test` are the names of an image of a class, with {wnid} and {number} in them. Images are not written.
    """
    rows: dict[str, list[tuple[str, int]]] = {"train": [], "val": [], "test": []}
    for label, folder in enumerate(classes):
        for image in range(2 + (label == 0)):
            split = "val" if image == 0 else "train"
            rows[split].append((train.format(folder=folder, number=image), label))
        rows["test"].append((test.format(folder=folder, number=label + 1), label))
    for split, lines in rows.items():
        write(root / f"{name}_{split}.txt", "".join(f"{file} {label}\n" for file, label in lines))
    return rows


def places365(root: Path) -> dict[str, list[tuple[str, int]]]:
    """Places-LT of three classes."""
    classes = ["airfield", "arena-hockey", "arena-rodeo"]
    rows = long_tailed(
        *(root, "Places_LT", classes), "train/{folder}/{number:08}.jpg", "val/{folder}/Places365_val_{number:08}.jpg"
    )
    for lines in rows.values():
        for file, label in lines:
            write(root / file, GREYS[label])
    return rows


def inat2019(root: Path, named: bool = True) -> None:
    """Three species of two genera, whose numbers have gaps; four training images each, one of val."""
    species = [(7, "Pinus pinea", "Pinus"), (3, "Quercus robur", "Quercus"), (11, "Quercus ilex", "Quercus")]
    for name, count in (("train", 4), ("val", 1)):
        images, annotations = [], []
        for image in range(3 * count):
            category, file = species[image % 3][0], f"train_val2019/Plants/{species[image % 3][0]}/{name}{image}.jpg"
            write(root / file, GREYS[image % 3])
            images.append({"id": 100 + image, "file_name": file, "width": 16, "height": 12})
            annotations.insert(0, {"id": image, "image_id": 100 + image, "category_id": category})  # in another order
        hidden = [{"id": number, "name": f"hidden {number}"} for number, _, _ in species]
        content = {"images": images, "annotations": annotations, "categories": hidden}
        write(root / f"{name}2019.json", json.dumps(content))
    if named:
        categories = [{"id": number, "name": words, "genus": genus} for number, words, genus in species]
        write(root / "categories.json", json.dumps(categories))


def imaterialist2019(root: Path) -> None:
    """Two training images and one of val of each of the 2,019 products; one of the first product's is gone."""
    for name, count in (("train", 2), ("val", 1)):
        listed = [
            {"id": f"{name}{image}of{label}.jpg", "class": label, "url": "gone"}
            for label in range(2019)
            for image in range(count)
        ]
        for image in listed[name == "train" :]:
            write(root / name / str(image["id"]), GREYS[int(str(image["class"])) % 4])
        write(root / f"{name}.json", json.dumps({"images": listed}))
    leaves = {f"level3_node{k}": [str(n) for n in range(k, 2019, 3)] for k in range(3)}
    write(root / "product_tree.json", json.dumps({"level1_node1": {"level2_node1": leaves}}))


def tiny_imagenet(root: Path) -> None:
    """Three classes, of which toy and miniature poodle are siblings; three training images each, one of val."""
    words = {"n02113712": "miniature poodle", "n01440764": "tench, Tinca tinca", "n02113624": "toy poodle"}
    write(root / "wnids.txt", "\n".join(words) + "\n")
    write(root / "words.txt", "".join(f"{w}\t{name}\n" for w, name in [*words.items(), ("n00001740", "entity")]))
    for label, wnid in enumerate(words):
        for image in range(3):
            write(root / "train" / wnid / "images" / f"{wnid}_{image}.JPEG", GREYS[label])
        write(root / "train" / wnid / f"{wnid}_boxes.txt", "boxes")
        write(root / "val/images" / f"val_{label}.JPEG", GREYS[label])
    lines = [f"val_{label}.JPEG\t{wnid}\t0\t32\t44\t62\n" for label, wnid in enumerate(words)]
    write(root / "val/val_annotations.txt", "".join(lines))
    write(root / "test/images/test_0.JPEG", GREYS[0])
