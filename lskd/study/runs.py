"""A study becomes runs: what is trained, on what, by whom. Pure: reads and writes no file."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

from lskd.errors import UserError
from lskd.study import naming, registry
from lskd.study.config import (
    SUPERVISIONS,
    TRANSFORMS,
    Data,
    Distilled,
    Figure,
    Model,
    Recipe,
    Start,
    Study,
    Supervision,
    Trained,
    canonical,
)
from lskd.study.options import spec


@dataclass(frozen=True)
class Checkpoint:
    """A file of weights of a user's own, and how its names are read."""

    path: str
    keys: dict[str, str]
    head: str


@dataclass(frozen=True, eq=False)
class Run:
    """One trained network: data, model, recipe, supervision, start and seed.

    `seed` is that of the first teacher of the chain. A student's own follows from it and from `student`, which of its
    teacher's students it is: the students that a smoothed teacher and its unsmoothed twin have at each T are alike.
    `teacher` is set where the supervision needs one; `start` is the run whose weights it begins with, and `start_head`
    whether it keeps that run's last layer. A run with a `checkpoint` is no training: it is the network in that file.
    One with an `epoch` is the snapshot that its training kept then: a teacher as it once was (Yuan 2020, De-KD).
    """

    data: Data
    model: Model
    recipe_name: str
    recipe: Recipe | None
    supervision: Supervision
    seed: int
    teacher: "Run | None" = None
    student: int = 0
    start: "Run | None" = None
    start_head: str = "keep"
    checkpoint: Checkpoint | None = None
    epoch: int | None = None

    @cached_property
    def whole(self) -> "Run":
        """The run that was trained, of which this is a snapshot; else itself."""
        return self if self.epoch is None else replace(self, epoch=None)

    @cached_property
    def title(self) -> str:
        """The run's name."""
        return naming.title(self)

    @cached_property
    def spec(self) -> dict[str, Any]:
        """What this run's weights depend on beside its data, its start and its teacher's logits, as JSON values."""
        taught, transform = spec(self.supervision), self.supervision.transform_options
        values: dict[str, Any] = {
            "model": model_spec(self.model),
            "supervision": {key: taught[key] for key in taught if key not in ("transform", *transform)},
            "seed": self.own_seed,
        }
        if self.data.task == registry.IMAGES:
            values["pixels"] = {"key": self.data.dataset, "seed": self.own_seed}
        if self.recipe is not None:
            values["recipe"] = spec(self.recipe)
        if self.supervision.transform != "none":
            values["transform"] = {"name": self.supervision.transform} | transform
        if self.start is not None:
            values["start"] = {"weights": self.start.used_file, "head": self.start_head}
        return values

    @cached_property
    def own_seed(self) -> int:
        """What draws a run's first weights, its batches and its pixels; no student shares it with its teacher."""
        if self.teacher is None:
            return self.seed
        place = f"student {naming.place(self)} of seed {self.seed}"
        return int.from_bytes(hashlib.sha256(place.encode()).digest()[:4]) >> 1

    @cached_property
    def identity(self) -> str:
        """What tells a run, and the use of its weights, from another of the same name."""
        above = [run.identity for run in (self.teacher, self.start) if run]
        file = [self.checkpoint.path, self.checkpoint.keys, self.checkpoint.head] if self.checkpoint else []
        return canonical([self.spec, spec(self.data), self.weights, above, file])

    @property
    def weights(self) -> dict[str, Any]:
        """The file of the weights that stand for the run, and of a snapshot its epoch."""
        return {"weights": self.used_file} | ({} if self.epoch is None else {"epoch": self.epoch})

    @property
    def used_file(self) -> str:
        """Of the weights that stand for the run: its last epoch's, the best on val, or snapshots."""
        if self.epoch is not None:
            return "snapshots.safetensors"
        best = self.recipe is not None and self.recipe.select == "best"
        return "best.safetensors" if best else "model.safetensors"

    @property
    def chain(self) -> list["Run"]:
        """The run, its teacher, and so on to the one that no other teaches."""
        return [self, *(self.teacher.chain if self.teacher else [])]

    @property
    def root(self) -> "Run":
        """The last of the chain."""
        return self.chain[-1]

    @property
    def label_smoothing(self) -> float:
        """The run's own label smoothing, or that of the first teacher above it."""
        return self.root.supervision.options.get("label_smoothing", 0.0)


@dataclass(frozen=True, eq=False)
class Member:
    """A run as a study names it."""

    group: str
    role: str  # teacher, baseline or student
    run: Run

    @cached_property
    def row(self) -> dict[str, Any]:
        """The identity columns of a metrics table; lskd/study/identity.py tells what each means."""
        run, teacher, options = self.run, self.run.teacher, self.run.supervision.options
        return {
            "run": run.title,
            "group": self.group,
            "role": self.role,
            "dataset": run.data.folder,
            "model": naming.model_slug(run.model),
            "recipe": run.recipe_name,
            "teacher": teacher.title if teacher else "",
            "teacher_model": naming.model_slug(teacher.model) if teacher else "",
            "lineage": naming.lineage(run),
            "smoothing": run.root.supervision.options.get("smoothing", ""),
            "label_smoothing": run.label_smoothing,
            "temperature": options.get("temperature") if teacher else None,
            "soft_weight": options.get("soft_weight", 1.0) if teacher else None,
            "variant": naming.variant(run.supervision),
            "seed": run.seed,
            "student": run.student if teacher else None,
        }


def model_spec(model: Model) -> dict[str, Any]:
    """A model's spec; what its builder takes beside classes and image shape is all of it but the name."""
    if model.name in registry.MODELS:
        return spec(model)
    return spec(model) | {"arch": model.name.removeprefix(registry.TIMM_PREFIX)}  # one builder serves a whole library


def members(study: Study) -> list[Member]:
    """All runs of a study under their group names, in a fixed order.

    Raises UserError where groups need each other in a circle, or would write different runs into one folder.
    """
    by_group: dict[str, list[Run]] = {}
    listed: list[Member] = []
    roles = dict.fromkeys(study.teachers, "teacher") | dict.fromkeys(study.baselines, "baseline")
    roles |= dict.fromkeys(study.students, "student")
    for name in _in_order(study):
        if name in study.students:
            group = study.students[name]
            by_group[name] = list(_distilled(study, group, by_group[group.teacher], by_group))
        else:
            by_group[name] = list(_trained(study, (study.teachers | study.baselines)[name], by_group))
        listed += [Member(name, roles[name], run) for run in by_group[name]]
    _check_names([member.run for member in listed])
    return sorted(listed, key=lambda member: (member.run.title, member.group))


def _in_order(study: Study) -> list[str]:
    """Groups, each after the group that teaches it and the one that it starts from."""
    groups: dict[str, Trained | Distilled] = {**study.teachers, **study.baselines, **study.students}
    above = {name: {getattr(group, "teacher", None), group.start and group.start.run} for name, group in groups.items()}
    order: list[str] = []
    waiting = sorted(groups)
    while waiting:
        ready = [name for name in waiting if not above[name] & set(waiting)]
        if not ready:
            raise UserError(
                f"groups {', '.join(waiting)} teach or start each other in a circle; give one another teacher or start"
            )
        order += ready
        waiting = [name for name in waiting if name not in ready]
    return order


def _trained(study: Study, group: Trained, by_group: dict[str, list[Run]]) -> Iterator[Run]:
    data = group.data or study.data
    recipe = study.recipes[group.recipe] if group.recipe else None
    for supervision in _supervisions(group, {}):
        alpha = supervision.options.get("label_smoothing", 0.0)
        for seed in study.seeds:
            start, head, checkpoint = _started(group.start, data, group.model, supervision, alpha, seed, by_group)
            if recipe is None:  # used as it is
                yield Run(data, group.model, naming.GIVEN, None, supervision, seed, checkpoint=checkpoint)
            else:
                yield Run(
                    data, group.model, group.recipe or "", recipe, supervision, seed, start=start, start_head=head
                )


def _distilled(study: Study, group: Distilled, teachers: list[Run], by_group: dict[str, list[Run]]) -> Iterator[Run]:
    recipe = study.recipes[group.recipe]
    draws = group.draws
    if not recipe.augmentations and draws != "online":
        draws = "epochs"  # all draws are the clean image, however many are asked for
    for teacher in _as_it_was(teachers, group.teacher_epoch):
        if group.label_smoothing is not None and teacher.label_smoothing not in group.label_smoothing:
            continue
        data = _same_samples(group, teacher)
        _check_frames(recipe, data, teacher.data)
        for supervision in _supervisions(group, {"draws": draws, "dtype": group.dtype, "transform": group.transform}):
            alpha, seed = teacher.label_smoothing, teacher.seed
            start, head, _ = _started(group.start, data, group.model, supervision, alpha, seed, by_group)
            for student in range(group.per_teacher):
                yield Run(data, group.model, group.recipe, recipe, supervision, seed, teacher, student, start, head)


def _as_it_was(teachers: list[Run], epochs: list[int | None]) -> Iterator[Run]:
    """Each teacher after each of these epochs; None: as its training left it."""
    for teacher in teachers:
        for epoch in epochs:
            yield teacher if epoch is None else replace(teacher, epoch=epoch)


def _supervisions(group: Trained | Distilled, fields: dict[str, Any]) -> Iterator[Supervision]:
    """How the runs of a group are taught: one for each value of each axis, the first axis the slowest."""
    options = SUPERVISIONS[group.supervision].options + TRANSFORMS[fields.get("transform", "none")].options
    values = [getattr(group, option.name) if option.axis else [getattr(group, option.name)] for option in options]
    for chosen in product(*values):
        named = dict(zip([option.name for option in options], chosen, strict=True))
        if named.get("label_smoothing") == 0:
            named.pop("smoothing", None)  # both forms are the hard labels
        yield Supervision(way=group.supervision, **fields, **named)


def _started(
    start: Start | None,
    data: Data,
    model: Model,
    supervision: Supervision,
    alpha: float,
    seed: int,
    by_group: dict[str, list[Run]],
) -> tuple[Run | None, str, Checkpoint | None]:
    """The run that another begins with, what becomes of its last layer, and the checkpoint if it is one."""
    if start is None:
        return None, "keep", None
    if start.run is not None:
        if not by_group[start.run]:
            raise UserError(
                f"start.run: {start.run} has no runs, as its label_smoothing leaves none; name another group"
            )
        return _of_seed(by_group[start.run], alpha, seed), start.head, None
    path = (start.checkpoint or "").replace("{seed}", str(seed)).replace("{label_smoothing}", f"{alpha:g}")
    checkpoint = Checkpoint(path, start.keys, start.head)
    labels = Supervision.model_validate({"label_smoothing": alpha} if supervision.way == "labels" else {})
    return Run(data, model, naming.GIVEN, None, labels, seed, checkpoint=checkpoint), "keep", checkpoint


def _of_seed(runs: list[Run], alpha: float, seed: int) -> Run:
    """The run of a group with this seed, and this label smoothing where the group has it."""
    of_seed = [run for run in runs if run.seed == seed]
    return next((run for run in of_seed if run.label_smoothing == alpha), of_seed[0])


def _same_samples(group: Distilled, teacher: Run) -> Data:
    """A student's data: its teacher's, or the same samples seen otherwise. UserError for other samples."""
    if group.data is None:
        return teacher.data
    seen_otherwise = {"image_size", "mean", "std", "name", "stream"}
    own, others = group.data.model_dump(exclude=seen_otherwise), teacher.data.model_dump(exclude=seen_otherwise)
    if own != others:
        key = next(key for key in own if own[key] != others[key])
        raise UserError(
            f"students' data: {key} is {own[key]!r}, but their teacher's is {others[key]!r}; a student sees its "
            "teacher's samples: only image_size, mean, std and stream may differ"
        )
    return group.data


def _check_frames(recipe: Recipe, data: Data, teachers: Data) -> None:
    """Refuse parts of whole images for one, and for the other of their squares in memory: these are other parts."""
    frames = [name for name in recipe.augmentations if registry.AUGMENTATIONS[name].frames]
    if frames and data.used.get("stream") != teachers.used.get("stream"):
        raise UserError(
            f"students' data: stream differs from their teacher's, so that {frames[0]} would show them other parts of "
            "an image; give both the same stream"
        )


def _check_names(runs: list[Run]) -> None:
    """Raise UserError if two different runs, or two different data sets, have one name in a study."""
    specs: dict[str, str] = {}
    for data in {id(run.data): run.data for run in runs}.values():
        identity = canonical(spec(data)) + data.root * data.is_own
        if specs.setdefault(data.folder, identity) != identity:
            raise UserError(f"data: two different data sets are called {data.folder}; give one of them another name")
    for run in runs:
        if specs.setdefault(run.title, run.identity) != run.identity:
            raise UserError(
                f"recipes.{run.recipe_name}: two different runs are called {run.title}; "
                "give one of their recipes or data sets another name"
            )


def select(listed: list[Member], figure: Figure) -> list[Member]:
    """Those of a study's runs that a figure shows: of its groups, and of students those at its temperatures."""
    return [member for member in listed if _in_groups(member, figure) and _at_temperatures(member, figure)]


def _in_groups(member: Member, figure: Figure) -> bool:
    return not figure.groups or member.group in figure.groups


def _at_temperatures(member: Member, figure: Figure) -> bool:
    temperatures = dict(figure)["temperatures"]
    return not temperatures or member.run.teacher is None or member.row["temperature"] in temperatures


def stored_draws(student: Run) -> list[int]:
    """The augmentation draws of its training images whose teacher logits a student needs: 0 is the clean image.

    Without augmentation all draws show the same pixels, so the clean one serves them all.
    """
    recipe, draws = student.recipe, student.supervision.draws
    assert recipe is not None
    if not recipe.augmentations or draws == 1:
        return [0]
    return list(range(1, 1 + (draws if isinstance(draws, int) else recipe.epochs)))


def augment_spec(recipe: Recipe, mixes: bool = True) -> dict[str, Any]:
    """How a recipe's pixels are drawn: each augmentation that is on; without `mixes`, those of single images."""
    used = recipe.used
    return {name: used[name] for name in recipe.augmentations if mixes or not registry.AUGMENTATIONS[name].mixes}
