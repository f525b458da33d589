"""The config's keys: types, defaults, ranges and errors. No other file knows them.

A field is one of three kinds. `essential`: it is always part of a run's spec. Plain: its default means "off", must
never change, and is left out of the spec, so that a new option does not invalidate old results. `outside`: it changes
where things lie, how fast they go or what they are called, never what comes out, and is not part of any spec.
"""

import json
import os.path
import re
from collections.abc import Hashable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from lskd import tables
from lskd.errors import UserError

ALWAYS: dict[str, Any] = {"spec": "always"}
NEVER: dict[str, Any] = {"spec": "never"}
_EXPONENT = r"[+-]?\d+(\.\d*)?[eE][+-]?\d+"
LAID_OVER = {"scales", "pictures"}  # keys of a config file that hold other values for the rest


def essential(default: Any = ..., **limits: Any) -> Any:
    """A field that every spec names, whatever its value."""
    return Field(default, json_schema_extra=ALWAYS, **limits)


def outside(default: Any = ..., **limits: Any) -> Any:
    """A field that no spec names: it cannot change a result."""
    return Field(default, json_schema_extra=NEVER, **limits)


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


def _data_keys(value: Any) -> Any:
    """A data set's name, or the path of a folder of pictures, as the keys that it is short for."""
    if not isinstance(value, str):
        return value
    return {"dataset": value} if value in tables.DATASETS else {"dataset": "imagefolder", "root": value}


def folder_name(root: str) -> str:
    """The name under results/ of a folder of pictures."""
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", Path(root).name).strip("-.") or "pictures"


class Data(Section):
    """A data set and how it is split; `val` is a fixed stratified part of train."""

    dataset: Literal["digits", "mnist", "fashion_mnist", "cifar10", "cifar100", "imagefolder"] = essential("digits")
    name: Name | Literal[""] = outside("", description="folder under results/; the dataset's name unless given")
    root: Folder = outside("data", description="where the files lie; imagefolder: the folder of pictures")
    val_fraction: float = essential(0.15, gt=0, lt=0.5)
    test_fraction: float = Field(0.2, gt=0, lt=0.5, description="digits, and imagefolder without a test folder")
    image_size: int = Field(64, ge=8, le=1024, description="imagefolder: pixels of the square crop")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return _data_keys(value)

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

    name: ModelName = essential()
    width: int | None = Field(None, ge=1, le=4096)
    dropout: float = Field(0.0, ge=0, lt=1)

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

    epochs: int = essential(30, ge=1, le=10000)
    batch_size: int = essential(128, ge=1)
    optimizer: Literal["sgd", "adam"] = essential("sgd")
    lr: float = essential(0.1, gt=0, allow_inf_nan=False)
    momentum: float = essential(0.9, ge=0, lt=1)
    weight_decay: float = essential(5e-4, ge=0, lt=1)
    schedule: Literal["constant", "step", "multistep", "cosine", "linear"] = essential("cosine")
    nesterov: bool = False
    warmup_epochs: int = Field(0, ge=0)
    step_epochs: int = Field(30, ge=1, description="step: epochs between two decays")
    milestones: list[Epoch] = Field([], description="multistep: epochs at whose start lr decays")
    decay: float = Field(0.1, gt=0, lt=1, description="step, multistep: the factor")
    grad_clip: float = Field(0.0, ge=0, description="largest gradient norm; 0 is off")
    loss_scale: float = Field(1.0, gt=0, description="the loss is multiplied by this (Mueller A.2: 3)")
    crop_padding: int = Field(0, ge=0, le=64, description="random shift by up to so many pixels")
    flip: bool = False
    select: Literal["last", "best"] = Field("last", description="which epoch is used: the last, or the best on val")
    snapshot_epochs: list[Annotated[int, Field(ge=0)]] = Field([], description="epochs at whose end weights are kept")

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

    label_smoothing: Smoothing = essential(0.0)
    smoothing: Literal["uniform", "others"] = "uniform"


class Distill(Section):
    """Supervision by a teacher's logits; see lskd/losses.py for each variant's formula."""

    temperature: Temperature = essential()
    loss: Literal["kd", "logit_mse"] = "kd"
    soft_weight: Weight = 1.0
    t_squared: bool = True
    soften_student: bool = True
    reduction: Literal["batchmean", "mean"] = "batchmean"
    views: Literal["epochs", "online"] | Annotated[int, Field(ge=1, le=10000)] = "epochs"
    dtype: Literal["float32", "float16"] = "float32"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.views == "online" and self.dtype != "float32":
            raise ValueError("views online stores no logits; leave dtype out")
        return self


class Trained(Section):
    """A group of networks trained on labels: one per label_smoothing and seed."""

    model: Model
    recipe: Name
    label_smoothing: Axis[Smoothing] = [0.0]
    smoothing: Literal["uniform", "others"] = "uniform"
    data: Data | None = None


class Distilled(Section):
    """A group of students: one per run of `teacher`, temperature, soft_weight and seed."""

    teacher: Name
    model: Model
    recipe: Name
    temperature: Axis[Temperature]
    label_smoothing: Axis[Smoothing] | None = Field(None, description="of which teachers; all unless given")
    soft_weight: Axis[Weight] = [1.0]
    loss: Literal["kd", "logit_mse"] = "kd"
    t_squared: bool = True
    soften_student: bool = True
    reduction: Literal["batchmean", "mean"] = "batchmean"
    views: Literal["epochs", "online"] | Annotated[int, Field(ge=1, le=10000)] = "epochs"
    dtype: Literal["float32", "float16"] = "float32"

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


class Runtime(Section):
    """How fast and where; nothing here is part of a run's identity."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    runs_per_gpu: int = Field(1, ge=1, le=64)
    threads: int = Field(1, ge=1, le=1024)
    workers: int = Field(2, ge=1, le=256)
    amp: Literal["none", "bfloat16", "float16"] = "none"
    channels_last: bool = False
    compile: bool = False
    checkpoint_minutes: float = Field(0.0, ge=0, description="0 saves at the end of each epoch")


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


def parse(
    raw: dict[str, Any], scale: str | None = None, source: str = "config", told: Mapping[str, Any] | None = None
) -> Study:
    """The study that a config file's mapping describes, at one of its scales.

    `raw` may hold `scales: {demo: {...}, small: {...}, paper: {...}}`, each merged over the rest (null deletes a key),
    and `pictures: {...}`, merged over these where the data is a user's own folder of pictures. What is `told` on the
    command line holds over all of them.
    Raises UserError with one line: key path, value, what is allowed.
    """
    if not isinstance(raw, dict):
        raise UserError(f"{source}: found {type(raw).__name__}, a mapping of keys is needed; see config.yaml")
    told = _typed_all(told or {}, source)
    raw = merge(raw, told)
    scales = raw.get("scales") or {}
    if not isinstance(scales, dict) or not set(scales) <= {"demo", "small", "paper"}:
        found = sorted(map(str, scales)) if isinstance(scales, dict) else type(scales).__name__
        raise UserError(f"{source}: scales: found {found}, allowed are demo, small, paper")
    pictures = raw.get("pictures") or {}
    for key, part in ("pictures", pictures), *((f"scales.{name}", part or {}) for name, part in scales.items()):
        if not isinstance(part, dict):
            raise UserError(f"{source}: {key}: found {_shown(part)}, a mapping of keys is needed; see config.yaml")
    base = {key: value for key, value in raw.items() if key not in LAID_OVER}
    base["scale"] = scale or raw.get("scale", "demo")
    if scales and base["scale"] not in scales:
        raise UserError(f"{source}: scale: found {base['scale']!r}; this study has {', '.join(scales)}")
    spoken = {key: value for key, value in told.items() if key not in {"scale", *LAID_OVER}}
    made = merge(merge(base, scales.get(base["scale"]) or {}), spoken)
    try:
        return Study.model_validate(_laid_over_pictures(made, pictures, spoken, source))
    except ValidationError as error:
        raise UserError(f"{source}: {_one_line(error)}") from None


def _laid_over_pictures(
    made: dict[str, Any], pictures: dict[str, Any], spoken: dict[str, Any], source: str
) -> dict[str, Any]:
    """`made`; where its data is a folder of pictures, with what is said for these, and under what was told."""
    data, told = _data_keys(made.get("data", {})), _data_keys(spoken.get("data", {}))
    if not isinstance(data, dict) or not isinstance(told, dict):
        return made
    if "root" in told and data.get("dataset", "digits") == "digits":
        raise UserError(
            f"{source}: data.root: found {told['root']!r}, but digits are embedded; say data={told['root']}"
        )
    if data.get("dataset") != "imagefolder":
        return made
    made = merge(merge(made | {"data": data}, pictures), spoken | {"data": told})
    if told and "study" not in spoken and isinstance(data.get("root"), str):
        made["study"] = f"{made.get('study')}_{folder_name(data['root'])}"  # figures of their own for each folder
    return made


def _typed_all(told: Mapping[str, Any], source: str) -> dict[str, Any]:
    """What Snakemake's command line gives, where below the top all is text. UserError for a key with nothing."""
    for key, value in told.items():
        if value is None:  # such as data=$PICTURES, unset
            raise UserError(f"{source}: {key}: found nothing; give a value, or leave {key}= out")
    return {key: _typed(value, key) for key, value in told.items()}


def _typed(told: Any, *path: str) -> Any:
    """Numbers, true, false and null, where they are not names of classes, groups or files."""
    if isinstance(told, dict):
        return {key: _typed(value, *path, key) for key, value in told.items()}
    if isinstance(told, list):
        return [_typed(value, *path, "") for value in told]
    if not isinstance(told, str) or {"root", "name", "classes", "targets", "similar", "groups"} & set(path):
        return told
    try:
        made = yaml.safe_load(told)
    except yaml.YAMLError:
        return told
    if len(path) == 1:
        return None if made is None else told
    if made is None or isinstance(made, int | float):
        return made
    return float(told) if re.fullmatch(_EXPONENT, told) else told


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with `over` laid on it key by key; mappings merge, null deletes, anything else replaces."""
    merged = dict(base)
    for key, value in over.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def read(path: Path | str) -> dict[str, Any]:
    """The mapping in a YAML file; UserError on a syntax error or a key that stands twice."""
    try:
        with Path(path).open() as file:
            return yaml.load(file, _Loader)  # a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); name a YAML file") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None


class _Loader(yaml.SafeLoader):
    """A SafeLoader that refuses a key given twice, where YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":  # `<<: *anchor` may be overridden
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _one_line(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    first = problems[0]
    steps = [str(step) for step in first["loc"] if not str(step).startswith(("function-", "constrained-", "literal["))]
    path = ".".join(steps)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    if first["type"] == "extra_forbidden":
        allowed = sorted(_fields_at(Study, steps[:-1]))
        near = get_close_matches(steps[-1], allowed, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"{path}: unknown key; allowed: {', '.join(allowed)}{hint}{more}"
    message = first["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if first["type"] == "missing":
        return f"{path}: is missing; add it{more}"
    if isinstance(first["input"], str) and re.fullmatch(_EXPONENT, first["input"]):
        message = f"{message}; YAML takes an exponent after a point and with a sign, such as 1.0e-3"
    value = f": found {_shown(first['input'])}"
    where = f"{path}{value}: " if path else ""  # a study's own messages name their keys
    return f"{where}{message[0].lower()}{message[1:]}{more}"


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _fields_at(section: type[BaseModel], steps: list[str]) -> set[str]:
    """The keys that `section` allows at a path below it."""
    if not steps:
        return set(section.model_fields) | (LAID_OVER if section is Study else set())
    field = section.model_fields.get(steps[0])
    for part in _sections_in(field.annotation if field else None):
        holds_names = "dict" in str(field.annotation) if field else False
        return _fields_at(part, steps[2:] if holds_names else steps[1:])
    return set()


def _sections_in(annotation: Any) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [found for part in getattr(annotation, "__args__", ()) for found in _sections_in(part)]


def spec(section: Section) -> dict[str, Any]:
    """The fields of a section that a result depends on: essential ones, and others that differ from their default."""
    out = {}
    for key, field in type(section).model_fields.items():
        extra = field.json_schema_extra
        kind = extra.get("spec") if isinstance(extra, dict) else None
        value = getattr(section, key)
        if kind == "always" or (kind is None and value != field.default):
            out[key] = value
    return out


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def schema() -> dict[str, Any]:
    """The JSON schema of a config file, made from the sections above."""
    made = Study.model_json_schema()
    made["properties"]["scales"] = {
        "type": "object",
        "description": "what differs at a scale; merged over the rest, null deletes",
        "properties": {scale: {"type": ["object", "null"]} for scale in ("demo", "small", "paper")},
        "additionalProperties": False,
    }
    made["properties"]["pictures"] = {
        "type": ["object", "null"],
        "description": "what differs for a folder of pictures; merged over the rest and the scale, null deletes",
    }
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return made
