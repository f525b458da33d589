"""A dress rehearsal of paper scale: one run of each recipe through 20 steps, on made images in each data set's layout.

    make rehearsal                              # 90 minutes of one core; ARGS="shen2021" for one paper
    .venv/bin/python workflow/rehearsal.py [PAPER ...] [--recipe NAME] [--folder results/rehearsal]

Of each paper's study at paper scale every group of students is taken with all above it, then every recipe that no
student of these had. What is changed: one seed, one value of each axis, one epoch of 20 batches, a ShuffleNetV2 for the
networks of photographs. Kept: data sets and how they are read (ImageNet with its 1,000 classes), pixels,
the binary network, optimisers, losses, stores, metrics, a table. CIFAR's and MNIST's published files cannot be made, as
their digests are compared; arrays of their shape stand for them.
"""

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lskd.data.split import stratified_mask
from lskd.data.wordnet import synsets
from lskd.io.atomic import write_text
from lskd.papers.read import PAPERS
from lskd.study import reading, registry
from lskd.study.config import Study

TREE = Path(__file__).resolve().parents[1]
STEPS = 20
SMALL = "shufflenet_v2_x1_0"  # stands for the large networks: the same steps at a third of a ResNet-18's time
OWN = {"reactnet18"}  # not for these: their layers and gradients are like no other's
ARRAYS = {"cifar10": (10, 32, 3), "cifar100": (100, 32, 3), "mnist": (10, 28, 1), "fashion_mnist": (10, 28, 1)}
Values = dict[str, Any]


def main() -> None:
    """Rehearse, and print a row a study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", nargs="*", default=list(PAPERS))
    parser.add_argument("--recipe", help="this one alone")
    parser.add_argument("--folder", type=Path, default=TREE / "results/rehearsal")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # each is a chain of jobs, so several go side by side
        jobs = {
            pool.submit(run, study, arguments.folder / f"{paper}-{name}.yaml"): f"{paper} {name}"
            for paper in arguments.papers
            for name, study in rehearsals(paper, arguments.recipe, arguments.folder.resolve())
        }
        failed = []
        for job in as_completed(jobs):
            status, seconds, log = job.result()
            print(f"{jobs[job]}: {'done' if not status else f'FAILED, see {log},'} in {seconds:.0f} s", flush=True)
            failed += [jobs[job]] * bool(status)
    if failed:
        sys.exit(f"error: {len(failed)} of the rehearsals failed: {', '.join(failed)}")


def rehearsals(paper: str, recipe: str | None, folder: Path) -> Iterator[tuple[str, Values]]:
    """Small studies, each with the name of the group that it is about."""
    raw = reading.read(TREE / f"workflow/studies/{paper}.yaml")
    values = reading.merge({key: value for key, value in raw.items() if key != "scales"}, raw["scales"]["paper"])
    study = reading.parse(raw, "paper")
    groups: Values = {**study.teachers, **study.baselines, **study.students}
    done: set[str] = set()
    for name in [*study.students, *study.baselines, *study.teachers]:
        if name not in _measured(study):
            continue
        above = list(_with_above(name, groups))
        recipes = {groups[each].recipe for each in above} - {None}
        if study.task_of(name) != registry.IMAGES or recipes <= done or (recipe and recipe not in recipes):
            continue
        done |= recipes
        yield name, small(values, study, name, above, folder)


def _measured(study: Study) -> set[str]:
    """The groups that a figure shows whose networks are trained: one that counts parameters trains none."""
    figures = [figure for figure in study.figures.values() if registry.FIGURES[figure.kind].families != ("complexity",)]
    everyone = [*study.teachers, *study.baselines, *study.students]
    return {name for figure in figures for name in figure.groups or everyone if registry.FIGURES[figure.kind].families}


def _with_above(name: str, groups: Values) -> Iterator[str]:
    """A group, the groups that teach it and those that it starts from."""
    yield name
    group = groups[name]
    for above in (getattr(group, "teacher", None), group.start and group.start.run):
        if above:
            yield from _with_above(above, groups)


def small(values: Values, study: Study, name: str, above: list[str], folder: Path) -> Values:
    """The study of one group at rehearsal's size."""
    groups: Values = {**study.teachers, **study.baselines, **study.students}
    small_study: Values = {"study": "rehearsal", "seeds": [0], "recipes": {}, "data": values["data"]}
    for kind in ("teachers", "baselines", "students"):
        chosen = {each: _one_value(dict(group)) for each, group in values.get(kind, {}).items() if each in above}
        if chosen:
            small_study[kind] = chosen
    for each in above:
        group = groups[each]
        data = _data_of(each, groups, study)
        section = next(
            small_study[kind][each]
            for kind in ("teachers", "baselines", "students")
            if each in small_study.get(kind, {})
        )
        if data.dataset not in ARRAYS and group.model.name not in OWN:
            section["model"] = SMALL
        made, samples = _data(data, folder)
        if group.data is not None or each not in study.students:
            section["data"] = made
        _shorten(small_study, values, group.recipe, samples)
    if "teachers" not in small_study:
        small_study["teachers"] = small_study.pop("baselines")
    small_study["data"] = next(iter(small_study["teachers"].values()))["data"]
    small_study["figures"] = {"accuracies": {"kind": "accuracy_table", "groups": [name]}}
    return small_study


def _data_of(name: str, groups: Values, study: Study) -> Any:
    """The data that a group trains on: its own, or else a student's are its teacher's."""
    while groups[name].data is None and name in study.students:
        name = groups[name].teacher
    return groups[name].data or study.data


def _one_value(group: Values) -> Values:
    """The last value of each axis; a student takes all its teachers, as there is one."""
    short = {key: value[-1:] if isinstance(value, list) else value for key, value in group.items()}
    if "teacher" in group:
        short.pop("label_smoothing", None)
    if "teacher_epoch" in short:
        short["teacher_epoch"] = [1]
    return short


def _shorten(small_study: Values, values: Values, recipe: str | None, samples: int) -> None:
    """One epoch of 20 batches."""
    if recipe is None:
        return
    keys = dict(values["recipes"][recipe]) | {"epochs": 1, "warmup_epochs": 0, "batch_size": -(-samples // STEPS)}
    if "milestones" in keys:
        keys["milestones"] = [1]
    if "snapshot_epochs" in keys or any(
        group.get("teacher_epoch") for group in small_study.get("students", {}).values()
    ):
        keys["snapshot_epochs"] = [1]
    keys["warmup_epochs"] = 0
    small_study["recipes"][recipe] = keys


def _data(data: Any, folder: Path) -> tuple[Values, int]:
    """A data section on made images, and how many images train."""
    keys = {key: value for key, value in data.used.items() if value is not None}
    if data.dataset in ARRAYS:
        root = folder / f"made_{data.dataset}.npz"
        classes, side, channels = ARRAYS[data.dataset]
        count = 2560
        if not root.exists():
            _arrays(root, classes, side, channels, count)
        return {"dataset": "npz", "root": str(root), "val_fraction": 0.2}, round(count * 0.8)
    root = folder / ("imagenet" if data.dataset == "imagenet_lt" else data.dataset)
    if not root.exists() or data.dataset == "imagenet_lt":
        MAKERS[data.dataset](root)
    return keys | {"root": str(root), "name": f"made-{data.folder}"}, _trained_on(data.dataset, data.val_fraction)


def _arrays(root: Path, classes: int, side: int, channels: int, count: int) -> None:
    draw = np.random.default_rng(0)
    arrays = {}
    for split, images in (("train", count), ("test", classes * 2)):
        arrays[f"x_{split}"] = draw.integers(0, 256, (images, side, side, channels), dtype=np.uint8)
        arrays[f"y_{split}"] = np.arange(images) % classes
    np.savez(root, **arrays)


def _jpeg(number: int, side: int = 224) -> bytes:
    """A smooth image of chance, of its own for each number, a little wider than high."""
    pixels = np.random.default_rng(number).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).resize((side * 4 // 3, side), Image.Resampling.BICUBIC).save(content, "jpeg", quality=90)
    return content.getvalue()


def imagenet(root: Path) -> None:
    """1,000 classes: two training images and one of val each."""
    with _complete(root) as temporary:
        for label, synset in enumerate(synsets()):
            for image in range(2):
                _write(temporary / "train" / synset.wnid / f"{synset.wnid}_{image}.JPEG", _jpeg(3 * label + image))
            _write(temporary / "val" / synset.wnid / f"ILSVRC2012_val_{label + 1:08}.JPEG", _jpeg(3 * label + 2))


def cub200(root: Path) -> None:
    """200 birds: five training images and one of test each."""
    lists: dict[str, list[str]] = {"images": [], "image_class_labels": [], "train_test_split": []}
    with _complete(root) as temporary:
        for number in range(1200):
            bird = f"{number % 200 + 1:03}.Bird_{number % 200}"
            file = f"{bird}/{bird[4:]}_{number:04}.jpg"
            _write(temporary / "images" / file, _jpeg(number))
            lists["images"].append(f"{number + 1} {file}")
            lists["image_class_labels"].append(f"{number + 1} {number % 200 + 1}")
            lists["train_test_split"].append(f"{number + 1} {int(number < 1000)}")
        for name, lines in lists.items():
            write_text(temporary / f"{name}.txt", "\n".join(lines) + "\n")
        birds = [f"{k + 1} {k + 1:03}.Bird_{k}" for k in range(200)]
        write_text(temporary / "classes.txt", "\n".join(birds) + "\n")


def tiny_imagenet(root: Path) -> None:
    """200 classes of 64 pixels: ten training images and one of val each."""
    wnids = [synset.wnid for synset in synsets()][::5]
    with _complete(root) as temporary:
        for label, wnid in enumerate(wnids):
            for image in range(10):
                file = temporary / "train" / wnid / "images" / f"{wnid}_{image}.JPEG"
                _write(file, _jpeg(20 * label + image, 64))
            _write(temporary / "val/images" / f"val_{label}.JPEG", _jpeg(20 * label + 19, 64))
        rows = [f"val_{label}.JPEG\t{wnid}\t0\t0\t63\t63" for label, wnid in enumerate(wnids)]
        write_text(temporary / "val/val_annotations.txt", "\n".join(rows) + "\n")
        write_text(temporary / "wnids.txt", "\n".join(wnids) + "\n")
        write_text(temporary / "words.txt", "".join(f"{synset.wnid}\t{synset.name}\n" for synset in synsets()))


def places365_lt(root: Path) -> None:
    """365 places: of each two training images, one of val and one of test."""
    lists: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    with _complete(root) as temporary:
        for label in range(365):
            for split, part, image in (
                ("train", "train", 0),
                ("train", "train", 1),
                ("val", "train", 2),
                ("test", "val", 3),
            ):
                file = f"{part}/place-{label:03}/{image:08}.jpg"
                _write(temporary / file, _jpeg(4 * label + image))
                lists[split].append(f"{file} {label}\n")
        for split, lines in lists.items():
            write_text(temporary / f"Places_LT_{split}.txt", "".join(lines))


def inat2019(root: Path) -> None:
    """1,010 species: of each two training images and one of val."""
    with _complete(root) as temporary:
        for split, count in (("train", 2), ("val", 1)):
            images, annotations = [], []
            for number in range(1010 * count):
                file = f"train_val2019/Plants/{number % 1010}/{split}{number}.jpg"
                _write(temporary / file, _jpeg(number + 5000 * (split == "val")))
                images.append({"id": number, "file_name": file})
                annotations.append({"id": number, "image_id": number, "category_id": number % 1010})
            categories = [{"id": species, "name": f"species {species}"} for species in range(1010)]
            content = {"images": images, "annotations": annotations, "categories": categories}
            write_text(temporary / f"{split}2019.json", json.dumps(content))


def imaterialist2019(root: Path) -> None:
    """2,019 products: of each two training images and one of val."""
    with _complete(root) as temporary:
        for split, count in (("train", 2), ("val", 1)):
            listed = [{"id": f"{split}{number}.jpg", "class": number % 2019} for number in range(2019 * count)]
            for number, image in enumerate(listed):
                _write(temporary / split / str(image["id"]), _jpeg(number + 5000 * (split == "val")))
            write_text(temporary / f"{split}.json", json.dumps({"images": listed}))
        leaves = {"level3_node0": [str(product) for product in range(2019)]}
        write_text(temporary / "product_tree.json", json.dumps({"level1_node1": {"level2_node1": leaves}}))


def imagenet_lt(root: Path) -> None:
    """Lists beside a made ImageNet: of each class one training image, one of val, one of test."""
    if not (root / "train").exists():
        imagenet(root)
    wnids = [synset.wnid for synset in synsets()]
    names = {
        "train": "train/{0}/{0}_0.JPEG",
        "val": "train/{0}/{0}_1.JPEG",
        "test": "val/{0}/ILSVRC2012_val_{1:08}.JPEG",
    }
    for split, name in names.items():
        lines = [f"{name.format(wnid, label + 1)} {label}\n" for label, wnid in enumerate(wnids)]
        write_text(root / f"ImageNet_LT_{split}.txt", "".join(lines))


MAKERS = {
    "imagenet": imagenet,
    "imagenet_lt": imagenet_lt,
    "places365_lt": places365_lt,
    "inat2019": inat2019,
    "imaterialist2019": imaterialist2019,
    "cub200": cub200,
    "tiny_imagenet": tiny_imagenet,
}
EACH = {"imagenet": (1000, 2), "cub200": (200, 5), "tiny_imagenet": (200, 10), "inat2019": (1010, 2)}  # classes, images
EACH |= {"imaterialist2019": (2019, 2), "imagenet_lt": (1000, 1), "places365_lt": (365, 2)}
OWN_VAL = ("imagenet_lt", "places365_lt")


def _trained_on(dataset: str, val_fraction: float) -> int:
    """How many images train, after val."""
    classes, images = EACH[dataset]
    labels_n = np.repeat(np.arange(classes), images)
    return len(labels_n) if dataset in OWN_VAL else int((~stratified_mask(labels_n, val_fraction, 0)).sum())


@contextmanager
def _complete(root: Path) -> Iterator[Path]:
    """A folder that is called `root` once it is complete."""
    temporary = root.with_name(f"{root.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    yield temporary
    temporary.replace(root)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def run(study: Values, path: Path) -> tuple[int, float, Path]:
    """Run a study from a file of its own: its exit status, its seconds, and the log beside the file."""
    write_text(path, yaml.safe_dump(study, sort_keys=False))
    command = [sys.executable, "-m", "snakemake", "--configfile", str(path), "--cores", "1", "accuracies"]
    begun, log = time.monotonic(), path.with_suffix(".log")
    with log.open("w") as file:
        status = subprocess.run(command, cwd=TREE, check=False, stdout=file, stderr=subprocess.STDOUT).returncode
    return status, time.monotonic() - begun, log


if __name__ == "__main__":
    main()
