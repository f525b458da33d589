"""What the groups of a study say of each other: names that must be there, and values that must fit a teacher's."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lskd.study.options import nearest

if TYPE_CHECKING:
    from lskd.study.config import Distilled, Recipe, Trained


def fine_tuned(group: str, part: "Trained | Distilled", recipe: "Recipe") -> None:
    """Refuse to train the last layers alone where the others would stay as they were drawn."""
    if recipe.train_only == "last" and part.start is None:
        raise ValueError(
            f"start of {group}: is missing, but {part.recipe} has train_only: last; name the group to start from, as "
            "in start: {run: GROUP}, or train all"
        )


def taught(where: str, student: "Distilled", trained: "dict[str, Trained]") -> None:
    """Refuse a label smoothing that no teacher has: it would mean no student, without a word."""
    available = smoothings(trained[student.teacher]) if student.teacher in trained else []
    lacking = [alpha for alpha in student.label_smoothing or [] if alpha not in available]
    if available and lacking:
        known = ", ".join(f"{alpha:g}" for alpha in available)
        raise ValueError(f"{where}: found {lacking[0]:g}, but {student.teacher} has {known}; add it there too")


def mixed(group: str, student: "Distilled", recipe: "Recipe") -> None:
    """Refuse the logits of clean images for blended ones, and for these a transform, which knows one class of each."""
    if student.transform != "none" and recipe.mixes:
        raise ValueError(
            f"students.{group}.transform: found {student.transform}, which takes images of one class, but "
            f"{student.recipe} has {recipe.mixes[0]}; name a recipe without, or leave transform out"
        )
    if student.draws == 1 and recipe.mixes:
        raise ValueError(
            f"students.{group}.draws: found 1, the clean image, but {student.recipe} has {recipe.mixes[0]}; "
            "say epochs, online or more draws"
        )


def smoothed(group: str, options: dict[str, Any]) -> None:
    """Refuse to smooth a term that has no weight: the same student would stand there twice under two names."""
    weights, smoothing = options["soft_weight"], options["hard_smoothing"]
    if smoothing and 1 in (weights if isinstance(weights, list) else [weights]):
        raise ValueError(
            f"students.{group}.hard_smoothing: found {smoothing:g}, but at soft_weight 1 the labels have no weight; "
            "give a soft_weight below 1, or leave hard_smoothing out"
        )


def smoothings(group: "Trained") -> list[float]:
    """The label smoothings of a group."""
    return dict(group)["label_smoothing"]


def known_name(where: str, name: str, known: Iterable[str]) -> None:
    """Refuse a name that is not there."""
    if name not in known:
        raise ValueError(f"{where}: {name!r} is not defined; {nearest(name, known)}")
