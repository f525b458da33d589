"""The config's keys: types, defaults and ranges. lskd/study/reading.py reads them, docs/config.md shows them.

The options of data sets, models, ways of teaching, augmentations, schedules, optimisers and figures stand with these in
the registry, and become fields here: a class that ends in Fields has those that every entry shares.
"""

import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from lskd.study import groups, registry, tasks
from lskd.study.data_keys import DataFields, Folder
from lskd.study.options import (
    Ascending,
    Axis,
    Name,
    Section,
    Smoothing,
    beside,
    nearest,
    off,
    one_of,
    outside,
    with_options,
)
from lskd.study.runtime import Runtime


def _known_model(name: str) -> str:
    if name in registry.MODELS or name in registry.TORCHVISION_NAMES or name.startswith(registry.TIMM_PREFIX):
        return name
    near = nearest(name, [*registry.MODELS, *registry.TORCHVISION_NAMES]).partition("; ")[2]
    own = ", ".join(registry.MODELS)
    raise ValueError(
        f"no such model; own: {own}, or any torchvision classifier, or {registry.TIMM_PREFIX}NAME"
        + (f"; {near}" if near else "")
    )


ModelName = Annotated[str, AfterValidator(_known_model)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
IMAGES = {"task": [registry.IMAGES]}  # and keys of recipes


class ModelFields(Section):
    """A network by name: one of lskd's own, a torchvision classifier, timm/NAME, or a translator."""

    name: ModelName = Field(description="one of lskd's own, any torchvision classifier, or timm/NAME")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @property
    def task(self) -> str:
        """What the network is for."""
        entry = registry.MODELS.get(self.name)
        return entry.task if entry else registry.IMAGES


class RecipeFields(Section):
    """How a network is trained. lr is multiplied along the schedule; one unit of it is an epoch."""

    task: one_of("task", registry.TASKS) = off(  # type: ignore[valid-type]
        registry.IMAGES, registry.IMAGES, description="images, or translation, which has keys of its own"
    )
    epochs: int = beside(IMAGES, 30, ge=1, le=10000, description="passes over train")
    batch_size: int = beside(IMAGES, 128, ge=1, le=2**20, description="samples of a step")
    optimizer: one_of("optimizer", registry.OPTIMIZERS) = beside(  # type: ignore[valid-type]
        IMAGES, "sgd", description="how weights follow their gradients"
    )
    lr: float = Field(
        0.1, gt=0, le=1e6, allow_inf_nan=False, description="learning rate after warm-up; of translation 5e-4"
    )
    weight_decay: float = Field(5e-4, ge=0, lt=1, description="L2, of every parameter; of translation 1e-4")
    schedule: one_of("schedule", registry.SCHEDULES) = beside(  # type: ignore[valid-type]
        IMAGES, "cosine", description="how lr changes after warm-up"
    )
    warmup_epochs: int = off(0, 0, IMAGES, ge=0, description="epochs in which lr rises linearly")
    grad_clip: float = off(0.0, 0.0, ge=0, allow_inf_nan=False, description="largest gradient norm; 0 is off")
    loss_scale: float = off(
        1.0,
        1.0,
        IMAGES,
        gt=0,
        le=1e6,
        allow_inf_nan=False,
        description="the loss is multiplied by this (Mueller A.2: 3)",
    )
    amp: Literal["none", "bfloat16", "float16"] = off(
        "none", "none", IMAGES, description="precision of the forward pass"
    )
    processes: int = off(
        1, 1, IMAGES, ge=1, le=64, description="that train together, a GPU each; results differ by rounding"
    )
    train_only: Literal["all", "last"] = off(
        "all", "all", IMAGES, description="last: the last linear layer and the last normalisation alone (FixRes)"
    )
    select: Literal["last", "best"] = outside("last", description="which epoch is used: the last, or the best on val")
    snapshot_epochs: Ascending[Annotated[int, Field(ge=0)]] = off(
        [], [], IMAGES, description="epochs at whose end weights are kept"
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, value: Any) -> Any:
        """Of a translator's optimiser, Adam, as in fairseq's recipe for IWSLT."""
        is_translation = isinstance(value, dict) and value.get("task") == registry.TRANSLATION
        return {"lr": 5e-4, "weight_decay": 1e-4} | value if is_translation else value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.task == registry.TRANSLATION:
            return self._fits_translation()
        options = dict(self)
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs {self.warmup_epochs} must be less than epochs {self.epochs}")
        if options["nesterov"] and not options["momentum"]:
            raise ValueError("nesterov needs momentum > 0")
        for name in ("milestones", "snapshot_epochs"):
            if any(epoch > self.epochs for epoch in options[name] or []):
                raise ValueError(f"{name} {options[name]}: none may be above epochs {self.epochs}")
        if self.processes > self.batch_size:
            raise ValueError(f"processes {self.processes}: none may be without samples of batch_size {self.batch_size}")
        if len(self.mixes) > 1:
            raise ValueError(f"{' and '.join(self.mixes)}: one of them at most; set the other to 0")
        return self

    def _fits_translation(self) -> Self:
        updates = dict(self)["updates"]
        if any(update > updates for update in dict(self)["snapshot_updates"]):
            raise ValueError(f"snapshot_updates {dict(self)['snapshot_updates']}: none may be above updates {updates}")
        return self

    @property
    def augmentations(self) -> list[str]:
        """The names of those that are on, in the order in which they are applied."""
        return [name for name in registry.AUGMENTATIONS if name in self.used]

    @property
    def mixes(self) -> list[str]:
        """The names of those that are on and blend images."""
        return [name for name in self.augmentations if registry.AUGMENTATIONS[name].mixes]


class FigureFields(Section):
    """A figure or table of the study: its kind, the groups it shows (all unless given) and what it looks at."""

    kind: one_of("kind", registry.FIGURES) = Field(  # type: ignore[valid-type]
        description="what is drawn; see the figure kinds"
    )
    groups: list[Name] = Field([], description="groups whose runs are shown; all unless given")


AUGMENTATIONS = tuple(augmentation.option for augmentation in registry.AUGMENTATIONS.values())
SUPERVISIONS = registry.supervisions()
BY_LABELS = {name: way for name, way in SUPERVISIONS.items() if not way.needs_teacher}
BY_TEACHER = {name: way for name, way in SUPERVISIONS.items() if way.needs_teacher}
TRANSFORMS = registry.transforms()
Draws = Literal["epochs", "online"] | Annotated[int, Field(ge=1, le=10000)]


class SupervisionFields(Section):
    """How one run is taught; a way that needs a teacher also tells how the teacher's logits come."""

    way: one_of("supervision", SUPERVISIONS) = "labels"  # type: ignore[valid-type]
    draws: Draws | None = off(None, None)
    dtype: Literal["float32", "float16"] = off("float32", "float32")
    transform: one_of("transform", TRANSFORMS) = off("none", "none")  # type: ignore[valid-type]

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of the loss beyond logits and targets."""
        return {option.name: getattr(self, option.name) for option in SUPERVISIONS[self.way].options}

    @property
    def transform_options(self) -> dict[str, Any]:
        """The arguments of the transform beyond logits, labels and what is random or fitted."""
        return {option.name: getattr(self, option.name) for option in TRANSFORMS[self.transform].options}


if TYPE_CHECKING:  # to mypy each is what its entries share
    Data = DataFields
    Model = ModelFields
    Recipe = RecipeFields
    Figure = FigureFields
    Supervision = SupervisionFields
else:
    Data = with_options(DataFields, {"dataset": registry.DATASETS})
    Model = with_options(ModelFields, {"name": registry.MODELS})
    Recipe = with_options(
        RecipeFields,
        {
            "schedule": registry.SCHEDULES,
            "optimizer": registry.OPTIMIZERS,
            "task": registry.TASKS | {registry.IMAGES: registry.Entry("", AUGMENTATIONS)},
        },
    )
    Figure = with_options(FigureFields, {"kind": registry.FIGURES})
    Supervision = with_options(SupervisionFields, {"way": SUPERVISIONS, "transform": TRANSFORMS})


class Start(Section):
    """Where a network's weights come from: another group's runs, or files of your own. Unless given, from scratch."""

    run: Name | None = Field(None, description="a group: the run of the same seed, and label smoothing if it has it")
    checkpoint: Folder | None = Field(
        None,
        description="a state dict, .safetensors or weights-only .pt; {seed} and {label_smoothing} stand for the run's",
    )
    keys: dict[str, str] = Field({}, description="regular expressions in the names of weights, and what replaces them")
    head: Literal["keep", "new"] = Field("keep", description="new: the last layer starts afresh, for other classes")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.run is None) == (self.checkpoint is None):
            raise ValueError("give one of run (a group) and checkpoint (a file)")
        if self.keys and self.checkpoint is None:
            raise ValueError("keys is for a checkpoint; leave it out")
        for pattern in self.keys:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"keys: {pattern!r} is no regular expression ({error})") from None
        _check_places(self.checkpoint or "")
        return self


def _check_places(path: str) -> None:
    """Refuse a place in a checkpoint's path that nothing stands for."""
    for place in re.findall(r"\{[^{}]*\}?|\}", path):
        if place not in ("{seed}", "{label_smoothing}"):
            raise ValueError(f"found {place} in checkpoint; {{seed}} and {{label_smoothing}} are known")


class TrainedFields(Section):
    """A group of networks trained on labels, or given as checkpoints: one per label_smoothing and seed."""

    model: Model = Field(description="its network")
    recipe: Name | None = Field(None, description="a recipe's name; a checkpoint that is used as it is needs none")
    supervision: one_of("supervision of teachers and baselines", BY_LABELS) = Field(  # type: ignore[valid-type]
        "labels", description="how it is taught, by a way that needs no teacher"
    )
    data: Data | None = Field(None, description="its own data; the study's unless given")
    start: Start | None = Field(None, description="where its weights come from")

    @model_validator(mode="after")
    def _is_trained(self) -> Self:
        if self.recipe is None and (self.start is None or self.start.checkpoint is None):
            raise ValueError("recipe is missing; name one, or give start.checkpoint for a network that is trained")
        if self.recipe is None and self.start is not None and self.start.head == "new":
            raise ValueError("start.head: new starts the last layer afresh, so it must be trained; name a recipe")
        return self


class DistilledFields(Section):
    """A group of students: one per run of `teacher`, and value of each option given as a list."""

    teacher: Name = Field(description="the group that teaches")
    model: Model = Field(description="its network")
    recipe: Name = Field(description="a recipe's name")
    supervision: one_of("supervision of students", BY_TEACHER) = Field(  # type: ignore[valid-type]
        "kd", description="how it is taught, by a way that needs a teacher"
    )
    label_smoothing: Axis[Smoothing] | None = Field(None, description="of which teachers; all unless given")
    teacher_epoch: Axis[Annotated[int, Field(ge=0, le=10000)] | None] = Field(
        [None],
        description="after which of its epochs a teacher teaches, of those its recipe keeps; null: after its last",
    )
    per_teacher: int = Field(
        1, ge=1, le=100, description="students of each teacher, each with a seed of its own; a test's unit is the seed"
    )
    draws: Draws = Field(
        "epochs",
        description="augmentation draws of which the teacher's logits are stored: one each epoch; that many, in turn; "
        "1: the clean image; online: none, the teacher runs beside its student",
    )
    dtype: Literal["float32", "float16"] = Field("float32", description="in which logits are stored")
    transform: one_of("transform", TRANSFORMS) = Field(  # type: ignore[valid-type]
        "none", description="what is done to the stored logits before they teach"
    )
    data: Data | None = Field(None, description="the teacher's data at another image_size, mean or std")
    start: Start | None = Field(None, description="where its weights come from")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.draws == "online" and self.dtype != "float32":
            raise ValueError("draws online stores no logits; leave dtype out")
        if self.draws == "online" and self.transform != "none":
            raise ValueError(
                f"draws online stores no logits, and transform {self.transform} is of stored ones; say epochs"
            )
        return self


if TYPE_CHECKING:
    Trained = TrainedFields
    Distilled = DistilledFields
else:
    Trained = with_options(TrainedFields, {"supervision": BY_LABELS}, axes=True)
    Distilled = with_options(DistilledFields, {"supervision": BY_TEACHER, "transform": TRANSFORMS}, axes=True)


class Study(Section):
    """One study: what is trained, on which data, with which seeds, and what is drawn."""

    study: Name = Field(description="the folder of its figures under results/figures/<scale>/")
    name: str = Field("", max_length=200, description="its title in the report; free text")
    scale: Literal["demo", "small", "paper"] = Field("demo", description="which of `scales` is laid over the rest")
    seeds: Annotated[Axis[Seed], Field(max_length=1000)] = Field([0, 1, 2], description="each run is made for each")
    looks: Ascending[Annotated[int, Field(ge=2)]] = Field(
        [], description="numbers of seeds at which the verdict is planned to be looked at, the last the total"
    )
    data: Data = Field(Data(), description="the data set, or the path of your own")
    recipes: dict[Name, Recipe] = Field(min_length=1, description="how networks are trained, by name")
    teachers: dict[Name, Trained] = Field(min_length=1, description="groups of networks that may teach, by name")
    baselines: dict[Name, Trained] = Field({}, description="groups to compare with, by name")
    students: dict[Name, Distilled] = Field({}, description="groups that are taught, by name")
    figures: dict[Name, Figure] = Field(min_length=1, description="what is drawn, by name")
    runtime: Runtime = Field(Runtime(), description="how fast and where: part of no result's identity")

    def task_of(self, group: str) -> str:
        """What the networks of a group are for."""
        if group in self.students:
            return self.students[group].model.task
        return ((self.teachers | self.baselines)[group].data or self.data).task

    def task_shown(self, figure: str) -> str:
        """What the networks that a figure shows are for; images where it shows none."""
        shown = self.figures[figure].groups or [*self.teachers, *self.baselines, *self.students]
        return self.task_of(shown[0])

    @model_validator(mode="after")
    def _references(self) -> Self:
        names = [*self.teachers, *self.baselines, *self.students]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"group {twice!r} stands twice among teachers, baselines and students; rename one")
        parts: dict[str, Trained | Distilled] = {**self.teachers, **self.baselines, **self.students}
        for group, part in parts.items():
            if part.recipe is not None:
                groups.known_name(f"recipe of {group}", part.recipe, self.recipes)
                groups.fine_tuned(group, part, self.recipes[part.recipe])
            if part.start is not None and part.start.run is not None:
                groups.known_name(f"start.run of {group}", part.start.run, [name for name in names if name != group])
        for group, student in self.students.items():
            groups.known_name(f"students.{group}.teacher", student.teacher, [name for name in names if name != group])
            groups.taught(f"students.{group}.label_smoothing", student, self.teachers | self.baselines)
            groups.mixed(group, student, self.recipes[student.recipe])
            groups.smoothed(group, dict(student))
            tasks.kept(group, student, parts[student.teacher], self.recipes)
        for group, part in parts.items():
            tasks.one_task(group, part, part.data or (self.data if group not in self.students else None), self.recipes)
        for group, student in self.students.items():
            tasks.of_task(f"students.{group}.teacher", student.teacher, self.task_of(student.teacher), student.model)
        for name, figure in self.figures.items():
            for group in figure.groups:
                groups.known_name(f"figures.{name}.groups", group, names)
            for group in dict(figure)["small_images"]:
                groups.known_name(f"figures.{name}.small_images", group, figure.groups or names)
            tasks.shows_one_task(self, name, figure.groups or names)
        return self


def sections(annotation: Any) -> list[type[BaseModel]]:
    """The sections in a field's type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for part in getattr(annotation, "__args__", ()) for section in sections(part)]


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
