"""How fast and where a job runs: part of no result's identity, and recorded with each."""

import json
import os
import sys
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from lskd.study.site import Site


class Runtime(BaseModel):
    """The config's `runtime`. Device, threads, channels_last, compile and fuse move results by rounding only."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes a GPU where there is one")
    runs_per_gpu: int = Field(1, ge=1, le=64, description="jobs that share a GPU")
    threads: int = Field(1, ge=1, le=1024, description="of torch, in each job")
    workers: int = Field(2, ge=1, le=256, description="threads that read and decode images, in each job")
    channels_last: bool = Field(False, description="memory format of networks and images; often faster")
    compile: bool = Field(False, description="torch.compile, on a GPU")
    fuse: int = Field(1, ge=1, le=64, description="trainings that may advance as one, on a GPU or of small MLPs")
    checkpoint_minutes: float = Field(0.0, ge=0, allow_inf_nan=False, description="0 saves at the end of each epoch")
    hang_minutes: int = Field(
        0, ge=0, description="end a training that made no step for so long, told in a line; 0 never"
    )
    track: Literal["", "tensorboard", "trackio"] = Field("", description="where each epoch's numbers are logged too")


def runtime() -> Runtime:
    """A job's own, from the environment variable LSKD_RUNTIME (JSON)."""
    return Runtime.model_validate(json.loads(os.environ.get("LSKD_RUNTIME", "{}")))


def export(settings: Runtime, root: Path | str, site: Site | None = None) -> None:
    """Hand it to the jobs through the environment, with the place of this package and of this Python."""
    if site and site.hang_minutes:
        settings = settings.model_copy(update={"hang_minutes": site.hang_minutes})
    os.environ["LSKD_RUNTIME"] = settings.model_dump_json()
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def wants_gpu(settings: Runtime, on_cluster: bool) -> bool:
    """Whether jobs should ask for a GPU: told to, or left to choose on a cluster, or on a machine that has one."""
    if settings.device == "auto":
        return on_cluster or any(Path("/dev").glob("nvidia[0-9]*"))
    return settings.device == "cuda"
