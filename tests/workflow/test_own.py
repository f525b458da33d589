"""docs/own.md does what it says: own images in each layout, own teachers as they are saved, and the verdict on them."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from safetensors.numpy import load_file

import lskd
from lskd.io.store import open_logits
from tests.workflow.conftest import ENVIRONMENT, ROOT, Tree

PAGE = (ROOT / "docs/own.md").read_text()
FILES = dict(re.findall(r"`([\w.]+)`[^`]*(?:`\w+`[^`]*){0,2}:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
KEEP_WEIGHTS = re.search(r"trust the file:\n\n```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[1]
CPU = {"runtime": {"device": "cpu"}}
MINE = yaml.safe_load(FILES["mine.yaml"]) | CPU
MORE = yaml.safe_load(FILES["more.yaml"]) | {key: MINE[key] for key in ("data", "recipes", "runtime")}
CLASSES = ["disc", "frame", "square"]
OTHERS = """
import argparse, datetime, numpy, timm, torch
from safetensors.torch import save_file
from torchvision import datasets, models
from teachers import LOOK, train

def logits(model):
    with torch.no_grad():
        return model(torch.stack([image for image, _ in datasets.ImageFolder("shapes/val", LOOK)])).numpy()

torch.manual_seed(1)
for alpha in (0, 0.1):
    model = models.resnet18(num_classes=3).eval()
    model.load_state_dict(torch.load(f"teachers/ls{alpha}.pt"))
    numpy.save(f"teachers/ls{alpha}.npy", logits(model))
    other = train(timm.create_model("test_resnet", num_classes=3), alpha, 2)
    save_file(other.state_dict(), f"teachers/timm-ls{alpha}.safetensors")
    numpy.save(f"teachers/timm-ls{alpha}.npy", logits(other))
def named(name):
    return "classifier." + name[3:] if name.startswith("fc.") else "encoder." + name
exported = {f"module.{named(name)}": tensor for name, tensor in model.state_dict().items()}
exported |= {"module.projection.0.weight": torch.zeros(2, 2)}
torch.save({"epoch": 3, "state_dict": exported}, "teachers/exported.pt")
torch.save({"model": models.resnet18(num_classes=7).state_dict(), "epoch": 9}, "teachers/other.pt")
extra = {"args": argparse.Namespace(lr=0.1), "made": datetime.date(2026, 1, 1)}
torch.save({"state_dict": model.state_dict()} | extra, "whole.pt")
"""


def python(tree: Tree, code: str) -> None:
    """Run a user's script in a tree."""
    command, environment = [sys.executable, "-c", code], ENVIRONMENT | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tree.folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Iterator[Tree]:
    """A tree with the page's files, its shapes, its teachers and some that were saved otherwise."""
    tree = Tree(tmp_path_factory.mktemp("own"))
    for name in ("shapes.py", "teachers.py"):
        (tree.folder / name).write_text(FILES[name])
    (tree.folder / "mine.yaml").write_text(yaml.safe_dump(MINE, sort_keys=False))
    (tree.folder / "more.yaml").write_text(yaml.safe_dump(MORE, sort_keys=False))
    python(tree, FILES["shapes.py"])
    python(tree, 'import runpy; runpy.run_path("teachers.py", run_name="__main__")\n' + OTHERS)
    yield tree
    tree.close()


def is_as_saved(tree: Tree, title: str, saved: str) -> bool:
    """Whether a network says of the test images what it said where it was trained."""
    expected_nk = np.load(tree.folder / "teachers" / saved)
    for path in tree.results(f"predictions/shapes/{title}-*/test.logits.parquet"):
        samples_n, labels_n, logits_nk = open_logits(path).read_draw(0)
        assert samples_n.tolist() == list(range(60)) and labels_n.tolist() == [0] * 20 + [1] * 20 + [2] * 20
        if np.allclose(logits_nk, expected_nk, rtol=1e-3, atol=1e-3 * np.abs(expected_nk).max()):
            return True
    return False


def test_a_verdict_on_own_teachers(own):
    output = own.run("--configfile", "mine.yaml")
    assert "2 trainings on labels" in output
    assert "smoothing the teacher resnet18 (α = 0.1) helps or hurts its student plain_cnn-w4 on shapes" in output
    for alpha in ("0", "0.1"):
        assert is_as_saved(own, f"resnet18/given/ls{alpha}/seed0", f"ls{alpha}.npy")
    assert (own.folder / "results/figures/demo/mine/verdict.md").read_text().count("\n| ") > 2
    assert "nothing to do" in own.run("--configfile", "mine.yaml")
    for path in own.results("[a-z]*/**/*.*"):
        if path.is_file() and path.suffix != ".log" and not {"figures", "looks"} & {*path.parts}:  # which are no jobs'
            record = json.loads((path.parent / "record.json").read_text())
            assert record["versions"]["lskd"] == lskd.__version__


def test_teachers_of_other_libraries_names_and_classes(own):
    output = own.run("--configfile", "more.yaml")
    assert "on small" in output
    for alpha in ("0", "0.1"):
        assert is_as_saved(own, f"timm-test_resnet/given/ls{alpha}/seed0", f"timm-ls{alpha}.npy")
    assert is_as_saved(own, "resnet18/given/ls0/seed0", "ls0.1.npy")  # `mapped`, whose file is of ls0.1
    table = (own.folder / "results/figures/demo/more/accuracy.csv").read_text()
    assert all(name in table for name in ("timm-test_resnet", "resnet18", "plain_cnn-w4"))
    (small,) = own.results("data/small-*/data.safetensors")
    assert load_file(small)["train_images"].shape[1:] == (3, 16, 16)


def refused(tree: Tree, start: dict, **group: object) -> str:
    """The one line with which a teacher's checkpoint is refused, by planning or by its job."""
    teacher = {"model": "resnet18", "start": start} | group
    study = MINE | {
        "study": "wrong",
        "teachers": {"t": teacher},
        "students": {},
        "figures": {"a": {"kind": "accuracy_table"}},
    }
    tree.configure(study)
    done = tree.snakemake()
    assert done.returncode == 1
    (line,) = {line for line in done.stdout.splitlines() if line.startswith("error:")}
    return line


def test_what_is_no_state_dict_is_refused_and_mended(own):
    line = refused(own, {"checkpoint": "whole.pt"})
    assert "whole.pt: no state dict that loads with weights_only" in line
    python(own, KEEP_WEIGHTS)
    whole, kept = (torch.load(own.folder / name) for name in ("teachers/ls0.1.pt", "teachers/kept.pt"))
    assert all(torch.equal(whole[name], kept[name]) for name in whole.keys() | kept.keys())


@pytest.mark.parametrize(
    ("start", "group", "line"),
    [
        ({"checkpoint": "teachers/lost.pt"}, {}, "found 'teachers/lost.pt', which cannot be read"),
        ({"checkpoint": "teachers/other.pt"}, {}, "head.weight has shape (7, 512)"),
        ({"checkpoint": "teachers/ls0.pt"}, {"model": "resnet34"}, "its names are not the model's: "),
        ({"checkpoint": "teachers/ls{alpha}.pt"}, {}, "found {alpha} in checkpoint; {seed} and {label_smoothing} are"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_told_in_a_line(own, start, group, line):
    assert line in refused(own, start, **group)


LAYOUTS = {  # where the images lie -> how many there are in train, val and test
    "flat": (123, 21, 36),
    "shapes": (102, 18, 60),
    "tested": (102, 18, 60),
    "whole": (120, 30, 30),
    "arrays.npz": (102, 18, 60),
    "table": (102, 18, 60),
}


@pytest.fixture(scope="module")
def layouts(own) -> Tree:
    """The shapes in every layout of the page's table."""
    train, val = (own.folder / "shapes" / split for split in ("train", "val"))
    for name in CLASSES:
        for split in ("train", "val"):
            for path in (own.folder / "shapes" / split / name).iterdir():
                target = own.folder / "flat" / name / f"{split}-{path.name}"
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)
    shutil.copytree(train, own.folder / "tested/train")
    shutil.copytree(val, own.folder / "tested/test")
    shutil.copytree(train, own.folder / "whole/train")
    shutil.copytree(val, own.folder / "whole/test")
    for name in CLASSES:
        (own.folder / "whole/val" / name).mkdir(parents=True)
        for path in sorted((own.folder / "whole/test" / name).iterdir())[::2]:
            path.rename(own.folder / "whole/val" / name / path.name)
    write_arrays(own.folder / "arrays.npz", train, val)
    (own.folder / "table").mkdir()
    write_table(own.folder / "table/train-00000-of-00001.parquet", train)
    write_table(own.folder / "table/test-00000-of-00001.parquet", val)
    return own


def listed(split: Path) -> tuple[list[Path], list[int]]:
    paths = sorted(split.glob("*/*.png"))
    return paths, [CLASSES.index(path.parent.name) for path in paths]


def write_arrays(path: Path, train: Path, test: Path) -> None:
    from PIL import Image

    arrays = {}
    for split, folder in (("train", train), ("test", test)):
        paths, labels = listed(folder)
        arrays |= {f"x_{split}": np.stack([np.asarray(Image.open(each)) for each in paths]), f"y_{split}": labels}
    np.savez(path, classes=np.array(CLASSES), **arrays)


def write_table(path: Path, split: Path) -> None:
    paths, labels = listed(split)
    images = [{"bytes": each.read_bytes(), "path": each.name} for each in paths]
    pq.write_table(pa.table({"image": images, "label": pa.array(labels, pa.int64())}), path)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_is_read(layouts, layout):
    layouts.configure(
        MINE
        | {"study": "layout", "data": layout, "teachers": {"t": {"model": "mlp", "recipe": "short"}}}
        | {"students": {}, "figures": {"a": {"kind": "accuracy_table"}}}
    )
    folder = layouts.tell_jobs()["data"]
    done = subprocess.run(
        [sys.executable, "-m", "lskd.jobs.run", folder / "data.log"],
        cwd=layouts.folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    tensors = load_file(folder / "data.safetensors")
    assert tuple(len(tensors[f"{split}_labels"]) for split in ("train", "val", "test")) == LAYOUTS[layout]


@pytest.mark.long
def test_a_verdict_on_a_folder_of_images(layouts):
    """The first command of the page, made small."""
    shutil.copy2(ROOT / "config.yaml", layouts.folder)
    output = layouts.run(
        "verdict",
        "--config",
        "data=flat",
        "seeds=[0]",
        "runtime={device: cpu}",
        "recipes={short: {epochs: 1, warmup_epochs: 0}}",
        "students={student: {temperature: [2]}}",
        "teachers={teacher: {model: {width: 4}}}",
    )
    assert "helps or hurts its student resnet8-w4 on flat" in output
    assert (layouts.folder / "results/figures/demo/ls_kd_flat/verdict.md").exists()
