"""A cluster's own settings, `workflow/profiles/*/site.yaml`: read by its profile and by `lskd doctor`."""

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lskd.errors import UserError

VARIABLE = "LSKD_SITE"
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.,:+-]{1,100}$")]  # of a partition and the like; reaches a shell


class Site(BaseModel):
    """What differs from one cluster to the next, whatever queues its jobs."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    executor: str
    time_limit: int = Field(1440, ge=5)
    jobs: int = Field(100, ge=1)
    per_submission: int = Field(8, ge=1, le=1000)
    submission_minutes: int = Field(120, ge=1)
    gpus_per_submission: int = Field(1, ge=1, le=64)
    status_seconds: int = Field(10, ge=1)
    hang_minutes: int = Field(0, ge=0)
    attempts: int = Field(5, ge=1)

    def resources(self, gpus: int) -> dict[str, str]:
        """What a job of so many GPUs asks for beside them, its memory and its time."""
        return {}


class Slurm(Site):
    """A SLURM cluster."""

    executor: Literal["slurm"] = "slurm"
    partition: Word | None = None
    gpu_partition: Word | None = None
    account: Word | None = None
    qos: Word | None = None
    gpu_model: Word | None = None
    status: Literal["squeue", "sacct"] = "squeue"
    signal_seconds: int = Field(90, ge=10)
    lost_minutes: int = Field(10, ge=0)
    requeue: bool = True

    @property
    def default_resources(self) -> list[str]:
        """What every job asks for, as Snakemake's `default-resources`."""
        named = {"slurm_extra": f"--signal=TERM@{self.signal_seconds}"}  # to the job's steps, not to its shell
        named |= {"slurm_account": self.account} if self.account else {}
        named |= {"qos": self.qos} if self.qos else {}
        return [f"{name}='{value}'" for name, value in named.items()]

    def resources(self, gpus: int) -> dict[str, str]:
        """Where a job of so many GPUs runs."""
        partition = (self.gpu_partition if gpus else None) or self.partition
        named = {"slurm_partition": partition, "gpu_model": self.gpu_model if gpus else None}
        return {name: value for name, value in named.items() if value}


class Queue(Site):
    """Any other queue, by the commands that submit to it, ask it, and cancel."""

    executor: Literal["queue"] = "queue"
    submit: str = Field(min_length=1)
    status: str | None = None
    cancel: str | None = None


KINDS: dict[str, type[Slurm] | type[Queue]] = {"slurm": Slurm, "queue": Queue}


def read_site(path: Path, executor: str) -> Slurm | Queue:
    """The settings in a file. UserError for a key or value that is none."""
    try:
        values: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise UserError(f"{path}: cannot be read ({why}); restore it from the repository") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: found {type(values).__name__}, a mapping of keys is needed; see docs/cluster.md")
    try:
        return KINDS[executor].model_validate(values)
    except ValidationError as error:
        raise UserError(f"{path}: {_told(error, executor)}") from None


def _told(error: ValidationError, executor: str) -> str:
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return f"{key}: no such key; known are {', '.join(sorted(KINDS[executor].model_fields))}"
    if first["type"] == "missing":
        return f"{key}: is missing; see docs/cluster.md"
    return f"{key}: found {first['input']!r}, {first['msg'][0].lower()}{first['msg'][1:]}"


def export(site: Slurm | Queue) -> None:
    """Hand it from a profile to the Snakefile, and to the jobs, through the environment."""
    os.environ[VARIABLE] = site.model_dump_json()


def of_profile() -> Slurm | Queue | None:
    """The site whose profile is used; None where jobs run on this machine."""
    text = os.environ.get(VARIABLE)
    return KINDS[json.loads(text)["executor"]].model_validate_json(text) if text else None
