"""How a job learns of its runtime: through the environment, and never through its spec."""

import os
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from lskd.study.runtime import Runtime, export, runtime, wants_gpu


def test_a_job_has_the_runtime_that_was_exported(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "environ", {"PATH": "/bin", "PYTHONPATH": "mine"})
    assert runtime() == Runtime()
    settings = Runtime(device="cpu", threads=3, channels_last=True, checkpoint_minutes=2.5, track="tensorboard")
    export(settings, tmp_path)
    assert runtime() == settings
    assert os.environ["PYTHONPATH"] == f"{tmp_path}:mine"
    assert os.environ["PATH"] == f"{Path(sys.executable).parent}:/bin"


@pytest.mark.parametrize("text", ['{"amp": "bfloat16"}', '{"threads": "2"}', '{"threads": 0}', '{"device": "tpu"}'])
def test_what_it_does_not_know_is_refused(monkeypatch, text):
    monkeypatch.setenv("LSKD_RUNTIME", text)
    with pytest.raises(ValidationError):
        runtime()


def test_jobs_ask_for_a_gpu_where_there_may_be_one(monkeypatch):
    for on_cluster in (False, True):
        assert wants_gpu(Runtime(device="cuda"), on_cluster) and not wants_gpu(Runtime(device="cpu"), on_cluster)
    for devices in ([], [Path("/dev/nvidia0")]):
        monkeypatch.setattr(Path, "glob", lambda self, pattern, devices=devices: iter(devices))
        assert wants_gpu(Runtime(device="auto"), on_cluster=False) == bool(devices)
        assert wants_gpu(Runtime(device="auto"), on_cluster=True)  # its login node needs none
