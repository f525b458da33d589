"""Logging epochs elsewhere, with modules in sys.modules that stand for tensorboard's writer and for trackio.

That the real ones take these calls is not tested here, since neither is installed with lskd.
"""

import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from lskd.errors import UserError
from lskd.training.tracking import tracker

TITLE, ADDRESS, SPEC = "glyphs/resnet8-w16/short/seed0", "3f2a9c1b7e", {"recipe": {"lr": 0.1}}
ROW = {"epoch": 1, "step": 10, "lr": 0.1, "train_loss": 2.0}


class Calls(list):
    def taking(self, name, result=None):
        def call(*arguments, **options):
            self.append((name, arguments, options))
            return result

        return call


@pytest.fixture
def calls():
    return Calls()


@pytest.fixture
def tensorboard(monkeypatch, calls):
    names = ("add_scalar", "add_text", "flush", "close")
    writer = SimpleNamespace(**{name: calls.taking(name) for name in names})
    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = calls.taking("SummaryWriter", writer)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    return writer


@pytest.fixture
def trackio(monkeypatch, calls):
    module = ModuleType("trackio")
    module.run = SimpleNamespace(_next_step=0)
    module.init, module.log, module.finish = (
        calls.taking("init", module.run),
        calls.taking("log"),
        calls.taking("finish"),
    )
    monkeypatch.setitem(sys.modules, "trackio", module)
    return module


def track(kind, epochs=(1, 2), first=0):
    with tracker(kind, TITLE, ADDRESS, SPEC, first) as log:
        for epoch in epochs:
            log.log(epoch, ROW | {"epoch": epoch})


def test_off_imports_nothing():
    script = (
        "import sys; from lskd.training.tracking import tracker\n"
        "with tracker('', 't', 'a', {}) as track: track.log(1, {'loss': 1.0})\n"
        "print({'torch', 'tensorboard', 'trackio'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_tensorboard(tensorboard, calls):
    track("tensorboard", [1])
    name, arguments, options = calls[0]
    assert (name, arguments) == ("SummaryWriter", (f"results/.tensorboard/{TITLE}-{ADDRESS}",))
    assert options == {"purge_step": 1}
    assert calls[1][0] == "add_text" and '"lr": 0.1' in calls[1][1][1]
    scalars = [("lr", 0.1, 1), ("train_loss", 2.0, 1)]
    assert calls[2:] == [*(("add_scalar", scalar, {}) for scalar in scalars), ("flush", (), {}), ("close", (), {})]


def test_tensorboard_takes_back_what_came_after_the_checkpoint(tensorboard, calls):
    track("tensorboard", [8], first=7)
    assert calls[0][2] == {"purge_step": 8}
    assert "add_text" not in [name for name, *_ in calls]


def test_trackio(trackio, calls):
    track("trackio", [1])
    assert calls == [
        ("init", (), {"project": "lskd", "name": f"{TITLE}-{ADDRESS}", "config": SPEC, "resume": "allow"}),
        ("log", ({"lr": 0.1, "train_loss": 2.0},), {"step": 1}),
        ("finish", (), {}),
    ]


def test_trackio_logs_no_epoch_twice(trackio, calls):
    trackio.run._next_step = 6  # a killed process logged up to epoch 5, and its checkpoint was of epoch 3
    track("trackio", [4, 5, 6], first=3)
    assert [options["step"] for name, _, options in calls if name == "log"] == [6]


@pytest.mark.parametrize(("kind", "module"), [("tensorboard", "torch.utils.tensorboard"), ("trackio", "trackio")])
def test_what_is_not_installed_is_said_before_the_training(monkeypatch, kind, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError) as error:
        track(kind)
    assert "\n" not in str(error.value)
    assert "runtime.track" in str(error.value) and f"pip install {kind}" in str(error.value)


def test_an_unknown_kind():
    with pytest.raises(UserError, match='runtime.track: wandb is not known; choose "", tensorboard or trackio'):
        track("wandb")


def fail(*_, **__):
    raise OSError("no space\nleft")


def test_a_failing_log_is_said_once(trackio, calls, capsys):
    trackio.log = fail
    track("trackio", [1, 2, 3])
    assert calls[-1][0] == "finish"
    warning = f"warning: {TITLE}: trackio failed (no space left); the training goes on\n"
    assert capsys.readouterr() == ("", warning)


@pytest.mark.parametrize("name", ["init", "finish"])
def test_a_failing_start_or_end_is_said(trackio, calls, capsys, name):
    setattr(trackio, name, fail)
    track("trackio")
    assert capsys.readouterr().err.count("warning:") == 1
    assert [call for call, *_ in calls] == ([] if name == "init" else ["init", "log", "log"])


def test_it_is_closed_when_the_training_fails(trackio, calls):
    with pytest.raises(KeyboardInterrupt), tracker("trackio", TITLE, ADDRESS, SPEC):
        raise KeyboardInterrupt
    assert calls[-1][0] == "finish"


def test_greetings_go_to_stderr(trackio, capsys):
    trackio.finish = lambda: print("* Run finished")
    track("trackio")
    assert capsys.readouterr() == ("", "* Run finished\n")
