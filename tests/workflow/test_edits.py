"""What an edit makes anew, and that nothing else does: each edit with the exact set of jobs that is planned after it.

The edits are in edit_tables. All are planned without Snakemake, in a fraction of its time; those in SAMPLE by Snakemake
itself too.
"""

import copy
import json
import shutil

import pytest
import xxhash

from lskd.io.layout import ROOMS
from tests.workflow.conftest import TINY, Tree, published
from tests.workflow.edit_tables.bodies import BODIES
from tests.workflow.edit_tables.code import CODE
from tests.workflow.edit_tables.config import CONFIG
from tests.workflow.edit_tables.jobs import DRAWN, GRID, NOTHING, student
from tests.workflow.edit_tables.kinds import OF_KINDS
from tests.workflow.edit_tables.states import PENDING, STATES
from tests.workflow.edits import deleted, inserted, put_back, replaced, shell

SAMPLE = {  # rows that Snakemake plans too
    *("lskd/supervision/labels.py:loss", "lskd/models/network.py:all_logits", "lskd/jobs/execute.py:main"),
    *("all code reformatted", "a rule's spaces", "another family shown by a figure"),
    *("the students' best", "one more seed", "every default said", "batch_size's default"),
    *(".snakemake is gone", "everything has the time of now", "the data are of tomorrow", "all is gone"),
    *("the metrics are all that is left", "a drawn figure's picture is gone", "results of other code beside them"),
}


def check(tree, row, edit, expected, *parts):
    """Edit, plan and put back."""
    with put_back(tree.folder, *parts):
        edit(tree.folder)
        assert tree.pending() == expected
        if row in SAMPLE:
            assert tree.planned() == expected


@pytest.mark.parametrize("name", BODIES)
def test_a_functions_body(finished, name):
    edit = inserted(*name.split(":"))
    check(finished, name, edit, BODIES[name], "lskd")


@pytest.mark.parametrize("row", CODE)
def test_code(finished, row):
    edit, expected = CODE[row]
    check(finished, row, edit, expected, "lskd", "workflow", "envs", "README.md", "tests", "config.yaml")


@pytest.mark.parametrize("row", CONFIG)
def test_config(finished, row):
    edit, expected = CONFIG[row]
    check(finished, row, edit, expected, "lskd", "config.yaml")


@pytest.mark.parametrize("row", OF_KINDS)
def test_study_of_all_kinds(every_kind, row):
    edit, expected = OF_KINDS[row]
    check(every_kind, row, edit, expected, "lskd", "config.yaml")


@pytest.fixture(scope="module")
def states(finished, tmp_path_factory):
    """A copy of the finished tree whose results a test may do anything to."""
    tree = copied(finished, tmp_path_factory.mktemp("states") / "tree")
    assert tree.pending() == NOTHING
    yield tree
    tree.close()


def copied(tree, folder):
    """A tree with its results in another place."""
    folder.mkdir()
    copy = Tree(folder, tree.folder)
    results_of(tree, copy)
    return copy


def results_of(tree, other):
    """Give a tree the results of another one."""
    for part in ("results", ".snakemake"):
        place = other.folder / part
        if place.is_symlink():
            place.unlink()
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(tree.folder / part, place)


@pytest.mark.parametrize("row", STATES)
def test_state(finished, states, row):
    edit, expected = STATES[row]
    results_of(finished, states)
    check(states, row, edit, expected, "lskd")


def test_what_lies_above_the_figures_may_go_file_by_file(finished):
    """With the figures there, no file above them is missed; each is when something needs it, and then it alone."""
    rooms = set(ROOMS.values()) - {"drawn", "snapshots", "corpora", "translations"}
    above = [path for room in sorted(rooms) for path in finished.results(f"{room}/**/*.*") if path.is_file()]
    assert len(above) > 80
    with put_back(finished.folder, "results"):
        for path in above:
            path.unlink()
        assert finished.pending() == NOTHING
    with put_back(finished.folder, "results", "lskd"):
        inserted("lskd/figures/grid.py", "draw")(finished.folder)
        for path in above:
            if "metrics/demo/tiny/grid" not in str(path):
                path.unlink()
        assert finished.pending() == {"figure grid"}


@pytest.mark.parametrize("pattern", PENDING)
def test_what_a_pending_job_reads_is_made_again(finished, pattern):
    with put_back(finished.folder, "results", "lskd"):
        inserted("lskd/metrics/accuracy.py", "measure")(finished.folder)
        deleted(f"results/{pattern}")(finished.folder)
        assert finished.pending("grid") == GRID | PENDING[pattern]


def test_a_chain_of_missing_files_is_made_again_from_its_first(finished):
    with put_back(finished.folder, "results", "lskd"):
        inserted("lskd/metrics/accuracy.py", "measure")(finished.folder)
        deleted(
            "results/predictions/**/kd-T3-*ls0.1/*/head.safetensors",
            "results/runs/**/kd-T3-*ls0.1/*/history.jsonl",
            "results/teacher_logits/**/ls0/*/*/logits.parquet",
        )(finished.folder)
        expected = GRID | student("0.1", "T3")
        assert finished.pending("grid") == finished.planned("grid") == expected


def test_a_metric_alone_is_enough_for_an_edited_figure(finished, states):
    results_of(finished, states)
    shell("cd results && rm -rf data runs predictions teacher_logits drawn figures")(states.folder)
    assert states.planned() == DRAWN
    with put_back(states.folder, "lskd"):
        inserted("lskd/figures/grid.py", "draw", "pass")(states.folder)
        assert states.pending() == DRAWN


def test_every_edit_taken_back_plans_nothing(finished):
    parts = ("lskd", "workflow", "envs", "README.md", "tests", "config.yaml")
    with put_back(finished.folder, *parts):
        for edit, _ in [*CODE.values(), *CONFIG.values()]:
            with put_back(finished.folder, *parts):
                edit(finished.folder)
        assert finished.pending() == finished.planned() == NOTHING


def test_an_edit_that_was_run_and_taken_back_plans_nothing(finished, states):
    results_of(finished, states)
    before = published(states)
    with put_back(states.folder, "lskd"):
        replaced("lskd/figures/style.py", '"font.size": 8', '"font.size": 9')(states.folder)
        assert states.pending() == DRAWN
        states.run()
        assert states.planned() == NOTHING
        assert published(states)["grid.svg"] != before["grid.svg"]
    assert states.planned() == NOTHING
    states.run()
    assert published(states) == before


def test_published_figures_are_put_back(finished, states):
    results_of(finished, states)
    before, folder = published(states), states.folder / "results/figures/demo/tiny"
    (folder / "grid.svg").write_text("mine")
    (folder / "stability.md").unlink()
    states.run()
    assert published(states) == before


def test_a_copy_elsewhere_plans_nothing(finished, tmp_path):
    """Copied without times or `.snakemake`, in another folder of another name."""
    copy = Tree(tmp_path, finished.folder)
    shutil.copytree(finished.folder / "results", tmp_path / "results", copy_function=shutil.copyfile)
    assert copy.pending() == copy.planned() == NOTHING
    copy.close()


def test_alpha_and_temperature_swapped_between_two_runs(finished):
    """An address names each value with its key, so that two equal sets of values are two addresses."""
    with put_back(finished.folder, "config.yaml"):
        addresses = []
        for alpha, temperature in ((0.5, 0.25), (0.25, 0.5)):
            study = copy.deepcopy(TINY)
            study["teachers"]["t"]["label_smoothing"] = [alpha]
            study["students"]["s"]["temperature"] = [temperature]
            finished.configure(study)
            jobs = {f"{stage} ls{alpha}/0 T{temperature}" for stage in ("train", "predict")}
            assert jobs | {f"train ls{alpha}/0"} <= finished.pending()
            addresses.append({path.name for path in finished.tell_jobs().values()})
        assert not addresses[0] & addresses[1]
        shutil.rmtree(finished.folder / "results/.jobs")


def test_a_published_number_edited_draws_its_papers_figures_again(finished):
    with put_back(finished.folder, "lskd", "results"):
        note = "note: shen2021: a paper's study, which --config name does not touch"
        assert note in finished.run("shen2021_fig3", "--config", "name=Renamed")
        assert finished.planned("shen2021_fig3") == NOTHING
        replaced("lskd/papers/muller2019.yaml", "paper: ", "paper:  ")(finished.folder)
        assert finished.pending("shen2021_fig3") == NOTHING
        replaced("lskd/papers/shen2021.yaml", "paper: ", "paper:  ")(finished.folder)
        assert finished.pending("shen2021_fig3") == finished.planned("shen2021_fig3") == {"figure fig3"}


def test_metrics_name_the_digest_of_every_file_they_were_made_of(finished):
    (folder,) = finished.results("metrics/demo/tiny/stability/stability-*")
    record = json.loads((folder / "record.json").read_text())
    assert {role.partition(" ")[0] for role in record["inputs"]} == {"data", "predict"}
    assert len(record["inputs"]) == 3
    for above in record["inputs"].values():
        place = finished.folder / "results" / above["folder"]
        assert above["address"] == place.name[-10:]
        for name, digest in above["seal"].items():
            assert digest == xxhash.xxh3_128((place / name).read_bytes()).hexdigest()


@pytest.mark.parametrize("spoil", ["a flipped bit", "another run's logits", "a record of other files"])
def test_what_changed_since_it_was_written_is_said_at_reading(finished, spoil):
    """No plan looks at bytes; who reads them does."""
    with put_back(finished.folder, "results", "lskd"):
        (path,) = finished.results("predictions/digits/mlp-w8/one/ls0.1/seed0-*/test.logits.parquet")
        (other,) = finished.results("predictions/digits/mlp-w8/one/ls0/seed0-*/test.logits.parquet")
        if spoil == "a flipped bit":
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
        elif spoil == "another run's logits":
            shutil.copyfile(other, path)
        else:
            shutil.copyfile(other.with_name("record.json"), path.with_name("record.json"))
        assert finished.pending() == NOTHING
        inserted("lskd/metrics/stability.py", "measure")(finished.folder)
        done = finished.snakemake("stability")
        assert done.returncode != 0
        lines = [line for line in done.stdout.splitlines() if line.startswith("error:")]
        assert len(lines) == 1
        assert str(path.parent.relative_to(finished.folder)) in lines[0]
        assert "Traceback" not in done.stdout
