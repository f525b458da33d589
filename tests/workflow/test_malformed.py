"""Malformed configs and inputs: each ends in one clear line and a non-zero exit, and leaves nothing half done."""

import copy
import gzip
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.workflow.conftest import ENVIRONMENT, TINY, Tree
from tests.workflow.edits import put, put_back

STUDENT = {"teacher": "t", "model": "mlp", "recipe": "one", "temperature": [1]}
CONFIGS = {
    "a misspelt key": ("seed", [1], "seed: unknown key"),
    "a missing key": ("recipes", "-", "recipes: is missing"),
    "a wrong type": ("recipes/one/epochs", "ten", 'recipes.one.epochs: found "ten"'),
    "a number as text": ("recipes/one/lr", "0.1", 'recipes.one.lr: found "0.1"'),
    "a value out of range": ("recipes/one/batch_size", 0, "recipes.one.batch_size: found 0"),
    "not a number": ("recipes/one/lr", float("nan"), "recipes.one.lr"),
    "a list where a number belongs": ("recipes/one/epochs", [1, 2], "recipes.one.epochs: found [1, 2]"),
    "no seeds": ("seeds", [], "seeds: found []"),
    "a seed twice": ("seeds", [0, 0], "stands twice"),
    "a smoothing of 1": ("teachers/t/label_smoothing", [1.0], "less than 1"),
    "a temperature of 0": ("students/s/temperature", [0], "greater than 0"),
    "an unknown model": ("teachers/t/model", "resnet-8", "no such model"),
    "an unknown data set": ("data", {"dataset": "minst"}, "data.dataset"),
    "an unknown recipe": ("teachers/t/recipe", "oen", "did you mean one?"),
    "an unknown teacher": ("students/s/teacher", "tt", "did you mean t?"),
    "an unknown figure": ("figures/grid", {"kind": "gird"}, "did you mean grid?"),
    "a duplicate name": ("students/t", STUDENT, "'t' stands twice"),
    "a name that breaks a shell": ("recipes/$(touch broken); x", {"epochs": 1}, "a name is 1 to 64"),
    "a name that leaves the folder": ("study", "../../up", "a name is 1 to 64"),
    "a name with a space": ("students/my student", STUDENT, "a name is 1 to 64"),
    "students in a circle": (
        "students",
        {"a": STUDENT | {"teacher": "b"}, "b": STUDENT | {"teacher": "a"}},
        "teach or start each other in a circle",
    ),
    "two runs of one name": ("teachers/t/label_smoothing", [0.1, 0.10000001], "two different runs are called"),
    "a study named as a step": ("study", "predict", "the name 'predict' is taken"),
    "a figure named as the study": ("figures/tiny", {"kind": "grid"}, "the name 'tiny' is taken"),
    "an unknown scale": ("scale", "tiny", "scale"),
    "a scale that the study lacks": ("scales", {"small": {}}, "this study has small"),
    "milestones without their schedule": ("recipes/one/milestones", [1], "milestones is for schedule multistep"),
    "a width for torchvision": ("teachers/t/model", {"name": "resnet18", "width": 2}, "width is for name mlp"),
    "a device that is none": ("runtime", {"device": "tpu"}, "runtime.device"),
}


def message(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a failed command tells."""
    lines = [line for line in done.stdout.splitlines() if line.startswith("error:")]
    assert done.returncode not in (0, None), done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    assert len(lines) == 1, done.stdout
    return lines[0]


# Snakemake itself is asked about these: it ends with the line, and makes nothing
SAMPLE = (
    *("a misspelt key", "not a number", "a name that breaks a shell", "a name that leaves the folder"),
    *("students in a circle", "two runs of one name"),
)


def malformed(case: str) -> dict:
    """The tiny study with one mistake."""
    path, value, _ = CONFIGS[case]
    study = copy.deepcopy(TINY)
    *steps, last = path.split("/")
    place = study
    for step in steps:
        place = place[step]
    if value == "-":
        del place[last]
    else:
        place[last] = value
    return study


@pytest.mark.parametrize("case", CONFIGS)
def test_config_is_refused(finished, case):
    with put_back(finished.folder, "config.yaml"):
        finished.configure(malformed(case))
        line = finished.refused()
    assert line.startswith("UserError: ")
    assert CONFIGS[case][2] in line
    assert "\n" not in line


@pytest.mark.parametrize("case", SAMPLE)
def test_config_plans_nothing(finished, tmp_path, case):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(malformed(case)))
    before = set(finished.folder.rglob("*"))
    done = finished.snakemake("--configfile", str(tmp_path / "config.yaml"))
    assert CONFIGS[case][2] in message(done)
    new = {str(path) for path in set(finished.folder.rglob("*")) - before}
    assert {path for path in new if ".snakemake" not in path and "__pycache__" not in path} == set()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("study: a\nstudy: b\n", "'study' stands twice"),
        ("study: [a\n", "config.yaml:2:1: not valid YAML"),
        ("- a\n- b\n", "found a list"),
    ],
)
def test_config_that_is_no_mapping(finished, tmp_path, text, said):
    (tmp_path / "config.yaml").write_text(text)
    done = finished.snakemake("--configfile", str(tmp_path / "config.yaml"))
    assert done.returncode != 0
    assert said in done.stdout
    assert "Traceback" not in done.stdout


def process(tree: Tree, folder: Path, **options: object) -> subprocess.CompletedProcess[str]:
    """A job's process, which was told what to make in that folder."""
    stage = folder.relative_to(tree.folder / "results").parts[0]
    log = folder / f"{'train' if stage == 'runs' else stage}.log"
    command = [sys.executable, "-m", "lskd.jobs.run", str(log)]
    options = {"env": ENVIRONMENT | {"LSKD_RUNTIME": '{"device": "cpu"}'}} | options
    return subprocess.run(
        command, cwd=tree.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
    )


@pytest.fixture
def tree(finished):
    """The finished study, put back afterwards."""
    with put_back(finished.folder, "config.yaml", "results"):
        yield finished


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Two classes of ten noise pictures."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(10):
            Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(
                tmp_path / f"pictures/{name}/{i}.png"
            )
    return tmp_path / "pictures"


def cut_short(root: Path) -> None:
    (root / "cat/3.png").write_bytes((root / "cat/3.png").read_bytes()[:100])


def empty_class(root: Path) -> None:
    (root / "empty").mkdir()


def no_picture(root: Path) -> None:
    (root / "cat/3.png").write_text("no picture")


def no_classes(root: Path) -> None:
    shutil.rmtree(root / "cat")
    shutil.rmtree(root / "dog")


def too_few(root: Path) -> None:
    for i in range(1, 10):
        (root / f"dog/{i}.png").unlink()


def no_folder(root: Path) -> None:
    shutil.rmtree(root)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (cut_short, "cat/3.png"),
        (no_picture, "cat/3.png"),
        (empty_class, "empty"),
        (no_classes, "class"),
        (too_few, "dog"),
        (no_folder, "pictures"),
    ],
)
def test_pictures_that_were_spoilt_since_they_were_planned(tree, pictures, spoil, said):
    put("data", {"dataset": "imagefolder", "root": str(pictures), "image_size": 8})(tree.folder)
    folder = tree.tell_jobs()["data"]
    spoil(pictures)
    assert said in message(process(tree, folder))
    assert [path.name for path in folder.iterdir()] == ["data.log"]


@pytest.mark.parametrize(("spoil", "said"), [(cut_short, "cat/3.png"), (no_picture, "cat/3.png")])
def test_pictures_that_cannot_be_decoded(tree, pictures, spoil, said):
    spoil(pictures)
    put("data", {"dataset": "imagefolder", "root": str(pictures), "image_size": 8})(tree.folder)
    folder = tree.tell_jobs()["data"]
    assert said in message(process(tree, folder))
    assert [path.name for path in folder.iterdir()] == ["data.log"]


@pytest.mark.parametrize(
    ("spoil", "said"), [(empty_class, "empty"), (no_classes, "class"), (too_few, "dog"), (no_folder, "no such folder")]
)
def test_pictures_are_looked_at_before_anything_starts(finished, pictures, spoil, said):
    spoil(pictures)
    assert said in message(finished.snakemake("grid", "-n", "--config", f"data={pictures}"))


def test_a_brace_in_a_pictures_name(finished, pictures):
    """No name of an image reaches Snakemake, so that one may hold what its wildcards hold."""
    (pictures / "cat/3.png").rename(pictures / "cat/{3}.png")
    finished.run("grid", "-n", "--config", f"data={pictures}")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("data=", "data: found nothing"),
        ("data=digit", "did you mean digits?"),
        ("data={root: pictures}", "digits are embedded"),
        ("seeds=[0, x]", 'seeds.1: found "x"'),
        ("scales={demo: 3}", "scales.demo: found 3"),
        ("students={s: {label_smoothing: [0.7]}}", "students.s.label_smoothing: found 0.7, but t has"),
        ("figures={muller2019_fig1: {kind: grid}}", "the name 'muller2019_fig1' is taken"),
        ("figures={v: {kind: verdict, groups: [t]}}", "figures.v: found students of teachers with label_smoothing no"),
        ("trust=all", "trust: found 'all'; trust=code"),
    ],
)
def test_what_is_told_on_the_command_line(finished, value, said):
    assert said in message(finished.snakemake("-n", "--config", value))


def test_data_that_is_not_there(tree, tmp_path):
    put("data", {"dataset": "fashion_mnist", "root": str(tmp_path / "data")})(tree.folder)
    folder = tree.tell_jobs()["data"]
    assert "train-images-idx3-ubyte.gz" in message(process(tree, folder))
    assert [path.name for path in folder.iterdir()] == ["data.log"]


def test_data_that_is_damaged(tree, tmp_path):
    raw = tmp_path / "data/FashionMNIST/raw"
    raw.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (raw / f"{name}-ubyte.gz").write_bytes(gzip.compress(bytes(1000))[:20])
    put("data", {"dataset": "fashion_mnist", "root": str(tmp_path / "data")})(tree.folder)
    assert "ubyte" in message(process(tree, tree.tell_jobs()["data"]))


def new_student(tree: Tree) -> Path:
    """The folder of a student whose data and teacher's logits are there, and whose job is told."""
    put("students", "s", "temperature", [2])(tree.folder)
    return tree.tell_jobs()["train ls0/0 T2"]


def new_teacher(tree: Tree, recipe: str = "one") -> Path:
    """The same of a training on labels."""
    study = copy.deepcopy(TINY)
    study["recipes"][recipe] = study["recipes"]["one"] | {"lr": 0.05}
    study["teachers"]["t"]["recipe"] = recipe
    tree.configure(study)
    return tree.tell_jobs()["train ls0/0"]


@pytest.mark.parametrize("keep", [0, 3, 1000, -1])
def test_truncated_logits(tree, keep):
    (path,) = tree.results("teacher_logits/digits/*/*/ls0/seed0/*/logits.parquet")
    folder = new_student(tree)
    path.write_bytes(path.read_bytes()[:keep])
    assert "logits.parquet" in message(process(tree, folder))
    assert not list(folder.glob("*.safetensors"))


def test_data_file_cut_short(tree):
    (path,) = tree.results("data/*/data.safetensors")
    folder = new_teacher(tree)
    path.write_bytes(path.read_bytes()[:5000])
    assert "data.safetensors" in message(process(tree, folder))


def test_a_folder_that_may_not_be_written(tree, tmp_path):
    locked = Path("/sys/kernel")  # root may write anywhere else
    if os.getuid():
        locked = tmp_path / "locked"
        locked.mkdir(mode=0o555)
    folder = new_teacher(tree, "locked")
    link = folder.parents[1]
    link.symlink_to(locked)
    try:
        line = message(process(tree, folder))
    finally:
        link.unlink()
    assert "cannot be written" in line
    assert str(folder.parent) in line


def _small_files() -> None:
    """What a full disk looks like to a process: a file cannot grow."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


def test_a_full_disk(tree):
    folder = new_teacher(tree)
    done = process(tree, folder, preexec_fn=_small_files)
    assert str(folder.relative_to(tree.folder)) in message(done)
    assert not list(folder.glob("*.safetensors"))
    assert not list(folder.glob(".*.tmp"))


def test_cuda_where_there_is_none(tree):
    wanted = ENVIRONMENT | {"LSKD_RUNTIME": '{"device": "cuda"}', "CUDA_VISIBLE_DEVICES": ""}
    assert "cuda" in message(process(tree, new_teacher(tree), env=wanted))
