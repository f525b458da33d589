"""Looks at a verdict: which later verdict must answer for them, and that nothing loses them."""

import json
import shutil

import pytest

from lskd.errors import UserError
from lskd.io.layout import FILES
from lskd.io.seal import seal, sealed
from lskd.jobs import looks
from lskd.jobs.catalogue import Catalogue
from lskd.jobs.gc import Named, garbage
from lskd.jobs.results import Results
from lskd.jobs.verify import verify
from lskd.study import reading
from tests.jobs import finished as tiny

TWO = {"verdict": {"kind": "verdict"}, "grid": {"kind": "grid"}}


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results"


def catalogue(results, seeds, **changes) -> Catalogue:
    parsed = reading.parse(tiny.study(figures=TWO, seeds=list(seeds)) | changes)
    return Catalogue({parsed.study: parsed}, Results(results))


def draw(of: Catalogue, figure="verdict") -> None:
    """Put a figure's result there, as if it was drawn."""
    job = of.figure("tiny", figure)
    job.folder.mkdir(parents=True, exist_ok=True)
    for name in FILES["figure"]:
        (job.folder / name).write_text(name)
    seal(job.folder, FILES["figure"], job.described() | {"made": "2026-11-24T12:00:00+00:00"})


def look_at(results, seeds, **changes) -> None:
    """Draw the verdict of a study at some seeds, and publish it."""
    of = catalogue(results, seeds, **changes)
    draw(of)
    looks.record(of, "tiny", "verdict")


def told(results, seeds, **changes) -> dict:
    """What the verdict of a study at some seeds is told of looks."""
    return looks.options(catalogue(results, seeds, **changes), "tiny", "verdict")


def address(results, seeds) -> str:
    return catalogue(results, seeds).figure("tiny", "verdict").address


def test_no_look_no_key(results):
    assert told(results, range(5)) == {}
    job = catalogue(results, range(5)).figure("tiny", "verdict")
    assert job.spec["options"] == {}


def test_more_seeds_after_a_look(results):
    before = {n: address(results, range(n)) for n in (2, 3, 5)}
    look_at(results, range(3))
    assert told(results, range(5)) == {"looks": [3]}
    assert told(results, range(3)) == told(results, range(2)) == {}
    look_at(results, range(5))
    look_at(results, range(4))
    assert told(results, range(4)) == {"looks": [3]}
    assert told(results, range(6)) == {"looks": [3, 4, 5]}
    after = {n: address(results, range(n)) for n in (2, 3, 5)}
    assert after[2] == before[2]
    assert after[3] == before[3]  # own and later looks are none of it: going back finds the old one
    assert after[5] != before[5]


def test_a_planned_look_costs_nothing(results):
    plan = {"looks": [3, 5]}
    look_at(results, range(3), **plan)
    assert told(results, range(5), **plan) == {"planned_looks": [3, 5]}
    look_at(results, range(4), **plan)  # between the two
    assert told(results, range(5), **plan) == {"planned_looks": [3, 5], "looks": [4]}


@pytest.mark.parametrize("before", [[], [3, 10], [5]])
def test_a_plan_made_after_the_look_does_not_cover_it(results, before):
    look_at(results, range(3), looks=before)
    assert told(results, range(5), looks=[3, 5]) == {"planned_looks": [3, 5], "looks": [3]}
    assert told(results, range(5)) == {"looks": [3]}


def test_a_look_at_some_of_the_students_counts(results):
    look_at(results, range(3), figures={"verdict": {"kind": "verdict", "temperatures": [1]}})
    assert told(results, range(5)) == {"looks": [3]}
    only_other = {"verdict": {"kind": "verdict", "temperatures": [3]}}
    assert told(results, range(5), figures=only_other) == {}


def test_fresh_seeds_were_not_looked_at(results):
    look_at(results, range(3))
    assert told(results, range(3, 8)) == {}
    assert told(results, range(2, 8)) == {"looks": [3]}


def test_another_study_of_the_same_students_was_looked_at_too(results):
    look_at(results, range(3))
    other = catalogue(results, range(5), study="other")
    assert looks.options(other, "other", "verdict") == {"looks": [3]}


def test_more_students_of_the_same_teachers(results):
    more = tiny.TINY["students"]["s"] | {"per_teacher": 2}
    look_at(results, range(3))
    assert told(results, range(3), students={"s": more}) == {"looks": [3]}
    look_at(results, range(3), students={"s": more})
    assert told(results, range(3)) == {}
    assert told(results, range(5), students={"s": more}) == {"looks": [3, 3]}


def test_students_of_other_code_are_other_students_unless_the_old_stand_for_them(results, monkeypatch):
    look_at(results, range(3))
    old = {run.title: job.address for run, job in trained(catalogue(results, range(3)))}
    tiny.edit(monkeypatch, "lskd/supervision/kd.py:loss")
    assert told(results, range(5)) == {}
    monkeypatch.setattr(Results, "accepted", lambda self, job: old.get(job.title) if job.stage == "train" else None)
    assert told(results, range(5)) == {"looks": [3]}


def trained(of: Catalogue):
    return [(member.run, of.train(member.run)) for member in of.members("tiny")]


def test_only_a_verdict_that_is_made_is_a_look(results):
    of = catalogue(results, range(3))
    draw(of, "grid")
    looks.record(of, "tiny", "grid")
    looks.record(of, "tiny", "verdict")
    assert looks.files(results) == []
    draw(of)
    looks.record(of, "tiny", "verdict")
    (path,) = looks.files(results)
    before = path.read_bytes()
    looks.record(of, "tiny", "verdict")
    assert looks.files(results) == [path]
    assert path.read_bytes() == before
    assert json.loads(before)["figure"] == "demo/tiny/verdict"


def test_results_without_their_verdicts_and_copies_remember(results, tmp_path):
    look_at(results, range(3))
    shutil.rmtree(results / "drawn")
    assert told(results, range(5)) == {"looks": [3]}
    shutil.copytree(results, tmp_path / "copy")
    assert told(tmp_path / "copy", range(5)) == {"looks": [3]}
    assert garbage(results, Named()) == []


def test_a_damaged_look_is_told(results):
    look_at(results, range(3))
    (path,) = looks.files(results)
    assert verify(results).failures == []
    path.write_text(path.read_text().replace('"seeds": 3', '"seeds": 9'))
    line = f"{path}: damaged, it is not what was written; restore it from a copy of the results, or forget that look"
    assert verify(results).failures == [f"{line}: rm -f {path}"]
    with pytest.raises(UserError, match="damaged, it is not what was written"):
        told(results, range(5))


@pytest.mark.parametrize("changes", [{"seeds": "3"}, {"students": None}, {"planned": 3}, {"runs": [[]]}, {"runs": "x"}])
def test_a_look_under_a_seal_that_fits_has_what_is_read(tmp_path, changes):
    good = {"seeds": 3, "students": 1, "planned": [], "runs": ["0123456789"]}
    path = tmp_path / "look.json"
    path.write_text(json.dumps(sealed(good)))
    assert looks.read_look(path)["seeds"] == 3
    for text in (json.dumps(sealed(good | changes)), "[" * 100_000):
        path.write_text(text)
        with pytest.raises(UserError, match="damaged, it is not what was written"):
            looks.read_look(path)
