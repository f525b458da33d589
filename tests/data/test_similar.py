"""Which classes of small published sets are similar."""

from collections import Counter

import pytest

from lskd.data.class_names import CLASS_NAMES
from lskd.data.similar import families


def test_cifar100_has_twenty_superclasses_of_five():
    classes = CLASS_NAMES["cifar100"]
    assert sorted(Counter(families("cifar100", classes)).values()) == [5] * 20
    family = dict(zip(classes, families("cifar100", classes), strict=True))
    assert family["beaver"] == family["dolphin"] == family["otter"] == "aquatic mammals"  # Mueller's figure 1
    assert family["maple_tree"] != family["bee"]


@pytest.mark.parametrize(("name", "sizes"), [("cifar10", [1, 1, 1, 1, 2, 2, 2]), ("fashion_mnist", [1, 1, 1, 3, 4])])
def test_stated_groups_name_classes_of_the_set(name, sizes):
    of_classes = families(name, CLASS_NAMES[name])
    assert sorted(Counter(of_classes).values()) == sizes


def test_no_group_of_digits():
    assert families("mnist", CLASS_NAMES["mnist"]) == ()
