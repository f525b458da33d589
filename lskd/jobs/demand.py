"""What a job asks a cluster for: memory and time, by its spec, or by what jobs like it took. No torch.

The first estimate is rough and generous: time that is too short is no loss, as a training goes on from its checkpoint
in the next attempt, which asks for more of both.
"""

import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lskd.errors import UserError
from lskd.io.atomic import write_json
from lskd.io.seal import holds, opened, sealed
from lskd.jobs.job import Job, digest

USAGE = ".usage"  # below results: what each job took, by its address
BASE_MB, BASE_MINUTES = 1500, 5  # Snakemake, Python and torch; their start
MARGIN, SPARE_MB = 1.5, 500  # over what was taken before
IMAGES = {"digits": 1797, "mnist": 70_000, "fashion_mnist": 70_000, "cifar10": 60_000, "cifar100": 60_000}
VALUES = {"digits": 64, "mnist": 784, "fashion_mnist": 784, "cifar10": 3072, "cifar100": 3072}  # of an image
NANOSECONDS = {  # per value of an image and training step, forward and back, on a GPU of some years' age
    "mlp": 10.0,
    "plain_cnn": 100.0,
    "resnet8": 100.0,
    "resnet20": 200.0,
    "resnet56": 500.0,
    "alexnet_cifar": 50.0,
    "cifar_mobilenet_v2": 1000.0,
    "cifar_shufflenet_v2": 500.0,
    "cifar_resnet18": 2000.0,
    "cifar_resnet50": 5000.0,
    "cifar_densenet121": 4000.0,
    "cifar_googlenet": 6000.0,
    "resnext29_8x64d": 20_000.0,
    "reactnet18": 500.0,
}
ANY_NETWORK = 50.0  # of those for large images, which halve their sides early
UPDATE_NANOSECONDS = 5.0  # of a translator, per token and piece
ON_CPU = 30.0  # times slower than that
SHARE = {"train": 1.0, "teacher_logits": 0.4, "predict": 0.4, "snapshots": 0.4}  # of a training step's time


@dataclass(frozen=True)
class Demand:
    """Megabytes and minutes that a job is expected to take."""

    megabytes: int
    minutes: int

    def at(self, attempt: int, most_minutes: int) -> "Demand":
        """What its nth attempt (from 1) asks for."""
        return Demand(self.megabytes * attempt, min(most_minutes, self.minutes * attempt))


class Demands:
    """The demands of jobs, by what jobs like them took before, where some did."""

    def __init__(self, root: Path, on_gpu: bool) -> None:
        self._on_gpu = on_gpu
        self._taken: dict[str, list[tuple[float, float]]] = {}
        for usage in _read(root / USAGE):
            self._taken.setdefault(usage["like"], []).append((usage["megabytes"], usage["seconds"]))

    def of(self, job: Job) -> Demand:
        """A job's demand."""
        taken = self._taken.get(like(job.stage, job.spec))
        if taken is None:
            return estimate(job, self._on_gpu)
        megabytes, seconds = (MARGIN * max(column) for column in zip(*taken, strict=True))
        return Demand(math.ceil(megabytes) + SPARE_MB, math.ceil(seconds / 60) + BASE_MINUTES)


def processes(spec: dict[str, Any]) -> int:
    """How many processes a job's work is shared by, each with a GPU or processors of its own."""
    return int(spec.get("recipe", {}).get("processes", 1))


def like(stage: str, spec: dict[str, Any]) -> str:
    """What jobs that take about as much share: all of their spec but seeds, labels' smoothing and temperatures."""
    names = ("model", "recipe", "draws", "dtype", "family", "kind", "dataset")
    kept: dict[str, Any] = {name: spec[name] for name in names if name in spec}
    if isinstance(spec.get("pixels"), dict):  # of a training: the data set that it sees; of glyphs, their size
        kept["data"] = spec["pixels"].get("key")
    kept["runs"] = len(spec.get("rows", []))
    return digest([stage, kept])


def estimate(job: Job, on_gpu: bool) -> Demand:
    """A job's demand by its spec alone."""
    corpus = next((above for above in _behind(job) if above.stage == "corpus"), None)
    if corpus is not None:
        return _of_translation(job, corpus, on_gpu)
    data = next((above for above in _behind(job) if above.stage == "data"), job)
    images, values = _size(data.spec)
    megabytes = processes(job.spec) * (BASE_MB + 6 * images * values / 2**20)  # the data as bytes, some as floats
    if job.stage in SHARE:
        megabytes += 8 * images * _classes(data.spec) / 2**20
        model = job.spec.get("model") or {}
        epochs = job.spec.get("recipe", {}).get("epochs", max(1, _draws(job)))
        nanoseconds = NANOSECONDS.get(model.get("name", ""), ANY_NETWORK) * (1.0 if on_gpu else ON_CPU)
        seconds = SHARE[job.stage] * images * values * epochs * nanoseconds * 1e-9
    else:
        read = sum(above.stage in ("predict", "snapshots") for above in job.inputs.values())
        megabytes += 16 * images * _classes(data.spec) / 2**20
        seconds = 20.0 + 2e-6 * images * values + read * images * 1e-4
    return Demand(math.ceil(megabytes), math.ceil(2 * seconds / 60) + BASE_MINUTES)


def _of_translation(job: Job, corpus: Job, on_gpu: bool) -> Demand:
    """The demand of a translator's job: activations of a batch over all pieces; of a training, its updates."""
    recipe, pieces = job.spec.get("recipe", {}), corpus.spec["pieces"]
    values = recipe.get("tokens", job.spec.get("tokens", 4096)) * pieces
    megabytes = BASE_MB + 24 * values / 2**20
    seconds = recipe.get("updates", 500) * values * UPDATE_NANOSECONDS * 1e-9 * (1.0 if on_gpu else ON_CPU)
    return Demand(math.ceil(megabytes), math.ceil(2 * seconds / 60) + BASE_MINUTES)


def _behind(job: Job) -> Iterable[Job]:
    for above in job.inputs.values():
        yield above
        yield from _behind(above)


def _draws(job: Job) -> int:
    draws = job.spec.get("draws", 1)
    return draws if isinstance(draws, int) else 1


def _size(spec: dict[str, Any]) -> tuple[int, int]:
    """Images of a data set, and values of an image; of a user's own, by the number of files where it is known."""
    name = spec.get("dataset", "")
    if name == "glyphs":
        return spec["classes"] * (spec["images"] + spec["test_images"]), spec["pixels"] ** 2
    content = spec.get("content", {})
    images = IMAGES.get(name) or content.get("images") or 100_000
    return images, VALUES.get(name) or 3 * int(spec.get("image_size") or 64) ** 2


def _classes(spec: dict[str, Any]) -> int:
    known = {"cifar100": 100, "glyphs": spec.get("classes", 64)}
    return int(known.get(spec.get("dataset", ""), 10 if spec.get("dataset") in IMAGES else 1000))


def write_usage(root: Path, described: dict[str, Any], megabytes: float, seconds: float) -> None:
    """Keep what a job took, by the largest of its processes. That it cannot be written stops nothing."""
    megabytes *= processes(described["spec"])
    usage = {"like": like(described["stage"], described["spec"]), "title": described["title"]}
    usage |= {"megabytes": round(megabytes, 1), "seconds": round(seconds, 1)}
    try:
        write_json(root / USAGE / f"{described['address']}.json", sealed(usage))
    except UserError:
        return


def _read(folder: Path) -> Iterable[dict[str, Any]]:
    """What jobs took; a damaged file counts as none."""
    for path in sorted(folder.glob("*.json")):
        with suppress(OSError):
            usage = opened(path.read_bytes())
            if usage and holds(usage, like=str, megabytes=float, seconds=float):
                yield usage
