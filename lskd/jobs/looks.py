"""Looks: each verdict that was made, kept in `results/looks/`, and those that a later one must answer for. No torch.

Whoever judges at 3 seeds and then adds 2 has two chances of a false claim. A look is one sealed file, written before
its verdict is published, never changed, and left alone by `gc`; copies of results bring it along.
"""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lskd.errors import UserError
from lskd.io.atomic import write_json
from lskd.io.seal import Record, holds, opened, read_record, sealed
from lskd.study import registry
from lskd.study.runs import Run

if TYPE_CHECKING:
    from lskd.jobs.catalogue import Catalogue

LOOKS = "looks"


def judges(catalogue: "Catalogue", study: str, figure: str) -> bool:
    """Whether a figure tests what a study claims, so that making it is a look."""
    return _judged(catalogue, study, figure) != "none"


def judged_runs(catalogue: "Catalogue", study: str, figure: str) -> list[Run]:
    """The runs whose test numbers a figure judges: its students, or all that it shows."""
    is_all = _judged(catalogue, study, figure) == "all"
    return [member.run for member in catalogue.shown(study, figure) if is_all or member.role == "student"]


def _judged(catalogue: "Catalogue", study: str, figure: str) -> str:
    return registry.FIGURES[catalogue.studies[study].figures[figure].kind].judges


def options(catalogue: "Catalogue", study: str, figure: str) -> dict[str, Any]:
    """What a figure that judges is told, as options: `planned_looks`, the study's, and `looks`, those that came before.

    `looks` holds the number of seeds of each earlier look at some of the same students that had fewer seeds (or as many
    and fewer students of a teacher), unless that look was planned when it was taken, by the plan that still holds. A
    look with as much or more is none of it: so a verdict keeps its address after its own look.
    """
    planned, today = catalogue.studies[study].looks, _look(catalogue, study, figure)
    earlier = {
        _size(look)
        for look in read(catalogue.results.root)
        if _size(look) < _size(today)
        and not set(look["runs"]).isdisjoint(today["runs"])
        and not (look["seeds"] in planned and look["planned"] == planned)
    }
    sizes = [seeds for seeds, _ in sorted(earlier)]
    return {name: value for name, value in (("planned_looks", planned), ("looks", sizes)) if value}


def record(catalogue: "Catalogue", study: str, figure: str) -> None:
    """Write down the look at a figure that is made, unless it is no look or stands there already."""
    job = catalogue.figure(study, figure)
    path = catalogue.results.root / LOOKS / f"{job.standing}.json"
    if judges(catalogue, study, figure) and all(each.exists() for each in job.paths) and not path.exists():
        about = {"figure": job.title, "made": read_record(job.folder)["made"]}
        write_json(path, sealed(about | _look(catalogue, study, figure)))


def read(root: Path) -> list[Record]:
    """The looks at the results of a folder. UserError for one that is not what was written."""
    return [read_look(path) for path in files(root)]


def files(root: Path) -> list[Path]:
    """The files of the looks."""
    return sorted((root / LOOKS).glob("*.json"))


def read_look(path: Path) -> Record:
    """One look. UserError where it is not what was written."""
    with suppress(OSError):
        look = opened(path.read_bytes())
        if look and _is_look(look):
            return look
    raise UserError(
        f"{path}: damaged, it is not what was written; restore it from a copy of the results, or forget that look:"
        f" rm -f {path}"
    )


def _is_look(look: Record) -> bool:
    is_of_form = holds(look, seeds=int, students=int, planned=list, runs=list)
    return is_of_form and all(isinstance(run, str) for run in look["runs"])


def _size(look: Record) -> tuple[int, int]:
    return look["seeds"], look["students"]


def _look(catalogue: "Catalogue", study: str, figure: str) -> Record:
    """A look at a figure: how many seeds, and students of each teacher, which planned looks, at which results."""
    runs = judged_runs(catalogue, study, figure)
    return {
        "seeds": len({run.seed for run in runs}),
        "students": max((run.student + 1 for run in runs), default=0),
        "planned": catalogue.studies[study].looks,
        "runs": sorted({catalogue.train(run).standing for run in runs}),
    }
