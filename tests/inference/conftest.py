"""A trained network, and its logits by one forward pass."""

import pytest
import torch

from lskd.data.augment import normalise
from lskd.data.sources import load_source
from lskd.jobs.catalogue import model_entry
from lskd.jobs.execute import resolve
from lskd.models.network import load_model
from lskd.training.schedules import pixel_key
from tests import pixels, small

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
    source = load_source(data / "data.safetensors", "train", CPU)
    return load_model(resolve(model_entry(run.model)), run.spec["model"], source, path)


def direct(data, path, name: str, draw: int, crop_padding: int = 0, flip: bool = False, drawn_by=RUN):
    """Logits of a split by the network of a weights file, in one forward pass over pixels drawn in plain Python."""
    source = load_source(data / "data.safetensors", name, CPU)
    images = small.noisy()[f"{name}_images"]
    if draw:
        images = pixels.augment(images, range(len(images)), draw, pixel_key(drawn_by.spec), crop_padding, flip)
    return network(data, path)(normalise(torch.from_numpy(images), source.mean_c, source.std_c)).numpy()
