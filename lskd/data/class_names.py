"""The class names of data sets that are known before a file is read. Standard library only, for planning imports it."""

import os
from pathlib import Path

from lskd.data.glyph_classes import CHARACTERS
from lskd.data.image_folders import class_folders, split_folders
from lskd.data.wordnet import synsets
from lskd.errors import UserError

_CIFAR100 = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
"""
CLASS_NAMES = {  # each in the order of its labels
    "digits": tuple("0123456789"),
    "mnist": tuple(
        "0 - zero,1 - one,2 - two,3 - three,4 - four,5 - five,6 - six,7 - seven,8 - eight,9 - nine".split(",")
    ),
    "fashion_mnist": tuple("T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(",")),
    "cifar10": tuple("airplane automobile bird cat deer dog frog horse ship truck".split()),
    "cifar100": tuple(_CIFAR100.split()),
}


def subset_labels(classes: tuple[str, ...], subset: int | list[str]) -> list[int]:
    """The labels of the classes that are named, or of so many spread evenly over all in their order.

    Raises UserError for a class that is not there, or more than there are.
    """
    if isinstance(subset, int):
        if subset > len(classes):
            raise UserError(f"data.class_subset: found {subset}, the data have {len(classes)} classes; ask for fewer")
        return [index * len(classes) // subset for index in range(subset)]
    unknown = [name for name in subset if name not in classes]
    if unknown:
        near = ", ".join(classes[:9]) + ", ..." * (len(classes) > 9)
        raise UserError(f"data.class_subset: no class {unknown[0]!r} in the data; there are {near}")
    return [label for label, name in enumerate(classes) if name in subset]


def class_names(dataset: str, root: Path, number: int | None = None) -> tuple[str, ...] | None:
    """The classes of a data set by name, in the order of their labels; None where only its files tell them.

    `number` is how many glyphs has.
    """
    if dataset == "glyphs":
        return tuple(CHARACTERS[:number])
    if dataset in ("imagenet", "imagenet_lt"):
        return tuple(synset.name for synset in synsets())
    if dataset in CLASS_NAMES:
        return CLASS_NAMES[dataset]
    if dataset == "imagefolder" and root.is_dir():
        names = [folder.name for folder in class_folders(split_folders(root)["train"])]
        return tuple(os.fsencode(name).decode(errors="backslashreplace") for name in names)
    return None
