"""What is read of a file is one for all that hold it, and read again once nobody does or the file is another."""

import gc

import numpy as np

from lskd.io.shared import Shared


def test_a_file_is_read_once_for_all_that_hold_it(tmp_path, monkeypatch):
    path, shared, reads = tmp_path / "a", Shared(), []
    path.write_text("1")

    def read():
        reads.append(path.read_text())
        return np.array([int(reads[-1])])

    first = shared.get(path, "how", read)
    assert shared.get(path, "how", read) is first and reads == ["1"]
    monkeypatch.chdir(tmp_path)
    assert shared.get(path.relative_to(tmp_path), "how", read) is first
    assert shared.get(path, "other", read) is not first and reads == ["1", "1"]
    (tmp_path / "b").write_text("2")
    (tmp_path / "b").replace(path)
    assert shared.get(path, "how", read).item() == 2
    del first
    gc.collect()
    shared.get(path, "how", read)
    assert reads == ["1", "1", "2", "2"]
