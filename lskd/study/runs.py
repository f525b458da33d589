"""A study becomes runs: what each is called, and what its numbers depend on. Pure: reads and writes no file."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lskd.errors import UserError
from lskd.study import config
from lskd.study import registry as tables
from lskd.study.config import Data, Distill, Distilled, Figure, Labels, Model, Recipe, Study, Trained, Variant


@dataclass(frozen=True, eq=False)
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
    def title(self) -> str:
        """The run's name, which reads as its provenance: glyphs/resnet8-w4/short/kd-T3-from-resnet8-w16-ls0.1/seed0."""
        return "/".join([self.data.folder, model_slug(self.model), self.recipe_name, self.taught, f"seed{self.seed}"])

    @cached_property
    def taught(self) -> str:
        """How the run is taught, in a name; a teacher's recipe is told where it is another than the student's."""
        if not isinstance(self.supervision, Distill) or self.teacher is None:
            return labels_slug(self.supervision)
        teacher = self.teacher
        recipe = [teacher.recipe_name] * (teacher.recipe_name != self.recipe_name)
        return "-".join(
            ["kd", distill_slug(self.supervision), "from", model_slug(teacher.model), *recipe, teacher.taught]
        )

    @cached_property
    def spec(self) -> dict[str, Any]:
        """What this run's weights depend on beside its data and its teacher's logits, as plain JSON values."""
        return {
            "model": model_spec(self.model),
            "recipe": config.spec(self.recipe),
            "supervision": _supervision_spec(self.supervision),
            "pixels": {"key": self.data.dataset, "seed": self.root.seed},
            "seed": self.seed,
        }

    @cached_property
    def identity(self) -> str:
        """What tells a run, and the use of its weights, from another of the same name."""
        above = self.teacher.identity if self.teacher else ""
        return config.canonical([self.spec, config.spec(self.data), self.recipe.select, above])

    @property
    def root(self) -> "Run":
        """The label-trained run at the root of the chain of teachers; its seed draws the pixels of all below."""
        return self.teacher.root if self.teacher else self

    @property
    def label_smoothing(self) -> float:
        """The run's own label smoothing, or that of the first teacher above it."""
        assert isinstance(self.root.supervision, Labels)
        return self.root.supervision.label_smoothing


def _supervision_spec(supervision: Labels | Distill) -> dict[str, Any]:
    spec = config.spec(supervision)
    if isinstance(supervision, Labels) and not supervision.label_smoothing:
        del spec["smoothing"]  # both forms are the hard labels
    return spec


@dataclass(frozen=True, eq=False)
class Member:
    """A run as a study names it."""

    group: str
    role: str  # teacher, baseline or student
    run: Run

    @cached_property
    def row(self) -> dict[str, Any]:
        """The identity columns of a metrics table."""
        run, how = self.run, self.run.supervision
        return {
            "run": run.title,
            "group": self.group,
            "role": self.role,
            "dataset": run.data.folder,
            "model": model_slug(run.model),
            "recipe": run.recipe_name,
            "teacher": run.teacher.title if run.teacher else "",
            "teacher_model": model_slug(run.teacher.model) if run.teacher else "",
            "label_smoothing": run.label_smoothing,
            "temperature": how.temperature if isinstance(how, Distill) else None,
            "soft_weight": how.soft_weight if isinstance(how, Distill) else None,
            "variant": _variant(how) if isinstance(how, Distill) else "",
            "seed": run.seed,
        }


def model_spec(model: Model) -> dict[str, Any]:
    """A model's spec; what its builder takes beside classes and image shape is all of it but the name."""
    own = model.name in tables.MODELS
    return config.spec(model) | ({} if own else {"arch": model.name})  # one builder serves all of torchvision's


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
    _check_names([member.run for member in found])
    return sorted(found, key=lambda member: (member.run.title, member.group))


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
                if not augmented(study.recipes[group.recipe]) and group.views != "online":
                    variant["views"] = "epochs"  # all draws are the clean image, however many are asked for
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


def _check_names(runs: list[Run]) -> None:
    """Raise UserError if two different runs, or two different data sets, have one name in a study."""
    specs: dict[str, str] = {}
    for data in {id(run.data): run.data for run in runs}.values():
        identity = config.canonical(config.spec(data)) + data.root * (data.dataset == "imagefolder")
        if specs.setdefault(data.folder, identity) != identity:
            raise UserError(f"data: two different data sets are called {data.folder}; give one of them another name")
    for run in runs:
        if specs.setdefault(run.title, run.identity) != run.identity:
            raise UserError(
                f"recipes.{run.recipe_name}: two different runs are called {run.title}; "
                "give one of their recipes or data sets another name"
            )


def select(found: list[Member], figure: Figure) -> list[Member]:
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


def stored_draws(student: Run) -> list[int]:
    """The augmentation draws of its training images whose teacher logits a student needs: 0 is the clean image.

    Without augmentation all draws show the same pixels, so the clean one serves them all.
    """
    assert isinstance(student.supervision, Distill)
    views = student.supervision.views
    if not augmented(student.recipe) or views == 1:
        return [0]
    return list(range(1, 1 + (views if isinstance(views, int) else student.recipe.epochs)))


def store_slug(student: Run) -> str:
    """What the teacher's logits that a student reads are called: draws30-crop1-flip-float32, or clean-float32."""
    assert isinstance(student.supervision, Distill)
    draws, recipe = stored_draws(student), student.recipe
    parts = ["clean"]
    if draws != [0]:
        parts = [f"draws{len(draws)}", *[f"crop{recipe.crop_padding}"] * bool(recipe.crop_padding)]
        parts += ["flip"] * recipe.flip
    return "-".join([*parts, student.supervision.dtype])


def augment_spec(recipe: Recipe) -> dict[str, Any]:
    """How a recipe's pixels are drawn."""
    return {key: value for key, value in config.spec(recipe).items() if key in ("crop_padding", "flip")}
