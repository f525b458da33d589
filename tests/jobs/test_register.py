"""What is registered before test numbers exist, and what is told of it beside them."""

import copy
import json
import shutil
from pathlib import Path

import pytest

from lskd.errors import UserError
from lskd.io.seal import seal, sealed
from lskd.jobs import looks, register
from lskd.jobs.catalogue import Catalogue
from lskd.jobs.results import Results
from lskd.study import reading
from tests.jobs import finished as tiny
from tests.jobs.test_looks import draw

FILE = Path("registrations/demo/tiny.json")
FIGURES = {"verdict": {"kind": "verdict"}, "grid": {"kind": "grid"}}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def catalogue(**changes) -> Catalogue:
    parsed = reading.parse(tiny.study(figures=FIGURES, seeds=[0, 1, 2]) | changes)
    return Catalogue({parsed.study: parsed}, Results())


def written(**changes) -> str:
    return register.register(catalogue(**changes), "tiny")


def told(**changes) -> list[str]:
    """What a verdict is told of differences to its registration."""
    return register.options(catalogue(**changes), "tiny", "verdict")["registered"]["differences"]


def recipe(**changes) -> dict:
    return {"recipes": {"one": tiny.TINY["recipes"]["one"] | changes}}


def put(job, name: str, **described) -> Path:
    """A result of a job, as if it was made."""
    job.folder.mkdir(parents=True)
    for each in job.names[:-1]:
        (job.folder / each).write_text(each)
    seal(job.folder, job.names[:-1], job.described() | {"made": "2026-11-24T12:00:00+00:00"} | described)
    return job.folder / name


def test_the_file_says_what_is_compared():
    line = written(looks=[3, 5])
    assert line.startswith(
        f"{FILE}: registered verdict (4 choices of alpha and T in 1 setting, 3 seeds, looks at 3, 5,"
    )
    registration = json.loads(FILE.read_text())
    assert (registration["study"], registration["scale"]) == ("tiny", "demo")
    assert len(registration["commit"]) >= 7
    assert list(registration["figures"]) == ["verdict"]  # no other figure claims anything
    content = registration["figures"]["verdict"]
    assert content["comparisons"] == {
        "digits: mlp-w4 one <- digits/mlp-w8/one": {
            f"alpha {alpha}, T {t}": f"kd-T{t}-from-mlp-w8-ls{alpha}" for alpha in ("0", "0.1") for t in (1, 3)
        }
    }
    assert (content["seeds"], content["looks"], content["students of a teacher"]) == ([0, 1, 2], [3, 5], 1)
    assert content["figure"]["kind"] == "verdict"
    assert content["recipes"]["one"]["epochs"] == 1
    assert content["data"]["digits"]["content"]["digest"]
    files = content["code"]
    assert {"lskd/training/loop.py", "lskd/supervision/kd.py", "lskd/metrics/accuracy.py"} <= files.keys()
    assert {"lskd/analysis/comparisons.py", "lskd/figures/verdict.py"} <= files.keys()


def test_without_a_registration_nothing_is_told():
    assert register.options(catalogue(), "tiny", "verdict") == {}
    assert "registered" not in catalogue().figure("tiny", "verdict").spec["options"]


def test_a_registered_verdict_knows_it():
    before = catalogue().figure("tiny", "verdict").address
    written()
    date = json.loads(FILE.read_text())["date"][:10]
    job = catalogue().figure("tiny", "verdict")
    assert job.spec["options"]["registered"] == {"date": date, "file": str(FILE), "differences": []}
    assert job.address != before
    assert "registered" not in catalogue().figure("tiny", "grid").spec["options"]
    draw(catalogue())
    looks.record(catalogue(), "tiny", "verdict")
    assert catalogue().figure("tiny", "verdict").address == job.address


STUDENTS = tiny.TINY["students"]["s"]
DIFFERENT = {
    "fewer seeds": ({"seeds": [0, 1]}, ["seeds [0, 1, 2] -> [0, 1]"]),
    "more seeds": ({"seeds": [0, 1, 2, 3]}, ["seeds [0, 1, 2] -> [0, 1, 2, 3]"]),
    "other seeds": ({"seeds": [0, 1, 5]}, ["seeds [0, 1, 2] -> [0, 1, 5]"]),
    "looks": ({"looks": [2, 3]}, ["looks [] -> [2, 3]"]),
    "a recipe": (recipe(lr=0.05), ["recipes.one.lr 0.1 -> 0.05"]),
    "the epoch that is used": (recipe(select="best"), ["recipes.one.used model.safetensors -> best.safetensors"]),
    "data": ({"data": {"dataset": "digits", "val_fraction": 0.2}}, ["data.digits.val_fraction 0.15 -> 0.2"]),
    "a temperature less": (
        {"students": {"s": STUDENTS | {"temperature": [1]}}},
        [
            f"comparisons.digits: mlp-w4 one <- digits/mlp-w8/one.alpha {alpha}, T 3 kd-T3-from-mlp-w8-ls{alpha}"
            " -> nothing"
            for alpha in ("0", "0.1")
        ],
    ),
    "students": ({"students": {"s": STUDENTS | {"per_teacher": 2}}}, ["students of a teacher 1 -> 2"]),
    "the groups shown": (
        {"figures": {"verdict": {"kind": "verdict", "groups": ["t", "s"]}}},
        ["figure.groups [] -> ['t', 's']"],
    ),
    "what tells nothing": ({"name": "A title", "runtime": {"device": "auto"}}, []),
    "other figures": ({"figures": {"verdict": {"kind": "verdict"}}}, []),
}


@pytest.mark.parametrize("change", DIFFERENT)
def test_what_is_otherwise_than_registered(change):
    written()
    assert told() == []
    changes, differences = DIFFERENT[change]
    assert told(**changes) == differences
    if differences:
        assert catalogue(**changes).figure("tiny", "verdict").spec["options"]["registered"]["differences"]


def test_a_figure_that_was_not_registered():
    written()
    other = {"second": {"kind": "verdict"}}
    (text,) = register.options(catalogue(figures=other), "tiny", "second")["registered"]["differences"]
    assert text == "figures.second was not registered"


@pytest.mark.parametrize("seeds", [[0, 1, 2], [0, 1, 2, 3, 4]])
def test_the_planned_looks_are_no_difference(seeds):
    written(looks=[3, 5], seeds=seeds)
    assert told(looks=[3, 5], seeds=[0, 1, 2]) == told(looks=[3, 5], seeds=[0, 1, 2, 3, 4]) == []
    assert told(looks=[3, 5], seeds=[0, 1, 2, 3]) == [f"seeds {seeds} -> [0, 1, 2, 3]"]
    assert told(looks=[3, 5], seeds=[5, 6, 7]) == [f"seeds {seeds} -> [5, 6, 7]"]


@pytest.mark.parametrize(
    "name",
    [
        "lskd/supervision/kd.py:loss",
        "lskd/metrics/accuracy.py:measure",
        "lskd/analysis/comparisons.py:verdict",
        "lskd/figures/verdict.py:table",
    ],
)
def test_other_code_is_a_difference(name, monkeypatch):
    written()
    tiny.edit(monkeypatch, name)
    assert told() == [f"code of {name.partition(':')[0]}"]


def test_code_that_only_draws_is_none(monkeypatch):
    written()
    tiny.edit(monkeypatch, "lskd/figures/verdict.py:draw")
    assert told() == []


def test_a_result_that_stands_counts_with_the_code_that_made_it(monkeypatch):
    """As where metrics alone are drawn by a later checkout, or old runs were adopted."""
    written()
    of = catalogue()
    for family in list(of.figure("tiny", "verdict").inputs):
        job = of.metrics("tiny", "verdict", family)
        upstream: dict[str, list[str]] = {}
        waiting = list(job.inputs.values())
        while waiting:
            above = waiting.pop()
            upstream |= {name: [value] for name, value in above.definitions.items()}
            waiting += above.inputs.values()
        put(job, "metrics.parquet", upstream=upstream)
    tiny.edit(monkeypatch, "lskd/supervision/kd.py:loss", "lskd/metrics/measure.py:run")
    assert told() == ["code of lskd/metrics/measure.py, lskd/supervision/kd.py"]
    study = reading.parse(tiny.study(figures=FIGURES, seeds=[0, 1, 2]))
    trusting = Catalogue({"tiny": study}, Results(trust_code=True))
    assert register.options(trusting, "tiny", "verdict")["registered"]["differences"] == []


def refused(**changes) -> str:
    with pytest.raises(UserError) as error:
        written(**changes)
    assert "\n" not in str(error.value)
    return str(error.value)


def student(of: Catalogue):
    return next(member.run for member in of.members("tiny") if member.role == "student")


def test_refused_after_a_prediction():
    of = catalogue()
    put(of.train(student(of)), "")
    (teacher,) = [
        m.run for m in of.members("tiny") if m.role == "teacher" and m.run.seed == 0 and m.run.label_smoothing
    ]
    put(of.predict(teacher), "")
    written()  # trained, but no student was tested
    FILE.unlink()
    path = put(of.predict(student(of)), "test.logits.parquet")
    assert refused() == (
        f"{path}: test numbers of these runs exist already, so it is too late to register them; take seeds that have"
        " none, such as --config seeds='[3, 4, 5]'"
    )
    assert not FILE.exists()
    assert written(seeds=[3, 4, 5])


def test_refused_after_a_prediction_of_other_code(monkeypatch):
    of = catalogue()
    path = put(of.predict(student(of)), "test.logits.parquet")
    tiny.edit(monkeypatch, "lskd/inference/predict.py:run")
    assert refused().startswith(f"{path}: test numbers")
    assert written(**recipe(lr=0.05))  # other runs


@pytest.mark.parametrize("family", ["accuracy"])
def test_refused_after_metrics_or_a_look_whose_predictions_are_gone(family):
    path = put(catalogue().metrics("tiny", "verdict", family), "metrics.parquet")
    assert refused().startswith(f"{path}: test numbers")
    shutil.rmtree(path.parent)
    draw(catalogue())
    looks.record(catalogue(), "tiny", "verdict")
    (look,) = looks.files(Path("results"))
    shutil.rmtree("results/drawn")
    assert refused(seeds=[0, 1, 2, 3]).startswith(f"{look}: test numbers")


def test_registered_twice():
    written()
    before = FILE.read_bytes()
    assert written().endswith(" as it is today")
    line = refused(**recipe(lr=0.05))
    assert "since then changed: recipes.one.lr 0.1 -> 0.05" in line
    assert line.endswith(f"to register anew, move it aside: mv {FILE} {FILE}.old")
    assert FILE.read_bytes() == before


def test_an_edited_registration_is_none():
    written()
    content = json.loads(FILE.read_text())
    edited = copy.deepcopy(content)
    edited["figures"]["verdict"]["seeds"] = [0, 1]
    FILE.write_text(json.dumps(edited))
    assert refused() == f"{FILE}: edited or damaged, it is not what was registered; git checkout -- {FILE}"
    with pytest.raises(UserError, match="edited or damaged"):
        catalogue().figure("tiny", "verdict")
    FILE.write_text(json.dumps(content))  # laid out otherwise, as a checkout may
    assert told() == []


def test_a_study_without_claims():
    assert refused(figures={"grid": {"kind": "grid"}}).startswith("figures: tiny has none of kind ")


@pytest.mark.parametrize(
    "changes", [{"date": 3}, {"figures": []}, {"figures": {"verdict": 3}}, {"figures": {"verdict": {"seeds": [0]}}}]
)
def test_a_registration_under_a_seal_that_fits_has_what_is_compared(changes):
    written()
    good = {key: value for key, value in json.loads(FILE.read_text()).items() if key != "seal"}
    for text in (json.dumps(sealed(good | changes)), "[" * 100_000):
        FILE.write_text(text)
        assert refused().startswith(f"{FILE}: edited or damaged, it is not what was registered")


GAINS = {"figures": {"gains": {"kind": "classes_gain"}}}


def test_a_figure_that_judges_all_networks_registers_them_and_sees_their_numbers():
    line = written(**GAINS)
    assert line.startswith(f"{FILE}: registered gains (6 choices of alpha and T in 2 settings, 3 seeds")
    comparisons = json.loads(FILE.read_text())["figures"]["gains"]["comparisons"]
    assert comparisons["digits: mlp-w8 one"] == {"alpha 0": "ls0", "alpha 0.1": "ls0.1"}
    FILE.unlink()
    teacher = next(m.run for m in catalogue(**GAINS).shown("tiny", "gains") if m.role == "teacher")
    seen = put(catalogue(**GAINS).predict(teacher), "test.logits.parquet")
    with pytest.raises(UserError, match=f"{seen}: test numbers of these runs exist already"):
        written(**GAINS)
    written()  # a verdict judges students alone
