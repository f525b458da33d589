"""Lists of images by which Liu 2019 ("Large-Scale Long-Tailed Recognition in an Open World") publish long-tailed sets.

A line of ImageNet_LT_train.txt is "train/n01440764/n01440764_190.JPEG 0": a path below the root, and a label.
"""

from pathlib import Path

from lskd.data.listed import Images, check_there, fields, inside, whole
from lskd.errors import UserError


def read(root: Path, name: str) -> tuple[dict[str, Images], list[str]]:
    """The images of train, val and test, and the folder of each class, which no two labels share.

    UserError for lists that do not agree, and for an image that is not there.
    """
    splits: dict[str, Images] = {}
    folder_of: dict[int, str] = {}
    for split in ("train", "val", "test"):
        path, splits[split] = root / f"{name}_{split}.txt", Images()
        for number, (file, word) in enumerate(fields(path, 2), 1):
            label, folder = whole(path, number, word), Path(inside(path, number, file)).parent.name
            if folder_of.setdefault(label, folder) != folder:
                raise UserError(
                    f"{path}: line {number}: {folder} has label {label}, which is {folder_of[label]}'s; get the lists "
                    "anew"
                )
            splits[split].add(file, label)
        check_there(root, path.name, splits[split])
    if sorted(folder_of) != list(range(len(folder_of))) or len(set(folder_of.values())) < len(folder_of):
        raise UserError(f"{root}: the lists {name}_*.txt do not give each class one label from 0 on; get them anew")
    return splits, [folder_of[label] for label in range(len(folder_of))]
