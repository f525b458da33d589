"""What an edit makes anew, and that nothing else does: each edit with the exact set of jobs that is planned after it.

All are planned without Snakemake, in a fraction of its time; those in SAMPLE by Snakemake itself too.
"""

import copy
import json
import shutil
from pathlib import Path

import pytest
import xxhash
import yaml

from lskd.io.layout import ROOMS
from lskd.study import registry
from tests.workflow.conftest import KINDS, TINY, Tree, published
from tests.workflow.edits import (
    appended,
    configured,
    deleted,
    each,
    inserted,
    put,
    put_back,
    reformatted,
    renamed,
    reordered,
    replaced,
    shell,
    touched,
)

NOTHING: set[str] = set()
GRID = {"metrics grid accuracy", "figure grid"}
STABILITY = {"metrics stability stability", "metrics stability accuracy", "figure stability"}
FIGURES = GRID | STABILITY


def teacher(alpha, seed=0):
    """A teacher, what it says of clean images, and its logits for its students."""
    return {f"{stage} ls{alpha}/{seed}" for stage in ("train", "predict", "teacher_logits")}


def student(alpha, slug, seed=0):
    """A student and what it says of clean images."""
    return {f"{stage} ls{alpha}/{seed} {slug}" for stage in ("train", "predict")}


def students(*slugs):
    """The students of both teachers, and the figure that shows them."""
    return GRID.union(*(student(alpha, slug) for alpha in ("0", "0.1") for slug in slugs))


def at(stage, jobs):
    """Those of one stage."""
    return {job for job in jobs if job.split()[0] == stage}


STUDENTS = students("T1", "T3")
SMOOTHED = teacher("0.1") | student("0.1", "T1") | student("0.1", "T3") | FIGURES
UNSMOOTHED = teacher("0") | student("0", "T1") | student("0", "T3") | FIGURES
TRAINED = SMOOTHED | UNSMOOTHED
ALL = TRAINED | {"data"}
LOGITS = at("teacher_logits", TRAINED) | STUDENTS  # and what is made of them
PREDICTED = at("predict", TRAINED) | FIGURES
FORWARDED = LOGITS | PREDICTED  # what runs a trained network, and what is made of that
DRAWN = {"figure grid", "figure stability"}

# The body of a function or method gets another branch.
BODIES = {
    "lskd/training/loop.py:run": TRAINED,
    "lskd/training/loop.py:train": TRAINED,
    "lskd/training/loop.py:Training.__init__": TRAINED,
    "lskd/training/loop.py:Training.run": TRAINED,
    "lskd/training/loop.py:Training._epoch": TRAINED,
    "lskd/training/loop.py:Training._step": TRAINED,
    "lskd/training/loop.py:Training._end_epoch": TRAINED,
    "lskd/training/loop.py:Training.restore": TRAINED,
    "lskd/training/loop.py:seed_dropout": TRAINED,
    "lskd/training/checkpoint.py:load": TRAINED,
    "lskd/training/distill.py:run": STUDENTS,
    "lskd/training/distill.py:distill": STUDENTS,
    "lskd/training/distill.py:stored": STUDENTS,
    "lskd/training/distill.py:read_table": STUDENTS,
    "lskd/training/distill.py:draws_at": STUDENTS,
    "lskd/training/distill.py:check_labels": STUDENTS,
    "lskd/training/loop.py:loss_options": TRAINED,
    "lskd/training/distill.py:run_online": NOTHING,
    "lskd/training/distill.py:forwarded": NOTHING,
    "lskd/training/start.py:run": NOTHING,
    "lskd/training/start.py:begin_with": NOTHING,
    "lskd/training/optimizers.py:sgd": TRAINED,
    "lskd/training/optimizers.py:_Sgd.step": TRAINED,
    "lskd/training/optimizers.py:Optimizer.zero_grad": TRAINED,
    "lskd/training/optimizers.py:_zeros": TRAINED,
    "lskd/training/optimizers.py:adam": NOTHING,
    "lskd/training/optimizers.py:_Adam.step": NOTHING,
    "lskd/training/schedules.py:cosine": TRAINED,
    "lskd/training/schedules.py:lr_factor": TRAINED,
    "lskd/training/schedules.py:epoch_batches": TRAINED,
    "lskd/training/schedules.py:constant": NOTHING,
    "lskd/training/schedules.py:multistep": NOTHING,
    "lskd/supervision/kd.py:loss": STUDENTS,
    "lskd/supervision/labels.py:loss": TRAINED,
    "lskd/supervision/precision.py:precise": TRAINED,
    "lskd/supervision/logit_mse.py:loss": NOTHING,
    "lskd/models/mlp.py:mlp": TRAINED,
    "lskd/models/mlp.py:MLP.features": TRAINED,
    "lskd/models/plain_cnn.py:plain_cnn": STUDENTS,
    "lskd/models/resnet_cifar.py:resnet8": NOTHING,
    "lskd/models/torchvision_models.py:torchvision_model": NOTHING,
    "lskd/models/timm_models.py:timm_model": NOTHING,
    "lskd/models/wrapped.py:Wrapped.features": NOTHING,
    "lskd/models/network.py:new_model": TRAINED,
    "lskd/models/network.py:evaluate": TRAINED,
    "lskd/models/network.py:be_deterministic": TRAINED,
    "lskd/models/network.py:load_model": FORWARDED,
    "lskd/models/network.py:all_logits": LOGITS,
    "lskd/training/device.py:device_of": TRAINED,
    "lskd/training/device.py:lease": TRAINED,
    "lskd/data/augment.py:crop": TRAINED,
    "lskd/data/augment.py:flip": NOTHING,
    "lskd/data/augment.py:normalise": TRAINED,
    "lskd/data/augment.py:Augmentation.single": TRAINED,
    "lskd/data/augment.py:Draw.bits": TRAINED,
    "lskd/data/mixup.py:mixup": NOTHING,
    "lskd/data/sources.py:load_source": TRAINED,
    "lskd/data/sources.py:read_sources": TRAINED,
    "lskd/data/sources.py:Source.batches": TRAINED,
    "lskd/data/sources.py:augmentation_of": TRAINED,
    "lskd/data/streamed.py:streamed": NOTHING,
    "lskd/data/decode.py:decode": NOTHING,
    "lskd/data/encoded.py:EncodedImages.read": NOTHING,
    "lskd/data/encoded.py:writer": ALL,
    "lskd/data/digits.py:load": ALL,
    "lskd/data/split.py:stratified_mask": ALL,
    "lskd/data/prepare.py:run": ALL,
    "lskd/data/prepare.py:prepare": ALL,
    "lskd/data/prepare.py:_statistics": ALL,
    "lskd/data/npz.py:load": NOTHING,
    "lskd/data/hf_dataset.py:load": NOTHING,
    "lskd/data/content.py:check_same": NOTHING,
    "lskd/data/imagefolder.py:load": NOTHING,
    "lskd/data/torchvision_sets.py:load_cifar10": NOTHING,
    "lskd/jobs/execute.py:main": ALL,
    "lskd/jobs/execute.py:execute": ALL,
    "lskd/jobs/execute.py:resolve": ALL,
    "lskd/jobs/execute.py:is_whole": ALL,
    "lskd/jobs/work.py:Work.read": ALL,
    "lskd/io/seal.py:checked": ALL,
    "lskd/io/seal.py:read_record": ALL,
    "lskd/io/seal.py:seal": ALL,
    "lskd/io/atomic.py:atomic": ALL,
    "lskd/inference/predict.py:predict": PREDICTED,
    "lskd/inference/predict.py:_passes": PREDICTED,
    "lskd/inference/teacher_logits.py:store": LOGITS,
    "lskd/inference/snapshots.py:run": NOTHING,
    "lskd/io/store.py:write_logits": FORWARDED,
    "lskd/io/store.py:LogitsFile.read_draw": STUDENTS | FIGURES,
    "lskd/io/store.py:quantisation_error": NOTHING,
    "lskd/metrics/measure.py:run": FIGURES,
    "lskd/metrics/inputs.py:RunData.logits": FIGURES,
    "lskd/metrics/accuracy.py:measure": FIGURES - {"metrics stability stability"},
    "lskd/metrics/accuracy.py:top_k_accuracy": FIGURES - {"metrics stability stability"},
    "lskd/metrics/stability.py:measure": {"metrics stability stability", "figure stability"},
    "lskd/metrics/stability.py:stability_eq2": {"metrics stability stability", "figure stability"},
    "lskd/metrics/classwise.py:class_moments": {"metrics stability stability", "figure stability"},
    "lskd/metrics/diffusion.py:measure": NOTHING,
    "lskd/inference/complexity.py:run": NOTHING,
    "lskd/figures/grid.py:table": {"figure grid"},
    "lskd/figures/grid.py:draw": {"figure grid"},
    "lskd/figures/stability.py:draw": {"figure stability"},
    "lskd/figures/style.py:alpha_colour": DRAWN,
    "lskd/figures/page.py:page": DRAWN,
    "lskd/figures/text_table.py:latex": DRAWN,
    "lskd/figures/render.py:run": DRAWN,
    "lskd/figures/render.py:render": DRAWN,
    "lskd/figures/rows.py:over_seeds": DRAWN,
    "lskd/figures/curves.py:draw": NOTHING,
    "lskd/io/tables.py:read_table": FIGURES,
    "lskd/analysis/wording.py:sentences": NOTHING,
    # what plans, shows and keeps records makes nothing
    "lskd/cli.py:main": NOTHING,
    "lskd/jobs/live.py:jobs": NOTHING,
    "lskd/jobs/progress.py:running": NOTHING,
    "lskd/training/tracking.py:tracker": NOTHING,
    "lskd/study/runtime.py:runtime": NOTHING,
    "lskd/jobs/provenance.py:record": NOTHING,
    "lskd/jobs/why.py:told": NOTHING,
    "lskd/jobs/plan.py:Plan.announcement": NOTHING,
    "lskd/jobs/checks.py:own_data": NOTHING,
    "lskd/study/options.py:with_options": NOTHING,
    "lskd/study/options.py:Option.text": NOTHING,
    "lskd/study/naming.py:title": NOTHING,
    "lskd/fingerprint/definitions.py:reached_through": NOTHING,
    "lskd/study/reading.py:_one_line": NOTHING,
}

KD, LABELS, MSE, SHARED = (f"lskd/supervision/{way}.py" for way in ("kd", "labels", "logit_mse", "shared"))
TRAIN = "lskd/training/loop.py"
OPTIONS = "lskd/study/config.py"
REGISTRY = "lskd/study/registry.py"
OWN_OPTION = 'Option("mine", int, 3, "of its own")'
CODE = {
    "a default argument": (
        replaced(
            KD,
            "    teacher_temperature: float | None = None,\n    soft_weight: float = 1.0,",
            "    teacher_temperature: float | None = None,\n    soft_weight: float = 0.9,",
        ),
        STUDENTS,
    ),
    "a default argument of a loss not used": (
        replaced(MSE, "    *,\n    soft_weight: float = 1.0,", "    *,\n    soft_weight: float = 0.9,"),
        NOTHING,
    ),
    "a constant of the loader": (replaced("lskd/data/digits.py", "_SPLIT_SEED = 20200", "_SPLIT_SEED = 20202"), ALL),
    "a constant of the augmentation": (replaced("lskd/data/augment.py", "_GAMMA = -0x61", "_GAMMA = -0x62"), TRAINED),
    "a constant of a network's passes": (replaced("lskd/models/network.py", "BLOCK = 512", "BLOCK = 256"), TRAINED),
    "a constant of an optimiser not used": (
        replaced("lskd/training/optimizers.py", "0.999, 1e-8", "0.99, 1e-8"),
        NOTHING,
    ),
    "a constant of the page": (
        replaced("lskd/figures/page.py", "h2 { font-size: 1.1rem;", "h2 { font-size: 1.2rem;"),
        DRAWN,
    ),
    "a constant of the look": (replaced("lskd/figures/style.py", '"font.size": 8', '"font.size": 9'), DRAWN),
    "a constant of the snapshots": (
        replaced("lskd/jobs/catalogue.py", "SNAPSHOT_DRAWS = 600, 5", "SNAPSHOT_DRAWS = 600, 6"),
        NOTHING,
    ),
    "a published digest": (replaced("lskd/data/content.py", 'DIGITS = "09', 'DIGITS = "19'), ALL),
    "a published digest of another set": (
        replaced("lskd/data/content.py", '"c99cafc152244af753f735de768cd75f"', '"d99cafc152244af753f735de768cd75f"'),
        NOTHING,
    ),
    "a decorator gone": (replaced("lskd/models/network.py", "@torch.no_grad()\ndef evaluate", "def evaluate"), TRAINED),
    "a decorator of an optimiser not used": (
        replaced(
            "lskd/training/optimizers.py", "class _Adam(Optimizer):\n    @torch.no_grad()", "class _Adam(Optimizer):"
        ),
        NOTHING,
    ),
    "a method beside the others": (appended("lskd/models/mlp.py", "\n\nMLP.extra = lambda self: 1\n"), TRAINED),
    "a base class": (replaced("lskd/training/optimizers.py", "class Optimizer:", "class Optimizer(dict):"), TRAINED),
    "a statement of a module": (appended("lskd/models/plain_cnn.py", "\ntorch.manual_seed(3)\n"), STUDENTS),
    "a statement of the package": (appended("lskd/__init__.py", "import random\n\nrandom.seed(3)\n"), ALL),
    "a statement of the models' package": (
        appended("lskd/models/__init__.py", "import torch\n\ntorch.seed()\n"),
        TRAINED,
    ),
    "what each file says of itself": (inserted("lskd/jobs/work.py", "Work.origin"), ALL),
    "a formula's sign": (replaced(KD, "soft = soft * temperature**2", "soft = soft / temperature**2"), STUDENTS),
    "an entry of the table": (
        replaced(
            REGISTRY,
            '"plain_cnn": Entry("lskd.models.plain_cnn:plain_cnn"',
            '"plain_cnn": Entry("lskd.models.resnet_cifar:resnet8"',
        ),
        STUDENTS,
    ),
    "an option of a way of teaching that does something": (
        each(
            replaced(KD, '    Option("soft_weight"', f'    {OWN_OPTION},\n    Option("soft_weight"'),
            replaced(KD, "    soft_weight: float = 1.0,", "    mine: int,\n    soft_weight: float = 1.0,"),
        ),
        STUDENTS,
    ),
    "another family shown by a figure": (
        replaced(
            REGISTRY,
            '"lskd.figures.grid", ("accuracy",)',
            '"lskd.figures.grid", ("accuracy", "calibration")',
        ),
        {"metrics grid calibration", "figure grid"},
    ),
    "a stage's name of its file": (
        replaced("lskd/inference/predict.py", '"head.safetensors"', '"heads.safetensors"'),
        PREDICTED,
    ),
    # nothing of these can change a result
    "a comment": (replaced(KD, "def loss(", "# a comment\ndef loss("), NOTHING),
    "a comment within": (replaced(KD, "    if t_squared:", "    # a comment\n    if t_squared:"), NOTHING),
    "a docstring": (replaced(LABELS, '"""-sum_k q_k log softmax(z)_k, with q', '"""Other words, with q'), NOTHING),
    "a module's docstring": (replaced(TRAIN, '"""The one training loop', '"""That training loop'), NOTHING),
    "a class's docstring": (replaced(TRAIN, '"""A run in training:', '"""That run in training:'), NOTHING),
    "all code reformatted": (reformatted("lskd/**/*.py"), NOTHING),
    "an annotation": (replaced(KD, "    temperature: float,", "    temperature: float | int,"), NOTHING),
    "a returned annotation": (
        replaced("lskd/models/network.py", "source: Source) -> tuple[float, float]:", "source: Source) -> object:"),
        NOTHING,
    ),
    "a local's annotation": (
        replaced("lskd/training/distill.py", "held: dict[int, torch.Tensor] = {}", "held: dict[int, object] = {}"),
        NOTHING,
    ),
    "an error's text": (replaced(TRAIN, "; lower its recipe's lr", "; please lower its recipe's lr"), NOTHING),
    "an error's text in the store": (
        replaced("lskd/io/store.py", "have changed since they were written", "are others now"),
        NOTHING,
    ),
    "an error's text in the seal": (
        replaced("lskd/io/seal.py", "damaged, its bytes are not those that were written", "damaged"),
        NOTHING,
    ),
    "a log line's text": (
        replaced("lskd/training/checkpoint.py", "the run starts afresh", "the run begins again"),
        NOTHING,
    ),
    "a local's name": (renamed(KD, "loss", "soft", "part"), NOTHING),
    "a local's name in a figure": (renamed("lskd/figures/grid.py", "_panel", "smoothings", "several"), NOTHING),
    "the order of functions": (reordered("lskd/training/distill.py"), NOTHING),
    "the order of functions with constants": (reordered("lskd/training/schedules.py"), NOTHING),
    "imports in another order": (
        replaced(
            "lskd/training/distill.py",
            "from lskd.errors import UserError, mend\nfrom lskd.io.store import Array, open_logits\n",
            "from lskd.io.store import Array, open_logits\nfrom lskd.errors import UserError, mend\n",
        ),
        NOTHING,
    ),
    "an unused import": (replaced(KD, "from typing import TYPE", "import math\nfrom typing import TYPE"), NOTHING),
    "a new unused function": (appended(KD, "\n\ndef unused(logits_nk):\n    return logits_nk\n"), NOTHING),
    "a new unused constant": (appended("lskd/models/network.py", "\n\nUNUSED = 3\n"), NOTHING),
    "a type's alias": (
        replaced("lskd/training/schedules.py", "Recipe = dict[str, Any]", "Recipe = dict[str, object]"),
        NOTHING,
    ),
    "a new way of teaching with an option of its own": (
        each(
            appended(
                "lskd/supervision/mine.py",
                "from lskd.study.options import Option\n\nNEEDS_TEACHER = True\n"
                f"OPTIONS = ({OWN_OPTION},)\n\n\ndef loss(logits, targets, teacher_logits, *, mine):\n    return 0\n",
            ),
            replaced(REGISTRY, '    "kd": ', '    "mine": "lskd.supervision.mine",\n    "kd": '),
        ),
        NOTHING,
    ),
    "a new augmentation with an option of its own": (
        each(
            appended("lskd/data/mine.py", "def mine(images_nchw, draw, value):\n    return images_nchw\n"),
            replaced(
                REGISTRY,
                "    for augmentation in (\n",
                "    for augmentation in (\n"
                '        Augmentation("lskd.data.mine:mine", Option("mine", int, 0, "of its own", 0)),\n',
            ),
        ),
        NOTHING,
    ),
    "a new metric": (
        each(
            appended("lskd/metrics/mine.py", "def measure(runs, options):\n    return []\n"),
            replaced(
                REGISTRY,
                '    "history": ',
                '    "mine": Metric("lskd.metrics.mine:measure"),\n    "history": ',
            ),
        ),
        NOTHING,
    ),
    "a new figure": (
        each(
            appended(
                "lskd/figures/mine.py", "def table(frames, options): ...\n\ndef draw(table, frames, options): ...\n"
            ),
            replaced(
                REGISTRY,
                '    "grid": Figure',
                '    "mine": Figure("lskd.figures.mine", ()),\n    "grid": Figure',
            ),
        ),
        NOTHING,
    ),
    "a new model with an option of its own": (
        each(
            appended("lskd/models/mine.py", "def mine(num_classes, image_shape, mine=3): ...\n"),
            replaced(
                REGISTRY,
                '    "mlp": ',
                f'    "mine": Entry("lskd.models.mine:mine", ({OWN_OPTION},)),\n    "mlp": ',
            ),
        ),
        NOTHING,
    ),
    "a new schedule with an option of its own": (
        each(
            appended("lskd/training/schedules.py", "\n\ndef mine(recipe, done, epoch):\n    return 1.0\n"),
            replaced(
                REGISTRY,
                '    "linear": ',
                f'    "mine": Entry("lskd.training.schedules:mine", ({OWN_OPTION},)),\n    "linear": ',
            ),
        ),
        NOTHING,
    ),
    "a new optimiser with an option of its own": (
        each(
            appended(
                "lskd/training/optimizers.py", "\n\ndef mine(recipe, parameters):\n    return sgd(recipe, parameters)\n"
            ),
            replaced(
                REGISTRY,
                '    "sgd": ',
                f'    "mine": Entry("lskd.training.optimizers:mine", ({OWN_OPTION},)),\n    "sgd": ',
            ),
        ),
        NOTHING,
    ),
    "a new data set with an option of its own": (
        each(
            appended("lskd/data/mine.py", "def load(root, **options): ...\n"),
            replaced(
                REGISTRY,
                '    "digits": ',
                f'    "mine": DataSet("lskd.data.mine:load", ({OWN_OPTION},)),\n    "digits": ',
            ),
        ),
        NOTHING,
    ),
    "a new option that is off": (
        replaced(
            OPTIONS,
            "    grad_clip: float = off(",
            "    clip_value: float = off(0.0, 0.0, ge=0)\n    grad_clip: float = off(",
        ),
        NOTHING,
    ),
    "a new option of a model that is off": (
        replaced(
            REGISTRY,
            '"lskd.models.mlp:mlp", (WIDTH, DROPOUT)',
            '"lskd.models.mlp:mlp", (WIDTH, DROPOUT, Option("depth", int, 0, "layers", 0))',
        ),
        NOTHING,
    ),
    "a new option of distillation that is off": (
        replaced(
            KD, '    Option("t_squared"', '    Option("margin", float, 0.0, "of logits", 0.0),\n    Option("t_squared"'
        ),
        NOTHING,
    ),
    "a new option of an optimiser not used": (
        replaced(
            REGISTRY,
            '"lskd.training.optimizers:adam", (MOMENTUM,)',
            '"lskd.training.optimizers:adam", (MOMENTUM, Option("beta2", float, 0.999, "beta 2"))',
        ),
        NOTHING,
    ),
    "a new option of a figure": (
        replaced(
            REGISTRY,
            '"lskd.figures.grid", ("accuracy",), (TEMPERATURES,)',
            '"lskd.figures.grid", ("accuracy",), (TEMPERATURES, Option("mine", list[str], [], "of its own", []))',
        ),
        NOTHING,
    ),
    "a new field of the runtime": (
        replaced(
            "lskd/study/runtime.py", "    compile: bool = Field", "    pin: bool = False\n    compile: bool = Field"
        ),
        NOTHING,
    ),
    "another range of an option": (
        replaced(OPTIONS, "epochs: int = Field(30, ge=1, le=10000", "epochs: int = Field(30, ge=1, le=20000"),
        NOTHING,
    ),
    "an option's meaning": (
        each(
            replaced(OPTIONS, 'description="L2, of every parameter"', 'description="L2 of every parameter"'),
            replaced(REGISTRY, '"mirrored, half of the time"', '"mirrored, every other time"'),
            replaced(REGISTRY, '"of SGD; Adam\'s beta 1"', '"of SGD"'),
            replaced(SHARED, '"T, by which logits are divided"', '"T, a divisor of logits"'),
            replaced(LABELS, '"alpha, the probability that is taken from the label"', '"alpha"'),
        ),
        NOTHING,
    ),
    "a message": (replaced("lskd/errors.py", "the user can mend this", "a user can mend this"), NOTHING),
    "a rule's spaces": (
        replaced(
            "workflow/rules/train.smk",
            '"python -m lskd.jobs.execute {log:q}"',
            '"python  -m  lskd.jobs.execute  {log:q}"',
        ),
        NOTHING,
    ),
    "a rule's comment": (
        replaced("workflow/rules/train.smk", "rule train:\n", "# a comment\nrule train:\n\n"),
        NOTHING,
    ),
    "a rule's threads": (
        replaced("workflow/rules/metrics.smk", "    shell:\n", "    threads: 2\n    shell:\n"),
        NOTHING,
    ),
    "how the rules are written": (
        replaced("workflow/rules/common.smk", "import sys\nfrom pathlib", "import sys  # a comment\nfrom pathlib"),
        NOTHING,
    ),
    "a caption": (appended("workflow/report/figure.rst", "\nOther words.\n"), NOTHING),
    "a locked environment": (appended("envs/train.yaml", "# a comment\n"), NOTHING),
    "the profile": (appended("workflow/profiles/default/profile.yaml", "# a comment\n"), NOTHING),
    "the readme and the tests": (
        each(appended("README.md", "# lskd\n"), appended("tests/test_x.py", "X = 1\n")),
        NOTHING,
    ),
    "a paper's study": (appended("workflow/studies/muller2019.yaml", "# a comment\n"), NOTHING),
}

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
            REGISTRY,
            "Annotated[float, Field(gt=0, lt=0.5)],\n    0.2,",
            "Annotated[float, Field(gt=0, lt=0.5)],\n    0.25,",
        ),
        ALL,
    ),
    "val_fraction's default": (default("val_fraction: float", "Field(0.15", "Field(0.2"), ALL),
    "batch_size's default": (default("batch_size: int", "Field(128", "Field(64"), TRAINED),
    "optimizer's default": (
        each(
            replaced(OPTIONS, '        "sgd", description', '        "adam", description'),
            replaced(
                REGISTRY, 'optimizers:adam", (MOMENTUM,)', 'optimizers:adam", (MOMENTUM, NESTEROV)'
            ),  # papers have
        ),
        TRAINED,
    ),
    "lr's default": (default("lr: float", "Field(0.1", "Field(0.05"), TRAINED),
    "momentum's default": (replaced(REGISTRY, "Field(ge=0, lt=1)], 0.9,", "Field(ge=0, lt=1)], 0.8,"), TRAINED),
    "weight_decay's default": (default("weight_decay: float", "Field(5e-4", "Field(1e-4"), TRAINED),
    "schedule's default": (
        replaced(OPTIONS, '        "cosine", description', '        "constant", description'),
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
    "loss_scale's default": (default("loss_scale: float", "off(\n        1.0, 1.0", "off(\n        1.0, 3.0"), TRAINED),
    "amp's default": (
        default('amp: Literal["none", "bfloat16", "float16"]', 'off("none", "none"', 'off("none", "bfloat16"'),
        TRAINED,
    ),
    "select's default": (default('select: Literal["last", "best"]', 'outside("last"', 'outside("best"'), FORWARDED),
    # the default goes without saying in a name
    "the reduction's default": (
        replaced(KD, '        "batchmean",\n        "KL', '        "mean",\n        "KL'),
        STUDENTS,
    ),
    "T squared's default": (replaced(KD, '"t_squared", bool, True', '"t_squared", bool, False'), STUDENTS),
    "soft_weight's default": (
        each(*(replaced(path, '"soft_weight", Weight, 1.0', '"soft_weight", Weight, 0.5') for path in (KD, MSE))),
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
    "step_epochs's default": (replaced(REGISTRY, '"step_epochs", Epoch, 30', '"step_epochs", Epoch, 40'), NOTHING),
    "decay's default": (replaced(REGISTRY, "Field(gt=0, lt=1)], 0.1,", "Field(gt=0, lt=1)], 0.2,"), NOTHING),
    "image_size's default": (replaced(REGISTRY, "Field(ge=8, le=1024)], 64,", "Field(ge=8, le=1024)], 32,"), NOTHING),
    "epochs's default": (default("epochs: int", "Field(30", "Field(40"), NOTHING),
    "the runtime's defaults": (
        replaced("lskd/study/runtime.py", "workers: int = Field(2", "workers: int = Field(4"),
        NOTHING,
    ),
}

LOOKED_AT = {f"figure the_{kind}" for kind in registry.FIGURES}


def shown(*kinds):
    """The figures of some kinds."""
    return {f"figure the_{kind}" for kind in kinds}


def look(kind, **options):
    """Another option of a figure in the study of all kinds."""
    return put("figures", f"the_{kind}", KINDS["figures"][f"the_{kind}"] | options, study=KINDS)


TABLES = ("accuracy_table", "error_table")
PROJECTED = {f"metrics the_{kind} projection" for kind in ("clusters", "projection", "projection_muller")}
INFORMATION = {"metrics the_information information", "figure the_information"}
OF_KINDS = {
    "the snapshots": (inserted("lskd/inference/snapshots.py", "run"), INFORMATION | {"snapshots ls0/0"}),
    "the constant of the snapshots": (
        replaced("lskd/jobs/catalogue.py", "SNAPSHOT_DRAWS = 600, 5", "SNAPSHOT_DRAWS = 600, 6"),
        INFORMATION | {"snapshots ls0/0"},
    ),
    "the count of parameters": (
        inserted("lskd/inference/complexity.py", "run"),
        {"metrics the_complexity complexity", "figure the_complexity"},
    ),
    "a projection": (
        inserted("lskd/metrics/projection.py", "measure"),
        PROJECTED | shown("clusters", "projection", "projection_muller"),
    ),
    "the courses": (
        inserted("lskd/metrics/history.py", "measure"),
        {"metrics the_curves history", "figure the_curves"},
    ),
    "the look": (inserted("lskd/figures/style.py", "context"), LOOKED_AT),
    "a marker": (
        inserted("lskd/figures/style.py", "marker"),
        shown(*TABLES, "grid", "inter_stability", "stability", "summary", "verdict"),
    ),
    "a figure": (inserted("lskd/figures/diffusion.py", "draw"), shown("diffusion")),
    "the published numbers beside ours": (
        inserted("lskd/figures/beside.py", "beside"),
        shown(*TABLES, "grid", "inter_stability", "stability"),
    ),
    "a paper's numbers": (appended("lskd/papers/shen2021.yaml", "# a comment\n"), NOTHING),  # of another study
    "the numbers of the paper that the summary shows": (
        appended("lskd/papers/chandrasegaran2022.yaml", "# a comment\n"),
        shown("summary"),
    ),
    "how papers are read": (
        inserted("lskd/papers/read.py", "paper"),
        shown(*TABLES, *"calibration_table complexity diffusion grid inter_stability stability summary".split()),
    ),
    "the words of the verdict": (inserted("lskd/analysis/wording.py", "sentences"), shown("verdict")),
    "classes of a figure": (
        look("clusters", classes=["3", "9", "8"]),
        {"metrics the_clusters projection", "metrics the_clusters clusters", "figure the_clusters"},
    ),
    "classes in another order": (look("information", classes=["8", "3"]), INFORMATION),
    "two other classes": (look("information", classes=["3", "9"]), INFORMATION | {"snapshots ls0/0"}),
    "temperatures of a figure": (
        look("soft_targets", temperatures=[1, 4, 20]),
        {"metrics the_soft_targets probabilities", "figure the_soft_targets"},
    ),
    "an option of one of two families": (
        look("summary", t1=1, t2=3),
        {"metrics the_summary diffusion", "figure the_summary"},
    ),
    "similar classes": (
        look("diffusion", targets=["3"], similar={"3": ["8", "9"]}),
        {"metrics the_diffusion diffusion", "figure the_diffusion"},
    ),
    "the title": (put("name", "Another title", study=KINDS), NOTHING),
    "an option at its default that the kind does not take": (look("curves", classes=[]), NOTHING),
}

STATES = {  # of the results
    ".snakemake is gone": (shell("rm -rf .snakemake"), NOTHING),
    "everything has the time of now": (touched("results/**/*"), NOTHING),
    "everything is old": (touched("results/**/*", 0), NOTHING),
    "a teacher's weights are new": (touched("results/runs/digits/mlp-w8/one/ls0.1/*/*"), NOTHING),
    "the data are of tomorrow": (touched("results/data/*/*", 4e9), NOTHING),
    "the code is of tomorrow": (touched("lskd/**/*.py", 4e9), NOTHING),
    "metrics are older than what they were made of": (touched("results/metrics/**/*", 1), NOTHING),
    "the metrics are all that is left": (
        shell("cd results && rm -rf data runs predictions teacher_logits .jobs .running .cache"),
        NOTHING,
    ),
    "the drawn figures are all that is left": (
        shell("cd results && rm -rf data runs predictions teacher_logits metrics .jobs .running"),
        NOTHING,
    ),
    "all is gone": (shell("rm -rf results"), ALL),
    "a published figure is gone": (deleted("results/figures/demo/tiny/grid.svg"), NOTHING),
    "a published figure is overwritten": (
        lambda root: (root / "results/figures/demo/tiny/grid.svg").write_text("mine"),
        NOTHING,
    ),
    "a drawn figure's picture is gone": (deleted("results/drawn/demo/tiny/grid-*/figure.svg"), {"figure grid"}),
    "a drawn figure's numbers are gone": (deleted("results/drawn/demo/tiny/grid-*/figure.csv"), {"figure grid"}),
    "a drawn figure's record is gone": (deleted("results/drawn/demo/tiny/grid-*/record.json"), {"figure grid"}),
    "a drawn figure's log is gone": (deleted("results/drawn/demo/tiny/grid-*/figure.log"), NOTHING),
    "a figure and its metrics are gone": (
        deleted("results/drawn/demo/tiny/grid-*/record.json", "results/metrics/demo/tiny/grid/*/metrics.parquet"),
        GRID,
    ),
    "a figure and a prediction's file are gone": (
        deleted("results/drawn/demo/tiny/grid-*/figure.md", "results/predictions/**/kd-T3-*ls0.1/*/head.safetensors"),
        {"figure grid"},
    ),
    "killed jobs left their files": (
        each(
            appended("results/.running/0123456789.json", "{}"),
            appended("results/.running/.0123456789.tmp", "{"),
            appended("results/.jobs/0123456789.json", "{}"),
            appended("results/runs/digits/mlp-w8/one/ls0/seed0-0123456789/checkpoint.pt", "half"),
            appended("results/runs/digits/mlp-w8/one/ls0/seed0-0123456789/.model.safetensors.x.h.1.tmp", "half"),
        ),
        NOTHING,
    ),
    "results of other code beside them": (
        shell(
            "for each in results/runs/digits/mlp-w8/one/ls0/seed0-*; do cp -r $each ${each%-*}-0123456789; done;"
            "cp -r results/drawn/demo/tiny results/drawn/demo/other"
        ),
        NOTHING,
    ),
    "copied without times": (shell("cp -r results copy && rm -rf results .snakemake && mv copy results"), NOTHING),
    "through tar": (shell("tar cf x.tar results && rm -rf results .snakemake && tar xmf x.tar && rm x.tar"), NOTHING),
    "linked from elsewhere": (shell("mv results ../elsewhere && ln -s ../elsewhere results"), NOTHING),
}
SAMPLE = {  # rows that Snakemake plans too
    *("lskd/supervision/labels.py:loss", "lskd/models/network.py:all_logits", "lskd/jobs/execute.py:main"),
    *("all code reformatted", "a rule's spaces", "another family shown by a figure"),
    *("the students' best", "one more seed", "every default said", "batch_size's default"),
    *(".snakemake is gone", "everything has the time of now", "the data are of tomorrow", "all is gone"),
    *("the metrics are all that is left", "a drawn figure's picture is gone", "results of other code beside them"),
}


def check(tree, row, edit, expected, *parts):
    """Edit, plan and put back."""
    with put_back(tree.folder, *parts):
        edit(tree.folder)
        assert tree.pending() == expected
        if row in SAMPLE:
            assert tree.planned() == expected


@pytest.mark.parametrize("name", BODIES)
def test_a_functions_body(finished, name):
    edit = inserted(*name.split(":"))
    check(finished, name, edit, BODIES[name], "lskd")


@pytest.mark.parametrize("row", CODE)
def test_code(finished, row):
    edit, expected = CODE[row]
    check(finished, row, edit, expected, "lskd", "workflow", "envs", "README.md", "tests", "config.yaml")


@pytest.mark.parametrize("row", CONFIG)
def test_config(finished, row):
    edit, expected = CONFIG[row]
    check(finished, row, edit, expected, "lskd", "config.yaml")


@pytest.mark.parametrize("row", OF_KINDS)
def test_study_of_all_kinds(every_kind, row):
    edit, expected = OF_KINDS[row]
    check(every_kind, row, edit, expected, "lskd", "config.yaml")


@pytest.fixture(scope="module")
def states(finished, tmp_path_factory):
    """A copy of the finished tree whose results a test may do anything to."""
    tree = copied(finished, tmp_path_factory.mktemp("states") / "tree")
    assert tree.pending() == NOTHING
    yield tree
    tree.close()


def copied(tree, folder):
    """A tree with its results in another place."""
    folder.mkdir()
    copy = Tree(folder, tree.folder)
    results_of(tree, copy)
    return copy


def results_of(tree, other):
    """Give a tree the results of another one."""
    for part in ("results", ".snakemake"):
        place = other.folder / part
        if place.is_symlink():
            place.unlink()
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(tree.folder / part, place)


@pytest.mark.parametrize("row", STATES)
def test_state(finished, states, row):
    edit, expected = STATES[row]
    results_of(finished, states)
    check(states, row, edit, expected, "lskd")


def test_what_lies_above_the_figures_may_go_file_by_file(finished):
    """With the figures there, no file above them is missed; each is when something needs it, and then it alone."""
    rooms = set(ROOMS.values()) - {"drawn", "snapshots"}
    above = [path for room in sorted(rooms) for path in finished.results(f"{room}/**/*.*") if path.is_file()]
    assert len(above) > 80
    with put_back(finished.folder, "results"):
        for path in above:
            path.unlink()
        assert finished.pending() == NOTHING
    with put_back(finished.folder, "results", "lskd"):
        inserted("lskd/figures/grid.py", "draw")(finished.folder)
        for path in above:
            if "metrics/demo/tiny/grid" not in str(path):
                path.unlink()
        assert finished.pending() == {"figure grid"}


PENDING = {  # a figure waits to be drawn and its metrics to be measured: what else, if one of these files is gone?
    "data/*/data.safetensors": {"data"},
    "data/*/record.json": {"data"},
    "predictions/**/kd-T3-*ls0.1/*/head.safetensors": {"predict ls0.1/0 T3"},
    "predictions/**/kd-T3-*ls0.1/*/test.logits.parquet": {"predict ls0.1/0 T3"},
    "predictions/**/kd-T3-*ls0.1/*/record.json": {"predict ls0.1/0 T3"},
    "predictions/**/kd-T3-*ls0.1/*/predict.log": NOTHING,
    "runs/**/kd-T3-*ls0.1/*/history.jsonl": NOTHING,
    "runs/**/kd-T3-*ls0.1/*/model.safetensors": NOTHING,
    "teacher_logits/**/logits.parquet": NOTHING,
    "metrics/demo/tiny/stability/*/metrics.parquet": NOTHING,
}


@pytest.mark.parametrize("pattern", PENDING)
def test_what_a_pending_job_reads_is_made_again(finished, pattern):
    with put_back(finished.folder, "results", "lskd"):
        inserted("lskd/metrics/accuracy.py", "measure")(finished.folder)
        deleted(f"results/{pattern}")(finished.folder)
        assert finished.pending("grid") == GRID | PENDING[pattern]


def test_a_chain_of_missing_files_is_made_again_from_its_first(finished):
    with put_back(finished.folder, "results", "lskd"):
        inserted("lskd/metrics/accuracy.py", "measure")(finished.folder)
        deleted(
            "results/predictions/**/kd-T3-*ls0.1/*/head.safetensors",
            "results/runs/**/kd-T3-*ls0.1/*/history.jsonl",
            "results/teacher_logits/**/ls0/*/*/logits.parquet",
        )(finished.folder)
        expected = GRID | student("0.1", "T3")
        assert finished.pending("grid") == finished.planned("grid") == expected


def test_a_metric_alone_is_enough_for_an_edited_figure(finished, states):
    results_of(finished, states)
    shell("cd results && rm -rf data runs predictions teacher_logits drawn figures")(states.folder)
    assert states.planned() == DRAWN
    with put_back(states.folder, "lskd"):
        inserted("lskd/figures/grid.py", "draw", "pass")(states.folder)
        assert states.pending() == DRAWN


def test_every_edit_taken_back_plans_nothing(finished):
    parts = ("lskd", "workflow", "envs", "README.md", "tests", "config.yaml")
    with put_back(finished.folder, *parts):
        for edit, _ in [*CODE.values(), *CONFIG.values()]:
            with put_back(finished.folder, *parts):
                edit(finished.folder)
        assert finished.pending() == finished.planned() == NOTHING


def test_an_edit_that_was_run_and_taken_back_plans_nothing(finished, states):
    results_of(finished, states)
    before = published(states)
    with put_back(states.folder, "lskd"):
        replaced("lskd/figures/style.py", '"font.size": 8', '"font.size": 9')(states.folder)
        assert states.pending() == DRAWN
        states.run()
        assert states.planned() == NOTHING
        assert published(states)["grid.svg"] != before["grid.svg"]
    assert states.planned() == NOTHING
    states.run()
    assert published(states) == before


def test_published_figures_are_put_back(finished, states):
    results_of(finished, states)
    before, folder = published(states), states.folder / "results/figures/demo/tiny"
    (folder / "grid.svg").write_text("mine")
    (folder / "stability.md").unlink()
    states.run()
    assert published(states) == before


def test_a_copy_elsewhere_plans_nothing(finished, tmp_path):
    """Copied without times or `.snakemake`, in another folder of another name."""
    copy = Tree(tmp_path, finished.folder)
    shutil.copytree(finished.folder / "results", tmp_path / "results", copy_function=shutil.copyfile)
    assert copy.pending() == copy.planned() == NOTHING
    copy.close()


def test_alpha_and_temperature_swapped_between_two_runs(finished):
    """An address names each value with its key, so that two equal sets of values are two addresses."""
    with put_back(finished.folder, "config.yaml"):
        addresses = []
        for alpha, temperature in ((0.5, 0.25), (0.25, 0.5)):
            study = copy.deepcopy(TINY)
            study["teachers"]["t"]["label_smoothing"] = [alpha]
            study["students"]["s"]["temperature"] = [temperature]
            finished.configure(study)
            jobs = {f"{stage} ls{alpha}/0 T{temperature}" for stage in ("train", "predict")}
            assert jobs | {f"train ls{alpha}/0"} <= finished.pending()
            addresses.append({path.name for path in finished.tell_jobs().values()})
        assert not addresses[0] & addresses[1]
        shutil.rmtree(finished.folder / "results/.jobs")


def test_a_published_number_edited_draws_its_papers_figures_again(finished):
    with put_back(finished.folder, "lskd", "results"):
        note = "note: shen2021: a paper's study, which --config name does not touch"
        assert note in finished.run("shen2021_fig3", "--config", "name=Renamed")
        assert finished.planned("shen2021_fig3") == NOTHING
        replaced("lskd/papers/muller2019.yaml", "paper: ", "paper:  ")(finished.folder)
        assert finished.pending("shen2021_fig3") == NOTHING
        replaced("lskd/papers/shen2021.yaml", "paper: ", "paper:  ")(finished.folder)
        assert finished.pending("shen2021_fig3") == finished.planned("shen2021_fig3") == {"figure fig3"}


def test_metrics_name_the_digest_of_every_file_they_were_made_of(finished):
    (folder,) = finished.results("metrics/demo/tiny/stability/stability-*")
    record = json.loads((folder / "record.json").read_text())
    assert {role.partition(" ")[0] for role in record["inputs"]} == {"data", "predict"}
    assert len(record["inputs"]) == 3
    for above in record["inputs"].values():
        place = finished.folder / "results" / above["folder"]
        assert above["address"] == place.name[-10:]
        for name, digest in above["seal"].items():
            assert digest == xxhash.xxh3_128((place / name).read_bytes()).hexdigest()


@pytest.mark.parametrize("spoil", ["a flipped bit", "another run's logits", "a record of other files"])
def test_what_changed_since_it_was_written_is_said_at_reading(finished, spoil):
    """No plan looks at bytes; who reads them does."""
    with put_back(finished.folder, "results", "lskd"):
        (path,) = finished.results("predictions/digits/mlp-w8/one/ls0.1/seed0-*/test.logits.parquet")
        (other,) = finished.results("predictions/digits/mlp-w8/one/ls0/seed0-*/test.logits.parquet")
        if spoil == "a flipped bit":
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
        elif spoil == "another run's logits":
            shutil.copyfile(other, path)
        else:
            shutil.copyfile(other.with_name("record.json"), path.with_name("record.json"))
        assert finished.pending() == NOTHING
        inserted("lskd/metrics/stability.py", "measure")(finished.folder)
        done = finished.snakemake("stability")
        assert done.returncode != 0
        lines = [line for line in done.stdout.splitlines() if line.startswith("error:")]
        assert len(lines) == 1
        assert str(path.parent.relative_to(finished.folder)) in lines[0]
        assert "Traceback" not in done.stdout
