"""What runs and their files are called: the only grammar of names. Nothing reads a name back."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lskd.study import registry
from lskd.study.config import SUPERVISIONS, TRANSFORMS, Model, Recipe, Supervision
from lskd.study.options import Option

if TYPE_CHECKING:
    from lskd.study.runs import Run

GIVEN = "given"  # the recipe's name of a network that comes trained
SMOOTHED = ("label_smoothing", "smoothing")  # options that have identity columns of their own
IN_COLUMNS = ("temperature", "soft_weight", *SMOOTHED)  # and those of a student


def title(run: "Run") -> str:
    """A run's name, which reads as its provenance: glyphs/resnet8-w4/short/kd-T3-from-resnet8-w16-ls0.1/seed0."""
    last = "-".join([seed_slug(run), *_epoch(run)])
    return "/".join([run.data.folder, model_slug(run.model), run.recipe_name, taught(run), last])


def seed_slug(run: "Run") -> str:
    """A run's seed in its name, and which of its teacher's students it is unless the first: seed0, seed0.1."""
    return f"seed{run.seed}" + (f".{place(run)}" if any(each.student for each in run.chain) else "")


def place(run: "Run") -> str:
    """Which student of its teacher a run is, and its teacher of its own, the first teacher's student first: "0.1"."""
    return ".".join(str(each.student) for each in reversed(run.chain[:-1]))


def taught(run: "Run") -> str:
    """How a run is taught and where it starts, in a name."""
    parts = [supervision_slug(run.supervision)]
    if run.teacher is not None:
        parts.append("-".join(["from", *_epoch(run.teacher, "-of"), above(run, run.teacher)]))
    if run.start is not None:
        parts.append(f"after-{above(run, run.start)}")
    return "-".join(parts)


def _epoch(run: "Run", then: str = "") -> list[str]:
    """The epoch of a run that stands for its snapshot, in a name."""
    return [] if run.epoch is None else [f"epoch{run.epoch}{then}"]


def above(run: "Run", other: "Run") -> str:
    """A run's teacher or start in its name: what is the same goes without saying, but for the network."""
    data = [other.data.folder] * (other.data.folder != run.data.folder)
    recipe = [other.recipe_name] * (other.recipe_name != run.recipe_name)
    return "-".join([*data, model_slug(other.model), *recipe, taught(other)])


def lineage(run: "Run") -> str:
    """What a smoothed teacher, or its student, shares with its unsmoothed twin: of a student, its teacher's."""
    return _unsmoothed(run.root, run.chain[1:-1])


def _unsmoothed(root: "Run", above: "list[Run]") -> str:
    """A run trained on labels, without its smoothing and that of its start, and the students taught after it."""
    parts = [root.data.folder, model_slug(root.model), root.recipe_name]
    parts += [text for text in [variant(root.supervision)] if text]
    if root.start is not None:
        parts.append(f"after-{_unsmoothed(root.start.root, root.start.chain[:-1])}")
    return "/".join([*parts, *_epoch(root), *map(taught_without_root, above)])


def taught_without_root(run: "Run") -> str:
    """How a student in the middle of a chain is taught, whoever teaches it."""
    return "-".join([model_slug(run.model), run.recipe_name, supervision_slug(run.supervision), *_epoch(run)])


def supervision_slug(supervision: Supervision) -> str:
    """A way of teaching in a name: ls0.1, kd-T3-w0.5-noT2, logit_mse-w0.6."""
    way = [] if supervision.way == "labels" else [supervision.way]
    return "-".join([*way, *_ways_texts(supervision), *_delivery(supervision)])


def variant(supervision: Supervision) -> str:
    """What tells two ways of teaching apart beside the options with columns of their own; "" for plain KD or labels."""
    way = [] if supervision.way in ("labels", "kd") else [supervision.way]
    if not SUPERVISIONS[supervision.way].needs_teacher:
        return "-".join([*way, *_ways_texts(supervision, without=SMOOTHED)])
    return "-".join([*way, *_ways_texts(supervision, without=IN_COLUMNS), *_delivery(supervision)])


def _ways_texts(supervision: Supervision, without: tuple[str, ...] = ()) -> list[str]:
    options = [option for option in SUPERVISIONS[supervision.way].options if option.name not in without]
    return _texts(options, supervision.options)


def _texts(options: Iterable[Option], values: Mapping[str, Any]) -> list[str]:
    texts = [option.text(values[option.name]) for option in options]
    return [text for text in texts if text]


def _delivery(supervision: Supervision) -> list[str]:
    """How the teacher's logits come and what is done to them, where that is not the usual way."""
    parts = []
    if supervision.transform != "none":
        options = TRANSFORMS[supervision.transform].options
        parts += [supervision.transform, *_texts(options, supervision.transform_options)]
    if supervision.draws not in (None, "epochs"):
        parts.append("online" if supervision.draws == "online" else f"draws{supervision.draws}")
    if supervision.dtype != "float32":
        parts.append(supervision.dtype)
    return parts


def model_slug(model: Model) -> str:
    """A model's name in a path: resnet8-w16, mlp-w1200-d0.5, timm-resnet10t."""
    entry = registry.MODELS.get(model.name)
    texts = _texts(entry.options, dict(model)) if entry else []
    return "-".join([model.name.replace("/", "-"), *texts])


def store_slug(student: "Run", draws: list[int]) -> str:
    """What the teacher's logits that a student reads are called: draws30-crop1-flip-float32, or clean-float32."""
    assert student.recipe is not None
    parts = ["clean"]
    if draws != [0]:
        parts = [f"draws{len(draws)}", *augmentation_texts(student.recipe)]
    if SUPERVISIONS[student.supervision.way].form == "top_k":
        parts.append(f"top{student.supervision.options['k']}")
    return "-".join([*parts, student.supervision.dtype])


def tail_slug(temperatures: list[float], usual: list[float]) -> str:
    """The T at which a store's tail is kept, in its name: none where these are the usual ones."""
    return "" if temperatures == usual else "".join(f"-T{each:g}" for each in temperatures)


def form_slug(supervision: Supervision) -> str:
    """What a translator's stored logits are called: full-float32, top32-float16, drawn64."""
    options, form = supervision.options, SUPERVISIONS[supervision.way].form
    if form == "sample":
        return f"drawn{options['sampled']}"
    kept = f"top{options['k']}" if form == "top_k" else form
    return f"{kept}-{supervision.dtype}"


def augmentation_texts(recipe: Recipe) -> list[str]:
    """The augmentations of a recipe in a name: crop1, flip."""
    used: dict[str, Any] = recipe.used
    return [registry.AUGMENTATIONS[name].option.text(used[name]) for name in recipe.augmentations]
