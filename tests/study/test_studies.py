"""The default study and the papers' studies at every scale: they parse, plan, and fit together under one results/."""

from collections import Counter
from pathlib import Path

import pytest

from lskd.data.glyph_classes import CHARACTERS, base
from lskd.errors import UserError
from lskd.jobs.catalogue import Catalogue
from lskd.jobs.results import Results
from lskd.papers.read import PAPERS, paper
from lskd.study import reading, registry, runs, studies

ROOT = Path(__file__).parents[2]
FILES = {path.stem: path for path in [ROOT / "config.yaml", *sorted((ROOT / "workflow/studies").glob("*.yaml"))]}
TARGETS = {
    "muller2019": "fig1 table2 fig2 fig3 table3 table3_nmt fig4 mnist fig5 fig6",
    "shen2021": "fig1 fig3 fig4 table1 table2 table7 fig5 fig6 fig7 fig8 table8 table3 table4 fig9 table5 table6 "
    "table9 table10",
    "yuan2020": "table1 table2 table3 table4 table5 table6 figS1",
    "chandrasegaran2022": "gridA gridB compact eta projection nmt summary",
}
SCALES = ("demo", "small", "paper")
ROWS = {"table3_nmt"}  # of a target's table that stand by themselves
AT_PAPER_SCALE = {  # parts of targets on a data set of their own
    "muller2019": {"fig1_imagenet", "fig1_poodles"},
    "chandrasegaran2022": {"projection_cub"},
}
QUESTIONS = {"nmt_truncation"}  # studies of no paper
DEMO_RUNS = 400  # of images: what 45 minutes on two cores can train and dump
DEMO_TRANSLATORS = 60  # what 15 minutes can


def study(name, scale):
    return reading.parse(reading.read(FILES[name]), scale, name)


def needed(one):
    """The runs that a study's figures read, and the teachers behind them; figures of no trained network need none."""
    members = runs.members(one)
    by_title = {}
    for figure in one.figures.values():
        if set(registry.FIGURES[figure.kind].families) & set(registry.METRICS):
            for member in runs.select(members, figure):
                run = member.run
                while run is not None:
                    by_title[run.title] = run
                    run = run.teacher
    return by_title


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", FILES)
def test_parses_and_plans_at_every_scale(name, scale):
    one = study(name, scale)
    assert one.scale == scale
    assert runs.members(one)


@pytest.mark.parametrize("scale", SCALES)
def test_targets_are_those_of_the_papers(scale):
    assert set(FILES) == {"config", *PAPERS, *QUESTIONS}
    for name, targets in TARGETS.items():
        one = study(name, scale)
        assert one.study == name
        parts = AT_PAPER_SCALE.get(name, set()) if scale == "paper" else set()
        assert set(one.figures) == set(targets.split()) | parts
        assert set(one.figures) - ROWS - parts <= set(paper(name).targets)


@pytest.mark.parametrize("scale", SCALES)
def test_no_two_jobs_share_a_folder_and_each_has_one_title_in_its_room(scale, tmp_path, monkeypatch):
    """All studies of a scale together: a folder is a job's alone, and reads as what it holds."""
    content = "lskd.jobs.data_specs.content_of_files"  # of corpora that are not installed everywhere
    monkeypatch.setattr(content, lambda *_: {"digest": "0"})
    monkeypatch.setattr("lskd.translation.libreoffice.files", lambda *_: [])
    of_scale = [study(name, scale) for name in FILES]
    jobs = set(Catalogue({one.study: one for one in of_scale}, Results(tmp_path)).everything())
    specs = {}
    for job in jobs:
        described = job.described() | {"place": ""}
        assert specs.setdefault(job.folder, described) == described
        assert job.folder.name == f"{job.title.rpartition('/')[2]}-{job.address}"
        assert len(str(job.folder.name)) < 250
    titles = {(job.stage, job.title, job.plain) for job in jobs}
    assert len({(stage, title) for stage, title, _ in titles}) == len(titles)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", FILES)
def test_no_group_is_idle(name, scale):
    one = study(name, scale)
    groups_shown = {
        member.group for figure in one.figures.values() for member in runs.select(runs.members(one), figure)
    }
    groups = [*one.teachers.values(), *one.baselines.values(), *one.students.values()]
    above = {student.teacher for student in one.students.values()} | {g.start.run for g in groups if g.start}
    assert {*one.teachers, *one.baselines, *one.students} <= groups_shown | above
    assert {group.recipe for group in groups} == set(one.recipes)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", FILES)
def test_figures_find_what_they_measure(name, scale):
    one = study(name, scale)
    for figure in one.figures.values():
        members = runs.select(runs.members(one), figure)
        runs_shown = [member.run for member in members]
        degrees = {member.row["temperature"] for member in members if member.run.teacher}
        if figure.kind == "information":
            assert len(figure.classes) == 2
            assert all(run.recipe.snapshot_epochs for run in runs_shown)
        if figure.kind == "gamma_curve":
            assert set(figure.temperatures) == degrees
        if figure.kind == "diffusion":
            assert {1, 3} <= degrees
            assert set(figure.similar) <= set(figure.targets)
        if figure.kind in ("projection", "projection_muller", "clusters"):
            assert len(set(figure.classes)) in (0, 3)


def test_demo_is_small():
    runs_needed = {title: run for name in FILES for title, run in needed(study(name, "demo")).items()}
    counts = Counter(run.data.dataset for run in runs_needed.values())
    assert counts.keys() == {"glyphs", "help_extract"}
    assert counts["glyphs"] <= DEMO_RUNS
    rows = {title: run for name in PAPERS for title, run in needed(study(name, "demo")).items()}
    assert sum(run.data.dataset == "help_extract" for run in rows.values()) <= DEMO_TRANSLATORS


def test_demo_shows_similar_letters_where_the_papers_show_similar_classes():
    """Two letters on one base and one on another in each projection; whole families among eta's targets."""
    kinds = ("projection", "projection_muller", "clusters")
    figures = [figure for name in PAPERS for figure in study(name, "demo").figures.values()]
    bases_of = [[base(letter) for letter in figure.classes] for figure in figures if figure.kind in kinds]
    assert [(len(bases), bases[0] == bases[1], bases[2] in bases[:2]) for bases in bases_of] == 3 * [(3, True, False)]
    (targets,) = (figure.targets for figure in figures if figure.kind == "diffusion")
    letters = [letter for letter in CHARACTERS[:64] if base(letter) in {base(target) for target in targets}]
    assert sorted(targets) == sorted(letters)
    assert len({base(target) for target in targets}) == 2


@pytest.mark.parametrize("scale", ("demo", "small"))
def test_the_default_study_is_shared(scale):
    """The papers' first grids cost nothing where the default study has been run."""
    default = set(needed(study("config", scale)))
    for name in PAPERS:
        members = runs.members(study(name, scale))
        assert {member.run.title for member in members if member.group in ("teacher", "student")} <= default, name


RAW = {
    "study": "mine",
    "recipes": {"r": {"epochs": 1}},
    "teachers": {"t": {"model": "mlp", "recipe": "r"}},
    "figures": {"grid": {"kind": "grid"}, "curves": {"kind": "curves"}},
}


def test_targets_are_studies_and_figures_by_name():
    main, all_studies = studies.read_all(RAW, {}, [])
    assert list(all_studies)[0] == "mine" and set(all_studies) == {"mine", *PAPERS, *QUESTIONS}
    targets = studies.targets(main, all_studies)
    assert targets["mine"] == [("mine", "grid"), ("mine", "curves")]
    assert targets["grid"] == [("mine", "grid")]
    assert targets["muller2019_fig1"] == [("muller2019", "fig1")]
    assert "fig1" not in targets


def test_papers_run_as_the_configs_runtime_says():
    _, all_studies = studies.read_all(RAW | {"runtime": {"threads": 3}}, {}, [])
    assert {study.runtime.threads for study in all_studies.values()} == {3}


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"study": "train"}, "study: the name 'train' is taken"),
        ({"study": "muller2019_fig1"}, "study: the name 'muller2019_fig1' is taken"),
        ({"figures": {"publish": {"kind": "grid"}}}, "figures.publish: the name 'publish' is taken"),
        ({"figures": {"mine": {"kind": "grid"}}}, "figures.mine: the name 'mine' is taken"),
    ],
)
def test_a_name_that_is_taken_is_refused(changes, where):
    with pytest.raises(UserError, match=where):
        studies.read_all(RAW | changes, {}, [])


def test_a_file_that_hides_a_key_is_refused(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("study: a\nstudy: b\n")
    with pytest.raises(UserError, match="'study' stands twice"):
        studies.read_all(RAW, {}, [path])


def test_trust_is_said_with_code_alone_and_is_no_part_of_the_study():
    config = RAW | {"trust": "code"}
    assert studies.trust_code(config, {"trust": "code"}) == (True, RAW, {})
    assert studies.trust_code(RAW, {"seeds": [1]}) == (False, RAW, {"seeds": [1]})
    assert studies.trust_code(config, {})[0]
    with pytest.raises(UserError, match="trust: found 'all'"):
        studies.trust_code(RAW, {"trust": "all"})
