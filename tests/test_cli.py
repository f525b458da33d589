"""The commands as a user types them."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from snakemake.cli import parse_config

from lskd import cli
from lskd.errors import UserError
from lskd.io.seal import RECORD
from lskd.study import command_line
from tests.jobs import finished as tiny

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def results(tmp_path, monkeypatch):
    tiny.copied(tmp_path)
    monkeypatch.chdir(tmp_path)
    return Path("results")


@pytest.fixture
def lskd(results, capsys):
    """Run a command: its exit status, or its error, and its lines."""

    def run(*arguments: str) -> tuple[int | str, list[str]]:
        with pytest.raises(SystemExit) as ended:
            cli.main(list(arguments))
        captured = capsys.readouterr()
        assert not [line for line in captured.err.splitlines() if " epoch 1/1 " not in line]  # a test's own training
        return ended.value.code, captured.out.splitlines()

    return run


def change(**values):
    Path("config.yaml").write_text(yaml.safe_dump(tiny.study(**values), sort_keys=False))


def test_why_nothing(lskd):
    assert lskd("why") == (0, ["nothing to do: all results of tiny are there"])
    assert lskd("why", "grid", "curves") == (0, ["nothing to do: all results of grid, curves are there"])


def test_why_spec_code_new_gone_follows(lskd, results, monkeypatch):
    change(recipes={"one": tiny.TINY["recipes"]["one"] | {"lr": 0.05}})
    code, lines = lskd("why", "grid")
    assert lines[1:] == ["  2 trainings on labels, 4 students: spec: recipe.lr 0.1 -> 0.05", lines[2]]
    assert lines[2].endswith(": made of these")
    change(seeds=[0, 1])
    assert any(line.endswith(": new") for line in lskd("why", "grid")[1])
    change()
    folder = next((results / "metrics/demo/tiny/grid").iterdir())
    (folder / "metrics.parquet").unlink()
    next((results / "drawn/demo/tiny").glob("grid-*/figure.csv")).unlink()
    assert lskd("why", "grid")[1] == [
        "2 jobs to do",
        "  1 metric: metrics.parquet is gone",
        "  1 figure: figure.csv is gone",
    ]
    tiny.make(results)
    tiny.edit(monkeypatch, "lskd/metrics/accuracy.py:measure")
    assert lskd("why", "grid")[1] == [
        "2 jobs to do",
        "  1 metric: lskd/metrics/accuracy.py:measure changed",
        "  1 figure: made of these",
    ]


def test_why_says_all_reasons(lskd):
    """Snakemake's announcement stops at ten lines."""
    figures = {f"grid{number}": {"kind": "grid", "groups": ["t"]} for number in range(12)}
    change(figures=figures, recipes={"one": tiny.TINY["recipes"]["one"] | {"lr": 0.05}})
    code, lines = lskd("why")
    assert not any("more reasons" in line for line in lines)


def test_why_of_a_file(lskd, results, monkeypatch):
    path = next((results / "runs/digits/mlp-w8/one/ls0").glob("seed0-*/model.safetensors"))
    code, (line,) = lskd("why", str(path))
    assert line.startswith(f"{path}: of today's plan: {path.parent.relative_to(results)}, for tiny/grid")
    code, (line,) = lskd("why", "results/figures/demo/tiny/grid.png")
    assert line.endswith("for tiny/grid")
    change(recipes={"one": tiny.TINY["recipes"]["one"] | {"lr": 0.05, "weight_decay": 0.001}})
    tiny.edit(monkeypatch, "lskd/training/loop.py:Training", "lskd/supervision/kd.py:loss")
    code, lines = lskd("why", str(path))
    assert lines[0] == f"{path}: not of today's plan: {path.parent.relative_to(results)}"
    assert lines[2:] == [
        "    spec: recipe.lr 0.1 -> 0.05",
        *(line for line in lines if "weight_decay" in line),
        "    lskd/training/loop.py:Training changed",
    ]
    code, lines = lskd("why", "results/figures/demo/tiny/grid.png")  # through metrics and predictions to the runs
    assert sum("spec: recipe.lr 0.1 -> 0.05" in line for line in lines) == 6
    assert sum("lskd/supervision/kd.py:loss changed" in line for line in lines) == 4
    change(teachers={"t": tiny.TINY["teachers"]["t"] | {"label_smoothing": [0.1]}})
    code, (line,) = lskd("why", str(path))
    assert "no study asks for digits/mlp-w8/one/ls0/seed0; nearest is digits/mlp-w8/one/ls0.1/seed0" in line


def test_ls(lskd):
    code, lines = lskd("ls")
    table = [line for line in lines if not line.startswith("note:")]
    assert len(table) == len(list(Path("results").rglob(RECORD))) + 1
    assert all(line.endswith("current") for line in table)
    change(seeds=[3])
    lines = lskd("ls", "digits/mlp-w8")[1]
    table = [line for line in lines if not line.startswith("note:")]
    assert all("digits/mlp-w8" in line for line in table[:-1]) and len(table) == 9
    assert table[-1].endswith("; 0 current")


def test_verify(lskd, results):
    code, lines = lskd("verify")
    assert code == 0
    assert lines[0].endswith("results verified, 0 damaged") and len(lines) == 1
    path = next(results.rglob("history.jsonl"))
    path.write_text("")
    code, lines = lskd("verify")
    assert code == 1
    assert lines[0].startswith(f"{path}: damaged") and f"rm -rf {path.parent} && snakemake" in lines[0]
    assert lines[1].endswith("1 damaged")
    assert lskd("verify", str(path))[0] == 1
    assert lskd("verify", "results/data")[0] == 0


def test_adopt(lskd, results, monkeypatch):
    tiny.edit(monkeypatch, "lskd/metrics/accuracy.py:measure")
    before = tiny.files(results)
    code, lines = lskd("adopt", "grid")
    assert (code, lines[-1]) == (0, "nothing written; adopt them: the same with --yes")
    assert lines[0] == "results of other code that can stand for today's: 1"
    assert lines[1].startswith("  1 metric of commit ") and lines[1].endswith(
        ": lskd/metrics/accuracy.py:measure changed"
    )
    assert tiny.files(results) == before
    assert lskd("adopt", "grid", "--yes")[0] == 0
    assert lskd("why", "grid") == (0, ["nothing to do: all results of grid are there"])
    lines = lskd("adopt", "--list")[1]
    assert len(lines) == 2 and "metrics demo/tiny/grid/accuracy; adopted " in lines[0]
    assert "code since: lskd/metrics/accuracy.py:measure changed" in "\n".join(
        lskd("lineage", "results/figures/demo/tiny/grid.csv")[1]
    )
    assert lskd("adopt", "--undo", lines[0][:10]) == (0, ["adopted records removed: 1"])
    assert tiny.files(results) == before
    assert lskd("why", "grid")[1][0] == "2 jobs to do"


def test_gc(lskd, results):
    for path in (results / ".jobs").iterdir():
        path.unlink()
    before = tiny.files(results)
    assert lskd("gc")[1][-1] == "of no use: 0, 0 B"
    other = tiny.study(study="second", seeds=[1], figures={"grid": {"kind": "grid"}})
    Path("other.yaml").write_text(yaml.safe_dump(other))
    tiny.make(results, other)
    for path in (results / ".jobs").iterdir():
        path.unlink()
    assert lskd("gc", "--keep", "other.yaml")[1][-1] == "of no use: 0, 0 B"
    assert lskd("gc", "--configfile", "other.yaml")[1][-1] == "of no use: 0, 0 B"  # config.yaml's is named too
    assert lskd("gc", "--config", "seeds=[0,1]", "study=second")[1][-1] != "of no use: 0, 0 B"
    code, lines = lskd("gc")
    assert "other checkouts may share this folder" in lines[-1]
    assert any("runs/digits/mlp-w8/one/ls0/seed1-" in line and "no study names it" in line for line in lines)
    assert lskd("gc", "--delete")[1][-1] == "removed"
    assert tiny.files(results) == before


def test_register(lskd):
    change(seeds=[1, 2, 3], figures={"verdict": {"kind": "verdict"}})
    code, (line,) = lskd("register", "--config", "looks=[3, 5]")
    path = "registrations/demo/tiny.json"
    words = "verdict (4 choices of alpha and T in 1 setting, 3 seeds, looks at 3, 5, code "
    assert code == 0
    assert line.startswith(f"{path}: registered {words}") and line.endswith("; commit that file")
    assert lskd("register", "--config", "looks=[3, 5]")[1][0].endswith(" as it is today")
    assert lskd("register")[0].startswith(f"error: {path}: another registration stands there")
    change(seeds=[0, 1], study="seen", figures={"verdict": {"kind": "verdict"}})  # seed 0 has test numbers
    code, lines = lskd("register")
    assert lines == []
    assert code.startswith("error: results/predictions/digits/mlp-w4/") and "too late to register" in code
    change(teachers={"t": tiny.TINY["teachers"]["t"] | {"label_smoothing": [0.1]}}, figures={"v": {"kind": "verdict"}})
    assert lskd("register")[0].startswith("error: ")  # no verdict without an unsmoothed teacher
    assert not Path("registrations/demo/seen.json").exists()


def test_lineage(lskd):
    code, lines = lskd("lineage", "results/figures/demo/tiny/grid.png")
    assert lines[0].startswith("figure demo/tiny/grid ")
    assert any(line.startswith("    data digits ") for line in lines)
    code, lines = lskd("lineage", "results/figures/demo/tiny/grid.png", "--json")
    assert json.loads("\n".join(lines))["inputs"]["accuracy"]["stage"] == "metrics"


def test_lineage_of_a_row(lskd):
    path = "results/figures/demo/tiny/grid.csv"
    code, lines = lskd("lineage", path, "--row", "1")
    assert lines[1].startswith("  | row 1: group t, role teacher, ") and lines[1].endswith("; its runs follow")
    assert len(lines) < len(lskd("lineage", path)[1]) / 2
    assert json.loads("\n".join(lskd("lineage", path, "--row", "1", "--json")[1]))["values"]["metric"] == "top1"
    assert (
        lskd("lineage", path, "--row", "0")[0]
        == "error: --row: found 0; this figure has rows 1 to 12, below its heading"
    )
    assert lskd("lineage", "results/data", "--row", "1")[0].startswith("error: results/data: no such file")


def test_pack_and_unpack(lskd, results):
    code, lines = lskd("pack", "tiny", "-o", "packs/of mine.zip", "--with-logits")
    assert code == 0 and lines[0].startswith("packs/of mine.zip: ")
    code, lines = lskd("unpack", "packs/of mine.zip", "there")
    assert code == 0 and lines[1].endswith(": snakemake --configfile studies/demo/tiny.yaml")
    logits = sorted(path.relative_to("there") for path in Path("there").rglob("*.logits.parquet"))
    assert logits and logits == sorted(results.rglob("*.logits.parquet"))
    assert lskd("unpack", "packs/of mine.zip")[0] == 0  # beside those that are here, which stay
    assert lskd("verify")[1][-1].endswith(" 0 damaged")
    assert lskd("pack")[1][0].startswith("tiny-demo.zip: ")
    assert not list(Path("there").rglob("data.safetensors"))
    assert lskd("pack", "--with-data", "-o", "data.zip")[0] == 0
    assert lskd("unpack", "data.zip", "with data")[0] == 0
    assert list(Path("with data").rglob("data.safetensors"))


def test_watch(lskd):
    assert lskd("watch") == (0, ["no job is running"])


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["why", "gird"], "gird: no study, figure or file; did you mean grid?"),
        (["why", "none/at/all.png"], "none/at/all.png: no such file"),
        (["why", "--config", "grid"], "--config: found 'grid', key=value is needed; targets stand before --config"),
        (["why", "--config", "seeds=x"], "config: seeds"),
        (["why", "--config", "trust=me"], "trust: found 'me'"),
        (["why", "--configfile", "none.yaml"], "none.yaml: no such file"),
        (["ls", "--results", "none"], "none: no such folder of results"),
        (["verify", "config.yaml"], "config.yaml: no result lies there"),
        (["lineage", "config.yaml"], "config.yaml: equals no file of any result"),
        (["pack", "tinny"], "tinny: no study; did you mean tiny?"),
        (["pack", "grid"], "grid: no study; known are "),
        (["pack", "--results", "none"], "none: no such folder of results"),
        (["pack", "--config", "seeds=[5]"], "pack: tiny is not finished, jobs to do: "),
        (["unpack", "none.zip"], "none.zip: no such file; name a pack"),
        (["unpack", "config.yaml"], "config.yaml: no pack of results, or a part of one"),
        (["unpack"], "the following arguments are required: ARCHIVE"),
        (["unpack", "none.zip", "--results", "x"], "unrecognized arguments: --results"),
        (["lineage", "results/figures/demo/tiny/grid.csv", "--row", "x"], "argument --row: invalid int value: 'x'"),
        (["lineage"], "the following arguments are required: FILE; python -m lskd"),
        (["adopt", "--undo", "0123456789"], "0123456789: nothing was adopted for it"),
        (["gc", "--keep", "none.yaml"], "none.yaml: no such file"),
        (["register"], "figures: tiny has none of kind "),
        (["register", "--config", "looks=[5, 3]"], "config: looks: found [5, 3]: these must ascend, each once"),
        (["lss"], "argument COMMAND: invalid choice: 'lss'"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_mistakes_in_one_line(lskd, arguments, error):
    code, lines = lskd(*arguments)
    assert lines == []
    assert code.startswith(f"error: {error}")
    assert "\n" not in code


def test_a_mistake_of_lskd_is_one_line_too(lskd, monkeypatch):
    def fail(folder):
        raise ValueError("what\nnow")

    monkeypatch.setattr("lskd.jobs.live.watch", fail)
    code, _ = lskd("watch")
    assert code.startswith("error: ValueError: what now (") and "please report it" in code


@pytest.mark.parametrize(
    "entries",
    [
        ["a1=1", "b1=1.5", "c1=True", "d1=true", "e1=[1, x]", "f1={a: {b: 2}}", "g1=", "h1='quoted'", "i1=x=y"],
        ["f1={a: {b: 2}}", "f1={a: {c: 3}}"],
        ["a1=1e3", "b1=0x10", "c1=null", "d1=[", "e1=1_000", "f1=a b"],
    ],
)
def test_overrides_are_read_as_snakemake_reads_them(entries):
    assert command_line.read_overrides(entries) == parse_config(entries)


def test_overrides_that_snakemake_refuses():
    for entry in ("x", "1a=2", "=3"):
        with pytest.raises(UserError, match="key=value"):
            command_line.read_overrides([entry])


def test_overrides_reach_the_plan(lskd):
    assert any(
        "spec: recipe.lr 0.1 -> 0.05" in line for line in lskd("why", "--config", "recipes={one: {lr: 0.05}}")[1]
    )


def test_no_torch_and_fast(results):
    """In processes of their own."""
    check = "import sys; from lskd.cli import main\ntry: main(sys.argv[1:])\nfinally: assert 'torch' not in sys.modules"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    png, pack = "results/figures/demo/tiny/grid.png", "tiny-demo.zip"
    for arguments in (
        ["why"],
        ["why", png],
        ["ls"],
        ["verify"],
        ["adopt"],
        ["gc"],
        ["lineage", png],
        ["watch"],
        ["pack"],
        ["unpack", pack],
    ):
        run = subprocess.run([sys.executable, "-c", check, *arguments], env=environment, capture_output=True, text=True)
        assert (run.returncode, run.stderr) == (0, ""), (arguments, run)
    seconds = []
    for _ in range(3):
        began = time.monotonic()
        subprocess.run([sys.executable, "-m", "lskd", "verify"], env=environment, check=True, capture_output=True)
        seconds.append(time.monotonic() - began)
    assert min(seconds) < 2.0  # 0.5 s on a machine that does nothing else


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    assert ended.value.code == 0
    for name in cli.HELP:
        assert sum(line.startswith(f"  python -m lskd {name}") for line in lines) == 1


def test_a_closed_pipe_is_no_mistake(results):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = f"{sys.executable} -m lskd lineage results/figures/demo/tiny/grid.png | head -1"
    run = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True)
    assert run.stderr == "" and run.stdout.startswith("figure demo/tiny/grid")
