"""What all tests share."""

import os
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests.workflow.conftest import TINY, Tree

ROOT = Path(__file__).parents[1]
FOLDERS = ("slurm", "workflow", "chaos", "test_replay.py")  # of the longest tests, which begin first

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: processes side by side share the cores
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background, for all that tests start, too
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("patient", deadline=None)  # a busy machine is no failure
settings.load_profile("patient")


class SideBySide(LoadScopeScheduling):
    """Tests in several processes: in one of them those of a file, of the cluster, of the study of every kind."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.startswith("tests/slurm/"):
            return "cluster"  # there can be one
        return "every_kind" if _uses_every_kind(file) else file


@cache
def _uses_every_kind(file: str) -> bool:
    return "every_kind" in (ROOT / file).read_text()  # a fixture that takes minutes


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SideBySide:
    """Asked where `-n` says how many processes are asked for."""
    return SideBySide(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first; of the cluster's tests those without faults, to which SLURM can lose GPUs."""
    folder = {item: item.path.relative_to(ROOT / "tests").parts[0] for item in items}
    place = {name: number for number, name in enumerate(FOLDERS)}
    items.sort(key=lambda item: (place.get(folder[item], len(FOLDERS)), item.path.name != "test_study.py"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Iterator[Tree]:
    """The tiny study, run to its end. Tests that edit it put everything back."""
    tree = Tree(tmp_path_factory.mktemp("finished"))
    tree.configure(TINY)
    (tree.folder / "output.txt").write_text(tree.run())
    assert tree.pending() == tree.planned() == set()
    yield tree
    tree.close()
