"""The config's keys: types, defaults and ranges. No other file knows them; lskd/study/reading.py reads them.

A result's spec holds every field that it uses, at its value, so that a changed default is a changed spec. A plain field
is always used. `off(x)`: at x it does nothing, by definition, and is left out, so that a new option leaves old results
alone. `used_with(other=...)`: it is used only beside these values of another field. `outside`: it changes where things
lie, how fast they go or what they are called, never what comes out, and is part of no spec.
"""

import json
import os.path
import re
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from lskd.study import registry as tables
from lskd.study.runtime import Runtime


def outside(default: Any = ..., **limits: Any) -> Any:
    """A field that no spec names: it cannot change a result."""
    return Field(default, json_schema_extra={"used": "never"}, **limits)


def off(value: Any, default: Any, **limits: Any) -> Any:
    """A field that a spec names unless it has `value`, at which it does nothing."""
    return Field(default, json_schema_extra={"off": value}, **limits)


def used_with(default: Any, beside: dict[str, list[str]], **limits: Any) -> Any:
    """A field that a spec names only where each field in `beside` has one of these values."""
    return Field(default, json_schema_extra={"used_with": beside}, **limits)  # type: ignore[dict-item]


def _slug(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}", name):
        raise ValueError("a name is 1 to 64 of A-Z a-z 0-9 _ . + -, starting with a letter or digit")
    return name


def _sorted_unique(values: list[Any]) -> list[Any]:
    if len(set(values)) != len(values):
        raise ValueError("a value stands twice in this list; name each once")
    return sorted(values)


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) or value is None else [value]


def _known_model(name: str) -> str:
    known = [*tables.MODELS, *tables.TORCHVISION_NAMES]
    if name not in known:
        near = ", ".join(get_close_matches(name, known, 3)) or ", ".join(tables.MODELS)
        raise ValueError(
            f"no such model; own: {', '.join(tables.MODELS)}, or any torchvision classifier (near: {near})"
        )
    return name


Name = Annotated[str, AfterValidator(_slug)]
Folder = Annotated[str, Field(min_length=1), AfterValidator(os.path.expanduser)]
ModelName = Annotated[str, AfterValidator(_known_model)]
Smoothing = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Temperature = Annotated[float, Field(gt=0, le=1e4, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
T = TypeVar("T")
Axis = Annotated[list[T], BeforeValidator(_as_list), Field(min_length=1), AfterValidator(_sorted_unique)]
Epoch = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A part of the config: immutable, no unknown keys, no silent conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @cached_property
    def used(self) -> dict[str, Any]:
        """The fields that a result uses, each at its value."""
        return {key: getattr(self, key) for key in type(self).model_fields if _is_used(self, key)}

    def model_copy(self, **options: Any) -> Self:
        """A copy, which has uses of its own."""
        copy = super().model_copy(**options)
        copy.__dict__.pop("used", None)
        return copy


def data_keys(value: Any) -> Any:
    """A data set's name, or the path of a folder of pictures, as the keys that it is short for."""
    if not isinstance(value, str):
        return value
    return {"dataset": value} if value in tables.DATASETS else {"dataset": "imagefolder", "root": value}


def folder_name(root: str) -> str:
    """The name under results/ of a folder of pictures."""
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", Path(root).name).strip("-.") or "pictures"


class Data(Section):
    """A data set and how it is split; `val` is a fixed stratified part of train."""

    dataset: Literal["digits", "mnist", "fashion_mnist", "cifar10", "cifar100", "imagefolder"] = "digits"
    name: Name | Literal[""] = outside("", description="folder under results/; the dataset's name unless given")
    root: Folder = outside("data", description="where the files lie; imagefolder: the folder of pictures")
    val_fraction: float = Field(0.15, gt=0, lt=0.5)
    test_fraction: float = used_with(
        0.2,
        {"dataset": ["digits", "imagefolder"]},
        gt=0,
        lt=0.5,
        description="digits, and imagefolder without a test folder",
    )
    image_size: int = used_with(
        64, {"dataset": ["imagefolder"]}, ge=8, le=1024, description="imagefolder: pixels of the square crop"
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return data_keys(value)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.dataset == "imagefolder" and self.folder in tables.DATASETS:
            raise ValueError(
                f"a folder called {self.folder} would share its results with {self.folder}; give a name: too"
            )
        return self

    @property
    def folder(self) -> str:
        """The data set's folder under results/."""
        if self.name or self.dataset != "imagefolder":
            return self.name or self.dataset
        return folder_name(self.root)


class Model(Section):
    """A network by name; `width` is channels of the first layer (hidden units of an mlp)."""

    name: ModelName
    width: int | None = off(None, None, ge=1, le=4096)
    dropout: float = off(0.0, 0.0, ge=0, lt=1)

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _options_exist(self) -> Self:
        if self.name not in tables.MODELS and (self.width is not None or self.dropout):
            raise ValueError(f"torchvision's {self.name} takes neither width nor dropout; leave them out")
        if self.dropout and self.name not in ("mlp", "alexnet_cifar"):
            raise ValueError("dropout is for mlp and alexnet_cifar; leave it out")
        return self


class Recipe(Section):
    """How a network is trained. lr is multiplied along the schedule; one unit of it is an epoch."""

    epochs: int = Field(30, ge=1, le=10000)
    batch_size: int = Field(128, ge=1)
    optimizer: Literal["sgd", "adam"] = "sgd"
    lr: float = Field(0.1, gt=0, allow_inf_nan=False)
    momentum: float = Field(0.9, ge=0, lt=1, description="adam: beta 1")
    weight_decay: float = Field(5e-4, ge=0, lt=1)
    schedule: Literal["constant", "step", "multistep", "cosine", "linear"] = "cosine"
    nesterov: bool = off(False, False)
    warmup_epochs: int = off(0, 0, ge=0)
    step_epochs: int = used_with(30, {"schedule": ["step"]}, ge=1, description="step: epochs between two decays")
    milestones: list[Epoch] = used_with(
        [], {"schedule": ["multistep"]}, description="multistep: epochs at whose start lr decays"
    )
    decay: float = used_with(
        0.1, {"schedule": ["step", "multistep"]}, gt=0, lt=1, description="step, multistep: the factor"
    )
    grad_clip: float = off(0.0, 0.0, ge=0, description="largest gradient norm; 0 is off")
    loss_scale: float = off(1.0, 1.0, gt=0, description="the loss is multiplied by this (Mueller A.2: 3)")
    amp: Literal["none", "bfloat16", "float16"] = off("none", "none", description="precision of the forward pass")
    crop_padding: int = off(0, 0, ge=0, le=64, description="random shift by up to so many pixels")
    flip: bool = off(False, False)
    select: Literal["last", "best"] = outside("last", description="which epoch is used: the last, or the best on val")
    snapshot_epochs: list[Annotated[int, Field(ge=0)]] = off([], [], description="epochs at whose end weights are kept")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs {self.warmup_epochs} must be less than epochs {self.epochs}")
        if (self.schedule == "multistep") != bool(self.milestones):
            raise ValueError("milestones belong to schedule multistep, which needs them")
        if self.nesterov and (self.optimizer != "sgd" or self.momentum == 0):
            raise ValueError("nesterov needs optimizer sgd with momentum > 0")
        for name in ("milestones", "snapshot_epochs"):
            values = getattr(self, name)
            if values != sorted(set(values)) or (values and values[-1] > self.epochs):
                raise ValueError(f"{name} {values} must be ascending epochs, none above epochs {self.epochs}")
        return self


class Labels(Section):
    """Supervision by labels; uniform: alpha/K on each class (Mueller), others: alpha/(K-1) on the others (Shen)."""

    label_smoothing: Smoothing = 0.0
    smoothing: Literal["uniform", "others"] = "uniform"


class Variant(Section):
    """How a student learns from its teacher's logits, whatever T and weight; formulas: lskd/supervision/losses.py."""

    loss: Literal["kd", "logit_mse"] = "kd"
    t_squared: bool = used_with(True, {"loss": ["kd"]})
    soften_student: bool = used_with(True, {"loss": ["kd"]})
    reduction: Literal["batchmean", "mean"] = used_with("batchmean", {"loss": ["kd"]})
    views: Literal["epochs", "online"] | Annotated[int, Field(ge=1, le=10000)] = "epochs"
    dtype: Literal["float32", "float16"] = "float32"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.views == "online" and self.dtype != "float32":
            raise ValueError("views online stores no logits; leave dtype out")
        return self


class Distill(Variant):
    """Supervision by a teacher's logits."""

    temperature: Temperature = used_with(..., {"loss": ["kd"]})
    soft_weight: Weight = 1.0


class Trained(Section):
    """A group of networks trained on labels: one per label_smoothing and seed."""

    model: Model
    recipe: Name
    label_smoothing: Axis[Smoothing] = [0.0]
    smoothing: Literal["uniform", "others"] = "uniform"
    data: Data | None = None


class Distilled(Variant):
    """A group of students: one per run of `teacher`, temperature, soft_weight and seed."""

    teacher: Name
    model: Model
    recipe: Name
    temperature: Axis[Temperature]
    label_smoothing: Axis[Smoothing] | None = Field(None, description="of which teachers; all unless given")
    soft_weight: Axis[Weight] = [1.0]

    @model_validator(mode="after")
    def _options_exist(self) -> Self:
        options = (self.temperature, self.t_squared, self.soften_student, self.reduction)
        if self.loss == "logit_mse" and options != ([1.0], True, True, "batchmean"):
            raise ValueError("logit_mse: temperature must be 1; leave out t_squared, soften_student and reduction")
        return self


class Figure(Section):
    """A figure or table of the study: its kind, the groups it shows (all unless given) and what it looks at."""

    kind: str
    groups: list[Name] = []
    classes: list[str] = Field([], description="class names that the figure is about")
    targets: list[str] = Field([], description="target classes of the diffusion index; all unless given")
    similar: dict[str, list[str]] = Field({}, description="each target's similar classes; measured unless given")
    temperatures: list[Temperature] = Field([], description="of the students, or of the softened teachers, shown")
    t1: Temperature | None = Field(None, description="of the diffusion index; the T nearest to 1 unless given")
    t2: Temperature | None = Field(None, description="of the diffusion index; the T nearest to 3 unless given")

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.kind not in tables.FIGURES:
            near = get_close_matches(self.kind, tables.FIGURES, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"no such kind {self.kind!r}; allowed: {', '.join(sorted(tables.FIGURES))}{hint}")
        return self


class Study(Section):
    """One study: what is trained, on which data, with which seeds, and what is drawn."""

    study: Name = Field(description="the folder of its figures under results/figures/<scale>/")
    name: str = Field("", description="its title in the report; free text")
    scale: Literal["demo", "small", "paper"] = "demo"
    seeds: Axis[Annotated[int, Field(ge=0, lt=2**31)]] = [0, 1, 2]
    data: Data = Data()
    recipes: dict[Name, Recipe] = Field(min_length=1)
    teachers: dict[Name, Trained] = Field(min_length=1)
    baselines: dict[Name, Trained] = {}
    students: dict[Name, Distilled] = {}
    figures: dict[Name, Figure] = Field(min_length=1)
    runtime: Runtime = Runtime()

    @model_validator(mode="after")
    def _references(self) -> Self:
        groups = [*self.teachers, *self.baselines, *self.students]
        if len(set(groups)) != len(groups):
            twice = next(g for g in groups if groups.count(g) > 1)
            raise ValueError(f"group {twice!r} stands twice among teachers, baselines and students; rename one")
        recipes = {group: part.recipe for group, part in (self.teachers | self.baselines).items()}
        recipes |= {group: part.recipe for group, part in self.students.items()}
        for group, recipe in recipes.items():
            _known_name(f"recipe of {group}", recipe, self.recipes)
        for group, student in self.students.items():
            _known_name(f"students.{group}.teacher", student.teacher, [g for g in groups if g != group])
            _taught(f"students.{group}.label_smoothing", student, self.teachers | self.baselines)
        for figure, shown in self.figures.items():
            for group in shown.groups:
                _known_name(f"figures.{figure}.groups", group, groups)
        return self


def _taught(where: str, student: Distilled, trained: dict[str, Trained]) -> None:
    """Refuse a label smoothing that no teacher has: it would mean no student, without a word."""
    there = trained[student.teacher].label_smoothing if student.teacher in trained else []
    lacking = [alpha for alpha in student.label_smoothing or [] if alpha not in there]
    if there and lacking:
        known = ", ".join(f"{alpha:g}" for alpha in there)
        raise ValueError(f"{where}: found {lacking[0]:g}, but {student.teacher} has {known}; add it there too")


def _known_name(where: str, name: str, known: Any) -> None:
    if name not in known:
        near = get_close_matches(name, known, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"{where}: {name!r} is not defined; allowed: {', '.join(known)}{hint}")


def spec(section: Section) -> dict[str, Any]:
    """The fields of a section that a result uses, each at its value."""
    return dict(section.used)


def _is_used(section: Section, key: str) -> bool:
    extra = type(section).model_fields[key].json_schema_extra
    if not isinstance(extra, dict):
        return True
    beside: Any = extra.get("used_with", {})
    if extra.get("used") == "never" or any(getattr(section, other) not in values for other, values in beside.items()):
        return False
    return "off" not in extra or getattr(section, key) != extra["off"]


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
