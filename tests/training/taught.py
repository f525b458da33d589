"""Students taught, and what they are taught, noted."""

import json

import torch

from lskd.data.sources import load_source
from lskd.inference import teacher_logits
from tests import small

AUGMENTED = {"crop_padding": 1, "flip": True}
CPU = torch.device("cpu")


def train_split(data):
    return load_source(data / "data.safetensors", "train", CPU)


def store(student, root, data, weights, batches=None, catalogue=small.CATALOGUE):
    """The sealed folder of a teacher's logits."""
    work = small.work(catalogue.teacher_logits(student), root, {"data": data, "weights": weights})
    teacher_logits.store(work, CPU, batches)
    return small.sealed(work.folder, "teacher_logits")


class Noted:
    """A student's build and loss that note what they are given."""

    def __init__(self, work):
        self.pixels, self.taught, self.targets, self.losses = [], [], [], []
        self._build, self._loss = work.functions["model"], work.functions["loss"]
        work.functions |= {"model": self.build, "loss": self.loss}

    def build(self, *arguments, **options):
        network = self._build(*arguments, **options)
        network.register_forward_pre_hook(lambda module, given: self.pixels.append(given[0].clone()))
        return network

    def loss(self, student_nk, targets, teacher_nk, **options):
        value = self._loss(student_nk, targets, teacher_nk, **options)
        self.taught.append(teacher_nk.clone())
        self.targets.append(targets.clone())
        self.losses.append(value.item())
        return value


def learn(run, root, data, teacher, catalogue=small.CATALOGUE, **inputs) -> Noted:
    """Train a student; its sealed folder is `folder` of what was noted."""
    work = small.work(catalogue.train(run), root, {"data": data, "teacher": teacher} | inputs)
    noted = Noted(work)
    noted.folder = small.run(work, "train")
    return noted


def curve(folder):
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def pair(how=None, model="resnet8", width=2, **fields):
    teacher = small.teacher(**AUGMENTED)
    fields = AUGMENTED | {"epochs": 4} | fields
    cached = small.student(teacher, model, width, {"draws": "epochs"} | (how or {}), **fields)
    return cached, small.student(teacher, model, width, (how or {}) | {"draws": "online"}, **fields)
