"""A small data set, small runs, and the folders of jobs for the tests of the stages."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lskd.data import encoded
from lskd.data.prepare import Prepared, channel_statistics, store, write
from lskd.io.atomic import write_text
from lskd.io.layout import FILES, JOBS
from lskd.io.seal import seal
from lskd.io.seal import sealed as as_sealed
from lskd.jobs.catalogue import Catalogue
from lskd.jobs.execute import resolve
from lskd.jobs.job import Job, digest
from lskd.jobs.results import Results
from lskd.jobs.work import Work
from lskd.study.config import Data, Model, Recipe, Supervision, canonical
from lskd.study.runs import Run
from lskd.study.runtime import Runtime

CLASSES = ["ant", "bee", "cat"]
CATALOGUE = Catalogue({}, Results("nowhere"))  # the jobs of runs of no study


def prepared(root: Path, train: int = 61, shape: tuple[int, int, int] = (1, 8, 8)) -> Path:
    """The sealed folder of a data set of three noisy, separable classes."""
    tensors = noisy(train, shape)
    return stored(root / f"data-{digest([train, shape])}", tensors, shape, tensors["train_images"])


def noisy(train: int = 61, shape: tuple[int, int, int] = (1, 8, 8)) -> dict[str, np.ndarray]:
    """The tensors of such a data set."""
    draw = np.random.default_rng(5)
    centres = draw.integers(40, 215, (len(CLASSES), *shape))
    tensors = {}
    for split, count in (("train", train), ("val", 15), ("test", 18)):
        labels = np.arange(count) % len(CLASSES)
        images = centres[labels] + draw.normal(0, 60, (count, *shape))
        tensors[f"{split}_images"] = images.clip(0, 255).astype(np.uint8)
        tensors[f"{split}_labels"] = labels.astype(np.int64)
    return tensors


def stored(
    folder: Path,
    tensors: dict[str, np.ndarray],
    shape: tuple[int, int, int],
    train_nchw: np.ndarray,
    images: dict[str, list[bytes]] | None = None,
) -> Path:
    """The sealed folder of a data job of these tensors, or, streamed, of labels and of encoded `images` by split."""
    folder.mkdir(parents=True)
    counts = {split: len(tensors[f"{split}_labels"]) for split in encoded.SPLITS}
    names = {split: [f"{split}/{i}.png" for i in range(count)] for split, count in counts.items()}
    with encoded.writer(folder / encoded.FILE) as rows:
        for split, contents in (images or {}).items():
            rows.add(split, 0, contents, names[split])
    store(folder, Prepared(tensors, metadata(train_nchw, shape), names, []), {})
    return sealed(folder, "data")


def metadata(train_nchw: np.ndarray, shape: tuple[int, int, int]) -> dict[str, Any]:
    """What a prepared file says of its images."""
    mean_c, std_c = channel_statistics(train_nchw)
    return {"classes": CLASSES, "shape": list(shape), "mean": mean_c.tolist(), "std": std_c.tolist()}


def streamed(root: Path, shape: tuple[int, int, int] = (3, 8, 8), train: int = 61) -> tuple[Path, Path]:
    """The sealed folders of one data set, in memory and as PNG files of which each has the very pixels."""
    tensors = noisy(train, shape)
    labels = {name: tensor for name, tensor in tensors.items() if name.endswith("labels")}
    images = {split: [png(image) for image in tensors[f"{split}_images"]] for split in encoded.SPLITS}
    resident = stored(root / f"data-{digest([train, shape])}", tensors, shape, tensors["train_images"])
    encoded_folder = root / f"data-{digest([train, shape, 'streamed'])}"
    return resident, stored(encoded_folder, labels, shape, tensors["train_images"], images)


def png(image_chw: np.ndarray) -> bytes:
    """An RGB image as the bytes of a PNG file."""
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image_chw.transpose(1, 2, 0))).save(content, "png")
    return content.getvalue()


def write_data(path: Path, train: int = 61, shape: tuple[int, int, int] = (1, 8, 8)) -> None:
    """Write the prepared file of a small data set of three noisy, separable classes, and an empty images.arrow."""
    tensors = noisy(train, shape)
    write(path, tensors, metadata(tensors["train_images"], shape))
    with encoded.writer(path.with_name(encoded.FILE)):
        pass


def recipe(**fields: Any) -> Recipe:
    return Recipe(**{"epochs": 3, "batch_size": 16, "lr": 0.05} | fields)


def teacher(
    model: str = "resnet8", width: int | None = 4, labels: dict[str, Any] | None = None, seed: int = 0, **fields: Any
) -> Run:
    supervision = Supervision(**labels or {})
    return Run(Data(), Model(name=model, width=width), "short", recipe(**fields), supervision, seed)


def student(of: Run, model: str = "mlp", width: int = 16, how: dict[str, Any] | None = None, **fields: Any) -> Run:
    options = {"way": "kd", "draws": "epochs"} | (how or {})
    if options["way"] == "kd":
        options = {"temperature": 2.0} | options
    supervision = Supervision(**options)
    return Run(of.data, Model(name=model, width=width), "short", recipe(**fields), supervision, of.seed, of)


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
