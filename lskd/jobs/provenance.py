"""What a result's record says: what it is, what made it, on what, and from what."""

import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lskd.io.seal import read_record
from lskd.jobs.environment import merged
from lskd.version import VERSION

if TYPE_CHECKING:
    from lskd.jobs.work import Work

FORMAT = 1  # of a record
DRAWN_WITH = {name: name for name in ("numpy", "scipy", "pandas", "pyarrow", "matplotlib")} | {"PIL": "pillow"}


class Clock:
    """When a job began."""

    def __init__(self) -> None:
        self.started = time.monotonic()

    def seconds(self) -> float:
        """Wall seconds since then."""
        return round(time.monotonic() - self.started, 2)


def record(described: dict[str, Any], work: "Work", clock: Clock, made_on: dict[str, list[str]]) -> dict[str, Any]:
    """A job's record but for its files: what only this making of it can tell, too, such as its time.

    `made_on` and `upstream` gather, over the job and all above it, the environments that trained and predicted, and the
    digests of all definitions: more than one value of a name means that runs mix.
    """
    inputs = {role: read_record(folder) for role, folder in work.inputs.items()}
    return {
        "format": FORMAT,
        **{key: described[key] for key in ("stage", "title", "address", "plain", "spec", "functions", "definitions")},
        "inputs": {
            role: {"folder": described["inputs"][role], "address": above["address"], "seal": _content(above)}
            for role, above in inputs.items()
        },
        "made_on": made_on,
        "upstream": merged(
            part for above in inputs.values() for part in (_listed(above["definitions"]), above["upstream"])
        ),
        "seeds": sorted({seed for above in inputs.values() for seed in above["seeds"]} | _own_seeds(work.spec)),
        "versions": versions(described["stage"]),
        "commit": commit(),
        "seconds": clock.seconds(),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "notes": work.notes,
    }


def _content(above: dict[str, Any]) -> dict[str, str]:
    """The digests of an input's files."""
    return above["files"]


def _own_seeds(spec: dict[str, Any]) -> set[int]:
    return {spec["seed"]} if "seed" in spec else set()


def _listed(values: dict[str, str]) -> dict[str, list[str]]:
    return {name: [value] for name, value in values.items()}


def versions(stage: str) -> dict[str, str]:
    """Python's, lskd's, and those of the libraries that this process imported; of a figure, of all that draw.

    A figure's page names them, and its process is a fork of one that imported what other jobs needed.
    """
    own = {"python": platform.python_version(), "lskd": VERSION}
    if stage == "figure":
        return own | {name: metadata.version(distribution) for name, distribution in DRAWN_WITH.items()}
    names = (
        *("torch", "torchvision", "numpy", "scipy", "pandas", "pyarrow", "matplotlib", "safetensors", "PIL"),
        *("fairseq", "sacrebleu", "sentencepiece"),
    )
    return own | {name: str(module.__version__) for name in names if (module := sys.modules.get(name))}


def commit() -> str:
    """The checkout's commit, with a + where files differ from it."""
    folder = Path(__file__).resolve().parents[2] / ".git"
    stamps = [_stamp(folder / name) for name in ("HEAD", "index", "logs/HEAD")]  # one changes with each commit
    return _commit(*stamps)


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except NotADirectoryError:  # in a worktree, whose own lie elsewhere: ask each time
        return time.monotonic_ns()
    except OSError:
        return 0


@lru_cache(maxsize=1)
def _commit(*stamps: int) -> str:
    here = Path(__file__).resolve().parent
    try:
        options: dict[str, Any] = {"cwd": here, "capture_output": True, "text": True, "timeout": 10}
        top, _, head = (
            subprocess.run(["git", "rev-parse", "--show-toplevel", "HEAD"], **options).stdout.strip().partition("\n")
        )
        if Path(top) != here.parents[1]:  # an installed package may lie in somebody's repository
            return "unknown"
        edited = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", ":/lskd"], **options).returncode
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return f"{head}{'+' * (edited == 1)}" if head else "unknown"
