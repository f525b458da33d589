"""The readers of a network from outside, and of a training's side file, on hostile files: nothing in them is run."""

import argparse
import io
import pickle
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from lskd.io.seal import file_digest
from lskd.training import checkpoint, start
from tests.fuzz.hostile import fuzzed, mutations, refused

CANARY = Path(tempfile.mkdtemp()) / "canary"


class Canary:
    """What would write a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.write_text, (self.path, "unpickled")


def saved(content: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


STATE = {"weight": torch.ones(2, 3), "bias": torch.zeros(2, dtype=torch.float16)}
CHECKPOINTS = [
    saved(STATE),
    saved(STATE, _use_new_zipfile_serialization=False),
    saved({"state_dict": STATE, "args": argparse.Namespace(a=1), "epoch": 3}),
]
PICKLE = pickle.dumps(Canary(CANARY))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("guarded")


CIRCLE: dict[str, Any] = {}
CIRCLE["model"] = CIRCLE


@fuzzed
@example(PICKLE)
@example(saved(CIRCLE))
@example(saved({"weight": Canary(CANARY)}))
@example(saved({"weight": Canary(CANARY)}, _use_new_zipfile_serialization=False))
@given(content=st.one_of(mutations(CHECKPOINTS), mutations([PICKLE, pickle.dumps({"a": [1, 2.5, None, "x"]})])))
def test_a_network_from_outside(guarded, content):
    path = guarded / "net.pt"
    path.write_bytes(content)
    refused(lambda: start.read_checkpoint(path, file_digest(path)), guarded)
    assert not CANARY.exists()


@fuzzed
@example(PICKLE)
@example(saved({"key": {}, "state": Canary(CANARY)}))
@given(content=mutations([saved({"key": {"spec": "a"}, "state": STATE}), PICKLE]))
def test_the_side_file_of_a_training(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("run")
    (folder / checkpoint.NAME).write_bytes(content)
    checkpoint.load(folder, {"spec": "a"})  # what cannot be read is set aside with a warning
    assert {path.name for path in folder.iterdir()} <= {checkpoint.NAME, f"{checkpoint.NAME}.aside"}
    assert not CANARY.exists()
