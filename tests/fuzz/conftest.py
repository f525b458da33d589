"""What the fuzz tests share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def guarded(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("guarded")
