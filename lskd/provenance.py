"""What an artifact says of itself: what it is, what made it, on what, and from what."""

import platform
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import xxhash

from lskd.config import canonical

_STARTED = time.monotonic()


def collect(spec: dict[str, Any], code: str, inputs: dict[str, Path], device: str = "cpu") -> dict[str, str]:
    """The strings that go into an artifact's metadata: spec, code, seed, versions, commit, device, seconds, inputs."""
    return {
        "spec": canonical(spec),
        "code": code,
        "seed": str(spec.get("seed", spec.get("run", {}).get("seed", ""))),
        "versions": canonical(_versions()),
        "commit": _commit(),
        "device": device,
        "seconds": f"{time.monotonic() - _STARTED:.1f}",
        "inputs": canonical({name: file_digest(path) for name, path in inputs.items()}),
    }


def file_digest(path: Path | str) -> str:
    """xxh3-128 of a file's bytes, as hex."""
    digest = xxhash.xxh3_128()
    with Path(path).open("rb") as file:
        while chunk := file.read(1 << 22):
            digest.update(chunk)
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "lskd": _version("lskd")}
    if torch := sys.modules.get("torch"):  # named only where a stage used it
        found |= {"torch": str(torch.__version__), "cuda": str(torch.version.cuda)}
    return found


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "source"


def _commit() -> str:
    here = Path(__file__).resolve().parent
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"
