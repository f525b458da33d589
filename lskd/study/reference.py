"""Write docs/config.md from the types of the config, so that what stands there is what is taken: `make docs`."""

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lskd.io.atomic import write_text
from lskd.study import registry
from lskd.study.config import SUPERVISIONS
from lskd.study.schema import schema

PATH = Path(__file__).resolve().parents[2] / "docs" / "config.md"
TEN_LINES = """study: ten_lines
data: digits
recipes:
  short: {epochs: 10, lr: 0.1, crop_padding: 1}
teachers:
  teacher: {model: {name: resnet8, width: 16}, recipe: short, label_smoothing: [0, 0.1]}
students:
  student: {teacher: teacher, model: {name: resnet8, width: 4}, recipe: short, temperature: [1, 3]}
figures:
  verdict: {kind: verdict}
"""
HEAD = f"""# Every key of the config

<!-- Written by lskd/study/reference.py from the types in lskd/study/config.py and registry.py: `make docs` -->

A study of ten lines, which `snakemake --configfile FILE` runs as it stands:

```yaml
{TEN_LINES}```

All else has a default. `config.yaml` is the study of a plain `snakemake`; `--configfile mine.yaml` puts another in its
place, and `--config seeds='[0, 1]'` lays a value over either. A key that is misspelt, out of its range, or of another
choice than the one made is told in one line before anything starts. [Your own data and teachers](own.md) and
[things that are not here yet](extending.md) have pages of their own.

Short for long: `data: cifar10` for `{{dataset: cifar10}}`, `data: path/to/images` for your own data set that lies
there, `model: resnet20` for `{{name: resnet20}}`, and one value for a list of one.

In the tables, *for* names the choices beside which a key is used; beside another it is refused. A key whose default is
empty is needed; — is none. † is in no spec: where things lie, what they are called, which of a run's weights are used.
"""
SECTIONS = (  # where it stands, its definition, what to know of it
    ("The top of the file", "Study", ""),
    ("data", "Data", "Of the study, of a group of teachers, or of students: then the same images, seen otherwise."),
    ("recipes.NAME", "Recipe", ""),
    ("model", "Model", "Of a group."),
    ("teachers.NAME, baselines.NAME", "Trained", "A run for each `label_smoothing` and each seed."),
    ("students.NAME", "Distilled", "A run for each run of the teacher's group and each value of each list."),
    ("start", "Start", "Of a group: one of `run` and `checkpoint`. In a checkpoint's path `{seed}` and\n"
     "`{label_smoothing}` stand for the run's, as in `teachers/ls{label_smoothing}-{seed}.pt`."),
    ("figures.NAME", "Figure", "NAME is what `snakemake NAME` draws. What each kind shows and needs stands below."),
    ("runtime", "Runtime", ""),
)  # fmt: skip
EXAMPLES: dict[str, Any] = {  # of keys, and of those that a section takes otherwise
    "Data.name": "birds",
    "Data.classes": 300,
    "Data.source": "en",
    "Data.target": "de",
    "Recipe.dropout": 0.3,
    "Model.name": "resnet20",
    "Trained.supervision": "labels",
    "Distilled.data": {"dataset": "imagefolder", "root": "path/to/images", "name": "small", "image_size": 16},
    "study": "mine",
    "name": "Label smoothing on my images",
    "scale": "small",
    "seeds": [0, 1, 2, 3, 4],
    "looks": [3, 5],
    "data": "path/to/images",
    "recipes": {"short": {"epochs": 30}},
    "teachers": {"teacher": {"model": "resnet20", "recipe": "short", "label_smoothing": [0, 0.1]}},
    "baselines": {"alone": {"model": "resnet8", "recipe": "short"}},
    "students": {"student": {"teacher": "teacher", "model": "resnet8", "recipe": "short", "temperature": [1, 3]}},
    "figures": {"verdict": {"kind": "verdict"}},
    "runtime": {"device": "cpu"},
    "scales": {"small": {"seeds": [0]}},
    "pictures": {"data": {"image_size": 32}},
    "dataset": "cifar10",
    "root": "~/images",
    "val_fraction": 0.2,
    "test_fraction": 0.1,
    "image_size": 224,
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "class_subset": 10,
    "train_images": 20,
    "long_tail": 100,
    "pareto": [6, 5, 1280],
    "split_file": "ImageNet_LT_train.txt",
    "label_noise": 0.2,
    "images": 100,
    "test_images": 100,
    "pixels": 28,
    "distortion": 0.5,
    "test_faces": 4,
    "data_seed": 1,
    "pieces": 8000,
    "longest": 50,
    "leaks": "drop",
    "task": "translation",
    "updates": 5000,
    "tokens": 2048,
    "warmup_updates": 4000,
    "validate_updates": 500,
    "snapshot_updates": [100, 1000, 5000],
    "decoding": [0.8, 1, 1.2],
    "k": 32,
    "tail": False,
    "sampled": 64,
    "hard_smoothing": 0.1,
    "epochs": 200,
    "batch_size": 64,
    "optimizer": "adam",
    "lr": 0.05,
    "weight_decay": 0.0,
    "schedule": "multistep",
    "warmup_epochs": 5,
    "grad_clip": 1.0,
    "loss_scale": 3.0,
    "amp": "bfloat16",
    "select": "best",
    "snapshot_epochs": [0, 10, 20],
    "step_epochs": 20,
    "milestones": [100, 150],
    "decay": 0.2,
    "momentum": 0.95,
    "crop_padding": 4,
    "mixup": 0.2,
    "cutmix": 1.0,
    "rotation": 15.0,
    "rotation_bilinear": 45.0,
    "grey": 0.2,
    "jitter": 0.2,
    "randaugment": [2, 9],
    "short_side": 256,
    "resized_crop": [0.08, 1.0, 0.75, 1.3333],
    "width": 16,
    "dropout": 0.5,
    "recipe": "short",
    "teacher": "teacher",
    "model": {"name": "resnet8", "width": 4},
    "supervision": "logit_mse",
    "start": {"checkpoint": "teachers/ls{label_smoothing}.pt"},
    "label_smoothing": [0.0, 0.1],
    "smoothing": "others",
    "label_probability": [0.9, 0.99],
    "form": "code",
    "multiplier": 50,
    "temperature": [1, 2, 3, 64],
    "soft_weight": 0.9,
    "teacher_temperature": [None, 2],
    "transform": "erase",
    "keep": [0, 0.5, 1],
    "teacher_epoch": [1, 10],
    "per_teacher": 3,
    "draws": 10,
    "dtype": "float16",
    "reduction": "mean",
    "run": "pretrained",
    "checkpoint": "teachers/ls{label_smoothing}-{seed}.pt",
    "keys": {"^encoder\\.": ""},
    "head": "new",
    "kind": "verdict",
    "groups": ["student"],
    "classes": ["cat", "dog", "truck"],
    "targets": ["cat"],
    "small_images": ["teacher"],
    "similar": {"cat": ["dog"]},
    "temperatures": [1, 3],
    "margin": 0.5,
    "reference_temperature": 4,
    "t1": 1,
    "t2": 3,
    "device": "cpu",
    "runs_per_gpu": 2,
    "fuse": 16,
    "threads": 4,
    "workers": 8,
    "checkpoint_minutes": 10,
    "track": "tensorboard",
}
Schema = dict[str, Any]


def reference() -> str:
    """The page."""
    whole = schema()
    parts = {"Study": whole, **whole["$defs"]}
    tables = [_section(where, parts[name], note) for where, name, note in SECTIONS]
    return "\n".join([HEAD, *tables, _models(), _ways(), _figures()])


def _section(where: str, part: Schema, note: str) -> str:
    """The table of a section's keys."""
    needed = part.get("required", [])
    rows = [_row(part["title"], key, field, key in needed) for key, field in part["properties"].items()]
    text = "\n".join(filter(None, [" ".join(part.get("description", "").split()), note]))
    return f"## {where}\n\n{text}\n\n" + _table(("key", "meaning", "takes", "default", "for", "example"), rows)


def _row(section: str, key: str, field: Schema, is_needed: bool) -> tuple[str, ...]:
    is_needed = is_needed or field.get("must_be_given", False)
    mark = " †" if field.get("used") == "never" else ""
    return (
        f"`{key}`{mark}",
        field.get("description", ""),
        takes(field),
        "" if is_needed else _default(field),
        ", ".join(f"`{name}`" for names in field.get("used_with", {}).values() for name in names),
        f"`{key}: {_yaml(example(section, key, field))}`",
    )


def example(section: str, key: str, field: Schema) -> Any:
    """A value of a key: one chosen here, or what its type allows where a new entry of the registry brought the key."""
    for name in (f"{section}.{key}", key):
        if name in EXAMPLES:
            return EXAMPLES[name]
    if field.get("type") == "boolean":
        return not field["default"]
    return field.get("default")


def takes(field: Schema) -> str:
    """A field's type and range in words."""
    if "anyOf" in field:
        choices = [choice for choice in field["anyOf"] if choice.get("type") != "null" and choice.get("const") != ""]
        listed = [takes(choice) for choice in choices]
        single = [text for text in listed if f"a list: {text}" in listed]
        return f"{single[0]}; or a list" if single else " or ".join(dict.fromkeys(listed))
    if "$ref" in field:
        return "a section"
    if "enum" in field:
        return ", ".join(f"`{value}`" if value != "" else '`""`' for value in field["enum"])
    kind = next((each for each in [field.get("type", "string")] if isinstance(each, str)), "object")
    if kind == "array":
        return f"a list: {takes(field['items'])}"
    if kind == "object":
        return "a mapping"
    if kind == "boolean":
        return "`true`, `false`"
    return {"integer": "whole number", "number": "number", "string": "text"}[kind] + _range(field)


def _range(field: Schema) -> str:
    low = [f"≥ {_number(field['minimum'])}"] if "minimum" in field else []
    low += [f"> {_number(field['exclusiveMinimum'])}"] if "exclusiveMinimum" in field else []
    high = [f"≤ {_number(field['maximum'])}"] if "maximum" in field else []
    high += [f"< {_number(field['exclusiveMaximum'])}"] if "exclusiveMaximum" in field else []
    return f" {', '.join(low + high)}" if low or high else ""


def _number(value: float) -> str:
    return f"{value:,.10g}"


def _default(field: Schema) -> str:
    value = field.get("default")
    if value in (None, "", [], [None], {}) or isinstance(value, dict):
        return "—"
    return f"`{_yaml(value[0] if isinstance(value, list) and len(value) == 1 else value)}`"


def _yaml(value: Any) -> str:
    """A value as YAML in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_yaml(key)}: {_yaml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    if isinstance(value, str) and value and not set(value) & set("{}[]\\#&*!|>'\"%@`,"):
        return value
    return json.dumps(value, ensure_ascii=False)


def _models() -> str:
    rows = [
        (f"`{name}`", ", ".join(f"`{option.name}`" for option in entry.options), _about(entry.entry))
        for name, entry in registry.MODELS.items()
    ]
    library = ", ".join(f"`{name}`" for name in registry.TORCHVISION_NAMES)
    return (
        f"## Models\n\n{_table(('name', 'keys', 'is'), rows)}\nBy their names in torchvision: {library}.\n\n"
        f"`{registry.TIMM_PREFIX}NAME` is the classifier NAME of timm, where timm is installed.\n"
    )


def _ways() -> str:
    """The ways of teaching and the other choices, each with its keys and what it computes."""
    tables: dict[str, Mapping[str, Any]] = {
        "supervision": SUPERVISIONS,
        "dataset": registry.DATASETS,
        "schedule": registry.SCHEDULES,
        "optimizer": registry.OPTIMIZERS,
        "transform": {name: entry for name, entry in registry.transforms().items() if entry.entry},
    }
    rows = [
        (f"`{key}: {name}`", ", ".join(f"`{option.name}`" for option in entry.options), _about(entry.entry))
        for key, entries in tables.items()
        for name, entry in entries.items()
    ]
    rows += [
        (f"`{name}` of a recipe", f"`{name}`", _about(augmentation.entry))
        for name, augmentation in registry.AUGMENTATIONS.items()
    ]
    return f"## What is computed\n\n{_table(('choice', 'its keys', 'is'), rows)}"


def _figures() -> str:
    needs = figure_needs()
    rows = []
    for kind, figure in registry.FIGURES.items():
        options = [option.name for option in figure.options]
        rows.append(
            (
                f"`{kind}`",
                _first_sentence(docstrings(figure.module)[""]),
                ", ".join(f"`{family}`" for family in figure.families),
                ", ".join(f"`{name}`" for name in options),
                " ".join(needs[kind]),
            )
        )
    heads = ("kind", "shows", "its metrics", "keys that it uses", "needs")
    return f"## Figure kinds\n\n{_table(heads, rows)}"


def figure_needs() -> Mapping[str, list[str]]:
    """What each kind of figure needs of its runs: the docstrings of the checks that lskd/jobs/needs.py names for it."""
    module = "lskd.jobs.needs"  # read, not imported: it stands above this room
    words = docstrings(module)
    needs: dict[str, list[str]] = {kind: [] for kind in registry.FIGURES}
    for kind, checks in _names_of_dict(module, "NEEDS"):
        needs[kind] = [words[check] for check in checks]
    for kind, figure in registry.FIGURES.items():
        if kind == "diffusion":
            needs[kind].append(words["two_temperatures"])
        elif "snapshots" in {registry.METRICS[name].reads for name in figure.families if name in registry.METRICS}:
            needs[kind].append("A recipe with `snapshot_epochs`.")
        elif "bleu_history" in figure.families:
            needs[kind].append("A recipe with `snapshot_updates`.")
    return needs


def _names_of_dict(module: str, name: str) -> Iterator[tuple[str, list[str]]]:
    """The keys of a module's dict, each with the names in its tuple."""
    for node in _parsed(module).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name and isinstance(node.value, ast.Dict):
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                names = [each.id for each in ast.walk(value) if isinstance(each, ast.Name)]
                yield str(ast.literal_eval(key or ast.Constant(""))), names


def docstrings(module: str) -> dict[str, str]:
    """The docstring of each function of a module, and its own at ""; nothing of it is imported."""
    tree = _parsed(module)
    texts = {node.name: ast.get_docstring(node) for node in tree.body if isinstance(node, ast.FunctionDef)}
    return {name: " ".join((text or "").split()) for name, text in (texts | {"": ast.get_docstring(tree)}).items()}


def _parsed(module: str) -> ast.Module:
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return ast.parse(Path(spec.origin).read_text())


def _about(entry: str) -> str:
    """What an entry point says of itself, up to where it begins to tell more."""
    module, _, function = entry.partition(":")
    return _first_sentence(docstrings(module)[function])


def _first_sentence(text: str) -> str:
    return re.split(r"(?<!\beq)(?<!\bfig)\. ", text)[0].removesuffix(".")


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Write it."""
    write_text(PATH, reference())


if __name__ == "__main__":
    main()
