"""docs/extending.md does what it says: its files and lines, applied to a copy of the tree, train, measure and draw."""

import hashlib
import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from safetensors.numpy import load_file

from lskd.data.augment import Draw
from lskd.study import registry
from tests.workflow.conftest import KINDS, ROOT, Tree

PAGE = (ROOT / "docs/extending.md").read_text()
REGISTRY = "lskd/study/registry.py"
FENCED = r":\n\n```python\n(.*?)^```$"
FILES = re.findall(rf"^`(lskd/\w+/\w+\.py)`{FENCED}", PAGE, re.MULTILINE | re.DOTALL)
LINES = re.findall(rf"`([A-Z]+)` of `{REGISTRY}`{FENCED}", PAGE, re.MULTILINE | re.DOTALL)
PLACES = list(zip(FILES, LINES, strict=True))  # ((file, its text), (table, its line))
SOURCES = dict(FILES)
STUDY = yaml.safe_load(re.search(r"`config\.yaml`:\n\n```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[1])
CSV = re.search(rf"The file, for a try{FENCED}", PAGE, re.MULTILINE | re.DOTALL)[1]
PAPERS = ("muller2019", "shen2021", "yuan2020", "chandrasegaran2022")


def digests(tree: Tree) -> dict[str, str]:
    """Every source of a tree, with the digest of its bytes."""
    paths = [path for part in ("lskd", "workflow", "envs") for path in (tree.folder / part).rglob("*.*")]
    return {
        str(path.relative_to(tree.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in [*paths, tree.folder / "Snakefile"]
        if path.is_file() and "__pycache__" not in path.parts
    }


def with_line(source: str, table: str, line: str) -> str:
    """The registry with a line at the end of one of its tables."""
    start = source.index(f"\n{table} = {{")
    end = source.index("\n    )\n}" if table == "AUGMENTATIONS" else "\n}", start) + 1
    return source[:end] + line + source[end:]


def apply(tree: Tree, file: str, text: str, table: str, line: str) -> None:
    """What the page says of one thing."""
    path = tree.folder / REGISTRY
    (tree.folder / file).write_text(text)
    path.write_text(with_line(path.read_text(), table, line))


def addresses(tree: Tree) -> list[str]:
    """Where each job of each study that does not use the page's things lies: its title and address."""
    tree.configure(KINDS)
    return sorted(folder for _, _, folder in tree._planned(("kinds", *PAPERS), {}, False))


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Iterator[Tree]:
    """A copy of the tree to which the page was applied, a place after the other, with its study and its data."""
    tree = Tree(tmp_path_factory.mktemp("extended"))
    tree.configure(KINDS)
    tree.before = addresses(tree)
    for (file, text), (table, line) in PLACES:
        sources, lines = digests(tree), (tree.folder / REGISTRY).read_text().splitlines()
        apply(tree, file, text, table, line)
        touched = {name for name, digest in digests(tree).items() if sources.get(name) != digest}
        assert touched == {file, REGISTRY}
        longer = (tree.folder / REGISTRY).read_text().splitlines()
        longer.remove(line.rstrip())
        assert longer == lines
    names: dict[str, Any] = {}
    exec(CSV.replace('"digits.csv"', repr(str(tree.folder / "digits.csv"))), names)
    yield tree
    tree.close()


@pytest.fixture(scope="module")
def drawn(extended) -> Tree:
    """The same, after the page's study ran to its end."""
    extended.configure(STUDY)
    extended.run()
    assert extended.pending() == set()
    return extended


def test_every_kind_takes_a_file_and_a_line():
    tables = {name for name, value in vars(registry).items() if name.isupper() and isinstance(value, dict)}
    tables -= {"TASKS", "OF_TRANSLATION"}  # of which there are two, and which name no files
    assert {table for _, (table, _) in PLACES} == tables
    for (file, _), (table, line) in PLACES:
        room = {"AUGMENTATIONS": "data", "DATASETS": "data", "SCHEDULES": "training", "OPTIMIZERS": "training"}
        assert file.split("/")[1] == room.get(table, {"SUPERVISIONS": "supervision"}.get(table, table.lower()))
        assert line.count("\n") == 1 and len(line) <= 121
        assert f"lskd.{file.split('/')[1]}.{Path(file).stem}" in line
    listed = re.findall(r"^\| a[n]? \[[\w ]+\]\(#([\w-]+)\).*\| `(lskd/\w+/)` \| `(\w+)` \|", PAGE, re.MULTILINE)
    assert {table for _, _, table in listed} == tables
    assert all(f"\n## {anchor.replace('-', ' ').capitalize()}\n" in PAGE for anchor, _, _ in listed)


def test_nothing_else_gets_another_address(extended):
    assert len(extended.before) > 100
    assert addresses(extended) == extended.before


@pytest.mark.parametrize(
    ("place", "value", "line"),
    [
        ("data.invert", "yes", 'data.invert: found "yes": '),
        ("recipes.new.power", 0, "recipes.new.power: found 0: must be greater than 0"),
        ("recipes.new.beta2", 1.0, "recipes.new.beta2: found 1.0: must be less than 1"),
        ("recipes.new.cutout", -1, "recipes.new.cutout: found -1: must be greater than or equal to 0"),
        ("recipes.new.schedule", "pony", 'schedule: found "pony": no such schedule; allowed: constant, cosine, linear'),
        ("recipes.new.schedule", "cosine", "power is for schedule poly; schedule is cosine here: leave power out"),
        ("recipes.new.optimizer", "sgd", "beta2 is for optimizer lion; optimizer is sgd here: leave beta2 out"),
        ("students.student.model.depth", 0, "students.student.model.depth: found 0: must be greater than or"),
        ("students.student.model.name", "mlp", "depth is for name deep; name is mlp here: leave depth out"),
        ("students.student.soft_weight", 2, "soft_weight.0: found 2: must be less than or equal to 1"),
        (
            "students.student.supervision",
            "confidence_penalty",
            "no such supervision of students; allowed: cosine, dist",
        ),
        ("students.student.transform", "erase", "kept is for transform top; transform is erase here: leave kept out"),
        ("students.student.kept", 0, "students.student.kept.0: found 0: must be greater than or equal to 1"),
        ("teachers.teacher.beta", -1, "teachers.teacher.beta.0: found -1: must be greater than or equal to 0"),
        ("teachers.teacher.supervision", "cosine", "no such supervision of teachers and baselines; allowed: confide"),
        ("figures.entropy.kind", "entropie", "did you mean entropy?"),
    ],
)
def test_a_wrong_option_is_told_in_a_line(extended, place, value, line):
    study = json.loads(json.dumps(STUDY))
    section = study
    *above, key = place.split(".")
    for step in above:
        section = section[step]
    section[key] = value
    extended.configure(study)
    refusal = extended.refused()
    assert line in refusal and "\n" not in refusal


def test_options_are_of_the_spec_and_the_name(drawn):
    data, records, taught = "digits.csv", {}, "from-deep-w16-confidence_penalty-beta0.2"
    for name, where in {
        "data": f"data/{data}",
        "teacher": f"runs/{data}/deep-w16/new/confidence_penalty-beta0.2/seed0",
        "student": f"runs/{data}/deep-w8-depth3/new/cosine-w0.5-top-kept3-{taught}/seed0",
        "other": f"runs/{data}/deep-w8-depth3/new/cosine-top-kept3-{taught}/seed0",
        "logits": f"teacher_logits/{data}/deep-w16/new/confidence_penalty-beta0.2/seed0/draws2-cutout3-float32",
    }.items():
        (path,) = drawn.results(f"{where}-*/record.json")
        records[name] = json.loads(path.read_text())["spec"]
    assert records["data"]["invert"] is True and records["data"]["content"]["files"] == 1
    assert records["teacher"]["supervision"] == {"way": "confidence_penalty", "beta": 0.2}
    assert records["student"]["supervision"] == {"way": "cosine", "soft_weight": 0.5, "draws": "epochs"}
    assert records["student"]["transform"] == {"name": "top", "kept": 3}
    assert records["student"]["model"] == {"name": "deep", "width": 8, "depth": 3}
    recipe = {"optimizer": "lion", "beta2": 0.95, "momentum": 0.9, "schedule": "poly", "power": 3.0, "cutout": 3}
    assert recipe.items() <= records["student"]["recipe"].items()
    assert records["logits"]["augment"] == {"cutout": 3}


def test_the_data_are_those_of_the_file(drawn):
    (path,) = drawn.results("data/digits.csv-*/data.safetensors")
    tensors = load_file(path)
    assert sum(len(tensors[f"{split}_labels"]) for split in ("train", "val", "test")) == 1797
    table = np.loadtxt(drawn.folder / "digits.csv", delimiter=",", dtype=int)
    images = {row.tobytes() for row in (255 - table[:, 1:]).astype(np.uint8)}
    assert {image.tobytes() for image in tensors["train_images"]} <= images


def test_the_study_measures_and_draws(drawn):
    (measured,) = drawn.results("metrics/demo/extended/entropy/entropy-*/metrics.parquet")
    rows = pq.read_table(measured).to_pandas()
    predictions = drawn.folder / "results/predictions"
    expected = {
        str(path.parent.relative_to(predictions))[:-11]: entropy(path)  # the run's title, without the address
        for path in predictions.rglob("test.logits.parquet")
    }
    assert len(expected) == 3
    assert dict(zip(rows["run"], rows["value"], strict=True)) == pytest.approx(expected, rel=1e-9)
    assert rows["value"].between(0, math.log(10)).all()

    stem = drawn.folder / "results/figures/demo/extended/entropy"
    numbers = pd.read_csv(stem.with_suffix(".csv"))
    assert sorted(numbers["mean"]) == pytest.approx(sorted(expected.values()), rel=1e-9)
    assert (numbers["n"] == 1).all()
    assert stem.with_suffix(".md").read_text().count("\n| ") == 2 + 3
    assert "ln K for a network that knows nothing" in stem.with_suffix(".html").read_text()
    picture = matplotlib.image.imread(stem.with_suffix(".png"))
    assert picture.shape[1] > 600 and picture.std() > 0.01


def entropy(path) -> float:
    """Mean entropy of the softmax of a file's logits, number by number."""
    logits = pq.read_table(path).column("logits").to_pylist()
    total = 0.0
    for row in logits:
        weights = [math.exp(z - max(row)) for z in row]
        total -= sum(w / sum(weights) * math.log(w / sum(weights)) for w in weights if w)
    return total / len(logits)


def test_an_edit_of_the_new_metric_reruns_it_alone(drawn):
    drawn.configure(STUDY)
    file = drawn.folder / "lskd/metrics/entropy.py"
    source = file.read_text()
    file.write_text(source.replace(".sum(1).mean())", ".sum(1).mean()) / 2"))
    assert file.read_text() != source
    assert drawn.pending() == {"metrics entropy entropy", "figure entropy"}
    file.write_text(source)
    assert drawn.pending() == set()


def test_a_figure_added_to_a_finished_study_trains_nothing(drawn):
    drawn.configure(STUDY | {"figures": STUDY["figures"] | {"again": {"kind": "entropy"}}})
    assert drawn.pending("again") == {"metrics again entropy", "figure again"}


def test_the_code_is_laid_out_as_the_rest_is(extended):
    ruff = Path(sys.executable).with_name("ruff")
    files = [*SOURCES, REGISTRY]
    shutil.copy2(ROOT / "pyproject.toml", extended.folder)
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run([ruff, *command, *files], cwd=extended.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def names_of(file: str) -> dict[str, Any]:
    """What a file of the page defines."""
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(SOURCES[file], file, "exec"), names)
    return names


def test_the_losses_are_their_formulas():
    torch.manual_seed(0)
    z_nk, t_nk, y_n = torch.randn(5, 4).double(), torch.randn(5, 4).double(), torch.tensor([0, 1, 2, 3, 0])
    p_nk = z_nk.exp() / z_nk.exp().sum(1, keepdim=True)
    hard = -p_nk[range(5), y_n].log().mean()
    penalised = names_of("lskd/supervision/confidence_penalty.py")["loss"](z_nk, y_n, beta=0.3)
    assert penalised == pytest.approx(float(hard + 0.3 * (p_nk * p_nk.log()).sum(1).mean()))
    a_nk, b_nk = z_nk - z_nk.mean(1)[:, None], t_nk - t_nk.mean(1)[:, None]
    cosine_n = (a_nk * b_nk).sum(1) / (a_nk.norm(dim=1) * b_nk.norm(dim=1))
    mixed = names_of("lskd/supervision/cosine.py")["loss"](z_nk, y_n, t_nk, soft_weight=0.75)
    assert mixed == pytest.approx(float(0.25 * hard + 0.75 * (1 - cosine_n).mean()))


def test_top_keeps_the_largest_logits_and_the_sum():
    top = names_of("lskd/transforms/top.py")["transform"]
    logits_nk = np.random.default_rng(0).normal(size=(6, 5))
    for kept in (1, 3, 7):
        after_nk = top(logits_nk, np.zeros(6, int), np.random.default_rng(0), kept=kept)
        for row, after in zip(logits_nk, after_nk, strict=True):
            order = sorted(range(5), key=lambda k, row=row: -row[k])
            assert all(after[k] == row[k] for k in order[:kept])
            assert len({after[k] for k in order[kept:]}) == (kept < 5)
            assert after.sum() == pytest.approx(row.sum())


def test_cutout_blackens_a_square():
    cutout = names_of("lskd/data/cutout.py")["cutout"]
    images_nchw = torch.full((400, 1, 8, 8), 9, dtype=torch.uint8)
    cut_nchw = cutout(images_nchw, Draw(7, torch.arange(400), 1), 3)
    assert torch.equal(cut_nchw, cutout(images_nchw, Draw(7, torch.arange(400), 1), 3))
    sizes = {int(count) for count in (cut_nchw == 0).sum((1, 2, 3))}
    assert sizes == {4, 6, 9}  # at a corner, at an edge, whole
    assert bool(((cut_nchw == 0).any(0)).all())


def test_lion_steps_by_its_paper():
    names = names_of("lskd/training/lion.py")
    parameter = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    recipe = {"lr": 0.1, "momentum": 0.9, "beta2": 0.5, "weight_decay": 0.01}
    optimizer = names["lion"](recipe, [parameter])
    theta, momentum = torch.tensor([1.0, -2.0]), torch.zeros(2)
    for gradient in (torch.tensor([0.5, -1.0]), torch.tensor([-0.1, 3.0])):
        parameter.grad = gradient.clone()
        optimizer.step()
        update = torch.sign(0.9 * momentum + 0.1 * gradient)
        theta = theta - 0.1 * (update + 0.01 * theta)
        momentum = 0.5 * momentum + 0.5 * gradient
    torch.testing.assert_close(parameter.detach(), theta)
