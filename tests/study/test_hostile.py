"""Every key of a study with every wrong kind of value: one clear line each, or a valid plan, in no time.

Planned as the Snakefile does it. The keys come from the sections of the config, so that a new one is tried too.
"""

import copy
import datetime
import math
import re
import time

import pytest

from lskd.errors import UserError
from lskd.jobs.catalogue import Catalogue
from lskd.jobs.plan import Plan
from lskd.jobs.results import Results
from lskd.study import config, reading, registry, studies
from lskd.study.runtime import Runtime

SECONDS = 5  # of the processor: the machine may be busy
WORDS = """
    allowed|needed|must |needs |leave |give |write |name |named|choose|did you mean|at most|at least|say |add |put |mend
    there are|are known|or timm/NAME|have T |it has|this study has|together|stands twice|may differ|takes |is for
    delete that|none may|ask for
"""
MEND = re.compile(
    "|".join(line.strip() for line in WORDS.strip().splitlines())
)  # what a line says beside what it found
MODEL = {"name": "mlp", "width": 8}
STUDENT = {"teacher": "t", "model": MODEL, "recipe": "r", "temperature": [1, 3]}
BASE = {
    "study": "s",
    "name": "n",
    "seeds": [0],
    "data": {"dataset": "digits"},
    "recipes": {"r": {"epochs": 2, "snapshot_epochs": [0, 1]}},
    "teachers": {"t": {"model": MODEL, "recipe": "r", "label_smoothing": [0.0, 0.1]}},
    "baselines": {"b": {"model": {"name": "mlp"}, "recipe": "r"}},
    "students": {"s1": STUDENT},
    "figures": {"grid": {"kind": "grid"}},
    "runtime": {"device": "cpu"},
}
VALUES = [
    *(None, True, 0, -1, 1, 3, 0.5, 10**12, 10**400, math.nan, math.inf, -math.inf, 1e308, 5e-324),
    *("", " ", "x", "0", "x" * 5000, "a\nb", "{x}", "-n", "../..", "é☃", "a'\"b", "\0", "$(touch canary)"),
    *([], [[]], [None], ["x"], ["3"], [0], [1, 1], [math.nan], [10**12], list(range(1200)), [["3"]]),
    *({}, {"x": 1}, {"x": {}}, {"x": None}, {"0": ["1"]}, {"3": ["3"]}, {"3": []}),
    *(datetime.date(2026, 1, 1), b"x", {"a"}),
]
OWN = {"dataset": "imagefolder", "root": "nosuch", "image_size": 8}


def put(raw, path, value):
    """`raw` with one value in place."""
    raw = copy.deepcopy(raw)
    *steps, last = path
    place = raw
    for step in steps:
        place = place.setdefault(step, {})
    place[last] = value
    return raw


def figure(kind):
    """A figure of a kind, with what it cannot do without."""
    extra = {"information": {"classes": ["3", "8"]}, "gamma_curve": {"groups": ["t", "s1", "b"]}}
    return {"kind": kind} | extra.get(kind, {})


def places():
    """Each key of each section: a study, and where the value goes in it."""
    sections = {
        (): (*config.Study.model_fields, "scales", "pictures", "nosuch"),
        ("recipes", "r"): (*config.Recipe.model_fields, "nosuch"),
        ("data",): config.Data.model_fields,
        ("teachers", "t"): config.Trained.model_fields,
        ("teachers", "t", "model"): config.Model.model_fields,
        ("teachers", "t", "start"): config.Start.model_fields,
        ("students", "s1"): config.Distilled.model_fields,
        ("runtime",): Runtime.model_fields,
        **{(section,): ("x",) for section in ("recipes", "teachers", "baselines", "students", "figures")},
        ("scales",): ("demo", "small"),
    }
    cases = [(BASE, (*section, key)) for section, keys in sections.items() for key in keys]
    own = BASE | {"data": OWN}
    cases += [(own, ("data", key)) for key in config.Data.model_fields]
    cases += [(own, ("pictures", key)) for key in ("seeds", "data", "nosuch")]
    for kind in registry.FIGURES:
        keys = ["kind", "groups", *sorted(option.name for option in registry.FIGURES[kind].options)]
        cases += [(BASE | {"figures": {"f": figure(kind)}}, ("figures", "f", key)) for key in keys]
    return cases


def planned(raw, overrides, results):
    """The jobs to do, as `workflow/rules/common.smk` finds them. Raises UserError."""
    _, plain, rest = studies.trust_code(raw, overrides)
    main, known = studies.read_all(plain, rest, [])
    plan = Plan(main, Catalogue(known, Results(results)), rest)
    plan.ask([])
    reading.filled_by_pictures(plain, rest)
    return plan.pending


def check(raw, overrides, results):
    """Plan it, or get one line that says what is wrong, and how to mend it."""
    begun = time.process_time()
    try:
        assert planned(raw, overrides, results)
    except UserError as error:
        line = str(error)
        assert "\n" not in line
        assert len(line) < 600
        assert MEND.search(line), line
    assert time.process_time() - begun < SECONDS
    assert not results.exists()


@pytest.mark.parametrize(("base", "path"), places(), ids=lambda each: ".".join(each) if isinstance(each, tuple) else "")
def test_a_wrong_value_in_a_file(base, path, tmp_path):
    for value in VALUES:
        check(put(base, path, value), {}, tmp_path / "results")


@pytest.mark.parametrize("key", [*config.Study.model_fields, "scales", "pictures", "nosuch", "trust", "__use_yte__"])
def test_a_wrong_value_on_the_command_line(key, tmp_path):
    """As Snakemake hands it on, where all below the top is text, and laid over the file."""
    texts = ["", "x", "0", "~", "null", "[1", "{a", "x" * 5000, "../..", "{x}", "-n", "nan", ".inf", "/", ".", "/usr"]
    nested = [[], ["x"], ["0", "0"], ["nan"], {}, {"x": "1"}, {"root": "x"}, {"demo": "3"}, {"x": {"y": "z"}}]
    for value in [None, 5, -1, 0.5, math.inf, True, *texts, *nested]:
        over = {key: value}
        laid = BASE | {"scales": {"demo": {}}} | over
        check(laid, over, tmp_path / "results")
