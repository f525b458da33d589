"""ImageNet-LT (Liu 2019, section 4): 115,846 images of ImageNet's train by a Pareto law, 20 of each class as val.

`root` is ImageNet's, with val/<WordNet id>/, and holds ImageNet_LT_train.txt, ImageNet_LT_val.txt and
ImageNet_LT_test.txt too. Test is ImageNet's val, 50,000 images; Shen 2021 tests on the 20,000 of val.
"""

from pathlib import Path

from lskd.data import long_tailed_lists
from lskd.data.arrays import Arrays
from lskd.data.listed import data_set
from lskd.data.wordnet import synsets
from lskd.errors import UserError


def load(root: Path, *, workers: int, image_size: int, stream: bool = False) -> Arrays:
    """List the images. UserError for a class that is not ImageNet's of that label."""
    splits, folders = long_tailed_lists.read(root, "ImageNet_LT")
    if folders != [synset.wnid for synset in synsets()]:
        label = next((k for k, (a, b) in enumerate(zip(folders, synsets(), strict=False)) if a != b.wnid), len(folders))
        raise UserError(f"{root}: ImageNet_LT_*.txt: label {label} is not ImageNet's class {label}; get the lists anew")
    names, parents = ([getattr(synset, key) for synset in synsets()] for key in ("name", "parent"))
    return data_set(root, splits, names, image_size, stream, parents)
