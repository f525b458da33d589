"""The environments agree with each other and name no index."""

import re
from pathlib import Path

import pytest
import yaml

ENVS = Path(__file__).resolve().parents[1] / "envs"


def locked(name: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([a-z0-9-]+)==(\S+)", (ENVS / f"{name}.txt").read_text(), re.MULTILINE):
        found.setdefault(package, set()).add(version)
    return found


@pytest.mark.parametrize("name", ["figures", "train"])
def test_conda_environment_has_the_locked_versions(name):
    pinned = yaml.safe_load((ENVS / f"{name}.yaml").read_text())["dependencies"][-1]["pip"]
    lock = locked(name)
    for line in pinned:
        package, version = line.split(" ==")
        assert version in lock[package], f"envs/{name}.yaml: {line}, the lock has {lock[package]}"


def test_a_laptop_needs_no_torch():
    assert "torch" not in locked("figures")
    assert "torch" in locked("train")


@pytest.mark.parametrize("path", sorted(ENVS.glob("*.txt")), ids=lambda path: path.name)
def test_locks_hold_hashes_and_no_addresses(path):
    text = path.read_text()
    assert "://" not in text
    packages = re.findall(r"^\S+==", text, re.MULTILINE)
    assert packages
    assert text.count("--hash=sha256:") >= len(packages)
