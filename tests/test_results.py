"""The results that the documents show are what their metrics give, and what they say is what was found."""

from pathlib import Path

import pytest

from lskd.io.seal import checked
from lskd.io.tables import read_table
from lskd.jobs.execute import resolve
from lskd.study import reading as studyfile
from lskd.study import registry as tables
from lskd.study import runs
from lskd.study.options import spec

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs/results/fashion_mnist"
STUDY = studyfile.parse(studyfile.read(ROOT / "config.yaml"), "small")
LOOKS = {"verdict": {"looks": [5]}}  # the study was judged at 5 seeds before it was at 10; see its README
SETTING = ["group", "role", "dataset", "model", "recipe", "teacher_model", "label_smoothing", "temperature", "seed"]


def frame(figure, family):
    """A metric family of a figure of the study, compared with its seal."""
    (folder,) = (RESULTS / f"metrics/{figure}").glob(f"{family}-*")
    return read_table(checked(folder / "metrics.parquet", folder)).to_pandas()


@pytest.mark.parametrize("name", STUDY.figures)
def test_the_small_studys_numbers_come_from_its_metrics(name):
    figure = STUDY.figures[name]
    kind = tables.FIGURES[figure.kind]
    measured = [family for family in kind.families if list((RESULTS / f"metrics/{name}").glob(f"{family}-*"))]
    frames = {family: frame(name, family) for family in measured}  # newer families were not kept of it
    options = {key: value for key, value in spec(figure).items() if key != "kind"}
    named = {"study": STUDY.study, "figure": name, "scale": STUDY.scale}
    table = resolve(f"{kind.module}:table")(frames, options | named | LOOKS.get(name, {}))
    text = table.to_csv(index=False, float_format="%.10g", lineterminator="\n")
    assert text == (RESULTS / f"{name}.csv").read_text()
    for ending in ("png", "md"):
        assert (RESULTS / f"{name}.{ending}").stat().st_size


def test_the_small_study_was_run_with_all_its_seeds_and_temperatures():
    measured = frame("grid", "accuracy")[SETTING].fillna(0.0)  # of T, which is none without a teacher
    expected = [{key: member.row[key] or 0.0 for key in SETTING} for member in runs.members(STUDY)]
    rows = {tuple(row.get(key) or 0.0 for key in SETTING) for row in measured.to_dict("records")}
    assert rows == {tuple(row.values()) for row in expected}


def test_the_readme_opens_with_the_verdict():
    verdict = (RESULTS / "verdict.md").read_text().partition(". ")[0].replace("\\_", "_")
    for page in (ROOT / "README.md", RESULTS / "README.md"):
        assert f"{verdict}." in " ".join(page.read_text().split())
