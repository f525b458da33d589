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
