"""CUB-200-2011 (Wah 2011): 5,994 training and 5,794 test images of 200 birds, by its own lists.

root/images.txt              "1 001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg"
root/image_class_labels.txt  "1 1": classes count from 1
root/train_test_split.txt    "1 0": 1 is train
root/images/001.Black_footed_Albatross/...
"""

from pathlib import Path

from lskd.data.arrays import Arrays
from lskd.data.listed import Images, check_there, data_set, fields, inside, whole
from lskd.errors import UserError


def load(root: Path, *, workers: int, image_size: int, stream: bool = False) -> Arrays:
    """List the images. A class is called "Black footed Albatross"; birds of one last word are similar."""
    files = _column(root / "images.txt")
    labels, is_train = (_column(root / name) for name in ("image_class_labels.txt", "train_test_split.txt"))
    for name, column in (("image_class_labels.txt", labels), ("train_test_split.txt", is_train)):
        if column.keys() != files.keys():
            raise UserError(f"{root / name}: not of the images in images.txt; get CUB_200_2011 anew")
    names: dict[int, str] = {}
    splits = {"train": Images(), "test": Images()}
    for image, file in files.items():
        number, label = int(image), whole(root / "image_class_labels.txt", int(image), labels[image]) - 1
        folder = inside(root / "images.txt", number, file).partition("/")[0]
        if is_train[image] not in ("0", "1") or names.setdefault(label, folder) != folder:
            raise UserError(f"{root}: image {image} ({file}) has two classes or no split; get CUB_200_2011 anew")
        splits["train" if is_train[image] == "1" else "test"].add(f"images/{file}", label)
    for split in splits.values():
        check_there(root, "images.txt", split)
    if sorted(names) != list(range(len(names))):
        raise UserError(f"{root / 'image_class_labels.txt'}: classes do not count from 1 to {len(names)}; get it anew")
    classes = [names[label].partition(".")[2].replace("_", " ") or names[label] for label in range(len(names))]
    return data_set(root, splits, classes, image_size, stream, [name.split()[-1] for name in classes])


def _column(path: Path) -> dict[str, str]:
    """What a list says of each image, by its number."""
    rows = fields(path, 2)
    for number, (image, _) in enumerate(rows, 1):
        whole(path, number, image)
    return dict(rows)
