"""ImageNet-1K, ILSVRC 2012: 1,281,167 training images; its 50,000 of val are test here, and val is a part of train.

    root/train/<WordNet id>/*.JPEG
    root/val/<WordNet id>/*.JPEG
or root/val/*.JPEG, as the archive has them, and beside it the unpacked devkit with their classes, in the order of names
    root/ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt    a number of a synset a line
    root/ILSVRC2012_devkit_t12/data/meta.mat                                  the number of each synset
"""

import zlib
from pathlib import Path

from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from lskd.data.arrays import Arrays
from lskd.data.image_folders import folders_in, images
from lskd.data.listed import Images, data_set, folders, text, whole
from lskd.data.wordnet import synsets
from lskd.errors import UserError

DEVKIT = Path("ILSVRC2012_devkit_t12/data")


def load(root: Path, *, workers: int, image_size: int, stream: bool = False) -> Arrays:
    """List the images; their classes are called by WordNet's names. UserError for what is not laid out so."""
    labels = {synset.wnid: label for label, synset in enumerate(synsets())}
    has_folders = bool(folders_in(root / "val"))
    splits = {"train": folders(root, "train", labels)}
    splits["test"] = folders(root, "val", labels) if has_folders else _flat(root, labels)
    names, parents = ([getattr(synset, key) for synset in synsets()] for key in ("name", "parent"))
    return data_set(root, splits, names, image_size, stream, parents)


def _flat(root: Path, labels: dict[str, int]) -> Images:
    """The images of val/ by name, each with the class that the devkit gives it."""
    truth = root / DEVKIT / "ILSVRC2012_validation_ground_truth.txt"
    files, lines = images(root / "val"), text(truth).split()
    if len(files) != len(lines):
        raise UserError(
            f"{root / 'val'}: {len(files)} images, but {truth} has {len(lines)} classes; unpack "
            "ILSVRC2012_img_val.tar anew"
        )
    wnids = _wnids(root / DEVKIT / "meta.mat")
    listed = Images()
    for number, (file, line) in enumerate(zip(files, lines, strict=True), 1):
        wnid = wnids.get(whole(truth, number, line), "")
        if wnid not in labels:
            raise UserError(f"{truth}: line {number}: found {line}, no class of the 1,000; unpack the devkit anew")
        listed.add(file.relative_to(root).as_posix(), labels[wnid])
    return listed


def _wnids(path: Path) -> dict[int, str]:
    """The WordNet id of each number of a synset."""
    try:
        rows = loadmat(path, squeeze_me=True)["synsets"]
        return {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in rows}
    except (OSError, KeyError, ValueError, TypeError, IndexError, MatReadError, zlib.error) as error:
        reason = " ".join(str(error).split())[:100]
        raise UserError(f"{path}: missing or damaged ({reason}); unpack ILSVRC2012_devkit_t12.tar.gz anew") from None
