"""Tasks: what a group's data, network, recipe and supervision are for, and that they agree; and a figure's groups."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lskd.study import registry

if TYPE_CHECKING:
    from lskd.study.config import Data, Distilled, ModelFields, Recipe, Study, Trained


def of_task(where: str, found: str, tasks: str | Iterable[str], model: "ModelFields") -> None:
    """Refuse what is of another task than a group's network."""
    tasks = [tasks] if isinstance(tasks, str) else [*tasks]
    if model.task not in tasks:
        raise ValueError(
            f"{where}: found {found}, which is of {' and '.join(tasks)}, but the group's network, {model.name}, is of"
            f" {model.task}; name another"
        )


def one_task(group: str, part: "Trained | Distilled", data: "Data | None", recipes: "dict[str, Recipe]") -> None:
    """Refuse a group that mixes tasks, and of translators what students of images alone can have."""
    if data is not None:
        of_task(f"data of {group}", data.dataset, data.task, part.model)
    if part.recipe is not None:
        of_task(f"recipe of {group}", part.recipe, recipes[part.recipe].task, part.model)
    of_task(f"supervision of {group}", part.supervision, registry.supervisions()[part.supervision].tasks, part.model)
    if "teacher" in dict(part) and part.model.task == registry.TRANSLATION:
        _of_translators(f"students.{group}", part)
    elif "teacher" in dict(part) and registry.supervisions()[part.supervision].form == "top_k":
        _of_top_k(f"students.{group}", part)


def kept(group: str, student: "Distilled", teacher: "Trained | Distilled", recipes: "dict[str, Recipe]") -> None:
    """Refuse an epoch of a teacher's after which its weights are not kept."""
    epochs = [epoch for epoch in student.teacher_epoch if epoch is not None]
    where = f"students.{group}.teacher_epoch"
    if epochs and teacher.recipe is None:
        raise ValueError(f"{where}: found {epochs[0]}, but {student.teacher} comes trained; leave it out")
    snapshots = recipes[teacher.recipe].snapshot_epochs if teacher.recipe else []
    for epoch in epochs:
        if epoch not in snapshots:
            known = f"keeps weights after {', '.join(map(str, snapshots))}" if snapshots else "keeps no weights"
            raise ValueError(
                f"{where}: found {epoch}, but recipe {teacher.recipe} of {student.teacher} {known}; add {epoch} to its"
                " snapshot_epochs"
            )


def shows_one_task(study: "Study", name: str, groups: list[str]) -> None:
    """Refuse a figure of networks for several tasks, or of a kind that does not show theirs."""
    kind = study.figures[name].kind
    for group in groups if registry.FIGURES[kind].families else ():
        if study.task_of(group) != study.task_of(groups[0]):
            raise ValueError(
                f"figures.{name}.groups: found {groups[0]} and {group}, of which one is of images and one of"
                " translation; name groups of one of them"
            )
        if study.task_of(group) not in registry.FIGURES[kind].tasks:
            raise ValueError(
                f"figures.{name}: found kind {kind}, which is not of {study.task_of(group)}, as {group} is; name groups"
                " of others, or another kind"
            )


def _of_top_k(where: str, student: Any) -> None:
    """Refuse what needs all logits of a teacher of images."""
    if student.draws == "online":
        raise ValueError(f"{where}.draws: found online, where all logits are at hand; say supervision kd")
    if student.transform != "none":
        raise ValueError(
            f"{where}.transform: found {student.transform}, which changes all logits, but {student.supervision} stores "
            "a few of them; leave it out, or say supervision kd"
        )


def _of_translators(where: str, student: Any) -> None:
    """Refuse what students of images alone can have."""
    if student.draws not in ("epochs", "online"):
        raise ValueError(f"{where}.draws: found {student.draws}; a sentence has one form: say epochs or online")
    if student.draws == "online" and registry.supervisions()[student.supervision].form != "full":
        raise ValueError(f"{where}.draws: found online, where all tokens are at hand; say supervision kd")
    if student.teacher_epoch != [None]:
        raise ValueError(f"{where}.teacher_epoch: found {student.teacher_epoch[0]}, which is of images; leave it out")
    if student.transform != "none":
        raise ValueError(f"{where}.transform: found {student.transform}, which is of images; leave it out")
