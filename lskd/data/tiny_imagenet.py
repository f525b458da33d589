"""Tiny ImageNet: 200 classes of 64 x 64 pixels, 500 training images each; its val, 50 each, is test here.

Its own test has no labels.

root/wnids.txt                     the 200 WordNet ids, in the order of labels
root/words.txt                     "n00001740<TAB>entity": names of WordNet ids
root/train/<WordNet id>/images/*.JPEG
root/val/images/*.JPEG             and root/val/val_annotations.txt: "val_0.JPEG<TAB>n03444034<TAB>0<TAB>32..."
"""

from collections import Counter
from pathlib import Path

from lskd.data.arrays import Arrays
from lskd.data.listed import Images, check_there, data_set, fields, folders, inside, text
from lskd.data.wordnet import parents
from lskd.errors import UserError


def load(root: Path, *, workers: int, image_size: int, stream: bool = False) -> Arrays:
    """List the images; a class is called by the first of its words. Classes of one WordNet parent are similar."""
    wnids = text(root / "wnids.txt").split()
    labels = {wnid: label for label, wnid in enumerate(wnids)}
    if len(labels) < len(wnids):
        raise UserError(f"{root / 'wnids.txt'}: a WordNet id stands twice; get this file anew")
    splits = {"train": folders(root, "train", labels), "test": _val(root, labels)}
    known = parents()
    families = [known.get(wnid, wnid) for wnid in wnids]  # one that ImageNet-1K has not is alone
    return data_set(root, splits, _names(root / "words.txt", wnids), image_size, stream, families)


def _val(root: Path, labels: dict[str, int]) -> Images:
    path, listed = root / "val" / "val_annotations.txt", Images()
    for number, (file, wnid, _) in enumerate(fields(path, 3, "\t"), 1):
        if wnid not in labels:
            raise UserError(f"{path}: line {number}: {wnid} is not in wnids.txt; get Tiny ImageNet anew")
        listed.add(f"val/images/{inside(path, number, file)}", labels[wnid])
    return check_there(root, "val/val_annotations.txt", listed)


def _names(path: Path, wnids: list[str]) -> list[str]:
    words = {wnid: line.split(",")[0] for wnid, line in fields(path, 2, "\t")}
    lacking = [wnid for wnid in wnids if wnid not in words]
    if lacking:
        raise UserError(f"{path}: no words of {lacking[0]}; get this file anew")
    count = Counter(words[wnid] for wnid in wnids)
    return [words[wnid] if count[words[wnid]] == 1 else f"{words[wnid]} ({wnid})" for wnid in wnids]
