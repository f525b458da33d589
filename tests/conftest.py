"""What all tests share."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.workflow.conftest import TINY, Tree

settings.register_profile("patient", deadline=None)  # a busy machine is no failure
settings.load_profile("patient")


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Iterator[Tree]:
    """The tiny study, run to its end. Tests that edit it put everything back."""
    tree = Tree(tmp_path_factory.mktemp("finished"))
    tree.configure(TINY)
    (tree.folder / "output.txt").write_text(tree.run())
    assert tree.pending() == tree.planned() == set()
    yield tree
    tree.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of two processes that test, one gets all of a group: what a file, a costly tree or the one cluster has to share.

    The longest come first.
    """
    of_every_kind = {item.path for item in items if "every_kind" in getattr(item, "fixturenames", ())}

    def place(item: pytest.Item) -> tuple[int, str]:
        folder = item.path.parent.name
        if folder == "slurm":
            return 0, "cluster"
        if item.path in of_every_kind:
            return 1, "every kind"
        return (2 if folder in ("workflow", "chaos") else 3), str(item.path)

    for item in items:
        item.add_marker(pytest.mark.xdist_group(place(item)[1]))
    items.sort(key=lambda item: place(item)[0])
