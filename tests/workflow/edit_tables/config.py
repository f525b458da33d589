"""Edits of the config and of what it leaves to defaults, each with the jobs that it makes anew."""

from pathlib import Path

import yaml

from tests.workflow.conftest import TINY
from tests.workflow.edit_tables.code import DATA_KEYS, KD, KEYS, MSE, OPTIONS, REGISTRY, SHARED
from tests.workflow.edit_tables.jobs import (
    ALL,
    FIGURES,
    FORWARDED,
    GRID,
    LOGITS,
    NOTHING,
    SMOOTHED,
    STABILITY,
    STUDENTS,
    TRAINED,
    at,
    student,
    students,
    teacher,
)
from tests.workflow.edits import appended, configured, each, put, replaced

ONE, TWO = ("recipes", "one"), ("recipes", "two")


def seeded(seed):
    """All jobs of both teachers and their students at a seed, and the figures."""
    jobs = teacher("0", seed) | teacher("0.1", seed) | FIGURES
    return jobs.union(*(student(alpha, slug, seed) for alpha in ("0", "0.1") for slug in ("T1", "T3")))


def told_otherwise(study):
    """The same study, its keys and lists in another order."""
    study = dict(reversed(study.items()))
    study["recipes"] = {name: dict(reversed(recipe.items())) for name, recipe in reversed(study["recipes"].items())}
    study["teachers"]["t"] = dict(reversed(study["teachers"]["t"].items())) | {"label_smoothing": [0.1, 0.0]}
    study["students"]["s"]["temperature"] = [3, 1]
    return study


def with_every_default(study):
    """The same study with what it leaves out said."""
    study["data"] = {"dataset": "digits", "val_fraction": 0.15, "test_fraction": 0.2, "stream": False}
    study["data"] |= {"image_size": 64, "mean": [], "std": []}
    recipe = {"batch_size": 128, "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4}
    recipe |= {"schedule": "cosine", "nesterov": False, "warmup_epochs": 0, "grad_clip": 0.0, "amp": "none"}
    recipe |= {"flip": False, "select": "last", "snapshot_epochs": [], "loss_scale": 1.0, "mixup": 0.0}
    recipe |= {"step_epochs": 30, "decay": 0.1}
    for name in study["recipes"]:
        study["recipes"][name] |= recipe
    study["teachers"]["t"] |= {"supervision": "labels", "smoothing": "uniform"}
    study["teachers"]["t"]["model"] |= {"dropout": 0.0}
    variant = {"supervision": "kd", "t_squared": True, "soften_student": True, "reduction": "batchmean"}
    study["students"]["s"] |= variant | {"dtype": "float32", "soft_weight": [1.0], "draws": "epochs"}
    study["students"]["s"] |= {"label_smoothing": [0.0, 0.1]}
    study["figures"]["grid"] |= {"groups": [], "classes": [], "temperatures": []}


def numbers_written(pairs):
    """The numbers of config.yaml in another way of writing them."""

    def edit(root: Path):
        text = (root / "config.yaml").read_text()
        for old, new in pairs.items():
            assert old in text
            text = text.replace(old, new)
        (root / "config.yaml").write_text(text)

    return edit


def matched(temperatures, **options):
    """Students with other options, at some temperatures."""

    def change(study):
        study["students"]["s"] |= options | {"temperature": temperatures}

    return configured(change)


def default(field, old, new):
    """A field's default in lskd/study/config.py, which the study leaves out."""
    return replaced(OPTIONS, f"    {field} = {old}", f"    {field} = {new}")


def logits_matched(study):
    """Students that learn the logits themselves, which takes no temperature."""
    study["students"]["s"]["supervision"] = "logit_mse"
    del study["students"]["s"]["temperature"]


NAMED_OTHERWISE = {job.replace("ls0.1/", "ls0.1-others/") for job in SMOOTHED}
STUDENTS_OF_BEST = at("predict", STUDENTS) | GRID
CONFIG = {
    "the split": (put("data", {"dataset": "digits", "val_fraction": 0.2}), ALL),
    "the test split": (put("data", {"dataset": "digits", "test_fraction": 0.25}), ALL),
    "the data's name": (put("data", {"dataset": "digits", "name": "mine"}), ALL),
    "the teachers' width": (put("teachers", "t", "model", "width", 9), TRAINED),
    "the teachers' dropout": (put("teachers", "t", "model", "dropout", 0.1), TRAINED),
    "the students' width": (put("students", "s", "model", "width", 3), STUDENTS),
    "another network": (put("students", "s", "model", "mlp"), STUDENTS),
    "epochs of the teachers": (put(*ONE, "epochs", 2), TRAINED),
    "batch_size": (put(*ONE, "batch_size", 64), TRAINED),
    "optimizer": (put(*ONE, "optimizer", "adam"), TRAINED),
    "lr": (put(*ONE, "lr", 0.05), TRAINED),
    "momentum": (put(*ONE, "momentum", 0.8), TRAINED),
    "weight_decay": (put(*ONE, "weight_decay", 0.0), TRAINED),
    "schedule": (put(*ONE, "schedule", "linear"), TRAINED),
    "nesterov": (put(*ONE, "nesterov", True), TRAINED),
    "grad_clip": (put(*ONE, "grad_clip", 1.0), TRAINED),
    "loss_scale": (put(*ONE, "loss_scale", 3.0), TRAINED),
    "amp": (put(*ONE, "amp", "bfloat16"), TRAINED),
    "crop_padding of the teachers": (put(*ONE, "crop_padding", 2), TRAINED),
    "flip": (put(*ONE, "flip", True), TRAINED),
    "mixup": (put(*ONE, "mixup", 0.2), TRAINED),
    "mixup of the students": (put(*TWO, "mixup", 0.2), LOGITS),
    "mean and std": (put("data", {"dataset": "digits", "mean": [0.3], "std": [0.4]}), ALL),
    "snapshot_epochs": (put(*ONE, "snapshot_epochs", [1]), TRAINED),
    "warmup_epochs": (put(*TWO, "warmup_epochs", 1), STUDENTS),
    "lr of the students": (put(*TWO, "lr", 0.05), STUDENTS),
    "amp of the students": (put(*TWO, "amp", "bfloat16"), STUDENTS),
    "epochs of the students": (put(*TWO, "epochs", 3), LOGITS),
    "crop_padding of the students": (put(*TWO, "crop_padding", 2), LOGITS),
    "the students' best": (put(*TWO, "select", "best"), STUDENTS_OF_BEST),
    "the teachers' best": (put(*ONE, "select", "best"), FORWARDED),
    "one more seed": (put("seeds", [0, 1]), seeded(1)),
    "another seed": (put("seeds", [7]), seeded(7)),
    "a new alpha": (
        put("teachers", "t", "label_smoothing", [0.0, 0.1, 0.2]),
        teacher("0.2") | student("0.2", "T1") | student("0.2", "T3") | FIGURES,
    ),
    "an alpha less": (put("teachers", "t", "label_smoothing", [0.1]), FIGURES),
    "the form of smoothing": (put("teachers", "t", "smoothing", "others"), NAMED_OTHERWISE),
    "a new T": (put("students", "s", "temperature", [1, 2, 3]), students("T2")),
    "a T less": (put("students", "s", "temperature", [3]), GRID),
    "a weight": (put("students", "s", "soft_weight", [0.5]), students("T1-w0.5", "T3-w0.5")),
    "students of some teachers": (put("students", "s", "label_smoothing", [0.1]), GRID),
    "without T squared": (matched([1, 3], t_squared=False), students("T1-noT2", "T3-noT2")),
    "the student not softened": (matched([3], soften_student=False), students("T3-hardstudent")),
    "another reduction": (matched([3], reduction="mean"), students("T3-mean")),
    "logits matched": (configured(logits_matched), students("logit_mse")),
    "the clean image's logits": (matched([3], draws=1), students("T3-draws1") | at("teacher_logits", TRAINED)),
    "as many draws as epochs": (matched([3], draws=2), students("T3-draws2")),
    "one draw more": (matched([3], draws=3), students("T3-draws3") | at("teacher_logits", TRAINED)),
    "the teacher in the loop": (matched([3], draws="online"), students("T3-online")),
    "half precision of the store": (
        matched([3], dtype="float16"),
        students("T3-float16") | at("teacher_logits", TRAINED),
    ),
    "a recipe of another name": (
        configured(
            lambda study: (
                study["recipes"].update(three=study["recipes"]["two"]) or study["students"]["s"].update(recipe="three")
            )
        ),
        STUDENTS,
    ),
    "a group of another name": (
        configured(lambda study: study.update(students={"pupils": study["students"]["s"]})),
        GRID,
    ),
    "the study's name": (put("study", "other"), FIGURES),
    "the scale": (put("scale", "small"), FIGURES),
    "a new figure": (put("figures", "size", {"kind": "complexity"}), {"metrics size complexity", "figure size"}),
    "a new figure of known numbers": (
        put("figures", "again", {"kind": "grid"}),
        {"metrics again accuracy", "figure again"},
    ),
    "a new kind of figure": (
        put("figures", "courses", {"kind": "curves"}),
        {"metrics courses history", "figure courses"},
    ),
    "a figure's groups": (put("figures", "stability", "groups", ["s"]), STABILITY),
    "a figure's temperatures": (put("figures", "grid", "temperatures", [1]), GRID),
    "an option at its default that a figure's kind does not take": (put("figures", "grid", "classes", []), NOTHING),
    "new networks alone": (
        put("baselines", {"b": {"model": {"name": "mlp", "width": 4}, "recipe": "one"}}),
        {"train ls0/0", "predict ls0/0"} | GRID,
    ),
    "test_fraction's default": (
        replaced(
            KEYS,
            "Annotated[float, Field(gt=0, lt=0.5)],\n    0.2,",
            "Annotated[float, Field(gt=0, lt=0.5)],\n    0.25,",
        ),
        ALL,
    ),
    "val_fraction's default": (replaced(DATA_KEYS, "Field(0.15", "Field(0.2"), ALL),
    "batch_size's default": (default("batch_size: int", "beside(IMAGES, 128", "beside(IMAGES, 64"), TRAINED),
    "optimizer's default": (
        each(
            replaced(OPTIONS, '        IMAGES, "sgd", description', '        IMAGES, "adam", description'),
            replaced(
                REGISTRY, 'optimizers:adam", (MOMENTUM,)', 'optimizers:adam", (MOMENTUM, NESTEROV)'
            ),  # papers have
        ),
        TRAINED,
    ),
    "lr's default": (default("lr: float", "Field(\n        0.1", "Field(\n        0.05"), TRAINED),
    "momentum's default": (replaced(KEYS, "Field(ge=0, lt=1)], 0.9,", "Field(ge=0, lt=1)], 0.8,"), TRAINED),
    "weight_decay's default": (default("weight_decay: float", "Field(5e-4", "Field(1e-4"), TRAINED),
    "schedule's default": (
        replaced(OPTIONS, '        IMAGES, "cosine", description', '        IMAGES, "constant", description'),
        TRAINED,
    ),
    "warmup_epochs's default": (
        each(
            default("warmup_epochs: int", "off(0, 0", "off(0, 1"),
            put(
                "recipes",
                {"one": {"epochs": 2, "warmup_epochs": 0, "crop_padding": 1}, "two": {"epochs": 2, "crop_padding": 1}},
            ),
        ),
        TRAINED,
    ),
    "flip's default": (replaced(REGISTRY, 'Option("flip", bool, False', 'Option("flip", bool, True'), TRAINED),
    "loss_scale's default": (
        default("loss_scale: float", "off(\n        1.0,\n        1.0", "off(\n        1.0,\n        3.0"),
        TRAINED,
    ),
    "amp's default": (
        default(
            'amp: Literal["none", "bfloat16", "float16"]',
            'off(\n        "none", "none"',
            'off(\n        "none", "bfloat16"',
        ),
        TRAINED,
    ),
    "select's default": (default('select: Literal["last", "best"]', 'outside("last"', 'outside("best"'), FORWARDED),
    # the default goes without saying in a name
    "the reduction's default": (
        replaced(KD, '        "batchmean",\n        "KL', '        "mean",\n        "KL'),
        STUDENTS,
    ),
    "T squared's default": (replaced(SHARED, '"t_squared", bool, True', '"t_squared", bool, False'), STUDENTS),
    "soft_weight's default": (
        each(*(replaced(path, '"soft_weight", Weight, 1.0', '"soft_weight", Weight, 0.5') for path in (SHARED, MSE))),
        STUDENTS,
    ),
    "seeds' default": (
        each(replaced(OPTIONS, "Field([0, 1, 2]", "Field([5]"), configured(lambda study: study.pop("seeds") and None)),
        seeded(5),
    ),
    # nothing of these can change a result
    "another order": (configured(told_otherwise), NOTHING),
    "every default said": (configured(with_every_default), NOTHING),
    "the title": (put("name", "Another title"), NOTHING),
    "threads": (put("runtime", {"device": "cpu", "threads": 2}), NOTHING),
    "workers": (put("runtime", {"device": "cpu", "workers": 4}), NOTHING),
    "the device": (put("runtime", {"device": "auto"}), NOTHING),
    "no runtime": (configured(lambda study: study.pop("runtime") and None), NOTHING),
    "fuse": (put("runtime", {"device": "cpu", "fuse": 8}), NOTHING),
    "channels_last": (put("runtime", {"device": "cpu", "channels_last": True}), NOTHING),
    "compile": (put("runtime", {"device": "cpu", "compile": True}), NOTHING),
    "checkpoint_minutes": (put("runtime", {"device": "cpu", "checkpoint_minutes": 5}), NOTHING),
    "runs_per_gpu": (put("runtime", {"device": "cpu", "runs_per_gpu": 2}), NOTHING),
    "track": (put("runtime", {"device": "cpu", "track": "tensorboard"}), NOTHING),
    "step_epochs at its default under cosine": (put(*ONE, "step_epochs", 30), NOTHING),
    "decay at its default under cosine": (put(*ONE, "decay", 0.1), NOTHING),
    "image_size of digits at its default": (put("data", {"dataset": "digits", "image_size": 64}), NOTHING),
    "the root of digits": (put("data", {"dataset": "digits", "root": "elsewhere"}), NOTHING),
    "a recipe that no one uses": (put("recipes", "three", {"epochs": 3}), NOTHING),
    "scales that are not used": (put("scales", {"demo": {}, "paper": {"seeds": [0, 1, 2]}}), NOTHING),
    "a scale that says the same": (put("scales", {"demo": {"seeds": [0]}}), NOTHING),
    "pictures that are not used": (put("pictures", {"seeds": [3]}), NOTHING),
    "numbers written otherwise": (
        numbers_written({"- 0.1\n": "- 0.10\n", "- 0.0\n": "- 0\n", "- 3\n": "- 3.0\n"}),
        NOTHING,
    ),
    "numbers with an exponent": (numbers_written({"- 0.1\n": "- 1.0e-1\n", "width: 8": "width: 0x8"}), NOTHING),
    "a comment in the config": (appended("config.yaml", "# a comment\n"), NOTHING),
    "the config in braces": (
        lambda root: (root / "config.yaml").write_text(yaml.safe_dump(TINY, default_flow_style=True)),
        NOTHING,
    ),
    "a scalar for a list": (put("seeds", 0), NOTHING),
    "a figure less": (configured(lambda study: study["figures"].pop("grid") and None), NOTHING),
    "step_epochs's default": (replaced(KEYS, '"step_epochs", Epoch, 30', '"step_epochs", Epoch, 40'), NOTHING),
    "decay's default": (replaced(KEYS, "Field(gt=0, lt=1)], 0.1,", "Field(gt=0, lt=1)], 0.2,"), NOTHING),
    "image_size's default": (replaced(KEYS, "Field(ge=8, le=1024)], 64,", "Field(ge=8, le=1024)], 32,"), NOTHING),
    "epochs's default": (default("epochs: int", "beside(IMAGES, 30", "beside(IMAGES, 40"), NOTHING),
    "the runtime's defaults": (
        replaced("lskd/study/runtime.py", "workers: int = Field(2", "workers: int = Field(4"),
        NOTHING,
    ),
}
