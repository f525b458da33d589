"""The sizes of classes against a count by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from lskd.errors import UserError
from lskd.metrics import class_sizes
from tests.metrics.made import folder, sealed, study


def with_labels(root, labels):
    """The runs of a made study, the first of which learned from images with these labels."""
    runs = study(root)
    data = folder(root, "data", "tailed")
    save_file(
        {"train_labels": np.array(labels)},
        data / "data.safetensors",
        {"lskd": json.dumps({"classes": ["a", "b", "c"]})},
    )
    sealed(data)
    return [replace(runs[0], folders=runs[0].folders | {"data": data})]


def test_images_are_counted_by_class(tmp_path):
    (row,) = class_sizes.measure(with_labels(tmp_path, [0, 2, 0, 0, 2, 1]), {})
    assert {key: row[key] for key in ("classes", "train_images", "largest", "smallest")} == {
        "classes": 3,
        "train_images": 6,
        "largest": 3,
        "smallest": 1,
    }
    assert row["run"] == "made/resnet8/short/ls0/seed0"


def test_a_class_without_an_image_counts(tmp_path):
    (row,) = class_sizes.measure(with_labels(tmp_path, [0, 1, 1]), {})
    assert (row["classes"], row["smallest"], row["largest"]) == (3, 0, 2)


def test_damaged_data_are_one_line(tmp_path):
    (run,) = with_labels(tmp_path, [0, 1, 2])
    path = run.folders["data"] / "data.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"data\.safetensors: damaged"):
        class_sizes.measure([run], {})
