"""Places-LT (Liu 2019, section 4): images of Places365-Standard's train by a Pareto law, 20 of each class as val.

`root` holds Places_LT_train.txt, Places_LT_val.txt and Places_LT_test.txt beside the unpacked
places365standard_easyformat.tar: train/<class>/*.jpg and val/<class>/*.jpg. Test is 100 images a class of Places' val.
The lists that are published now have 62,500 training images; those of a first version, which Shen 2021 may have had,
184,500.
"""

from pathlib import Path

from lskd.data import long_tailed_lists
from lskd.data.arrays import Arrays
from lskd.data.listed import data_set


def load(root: Path, *, workers: int, image_size: int, stream: bool = False) -> Arrays:
    """List the images; a class is called as its folder; of one first part (arena-hockey, arena-rodeo): similar."""
    splits, classes = long_tailed_lists.read(root, "Places_LT")
    return data_set(root, splits, classes, image_size, stream, [name.partition("-")[0] for name in classes])
