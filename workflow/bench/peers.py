"""`make bench-peers`: one grid of students by plain PyTorch, by torchdistill and by lskd, in one run.

Two teachers (label smoothing 0 and 0.1), four students of each (T = 1, 2, 3, 64, soft labels alone) on Fashion-MNIST:
the networks and recipe of the registered study on it, or the networks of others (`--networks`); val is judged after
each epoch, test at the end. The loop and torchdistill do all ten trainings in one process, one after the other, with
the teacher in the loop, as both are meant; lskd does all that it does: records, stores, metrics and a figure included.
"In memory" is the loop without what PyTorch can do without: all images in one tensor, each teacher's logits computed
once. It keeps nothing, so it is near the least that these networks cost. lskd and "in memory" have networks and images
channels last, lskd by the config's `runtime` as `scale=small` has it; `fuse` there has MLPs that wait advance as one.
The loop and torchdistill have the networks of lskd with PyTorch's own max-pooling, of the same numbers; torchdistill
has lskd's once more. Each has one thread.

"Students" is the grid for whoever has the two teachers: a process less what it took to train them, and an lskd that
finds them made.
"""

import argparse
import gzip
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import torch
import torch.nn.functional as F
import yaml
from torch import nn
from torch.utils.data import DataLoader, RandomSampler, Subset
from torchvision import transforms

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from lskd.data.split import stratified_mask
from lskd.models.mlp import mlp
from lskd.models.plain_cnn import Pool, plain_cnn
from lskd.models.resnet_cifar import resnet8

ROOT = Path(__file__).resolve().parents[2]
PLAIN = ("plain loop", "torchdistill")  # whose networks pool as PyTorch does
WAYS = (*PLAIN, "torchdistill, our pooling", "in memory", "lskd")
BUILDERS = {"mlp": mlp, "plain_cnn": plain_cnn, "resnet8": resnet8}
NETWORKS = {  # a teacher and its width, a student and its width
    "registered": ("plain_cnn", 12, "mlp", 32),
    "small": ("plain_cnn", 24, "plain_cnn", 8),  # of the default study's `scale=small`
    "resnet8": ("resnet8", 16, "mlp", 32),
}
ALPHAS, TEMPERATURES = (0.0, 0.1), (1.0, 2.0, 3.0, 64.0)
VAL_FRACTION = 0.1
IMAGE = (1, 28, 28)
PUBLISHED = Path("/usr/share/datasets/fashion-mnist")  # of Debian's package dataset-fashion-mnist
RECIPE = {"epochs": 16, "batch_size": 64, "lr": 0.02, "weight_decay": 5e-4, "schedule": "cosine"}
STUDY = {
    "study": "peers",
    "seeds": [0],
    "runtime": {"channels_last": True, "fuse": 8},
    "recipes": {"short": RECIPE},
    "teachers": {"cnn": {"recipe": "short"}},
    "students": {"kd": {"teacher": "cnn", "recipe": "short"}},
    "figures": {
        "accuracies": {"kind": "accuracy_table"},
        "teachers": {"kind": "accuracy_table", "groups": ["cnn"]},
    },
}
STUDY["teachers"]["cnn"]["label_smoothing"] = list(ALPHAS)
STUDY["students"]["kd"]["temperature"] = list(TEMPERATURES)
Loaders = dict[str, DataLoader[Any]]


def main() -> None:
    """Take the turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=300, help="of a class, train and val")
    parser.add_argument("--epochs", type=int, default=RECIPE["epochs"])
    parser.add_argument("--networks", choices=NETWORKS, default="registered")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="torchdistill among them")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)  # in a process of its own
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    RECIPE["epochs"] = arguments.epochs
    if arguments.way:
        pooling = nn.MaxPool2d(2) if arguments.way in PLAIN else Pool()
        accuracies, teachers = grid(loaders(arguments.folder), TEACH[arguments.way], arguments.networks, pooling)
        print(json.dumps({"accuracies": accuracies, "teachers": teachers}))
        return
    with tempfile.TemporaryDirectory() as name:
        images(Path(name) / "images.npz", arguments.images)
        taken: dict[str, list[dict[str, float]]] = {way: [] for way in arguments.ways}
        for turn in range(arguments.rounds):
            for way in arguments.ways:
                taken[way].append(measured(way, Path(name), turn, arguments.networks))
    print_table(taken, arguments)


def images(path: Path, of_class: int) -> None:
    """The first images of each class of Fashion-MNIST's train, and all of test, where Debian's package has them."""
    parts = {}
    for split, name in (("train", "train"), ("test", "t10k")):
        pixels, labels = (
            np.frombuffer(gzip.decompress((PUBLISHED / f"{name}-{kind}-ubyte.gz").read_bytes())[head:], np.uint8)
            for kind, head in (("images-idx3", 16), ("labels-idx1", 8))
        )
        pixels = pixels.reshape(-1, 28, 28)
        if split == "train":
            chosen = np.sort(np.concatenate([np.flatnonzero(labels == k)[:of_class] for k in range(10)]))
            pixels, labels = pixels[chosen], labels[chosen]
        parts |= {f"x_{split}": pixels, f"y_{split}": labels.astype(np.int64)}
    np.savez(path, **parts)


def measured(way: str, folder: Path, turn: int, networks: str) -> dict[str, float]:
    """What a way took: processor seconds, those without the teachers, seconds, memory; its students' test accuracy."""
    if way == "lskd":
        taken = run_of_lskd(folder, f"lskd-{turn}", "accuracies", networks)
        accuracies = of_lskd(folder / f"lskd-{turn}")
        run_of_lskd(folder, f"students-{turn}", "teachers", networks)
        taken["students"] = run_of_lskd(folder, f"students-{turn}", "accuracies", networks)["cpu"]
    else:
        options = ["--way", way, "--folder", str(folder), "--networks", networks, "--epochs", str(RECIPE["epochs"])]
        taken, output = run([sys.executable, __file__, *options], ROOT)
        said = json.loads(output.splitlines()[-1])
        accuracies, taken["students"] = said["accuracies"], taken["cpu"] - said["teachers"]
    return taken | {"accuracy": statistics.mean(accuracies)}


def run_of_lskd(folder: Path, name: str, target: str, networks: str) -> dict[str, float]:
    """What lskd takes to make a target of the grid in a folder of that name, where some may be made."""
    own = folder / name
    if not own.exists():
        shutil.copytree(ROOT, own, ignore=shutil.ignore_patterns(".*", "results", "docs", "tests"))
        data = {"dataset": "npz", "root": str(folder / "images.npz"), "val_fraction": VAL_FRACTION}
        teacher, width, student, student_width = NETWORKS[networks]
        study = STUDY | {"data": data}
        study["teachers"]["cnn"]["model"] = {"name": teacher, "width": width}
        study["students"]["kd"]["model"] = {"name": student, "width": student_width}
        (own / "peers.yaml").write_text(yaml.safe_dump(study))
    command = [sys.executable, "-m", "snakemake", target, "--cores", "1", "--configfile", "peers.yaml"]
    return run(command, own)[0]


def run(command: list[str], folder: Path) -> tuple[dict[str, float], bytes]:
    """What a command takes: processor seconds, seconds and memory; and what it prints."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, env=environment)
    most = [0.0]
    watch = threading.Thread(target=watched, args=(process.pid, most))
    watch.start()
    output, _ = process.communicate()
    watch.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        sys.exit(f"error: {' '.join(command)} ended with status {process.returncode}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu": cpu, "wall": time.monotonic() - began, "memory": most[0]}, output


def watched(pid: int, most: list[float]) -> None:
    """Keep the most memory (MB) that a process and all below it hold, shared pages counted once."""
    while psutil.pid_exists(pid):
        held = 0.0
        try:
            for process in (top := psutil.Process(pid), *top.children(recursive=True)):
                held += process.memory_full_info().pss / 1e6
        except psutil.Error:  # one ended as it was looked at
            pass
        most[0] = max(most[0], held)
        time.sleep(0.5)


def of_lskd(folder: Path) -> list[float]:
    """The students' accuracies on test, as its table has them."""
    (path,) = folder.glob("results/figures/*/peers/accuracies.csv")
    table = pd.read_csv(path)
    is_meant = (table.role == "student") & (table.split == "test") & (table.metric == "top1")
    return (table.ours[is_meant] / 100).tolist()


def loaders(folder: Path) -> Loaders:
    """Batches of train, val and test, as a torchvision user has them."""
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.2860], [0.3530])])
    with np.load(folder / "images.npz") as file:
        train, test = (Images(file[f"x_{split}"], file[f"y_{split}"], transform) for split in ("train", "test"))
    is_val_n = stratified_mask(train.labels_n, VAL_FRACTION, 0)
    parts = {
        "train": Subset(train, np.flatnonzero(~is_val_n).tolist()),
        "val": Subset(train, np.flatnonzero(is_val_n).tolist()),
    }
    size = RECIPE["batch_size"]
    return {
        "train": DataLoader(parts["train"], size, shuffle=True),
        "val": DataLoader(parts["val"], 512),
        "test": DataLoader(test, 512),
    }


class Images(torch.utils.data.Dataset[Any]):
    """Grey images uint8 [N, H, W] and their labels."""

    def __init__(self, images_nhw: np.ndarray, labels_n: np.ndarray, transform: Callable[[Any], Any]) -> None:
        self.images_nhw, self.labels_n, self.transform = images_nhw, labels_n, transform

    def __len__(self) -> int:
        return len(self.labels_n)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images_nhw[index][..., None]), int(self.labels_n[index])


def grid(batches: Loaders, teach: "Teach", networks: str, pooling: nn.Module) -> tuple[list[float], float]:
    """Train both teachers, and the students of each; the students' accuracies on test, the teachers' CPU seconds."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    teacher_name, width, student_name, student_width = NETWORKS[networks]
    accuracies, teachers = [], 0.0
    for alpha in ALPHAS:
        began = time.process_time()
        teacher = teach(built(teacher_name, width, pooling), batches, {"label_smoothing": alpha})
        teachers += time.process_time() - began
        for temperature in TEMPERATURES:
            student = built(student_name, student_width, pooling)
            student = teach(student, batches, {"teacher": teacher, "temperature": temperature})
            accuracies.append(accuracy(student, batches["test"]))
    return accuracies, teachers


def built(name: str, width: int, pooling: nn.Module) -> nn.Module:
    """A network of lskd, which pools by another module of the same numbers."""
    network = BUILDERS[name](10, IMAGE, width)
    for path in [path for path, module in network.named_modules() if isinstance(module, Pool)]:
        network.set_submodule(path, pooling)
    return network


def accuracy(network: nn.Module, batches: DataLoader[Any]) -> float:
    """The share that it gets right."""
    network.eval()
    with torch.no_grad():
        right = [(network(images).argmax(1) == labels).float() for images, labels in batches]
    return torch.cat(right).mean().item()


def by_loop(network: nn.Module, batches: Loaders, how: dict[str, Any]) -> nn.Module:
    """Train a network on labels or by a teacher, as a tutorial does."""
    optimizer = torch.optim.SGD(network.parameters(), RECIPE["lr"], momentum=0.9, weight_decay=RECIPE["weight_decay"])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, RECIPE["epochs"])
    for _ in range(RECIPE["epochs"]):
        network.train()
        for images, labels in batches["train"]:
            logits = network(images)
            if "teacher" in how:
                with torch.no_grad():
                    soft = how["teacher"](images) / how["temperature"]
                log_p, log_q = logits.div(how["temperature"]).log_softmax(1), soft.log_softmax(1)
                loss = how["temperature"] ** 2 * F.kl_div(log_p, log_q, reduction="batchmean", log_target=True)
            else:
                loss = F.cross_entropy(logits, labels, label_smoothing=how["label_smoothing"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        accuracy(network, batches["val"])
    return network.eval()


def in_memory(network: nn.Module, batches: Loaders, how: dict[str, Any]) -> nn.Module:
    """The same on whole tensors, without loaders, from a teacher's logits of before."""
    optimizer = torch.optim.SGD(network.parameters(), RECIPE["lr"], momentum=0.9, weight_decay=RECIPE["weight_decay"])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, RECIPE["epochs"])
    (images, labels), (val_images, val_labels) = tensors(batches["train"]), tensors(batches["val"])
    network = network.to(memory_format=torch.channels_last)
    if "teacher" in how:
        with torch.no_grad():
            soft = torch.cat([how["teacher"](part) for part in images.split(512)]) / how["temperature"]
        log_q = soft.log_softmax(1)
    for _ in range(RECIPE["epochs"]):
        network.train()
        for ids in torch.randperm(len(images)).split(RECIPE["batch_size"]):
            logits = network(images[ids])
            if "teacher" in how:
                log_p = logits.div(how["temperature"]).log_softmax(1)
                loss = how["temperature"] ** 2 * F.kl_div(log_p, log_q[ids], reduction="batchmean", log_target=True)
            else:
                loss = F.cross_entropy(logits, labels[ids], label_smoothing=how["label_smoothing"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        network.eval()
        with torch.no_grad():
            (network(val_images).argmax(1) == val_labels).float().mean().item()
    return network.eval()


@cache
def tensors(batches: DataLoader[Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """All images and labels of a loader."""
    pairs = [batches.dataset[index] for index in range(len(batches.dataset))]  # type: ignore[arg-type]
    return torch.stack([image for image, _ in pairs]), torch.tensor([label for _, label in pairs])


def by_torchdistill(network: nn.Module, batches: Loaders, how: dict[str, Any]) -> nn.Module:
    """The same by torchdistill's boxes."""
    from torchdistill.core.distillation import get_distillation_box
    from torchdistill.core.training import get_training_box

    data = {"train": batches["train"].dataset, "val": batches["val"].dataset}
    loader = {"sampler": {"class_or_func": RandomSampler, "kwargs": {}}}
    term: dict[str, Any] = {"weight": 1.0}
    if "teacher" in how:
        ends = {f"{who}_module_path": "." for who in ("student", "teacher")}
        ends |= {f"{who}_module_io": "output" for who in ("student", "teacher")}
        squared = how["temperature"] ** 2  # which its loss multiplies by only beside a hard term
        term = {"weight": squared, "criterion": {"key": "KDLoss"}}
        term["criterion"]["kwargs"] = ends | {"temperature": how["temperature"], "alpha": 0.0}
    else:
        smoothed = {"label_smoothing": how["label_smoothing"]}
        term["criterion"] = {"key": "CrossEntropyLoss", "kwargs": smoothed}
        inputs = {"is_from_teacher": False, "module_path": ".", "io": "output"}
        term["criterion_wrapper"] = {"key": "SimpleLossWrapper"}
        term["criterion_wrapper"]["kwargs"] = {"input": inputs, "target": {"uses_label": True}}
    forward = {"forward_proc": "forward_batch_only"}
    config = {
        "num_epochs": RECIPE["epochs"],
        "train_data_loader": loader | {"dataset_id": "train", "kwargs": {"batch_size": RECIPE["batch_size"]}},
        "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": {"term": term}}},
        "teacher": forward | {"requires_grad": False},
        "model": forward,
        "student": forward,
        "optimizer": {
            "key": "SGD",
            "kwargs": {"lr": RECIPE["lr"], "momentum": 0.9, "weight_decay": RECIPE["weight_decay"]},
        },
        "scheduler": {"key": "CosineAnnealingLR", "kwargs": {"T_max": RECIPE["epochs"]}},
    }
    device = torch.device("cpu")
    if "teacher" in how:
        box = get_distillation_box(how["teacher"], network, data, config, device, None, False, 1)
    else:
        box = get_training_box(network, data, config, device, None, False, 1)
    for epoch in range(RECIPE["epochs"]):
        box.pre_epoch_process(epoch=epoch)
        for images, labels, extra in box.train_data_loader:
            box.pre_forward_process()
            loss = box.forward_process(images, targets=labels, supp_dict=extra)
            box.post_forward_process(loss=loss)
        box.post_epoch_process()
        accuracy(network, batches["val"])
    box.clean_modules()
    return network.eval()


Teach = Callable[[nn.Module, Loaders, dict[str, Any]], nn.Module]
TEACH: dict[str, Teach] = {
    "plain loop": by_loop,
    "torchdistill": by_torchdistill,
    "torchdistill, our pooling": by_torchdistill,
    "in memory": in_memory,
}


def print_table(taken: dict[str, list[dict[str, float]]], arguments: argparse.Namespace) -> None:
    """A row a way: the median over turns, the least and the most; the ratio to torchdistill in the same turn."""
    versions = f"torch {torch.__version__}, torchdistill {version('torchdistill')}"
    print(f"# {os.cpu_count()} cores; Python {platform.python_version()}, {versions}")
    size = f"{arguments.images} images of each class, {arguments.epochs} epochs"
    print(f"# {arguments.rounds} turns; networks {arguments.networks}, {size}")
    print(f"{'':26}{'CPU s':>24}{'/ torchdistill':>22}{'students':>22}{'/ torchdistill':>22}", end="")
    print(f"{'seconds':>8}{'MB':>7}{'accuracy':>10}")
    for way, turns in taken.items():
        row = f"{way:26}"
        for kind, width in (("cpu", 24), ("students", 22)):
            ratios = [a[kind] / b[kind] for a, b in zip(turns, taken["torchdistill"], strict=True)]
            row += f"{spread([turn[kind] for turn in turns], '.1f'):>{width}}{spread(ratios, '.2f'):>22}"
        wall, memory, right = (statistics.median(turn[key] for turn in turns) for key in ("wall", "memory", "accuracy"))
        print(f"{row}{wall:>8.1f}{memory:>7.0f}{right:>10.4f}")


def spread(values: list[float], form: str) -> str:
    """The median, and the least and the most."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


if __name__ == "__main__":
    main()
