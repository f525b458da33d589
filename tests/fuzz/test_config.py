"""The config reader on hostile files and command lines: a plan below the folder of results, or one line."""

import argparse
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lskd import cli
from lskd.errors import UserError
from lskd.jobs.catalogue import Catalogue
from lskd.jobs.plan import Plan
from lskd.jobs.results import Results
from lskd.study import overrides, reading
from lskd.study.config import Study
from tests.fuzz.hostile import RENDERED, VALUES, fuzzed, mutations, refused, trees
from tests.workflow.conftest import KINDS, TINY

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "config.yaml", *sorted((ROOT / "workflow/studies").glob("*.yaml"))]
OWN = TINY | {
    "data": {"dataset": "imagefolder", "root": "pictures", "image_size": 8, "name": "mine"},
    "baselines": {"b": {"model": "mlp", "start": {"checkpoint": "net-{seed}.pt", "keys": {"^a": "b"}}}},
    "pictures": {"seeds": [0, 1]},
    "scales": {"demo": {"seeds": [0]}, "small": {"seeds": [1]}},
}
STUDIES = [TINY, KINDS, OWN, *(yaml.safe_load(path.read_text()) for path in FILES)]
TEXTS = [yaml.safe_dump(study, sort_keys=False).encode() for study in STUDIES[:3]]
TEXTS += [path.read_bytes() for path in FILES]
BOMBS = [
    "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
    "a: &a {b: *a}\n",
    "<<: &a {<<: *a}\n",
    "study: !!python/object/apply:os.system ['touch canary']\n",
    "study: !!python/name:os.system\n",
    "!!python/object/new:subprocess.Popen [['touch', 'canary']]\n",
    "!!binary aGk=\n",
    "study: !!binary '===='\n",
    "study: !!timestamp 2026-99-99\n",
    "study: !!int x\n",
    "study: !!timestamp x\n",
    "study: !!bool x\n",
    "study: !!float ''\n",
    "study: !!set {a, b}\n",
    "study: !!omap [a: b]\n",
    "study: !!set [a]\n",
    "seeds: 1:2:3:4:5:6:7:8:9\n",
    "seeds: [0b, 0x, 0o8, .inf, -.inf, .nan, 1_0_, +, 1e400]\n",
    "? [a, b]\n: c\n",
    "? {a: b}\n: c\n",
    "__use_yte__: true\nstudy: ?exec('1')\n",
    "study: x\n---\nstudy: y\n",
    "%YAML 9.9\n---\nstudy: x\n",
    "%TAG ! tag:yaml.org,2002:python/\n---\nstudy: !object/apply:os.getcwd []\n",
    "\t: x\n",
    "[" * 10_000,
    "{a: " * 10_000,
    "- " * 10_000,
    "? " * 10_000,
    "study: " + "9" * 50_000,
    "study: |\n" + " x\n" * 30_000,
    "x" * 99_000,
    "\ufeffstudy: x\n",
    "study: \u2028x\u0085y\n",
]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("guarded")


def everything(main: Study, inside: Path) -> None:
    """Make the address of every job of a study; each lies below the results."""
    root = inside / "results"
    catalogue = Catalogue({main.study: main}, Results(root))
    plan = Plan(main, catalogue, {})
    for figure in main.figures:
        assert plan.published(main.study, figure).resolve().is_relative_to(root / "figures")
    for job in catalogue.everything():
        assert job.folder.resolve().is_relative_to(root / "")
        assert len(job.folder.resolve().relative_to(root).parts) >= 2
        assert job.folder.name.isprintable() and "\\" not in job.below


def plan(path: Path, entries: list[str], inside: Path) -> None:
    """Read a config file and `--config`, as the command line does, and plan what is accepted."""
    for entry in entries:
        overrides.check_entry(entry)
    config, laid_over, _ = cli._configuration(argparse.Namespace(configfile=[str(path)], config=entries))
    everything(reading.parse(config, overrides=laid_over), inside)


@pytest.fixture
def inside(guarded, monkeypatch) -> Path:
    """The folder that lskd is started in, which a plan of digits leaves as it is, like all around it."""
    folder = guarded / "inside"
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """Where the hostile file is written, out of what is guarded."""
    return tmp_path_factory.mktemp("given") / "study.yaml"


def refused_plan(study: Path, text: bytes, entries: list[str], inside: Path) -> UserError | None:
    study.write_bytes(text)
    return refused(lambda: plan(study, entries, inside), inside.parent)


@fuzzed
@given(text=mutations(TEXTS + [bomb.encode() for bomb in BOMBS]))
def test_changed_bytes(inside, study, text):
    refused_plan(study, text, [], inside)


@fuzzed
@given(raw=trees(STUDIES))
def test_changed_values(inside, study, raw):
    try:
        text = yaml.safe_dump(raw, sort_keys=False, allow_unicode=False).encode("utf-8", "surrogatepass")
    except yaml.YAMLError:
        text = json.dumps(raw).encode()
    refused_plan(study, text, [], inside)


HOSTILE_TEXT = st.one_of(
    st.sampled_from(RENDERED),
    st.sampled_from(VALUES).map(lambda value: json.dumps(value)),
    st.sampled_from(BOMBS).map(lambda bomb: bomb[:19_000]),
    st.text(max_size=40),
    st.builds(
        "{{{}: {}}}".format, st.sampled_from(["dataset", "root", "name", "t", "b", "seed", "x"]), st.text(max_size=9)
    ),
)
KEYS = st.one_of(
    st.sampled_from([*Study.model_fields, "scales", "pictures", "trust", "data.root", ""]), st.text(max_size=9)
)


@fuzzed
@given(entries=st.lists(st.builds("{}={}".format, KEYS, HOSTILE_TEXT), min_size=1, max_size=3))
def test_the_command_line(inside, study, entries):
    refused_plan(study, TEXTS[0], entries, inside)


@pytest.mark.parametrize("bomb", BOMBS, ids=range(len(BOMBS)))
def test_each_bomb_is_refused_in_a_line(inside, study, bomb):
    error = refused_plan(study, bomb.encode(), [], inside)
    assert error is not None
    assert not (inside / "canary").exists()
