"""The reader of a training's side file on hostile files: nothing in them is run."""

import io
import pickle
import tempfile
from pathlib import Path
from typing import Any

import torch
from hypothesis import example, given

from lskd.training import checkpoint
from tests.fuzz.hostile import fuzzed, mutations

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
PICKLE = pickle.dumps(Canary(CANARY))


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
