"""A trained network, and its logits by one forward pass."""

import pytest
import torch
from lskd.data.prepared import load_split

from lskd.data.augment import augment, normalise
from lskd.jobs.catalogue import model_entry
from lskd.jobs.execute import resolve
from lskd.models.network import load_model
from lskd.training.schedules import pixel_key
from tests import small

CPU = torch.device("cpu")
RUN = small.teacher(crop_padding=1, flip=True, snapshot_epochs=[0, 1, 3])


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The folders of a data set, of a training and of its predictions."""
    root = tmp_path_factory.mktemp("results")
    data = small.prepared(root)
    weights = small.trained(RUN, root, data)
    return data, weights, predicted(RUN, root, data, weights)


def predicted(run, root, data, weights):
    return small.run(small.work(small.CATALOGUE.predict(run), root, {"data": data, "weights": weights}), "predict")


def network(data, path, run=RUN):
    split = load_split(data / "data.safetensors", "train")
    return load_model(resolve(model_entry(run.model)), run.spec["model"], split, CPU, path)


def direct(data, path, name: str, draw: int, **drawn):
    """Logits of a split by the network of a weights file, in one forward pass."""
    split = load_split(data / "data.safetensors", name)
    ids = torch.arange(len(split.labels_n))
    images = augment(split.images_nchw, ids, draw, pixel_key(RUN.spec), **drawn)
    return network(data, path)(normalise(images, split.mean_c, split.std_c)).numpy()
