"""iNaturalist 2019 (FGVC6): 1,010 species, 265,213 training images; its val, 3 of each species, is test here.

root/train2019.json, root/val2019.json      "images", "annotations" and "categories", as COCO has them
root/train_val2019/<group>/<category>/*.jpg
root/categories.json                        the species' names and taxonomy, which came later; used where it is
"""

from pathlib import Path
from typing import Any

from lskd.data.arrays import Arrays
from lskd.data.listed import Images, check_there, data_set, inside, records
from lskd.errors import UserError


def load(root: Path, *, workers: int, image_size: int, stream: bool = False) -> Arrays:
    """List the images; species of one genus are similar, where the categories tell the genus."""
    path = root / "categories.json"
    is_named = path.exists()
    kinds = {"id": int, "name": str}
    categories = records(path, "", kinds) if is_named else records(root / "train2019.json", "categories", kinds)
    by_id: dict[int, dict[str, Any]] = {category["id"]: category for category in categories}
    labels = {number: label for label, number in enumerate(sorted(by_id))}
    splits = {"train": _images(root, "train2019.json", labels), "test": _images(root, "val2019.json", labels)}
    ordered = [by_id[number] for number in sorted(by_id)]
    genera = [str(category["genus"]) for category in ordered if category.get("genus")]
    families = genera if len(genera) == len(ordered) else []
    return data_set(root, splits, [category["name"] for category in ordered], image_size, stream, families)


def _images(root: Path, name: str, labels: dict[int, int]) -> Images:
    """The images of a file of annotations; UserError for one without a class, or that is not there."""
    path, listed = root / name, Images()
    annotations = records(path, "annotations", {"image_id": int, "category_id": int})
    category_of = {each["image_id"]: each["category_id"] for each in annotations}
    for number, image in enumerate(records(path, "images", {"id": int, "file_name": str})):
        category = category_of.get(image["id"])
        if category not in labels:
            raise UserError(f"{path}: image {image['id']} has category {category}, which is none of them; get it anew")
        listed.add(inside(path, number, image["file_name"]), labels[category])
    return check_there(root, name, listed)
