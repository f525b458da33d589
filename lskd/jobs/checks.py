"""What can be told wrong before anything starts."""

from pathlib import Path
from typing import TYPE_CHECKING

from lskd.data import layouts
from lskd.errors import UserError
from lskd.jobs.job import Job
from lskd.study import registry

if TYPE_CHECKING:
    from lskd.jobs.plan import Plan


def verdicts(plan: "Plan") -> None:
    """A verdict needs students of both kinds of teacher; told here, as its own step comes after all training."""
    for name, figure in plan.main.figures.items():
        if figure.kind == "verdict":
            rows = [member.row for member in plan.catalogue.shown(plan.main.study, name)]
            alphas = sorted({row["label_smoothing"] for row in rows if row["role"] == "student"})
            if not alphas or alphas[0] > 0 or alphas[-1] == 0:
                listed = ", ".join(f"{alpha:g}" for alpha in alphas) or "no students"
                raise UserError(
                    f"figures.{name}: found students of teachers with label_smoothing {listed}; a verdict compares 0"
                    " with another: add it to the teachers, name the students' group in groups, or leave the figure out"
                )


def own_data(pending: list[Job]) -> None:
    """A user's own data, looked at where they are still to be read."""
    for job in pending:
        if job.stage == "data" and registry.DATASETS[job.spec["dataset"]].is_own:
            layouts.check(job.spec["dataset"], Path(job.place))
