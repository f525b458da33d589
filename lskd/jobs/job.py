"""A job: what is made, of what, by which code, and so where it lies. No torch."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lskd.fingerprint import definitions as fingerprint
from lskd.io.layout import FILES, PROCESS, ROOMS
from lskd.io.seal import RECORD
from lskd.study.config import canonical

if TYPE_CHECKING:
    from lskd.jobs.results import Results


@dataclass(eq=False)
class Job:
    """One step: its stage and title, its spec, the jobs it reads by their role, the functions that run by theirs."""

    stage: str
    title: str
    spec: dict[str, Any]
    inputs: dict[str, "Job"]
    functions: dict[str, str]  # role -> "module:function"; "run" is the stage's own
    results: "Results"
    place: str = ""  # data: where its raw files lie, which is no part of what it is
    lacks: str = ""  # data that were planned without their files: which are not there, in a line

    @cached_property
    def definitions(self) -> dict[str, str]:
        """Digest of each definition that the job's functions reach, by name."""
        return _definitions(frozenset([PROCESS, *self.functions.values()]))

    @cached_property
    def plain(self) -> str:
        """The address without code: what two results of different code must share for one to stand for the other."""
        return digest([self.stage, self.title, self.spec, {role: job.plain for role, job in self.inputs.items()}])

    @cached_property
    def address(self) -> str:
        """10 hex digits of name, spec, code and the addresses of what the job reads."""
        code = _code(frozenset([PROCESS, *self.functions.values()]))
        above = {role: job.standing for role, job in self.inputs.items()}
        return digest([self.stage, self.title, self.spec, code, above])

    @cached_property
    def standing(self) -> str:
        """The address of the result that stands for this job: its own, or one that was accepted for it."""
        return self.results.accepted(self) or self.address

    @cached_property
    def below(self) -> str:
        """Where the result lies below results/: a folder that reads as its provenance and ends in its address."""
        return f"{ROOMS[self.stage]}/{self.title}-{self.standing}"

    @property
    def folder(self) -> Path:
        """That folder."""
        return self.results.root / self.below

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the files of the result, its record last."""
        return (*FILES[self.stage], RECORD)

    @property
    def paths(self) -> list[Path]:
        """The files of the result, its record last."""
        folder = self.folder
        return [folder / name for name in self.names]

    def described(self) -> dict[str, Any]:
        """The job as JSON values: all that its process needs, a function of its address alone."""
        return {
            "stage": self.stage,
            "title": self.title,
            "address": self.address,
            "plain": self.plain,
            "spec": self.spec,
            "functions": self.functions,
            "definitions": self.definitions,
            "files": list(FILES[self.stage]),
            "folder": self.below,
            "place": self.place,
            "inputs": {role: job.below for role, job in self.inputs.items()},
        }


def digest(value: Any) -> str:
    """10 hex digits of a JSON value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:10]


_DEFINITIONS: dict[frozenset[str], dict[str, str]] = {}
_CODE: dict[frozenset[str], str] = {}


def _definitions(entries: frozenset[str]) -> dict[str, str]:
    """Looked up once: the code is what it was when planning began."""
    if entries not in _DEFINITIONS:
        _DEFINITIONS[entries] = fingerprint.definitions(entries)
    return _DEFINITIONS[entries]


def _code(entries: frozenset[str]) -> str:
    if entries not in _CODE:
        _CODE[entries] = fingerprint.code_digest(_definitions(entries))
    return _CODE[entries]
