"""A study becomes runs, their folders, their specs, and the code each stage uses. Pure: reads and writes no file."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lskd import config, tables
from lskd.config import Data, Distill, Distilled, Figure, Labels, Model, Recipe, Study, Trained, Variant
from lskd.errors import UserError


@dataclass(frozen=True)
class Run:
    """One trained network: data, model, recipe, supervision and seed. `teacher` is set where `supervision` distils."""

    data: Data
    model: Model
    recipe_name: str
    recipe: Recipe
    supervision: Labels | Distill
    seed: int
    teacher: "Run | None" = None

    @cached_property
    def path(self) -> str:
        """The run's folder under results/, which reads as its provenance."""
        if isinstance(self.supervision, Distill) and self.teacher:
            how = [self.teacher.path, "kd", model_slug(self.model), self.recipe_name, distill_slug(self.supervision)]
        else:
            how = [self.data.folder, model_slug(self.model), self.recipe_name, labels_slug(self.supervision)]
        return "/".join([*how, f"seed{self.seed}"])

    @cached_property
    def spec(self) -> dict[str, Any]:
        """Everything that this run's weights depend on, as plain JSON values; the teacher's spec stands inside."""
        made = {
            "data": config.spec(self.data),
            "model": config.spec(self.model),
            "recipe": config.spec(self.recipe),
            "seed": self.seed,
        }
        if self.teacher is None:
            return made | {"labels": config.spec(self.supervision)}
        return made | {"distill": config.spec(self.supervision), "teacher": self.teacher.spec}

    @cached_property
    def canonical_spec(self) -> str:
        """The spec as one canonical JSON string."""
        return config.canonical(self.spec)

    @property
    def label_smoothing(self) -> float:
        """The run's own label smoothing, or that of the first teacher above it."""
        if isinstance(self.supervision, Labels):
            return self.supervision.label_smoothing
        assert self.teacher is not None
        return self.teacher.label_smoothing


@dataclass(frozen=True)
class Member:
    """A run as a study names it."""

    group: str
    role: str  # teacher, baseline or student
    run: Run

    @cached_property
    def row(self) -> dict[str, Any]:
        """The identity columns of a metrics table, and the digest by which the run's files are known."""
        run, how = self.run, self.run.supervision
        distilled = isinstance(how, Distill)
        return {
            "run": run.path,
            "group": self.group,
            "role": self.role,
            "dataset": run.data.folder,
            "model": model_slug(run.model),
            "recipe": run.recipe_name,
            "teacher": run.teacher.path if run.teacher else "",
            "teacher_model": model_slug(run.teacher.model) if run.teacher else "",
            "label_smoothing": run.label_smoothing,
            "temperature": how.temperature if isinstance(how, Distill) else None,
            "soft_weight": how.soft_weight if isinstance(how, Distill) else None,
            "variant": _variant(how) if distilled and isinstance(how, Distill) else "",
            "seed": run.seed,
            "digest": spec_digest(run.spec),
        }


def spec_digest(spec: dict[str, Any]) -> str:
    """A short digest of a run's spec, by which a file of its folder is known to be its own."""
    return hashlib.sha256(config.canonical(spec).encode()).hexdigest()[:16]


def model_slug(model: Model) -> str:
    """A model's name in a path: resnet8-w16, mlp-w1200-d0.5."""
    width = f"-w{model.width}" if model.width else ""
    return f"{model.name}{width}" + (f"-d{model.dropout:g}" if model.dropout else "")


def labels_slug(labels: Labels | Distill) -> str:
    """Supervision by labels in a path: ls0.1, or ls0.1-others for Shen's form."""
    assert isinstance(labels, Labels)
    return f"ls{labels.label_smoothing:g}" + ("" if labels.smoothing == "uniform" else f"-{labels.smoothing}")


def distill_slug(distill: Distill) -> str:
    """Supervision by a teacher in a path: T3, or T3 with each option that differs from its default."""
    return "-".join([f"T{distill.temperature:g}", *([f"w{distill.soft_weight:g}"] * (distill.soft_weight != 1.0))]) + (
        f"-{variant}" if (variant := _variant(distill)) else ""
    )


def _variant(distill: Distill) -> str:
    parts: list[str] = []
    if distill.loss != "kd":
        parts.append(distill.loss)
    if not distill.t_squared:
        parts.append("noT2")
    if not distill.soften_student:
        parts.append("hardstudent")
    if distill.reduction != "batchmean":
        parts.append(distill.reduction)
    if distill.views != "epochs":
        parts.append(f"v{distill.views}" if isinstance(distill.views, int) else distill.views)
    if distill.dtype != "float32":
        parts.append(distill.dtype)
    return "-".join(parts)


def members(study: Study) -> list[Member]:
    """All runs of a study under their group names, in a fixed order.

    Raises UserError where two groups would write different runs into one folder.
    """
    made: dict[str, list[Run]] = {}
    found = []
    for role, groups in (("teacher", study.teachers), ("baseline", study.baselines)):
        for name, trained in groups.items():
            made[name] = list(_trained(study, trained))
            found += [Member(name, role, run) for run in made[name]]
    for name in _teachers_first(study):
        made[name] = list(_distilled(study, study.students[name], made[study.students[name].teacher]))
        found += [Member(name, "student", run) for run in made[name]]
    check_paths([member.run for member in found])
    return sorted(found, key=lambda member: (member.run.path, member.group))


def _trained(study: Study, group: Trained) -> Iterator[Run]:
    for alpha in group.label_smoothing:
        labels = Labels(label_smoothing=alpha, smoothing=group.smoothing if alpha else "uniform")
        for seed in study.seeds:
            recipe = study.recipes[group.recipe]
            yield Run(group.data or study.data, group.model, group.recipe, recipe, labels, seed)


def _distilled(study: Study, group: Distilled, teachers: list[Run]) -> Iterator[Run]:
    wanted = group.label_smoothing
    for teacher in teachers:
        if wanted is not None and teacher.label_smoothing not in wanted:
            continue
        for temperature in group.temperature:
            for soft_weight in group.soft_weight:
                variant = {name: getattr(group, name) for name in Variant.model_fields}
                distill = Distill(temperature=temperature, soft_weight=soft_weight, **variant)
                recipe = study.recipes[group.recipe]
                # a student keeps its teacher's seed: the pairs that a paired test over seeds compares
                yield Run(teacher.data, group.model, group.recipe, recipe, distill, teacher.seed, teacher)


def _teachers_first(study: Study) -> list[str]:
    """Student groups, each after the group that teaches it (a student may teach)."""
    order: list[str] = []
    left = sorted(study.students)
    while left:
        ready = [name for name in left if study.students[name].teacher not in left]
        if not ready:
            raise UserError(f"students: {', '.join(left)} teach each other in a circle; let one have another teacher")
        order += ready
        left = [name for name in left if name not in ready]
    return order


def check_paths(runs: list[Run]) -> None:
    """Raise UserError if two different runs, or two different data sets, share a folder."""
    specs: dict[str, str] = {}
    for data in {run.data for run in runs}:
        told = config.canonical(config.spec(data))
        if specs.setdefault(data.folder, told) != told:
            raise UserError(
                f"data: two different data sets would share results/{data.folder}; give one of them another name"
            )
    for run in runs:
        mine = run.canonical_spec
        if specs.setdefault(run.path, mine) != mine:
            raise UserError(
                f"recipes.{run.recipe_name}: two different runs would share results/{run.path}; "
                "give one of their recipes or data sets another name"
            )


def shown(found: list[Member], figure: Figure) -> list[Member]:
    """Those of a study's runs that a figure shows: of its groups, and of students those at its temperatures."""
    return [member for member in found if _in_groups(member, figure) and _at_temperatures(member, figure)]


def _in_groups(member: Member, figure: Figure) -> bool:
    return not figure.groups or member.group in figure.groups


def _at_temperatures(member: Member, figure: Figure) -> bool:
    how = member.run.supervision
    return not figure.temperatures or isinstance(how, Labels) or how.temperature in figure.temperatures


def augmented(recipe: Recipe) -> bool:
    """Whether training pixels differ from the clean ones."""
    return bool(recipe.crop_padding or recipe.flip)


def stored_views(run: Run) -> list[int]:
    """The views of its training images whose teacher logits a student needs: 0 is the clean one, others 1, 2, ...

    Without augmentation all views show the same pixels, so the clean one serves them all.
    """
    assert isinstance(run.supervision, Distill)
    views = run.supervision.views
    if not augmented(run.recipe) or views == 1:
        return [0]
    return list(range(1, 1 + (views if isinstance(views, int) else run.recipe.epochs)))


def views_file(student: Run) -> str:
    """The teacher's logits that a student reads, as a path under results/ that names how they were made."""
    assert student.teacher is not None
    assert isinstance(student.supervision, Distill)
    views = stored_views(student)
    parts = ["clean" if views == [0] else f"views{len(views)}"]
    if views != [0]:
        parts += [f"crop{student.recipe.crop_padding}"] * bool(student.recipe.crop_padding)
        parts += ["flip"] * student.recipe.flip
    parts.append(student.supervision.dtype)
    return f"{student.teacher.path}/logits/{'-'.join(parts)}.parquet"


def views_spec(student: Run) -> dict[str, Any]:
    """The spec of that file: the teacher, the views and how their pixels are drawn."""
    assert student.teacher is not None
    assert isinstance(student.supervision, Distill)
    views = stored_views(student)
    drawn = {key: value for key, value in config.spec(student.recipe).items() if key in ("crop_padding", "flip")}
    return {
        "run": student.teacher.spec,
        "views": len(views) if views != [0] else 0,
        "augment": drawn if views != [0] else {},
        "dtype": student.supervision.dtype,
    }


def used_weights(model: Path, run: dict[str, Any]) -> Path:
    """The weights that stand for a run: `model`, its last epoch's, or beside them the best on val, as its spec says."""
    return model.with_name("best.safetensors") if run["recipe"].get("select") == "best" else model


def model_entry(model: dict[str, Any]) -> str:
    """The entry point of the model that a spec names."""
    return tables.MODELS.get(model["name"], tables.TORCHVISION)


def model_options(model: dict[str, Any]) -> dict[str, Any]:
    """What that entry point takes beside classes and image shape; torchvision's takes the name."""
    own = {key: value for key, value in model.items() if key != "name"}
    return own if model["name"] in tables.MODELS else {"arch": model["name"]}


def loss_entry(spec: dict[str, Any]) -> str:
    """The entry point of the loss that a run's spec names."""
    if "distill" in spec:
        return tables.LOSSES[spec["distill"].get("loss", "kd")]
    return tables.LOSSES["smoothed_cross_entropy" if spec["labels"]["label_smoothing"] else "cross_entropy"]


def entry_points(stage: str, spec: dict[str, Any]) -> list[str]:
    """The code that a stage uses for a spec, as "module:function"; the fingerprint follows these."""
    if stage == "data":
        return ["lskd.data.prepare:prepare", "lskd.data.prepare:write", tables.DATASETS[spec["dataset"]]]
    if stage in ("train", "distill"):
        online = spec.get("distill", {}).get("views") == "online"
        taught = [model_entry(spec["teacher"]["model"])] if online else []
        return [f"lskd.{stage}:{stage}", model_entry(spec["model"]), loss_entry(spec), *taught]
    if stage in ("dump", "views", "probe"):
        return [f"lskd.{stage}:{stage}", model_entry(spec["run"]["model"])]
    if stage == "complexity":
        return ["lskd.complexity:measure", *sorted({model_entry(model) for model in spec["models"].values()})]
    if stage == "metrics":
        return ["lskd.metrics.measure:measure", tables.METRICS[spec["family"]].entry]
    module = tables.FIGURES[spec["kind"]].module
    return ["lskd.figures.render:render", f"{module}:table", f"{module}:draw"]
