"""A job in its process: what it is to make, of which files, by which functions."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lskd.io.seal import checked, read_record
from lskd.study.runtime import Runtime


@dataclass
class Work:
    """What a stage's `run` gets: it writes every file of its stage into `folder`, and nothing else."""

    title: str
    address: str
    spec: dict[str, Any]
    folder: Path
    inputs: dict[str, Path]  # role -> the folder of the job that is read
    functions: dict[str, Callable[..., Any]]  # role -> what the job's name of it stands for
    runtime: Runtime = field(default_factory=Runtime)
    place: Path = Path()  # data: where its raw files lie
    kept: Path | None = None  # an image training: the trace of one by other code to compare with, in place of training
    environment: dict[str, str] = field(default_factory=dict)  # what moves numbers by rounding; torch's stages fill it
    begun_on: list[dict[str, str]] = field(default_factory=list)  # the environments of killed processes that began it
    notes: dict[str, str] = field(default_factory=dict)  # what else the record is to say, such as a figure's answer

    def read(self, role: str, name: str) -> Path:
        """The path of a file of an input, its bytes compared with its seal; UserError says how to mend it."""
        return checked(self.inputs[role] / name, self.inputs[role])

    def record(self, role: str) -> dict[str, Any]:
        """The record of an input."""
        return read_record(self.inputs[role])

    @property
    def origin(self) -> dict[str, Any]:
        """What each file says of itself: nothing that varies from one making to the next."""
        return {"title": self.title, "address": self.address, "spec": self.spec}
