"""Weights on disk: the same tensors back, the same bytes again, and damage told in a line."""

import json
import os

import pytest
import torch
from safetensors import safe_open

from lskd.errors import UserError
from lskd.io.tensors import load_tensors, write_tensors

TENSORS = {
    "b.weight": torch.arange(6, dtype=torch.float32).reshape(2, 3),
    "a": torch.tensor(7),
    "half": torch.tensor([1.5, float("inf")], dtype=torch.bfloat16),
}
ORIGIN = {"title": "t", "spec": {"b": 1, "a": [2]}, "address": "0" * 10}


def test_round_trip_with_the_origin_and_the_same_bytes_again(tmp_path):
    for name in ("one", "two"):
        write_tensors(tmp_path / name, TENSORS, ORIGIN if name == "one" else dict(reversed(ORIGIN.items())))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    tensors = load_tensors(tmp_path / "one")
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert torch.equal(tensors[name], tensor) and tensors[name].dtype == tensor.dtype
    with safe_open(tmp_path / "one", "pt") as file:
        assert json.loads(file.metadata()["lskd"]) == ORIGIN
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_no_tensors_are_a_file_too(tmp_path):
    write_tensors(tmp_path / "none", {}, ORIGIN)
    assert load_tensors(tmp_path / "none") == {}


@pytest.mark.parametrize("damage", [os.unlink, lambda path: os.truncate(path, 50), lambda path: os.truncate(path, 0)])
def test_damage_is_one_line(tmp_path, damage):
    path = tmp_path / "x.safetensors"
    write_tensors(path, TENSORS, ORIGIN)
    damage(path)
    with pytest.raises(UserError, match=r"x\.safetensors: missing or damaged weights .*make it anew") as caught:
        load_tensors(path)
    assert "\n" not in str(caught.value)


def test_the_line_does_not_repeat_a_hostile_header(tmp_path):
    header = json.dumps({"a": {"dtype": "x" * 90_000, "shape": [10**12], "data_offsets": [0, 0]}}).encode()
    (tmp_path / "w.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(UserError, match="missing or damaged weights") as caught:
        load_tensors(tmp_path / "w.safetensors")
    assert len(str(caught.value)) < 600 and "\n" not in str(caught.value)
