"""A small data set, small runs, and the folders of jobs for the tests of the stages."""

from pathlib import Path
from typing import Any

import numpy as np

from lskd.data.prepare import channel_statistics, write
from lskd.io.atomic import write_text
from lskd.io.seal import seal
from lskd.io.seal import sealed as as_sealed
from lskd.jobs.catalogue import Catalogue
from lskd.jobs.execute import resolve
from lskd.jobs.job import FILES, JOBS, Job, digest
from lskd.jobs.results import Results
from lskd.jobs.work import Work
from lskd.study.config import Data, Distill, Labels, Model, Recipe, canonical
from lskd.study.runs import Run
from lskd.study.runtime import Runtime

CLASSES = ["ant", "bee", "cat"]
CATALOGUE = Catalogue({}, Results("nowhere"))  # the jobs of runs of no study


def prepared(root: Path, train: int = 61, shape: tuple[int, int, int] = (1, 8, 8)) -> Path:
    """The sealed folder of a data set of three noisy, separable classes."""
    folder = root / f"data-{digest([train, shape])}"
    write_data(folder / "data.safetensors", train, shape)
    return sealed(folder, "data")


def write_data(path: Path, train: int = 61, shape: tuple[int, int, int] = (1, 8, 8)) -> None:
    """Write the prepared file of such a data set."""
    draw = np.random.default_rng(5)
    centres = draw.integers(40, 215, (len(CLASSES), *shape))
    tensors = {}
    for split, count in (("train", train), ("val", 15), ("test", 18)):
        labels = np.arange(count) % len(CLASSES)
        images = centres[labels] + draw.normal(0, 60, (count, *shape))
        tensors[f"{split}_images"] = images.clip(0, 255).astype(np.uint8)
        tensors[f"{split}_labels"] = labels.astype(np.int64)
    mean, std = channel_statistics(tensors["train_images"])
    write(path, tensors, {"classes": CLASSES, "mean": mean.tolist(), "std": std.tolist()})


def recipe(**fields: Any) -> Recipe:
    return Recipe(**{"epochs": 3, "batch_size": 16, "lr": 0.05} | fields)


def teacher(model: str = "resnet8", width: int | None = 4, how: Labels | None = None, seed: int = 0, **fields) -> Run:
    return Run(Data(), Model(name=model, width=width), "short", recipe(**fields), how or Labels(), seed)


def student(of: Run, model: str = "mlp", width: int = 16, how: dict[str, Any] | None = None, **fields: Any) -> Run:
    distill = Distill(**{"temperature": 2.0} | (how or {}))
    return Run(of.data, Model(name=model, width=width), "short", recipe(**fields), distill, of.seed, of)


def work(job: Job, root: Path, inputs: dict[str, Path], **runtime: Any) -> Work:
    """What a job's process gets: it reads these folders and writes into one below `root`."""
    folder = root / f"{job.stage}-{job.address}"
    folder.mkdir(parents=True, exist_ok=True)
    functions = {role: resolve(entry) for role, entry in job.functions.items()}
    return Work(job.title, job.address, job.spec, folder, inputs, functions, Runtime(device="cpu", **runtime))


def run(work: Work, stage: str) -> Path:
    """Run a stage and seal its folder, as the job's process does."""
    work.functions["run"](work)
    return sealed(work.folder, stage)


def sealed(folder: Path, stage: str) -> Path:
    seal(folder, FILES[stage], {"address": folder.name[-10:]})
    return folder


def trained(run_: Run, root: Path, data: Path, teacher: Path | None = None, **runtime: Any) -> Path:
    """The sealed folder of a training."""
    inputs = {"data": data} | ({"teacher": teacher} if teacher else {})
    return run(work(CATALOGUE.train(run_), root, inputs, **runtime), "train")


def catalogue(results: Path, train: int = 61) -> Catalogue:
    """The jobs of runs below a folder of results, which holds their data."""
    jobs = Catalogue({}, Results(results))
    data = jobs.data(Data())
    write_data(data.folder / "data.safetensors", train)
    place(data)
    return jobs


def write_job(job: Job) -> Path:
    """Write a job's file as planning does; returns the log that its process is given."""
    write_text(job.results.root / JOBS / f"{job.address}.json", canonical(as_sealed(job.described())))
    return job.folder / f"{job.stage}.log"


def place(job: Job, **changes: Any) -> Path:
    """A job's result in its own folder, of bytes that mean nothing; `changes` of its record, such as other code."""
    record = {key: job.described()[key] for key in ("stage", "title", "address", "plain", "spec", "definitions")}
    record |= {"inputs": {}, "made_on": {}, "upstream": {}, "seeds": [], "commit": "0" * 40, "made": "2026-01-01"}
    record |= changes
    folder = job.folder.parent / f"{job.folder.name[:-10]}{record['address']}"
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES[job.stage]:
        if not (folder / name).exists():
            (folder / name).write_text(f"{record['address']} {name}")
    seal(folder, FILES[job.stage], record)
    return folder


def flip(path: Path, place: int = -1) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
