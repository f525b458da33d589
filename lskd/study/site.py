"""A cluster's own settings, `workflow/profiles/slurm/site.yaml`: read by the profile and by `lskd doctor`."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lskd.errors import UserError

VARIABLE = "LSKD_SITE"
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.,:+-]{1,100}$")]  # of a partition and the like; reaches a shell


class Site(BaseModel):
    """What differs from one cluster to the next."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    executor: Literal["slurm", "queue"] = "slurm"
    partition: Word | None = None
    gpu_partition: Word | None = None
    account: Word | None = None
    qos: Word | None = None
    gpu_model: Word | None = None
    time_limit: int = Field(1440, ge=5)
    jobs: int = Field(100, ge=1)
    per_submission: int = Field(8, ge=1, le=1000)
    submission_minutes: int = Field(120, ge=1)
    status: Literal["squeue", "sacct"] = "squeue"
    status_seconds: int = Field(10, ge=1)
    signal_seconds: int = Field(90, ge=10)
    lost_minutes: int = Field(10, ge=0)
    hang_minutes: int = Field(0, ge=0)
    requeue: bool = True
    attempts: int = Field(5, ge=1)

    @property
    def default_resources(self) -> list[str]:
        """What every job asks of SLURM beside memory, time and GPUs, as Snakemake's `default-resources`."""
        named = {"slurm_extra": f"--signal=TERM@{self.signal_seconds}"}  # to the job's steps, not to its shell
        named |= {"slurm_account": self.account} if self.account else {}
        named |= {"qos": self.qos} if self.qos else {}
        return [f"{name}='{value}'" for name, value in named.items()]

    def resources(self, gpus: int) -> dict[str, str]:
        """Where a job of so many GPUs runs."""
        partition = (self.gpu_partition if gpus else None) or self.partition
        named = {"slurm_partition": partition, "gpu_model": self.gpu_model if gpus else None}
        return {name: value for name, value in named.items() if value}


def export(site: Site) -> None:
    """Hand it from a profile to the Snakefile, and to the jobs, through the environment."""
    os.environ[VARIABLE] = site.model_dump_json()


def of_profile() -> Site | None:
    """The site whose profile is used; None where jobs run on this machine."""
    text = os.environ.get(VARIABLE)
    return Site.model_validate_json(text) if text else None


def read_site(path: Path) -> Site:
    """The settings in a file. UserError for a key or value that is none."""
    try:
        values: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise UserError(f"{path}: cannot be read ({why}); restore it from the repository") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: found {type(values).__name__}, a mapping of keys is needed; see docs/cluster.md")
    try:
        return Site.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            what = f"no such key; known are {', '.join(Site.model_fields)}"
        else:
            what = f"found {first['input']!r}, {first['msg'][0].lower()}{first['msg'][1:]}"
        raise UserError(f"{path}: {key}: {what}") from None
