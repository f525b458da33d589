"""The side file: what is saved comes back, what is not this job's is set aside."""

import os
import signal

import pytest
import torch

from lskd.training import checkpoint

KEY = {"spec": "{}", "code": "abc", "inputs": "{}"}
STATE = {"model": {"weight": torch.arange(6.0).reshape(2, 3)}, "step": 7, "history": [{"epoch": 1, "lr": 0.1}]}


def test_what_is_saved_comes_back(tmp_path):
    checkpoint.save(tmp_path, KEY, STATE)
    actual = checkpoint.load(tmp_path, KEY)
    assert torch.equal(actual.pop("model")["weight"], STATE["model"]["weight"])
    assert actual == {"step": 7, "history": STATE["history"]}
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_nothing_there_is_nothing_said(tmp_path, capsys):
    assert checkpoint.load(tmp_path, KEY) is None
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", list(KEY))
def test_another_key_is_set_aside(tmp_path, capsys, name):
    checkpoint.save(tmp_path, KEY, STATE)
    assert checkpoint.load(tmp_path, KEY | {name: "other"}) is None
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt.aside"]
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"another {name}" in said


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, 0.99])
def test_a_damaged_one_is_set_aside(tmp_path, capsys, keep):
    checkpoint.save(tmp_path, KEY, STATE)
    path = tmp_path / checkpoint.NAME
    content = path.read_bytes()
    path.write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])
    assert checkpoint.load(tmp_path, KEY) is None
    assert "cannot be read" in capsys.readouterr().err
    assert not path.exists()


def test_one_changed_bit_of_a_weight_is_noticed(tmp_path, capsys):
    checkpoint.save(tmp_path, KEY, STATE)
    path = tmp_path / checkpoint.NAME
    content = bytearray(path.read_bytes())
    place = content.index(STATE["model"]["weight"].numpy().tobytes())
    content[place + 5] ^= 1
    path.write_bytes(content)
    assert checkpoint.load(tmp_path, KEY) is None
    assert "cannot be read" in capsys.readouterr().err


def test_a_pickle_with_code_is_not_run(tmp_path, capsys):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "run"),)

    torch.save({"key": KEY, "state": Evil()}, tmp_path / checkpoint.NAME)
    assert checkpoint.load(tmp_path, KEY) is None
    assert not (tmp_path / "run").exists()


def test_sigterm_is_noted_and_the_old_handler_comes_back():
    before = signal.getsignal(signal.SIGTERM)
    with checkpoint.stop_on_sigterm() as stop:
        assert not stop.asked
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked
    assert signal.getsignal(signal.SIGTERM) is before


def test_remove(tmp_path):
    checkpoint.save(tmp_path, KEY, STATE)
    checkpoint.remove(tmp_path)
    checkpoint.remove(tmp_path)
    assert not list(tmp_path.iterdir())
