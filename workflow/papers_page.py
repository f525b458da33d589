"""Write docs/papers.md: what each target of the papers trains at paper scale, and what that would cost.

    .venv/bin/python workflow/papers_page.py

Runs, networks and recipes are read from the studies; the data need not be there. GPU-hours are multiply-adds, three
times those of a forward pass for each image that trains a network and once for each that a teacher sees, over the speed
at which others trained ResNet-50: no paper-scale run was made here.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import torch
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lskd.inference.complexity import complexity
from lskd.io.atomic import write_text
from lskd.jobs.catalogue import model_entry
from lskd.jobs.execute import resolve
from lskd.papers.read import PAPERS, paper
from lskd.study import naming, reading, registry, runs
from lskd.study.config import Study
from lskd.study.runs import Run

TREE = Path(__file__).resolve().parents[1]
PAGE = TREE / "docs/papers.md"
TRAIN_IMAGES = {  # as published, before lskd takes its val from train
    "mnist": 60_000,
    "fashion_mnist": 60_000,
    "cifar10": 50_000,
    "cifar100": 50_000,
    "tiny_imagenet": 100_000,
    "imagenet": 1_281_167,
    "imagenet_lt": 115_846,
    "places365_lt": 62_500,
    "inat2019": 265_213,
    "imaterialist2019": 965_782,
    "cub200": 5_994,
}
CLASSES = {"imagenet": 1000, "imagenet_lt": 1000, "places365_lt": 365, "inat2019": 1010, "imaterialist2019": 2019}
CLASSES |= {"cub200": 200, "tiny_imagenet": 200, "cifar100": 100}
# Shen and Savvides 2021 (FKD, table 1 of its repository): ResNet-50, 8 V100, 579 s an epoch of ImageNet on labels
MEASURED_IMAGES, RESNET50 = 1_281_167 / 579 / 8, 4.09e9
MULTIPLY_ADDS = MEASURED_IMAGES * 3 * RESNET50  # a second and GPU
INTRODUCTION = f"""# The papers at paper scale

What `snakemake PAPER_TARGET --config scale=paper` trains, per target: networks, recipes, GPU-hours, and where it
departs from the paper and why. A dry run (`-n`) lists every job without the data; [data.md](data.md) says what to put
where.

**No run of this page was made.** GPU-hours are an estimate: the multiply-adds of the networks, three passes' worth for
an image that trains and one for an image that a teacher sees, over {MULTIPLY_ADDS / 1e12:.1f} tera-multiply-adds a
second. That is {MEASURED_IMAGES:.0f} images/s of ResNet-50 in training on one V100, as FKD's authors measured it (579 s
an epoch on 8). A newer GPU at mixed precision takes a fraction; networks of CIFAR's size keep no GPU busy and take
longer than their multiply-adds say. Runs that several targets share are counted in each.

This page is written by `python workflow/papers_page.py`.
"""


def main() -> None:
    """Write the page."""
    departures = yaml.safe_load((TREE / "lskd/papers/targets.yaml").read_text(encoding="utf-8"))
    parts = [INTRODUCTION]
    for key in PAPERS:
        study = reading.parse(reading.read(TREE / f"workflow/studies/{key}.yaml"), "paper")
        parts.append(
            f"## {paper(key).title}\n\n| Target | Trainings | GPU-hours | Departures |\n| :-- | :-- | --: | :-- |\n"
        )
        for target, row in departures[key].items():
            parts[-1] += f"| `{key}_{target}` | {_told(study, target, row)} |\n"
        parts[-1] += "\n" + _recipes(study)
    write_text(PAGE, "\n".join(parts))


def _told(study: Study, target: str, row: dict[str, str]) -> str:
    """The cells of a target."""
    figures = [name for name in study.figures if name == target or name.startswith(f"{target}_")]
    figures = [name for name in figures if _trains(study.figures[name].kind)]
    listed = runs.members(study)
    trained = list(
        _with_ancestors(member.run for name in figures for member in runs.select(listed, study.figures[name]))
    )
    counts = Counter(_words(run) for run in trained)
    words = "; ".join(f"{count} × {text}" for text, count in sorted(counts.items())) or "none"
    hours = sum(map(gpu_hours, trained))
    departs = ". ".join(filter(None, (row.get("departs", ""), row.get("without") and f"without {row['without']}")))
    return f"{words} | {f'{hours:,.0f}' if hours >= 1 or not hours else '< 1'} | {departs or 'none known'}"


def _trains(kind: str) -> bool:
    """Whether a figure of this kind shows trained networks: a formula and a count of parameters do not."""
    return registry.FIGURES[kind].families not in ((), (registry.COMPLEXITY,))


def _with_ancestors(wanted: Iterable[Run]) -> Iterator[Run]:
    """Each run that is trained for these, once: they, their teachers and what they start from."""
    seen: set[str] = set()
    waiting = list(wanted)
    while waiting:
        run = waiting.pop().whole
        waiting += [above for above in (run.teacher, run.start) if above]
        if run.identity not in seen and run.recipe is not None:
            seen.add(run.identity)
            yield run


def _words(run: Run) -> str:
    """A kind of run, whatever its smoothing, T and seed."""
    way = "" if run.teacher is None else f" from {naming.model_slug(run.teacher.model)}"
    return f"{naming.model_slug(run.model)}{way} by {run.recipe_name} on {run.data.folder}"


def gpu_hours(run: Run) -> float:
    """Hours of one GPU: see the head of this file."""
    assert run.recipe is not None
    options = dict(run.recipe)
    if (
        run.data.task == registry.TRANSLATION
    ):  # 6 multiply-adds' worth of passes for each weight and token, halved: adds
        passes = 3 + (run.teacher is not None)
        return (
            passes
            * _weights(run.model.name, dict(run.data)["pieces"])
            * options["updates"]
            * options["tokens"]
            / MULTIPLY_ADDS
            / 3600
        )
    images = TRAIN_IMAGES[run.data.dataset] * (1 - run.data.val_fraction) * options["epochs"]
    cost = 3 * multiply_adds(run)
    if run.teacher is not None:
        cost += multiply_adds(run.teacher)
    return images * cost / MULTIPLY_ADDS / 3600


def multiply_adds(run: Run) -> int:
    """Of a forward pass of one image."""
    side = dict(run.data).get("image_size") or {"mnist": 28, "fashion_mnist": 28}.get(run.data.dataset, 32)
    channels = 1 if "mnist" in run.data.dataset else 3
    spec = runs.model_spec(run.model)
    return _counted(model_entry(run.model), yaml.safe_dump(spec), channels, side, CLASSES.get(run.data.dataset, 10))


@cache
def _counted(entry: str, spec: str, channels: int, side: int, classes: int) -> int:
    options = {key: value for key, value in yaml.safe_load(spec).items() if key != "name"}
    shape = (channels, side, side)
    network = resolve(entry)(classes, shape, **options).to("meta")
    return complexity(network, shape)["flops"]


@cache
def _weights(model: str, pieces: int) -> int:
    network: torch.nn.Module = resolve(registry.MODELS[model].entry)(pieces + 4, dropout=0.0)
    return sum(parameter.numel() for parameter in network.parameters())


def _recipes(study: Study) -> str:
    """Each recipe's keys that are not the defaults."""
    lines = ["| Recipe | what it says |", "| :-- | :-- |"]
    used = {run.recipe_name for member in runs.members(study) for run in [member.run, *member.run.chain]}
    for name, recipe in sorted(study.recipes.items()):
        if name in used:
            lines.append(
                f"| {name} | {', '.join(f'{key} {value}' for key, value in recipe.used.items() if key != 'task')} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
