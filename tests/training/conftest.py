"""A small data set, and a teacher trained on it."""

import pytest

from tests import small
from tests.training.taught import AUGMENTED


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small.prepared(tmp_path_factory.mktemp("data"), train=109)


@pytest.fixture(scope="module")
def weights(tmp_path_factory, data):
    return small.trained(small.teacher(**AUGMENTED), tmp_path_factory.mktemp("teacher"), data)
