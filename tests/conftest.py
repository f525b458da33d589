"""What all tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.workflow.conftest import TINY, Tree

FOLDERS = ("slurm", "workflow", "chaos")  # the longest tests, which begin first
TREES = ("every_kind", "cluster")  # fixtures that take a minute, or that there can be one of at a time

settings.register_profile("patient", deadline=None)  # a busy machine is no failure
settings.load_profile("patient")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Tests of one file, and those of one large fixture, run in one process, one after the other."""
    shared = [name for name in TREES if name in getattr(item, "fixturenames", ())]
    item.add_marker(pytest.mark.xdist_group(shared[0] if shared else str(item.path)))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first."""
    folder = {item: item.path.relative_to(Path(__file__).parent).parts[0] for item in items}
    items.sort(key=lambda item: FOLDERS.index(folder[item]) if folder[item] in FOLDERS else len(FOLDERS))


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Iterator[Tree]:
    """The tiny study, run to its end. Tests that edit it put everything back."""
    tree = Tree(tmp_path_factory.mktemp("finished"))
    tree.configure(TINY)
    (tree.folder / "output.txt").write_text(tree.run())
    assert tree.pending() == tree.planned() == set()
    yield tree
    tree.close()
