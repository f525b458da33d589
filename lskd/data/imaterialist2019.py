"""iMaterialist 2019, product recognition (FGVC6): 2,019 products, 1,011,532 training images with noisy labels.

    root/train.json, root/val.json  {"images": [{"id": "<name>", "class": 7, "url": ...}, ...]}
    root/train/<name>, root/val/<name>
    root/product_tree.json          which products are alike; used where it is

Its val, 10,095 images that people looked at, is test here. Images are published as addresses, of which some are gone:
what is not there is left out, and counted in classes.csv.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lskd.data.arrays import Arrays
from lskd.data.listed import Images, data_set, inside, records, text
from lskd.errors import UserError

CLASSES = 2019


def load(root: Path, *, workers: int, image_size: int, stream: bool = False) -> Arrays:
    """List the images that are there; products of one leaf of the tree are similar. A class is called by its number."""
    classes = [str(label) for label in range(CLASSES)]
    skipped: dict[tuple[str, str], Counter[str]] = {}
    splits = {split: _images(root, name, split, skipped) for split, name in (("train", "train"), ("test", "val"))}
    return data_set(root, splits, classes, image_size, stream, _families(root / "product_tree.json", classes), skipped)


def _images(root: Path, name: str, split: str, skipped: dict[tuple[str, str], Counter[str]]) -> Images:
    path, listed = root / f"{name}.json", Images()
    for number, image in enumerate(records(path, "images", {"id": str, "class": int})):
        file, label = f"{name}/{inside(path, number, image['id'])}", image["class"]
        if (root / file).is_file():
            listed.add(file, label)
        else:
            skipped.setdefault((split, str(label)), Counter())["not there"] += 1
    return listed


def _families(path: Path, classes: list[str]) -> list[str]:
    """The leaf that each class lies in; none where there is no tree. UserError for a tree of other classes."""
    if not path.exists():
        return []
    try:
        leaf_of = {name: leaf for leaf, names in _leaves(json.loads(text(path)), "") for name in names}
        return [leaf_of[name] for name in classes]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{path}: no tree of the {CLASSES:,} products; get it anew, or delete it") from None


def _leaves(tree: Any, path: str) -> Iterator[tuple[str, list[str]]]:
    if isinstance(tree, list):
        yield path, tree
        return
    for name, below in tree.items():
        yield from _leaves(below, f"{path}/{name}".lstrip("/"))
