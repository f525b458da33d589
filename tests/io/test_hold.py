"""A snakemake holds the results together with others; who removes results needs them alone."""

import subprocess
import sys

import pytest

from lskd.errors import UserError
from lskd.io.hold import held, hold

HOLDER = """
import sys, time
from pathlib import Path
from lskd.io.hold import hold
hold(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_several_hold_together_and_none_alone_beside_them(tmp_path):
    others = [subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE) for _ in range(2)]
    for other in others:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
    with held(tmp_path, exclusively=True) as is_alone:
        assert not is_alone
    with held(tmp_path) as is_held:
        assert is_held
    for other in others:
        other.kill()
        other.wait()
    with held(tmp_path, exclusively=True) as is_alone:  # the dead hold nothing
        assert is_alone
        assert hold(tmp_path) is None


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        hold(tmp_path / "file/results")
