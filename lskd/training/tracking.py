"""Where each epoch's numbers are logged too (`runtime.track`), for those who watch; part of no result's identity."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from lskd.errors import UserError

FOLDER = Path("results/.tensorboard")

_AXES = ("epoch", "step")  # of a row: what it is drawn over; trackio keeps the second name to itself

Log = Callable[[int, dict[str, float]], None]
Close = Callable[[], None]


@dataclass
class Tracker:
    """Logs epochs; what goes wrong is said once in a warning, and the training goes on."""

    title: str = ""
    kind: str = ""
    log_epoch: Log | None = None
    finish: Close | None = None
    warned: bool = False

    def log(self, epoch: int, values: dict[str, float]) -> None:
        """Log the numbers of an epoch (from 1)."""
        if self.log_epoch:
            self._try(self.log_epoch, epoch, {key: value for key, value in values.items() if key not in _AXES})

    def close(self) -> None:
        """Log no more."""
        if self.finish:
            self._try(self.finish)
        self.log_epoch = self.finish = None

    def open(self, opener: Callable[..., tuple[Log, Close]], *arguments: Any) -> None:
        """Log by what `opener` returns."""
        self.log_epoch, self.finish = self._try(opener, *arguments) or (None, None)

    def _try(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            with redirect_stdout(sys.stderr):  # trackio greets on stdout
                return function(*arguments)
        except Exception as error:
            if not self.warned:
                self.warned = True
                why = " ".join(str(error).split()) or type(error).__name__
                print(f"warning: {self.title}: {self.kind} failed ({why}); the training goes on", file=sys.stderr)
            return None


@contextmanager
def tracker(kind: str, title: str, address: str, spec: dict[str, Any], first: int = 0) -> Iterator[Tracker]:
    """Yield a tracker of a run of which `first` epochs are done already; with kind "" it does nothing.

    Raises UserError where `kind` is not installed.
    """
    track = Tracker(title, kind)
    if kind:
        track.open(_opener(kind), f"{title}-{address}", spec, first)
    try:
        yield track
    finally:
        track.close()


def _opener(kind: str) -> Callable[..., tuple[Log, Close]]:
    """What opens a kind of tracking, its package imported."""
    if kind not in _LOADERS:
        raise UserError(f'runtime.track: {kind} is not known; choose "", {" or ".join(_LOADERS)}')
    try:
        return _LOADERS[kind]()
    except Exception as error:  # an installed one may be broken in other ways than ImportError
        why = " ".join(str(error).split())
        raise UserError(
            f"runtime.track: {kind} cannot be imported ({why}); pip install {kind}, or leave runtime.track empty"
        ) from error


def _tensorboard() -> Callable[..., tuple[Log, Close]]:
    from torch.utils.tensorboard import SummaryWriter

    def open_(name: str, spec: dict[str, Any], first: int) -> tuple[Log, Close]:
        # purge_step hides what a killed process logged after the checkpoint from which this one goes on.
        writer = SummaryWriter(str(FOLDER / name), purge_step=first + 1)
        if not first:
            writer.add_text("spec", f"```\n{json.dumps(spec, indent=1)}\n```", 0)

        def log(epoch: int, values: dict[str, float]) -> None:
            for key, value in values.items():
                writer.add_scalar(key, value, epoch)
            writer.flush()  # else a kill would lose two minutes of epochs that are never logged again

        return log, writer.close

    return open_


def _trackio() -> Callable[..., tuple[Log, Close]]:
    trackio = import_module("trackio")

    def open_(name: str, spec: dict[str, Any], first: int) -> tuple[Log, Close]:
        run = trackio.init(project="lskd", name=name, config=spec, resume="allow")
        # The epochs that a killed process logged after its checkpoint come again, with the same numbers. trackio has
        # no way to take them back and no public one to ask for the last; without it they would be logged twice.
        logged = getattr(run, "_next_step", 0) - 1

        def log(epoch: int, values: dict[str, float]) -> None:
            if epoch > logged:
                trackio.log(values, step=epoch)

        return log, trackio.finish

    return open_


_LOADERS = {"tensorboard": _tensorboard, "trackio": _trackio}
