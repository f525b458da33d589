"""Hostile configs and command lines through Snakemake itself: one clear line, exit status 1, nothing run or made.

Each here is one that Snakemake meets before lskd does, or that only a real run shows; tests/study/test_hostile.py has
thousands of others without Snakemake.
"""

import time

import pytest

from tests.workflow.conftest import Tree

BOMB = "x1: &x1 {a: 1, b: 2, c: 3}\n" + "".join(
    f"x{i}: &x{i} {{{', '.join(f'k{j}: *x{i - 1}' for j in range(9))}}}\n" for i in range(2, 12)
)
YTE = "__use_yte__: true\nstudy: ?open('canary', 'w').write('it ran') and 's'\n"
FILES = {  # given by --configfile, and as config.yaml
    "an open bracket": ("study: [a\n", "study.yaml:2:1: not valid YAML"),
    "code": (YTE, "study.yaml: __use_yte__: found a template, which runs code; leave the key out"),
    "a bomb of aliases": (BOMB, "more than 20,000 values"),
    "no UTF-8": (b"study: caf\xe9\n", "found byte 10 is no UTF-8"),
}
COMMANDS = {
    "no such file": (["--configfile", "nosuch.yaml"], "nosuch.yaml: no such file"),
    "a folder": (["--configfile", "lskd"], "lskd: a folder; name a study's YAML file"),
    "a key within a key": (["--config", "data.dataset=mnist"], "say a key within a key as --config 'data={dataset: mn"),
    "a target after --config": (["--config", "scale=demo", "grid"], "found 'grid', no KEY=VALUE; targets stand before"),
    "--config twice": (["--config", "data=x", "--config", "scale=demo"], "--config: stands twice"),
    "a misspelt target": (["girds"], "girds: no such target; did you mean grid?"),
    "a published file": (["results/figures/demo/ls_kd/grid.png"], "ask for that: snakemake grid"),
    "a step": (["train"], "train: a step of every run, no target; ask for a study or a figure: ls_kd, grid"),
    "an empty word": ([""], "the command line holds an empty word"),
    "this folder as data": (
        ["--config", "data=."],
        "data: found '.', the folder that snakemake runs in; put the images",
    ),
    "classes of other data": (
        ["--config", "scale=small", "data=digits"],
        "figures.projection.classes: no class 'T-shirt/top' in digits",
    ),
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The tree as it comes, without any result."""
    return Tree(tmp_path_factory.mktemp("hostile"))


def refused(tree, *arguments):
    """The line that a `snakemake -n` ends with."""
    begun = time.monotonic()
    done = tree.snakemake("-n", *arguments)
    seconds = time.monotonic() - begun
    lines = [line for line in done.stdout.splitlines() if line.startswith("error:")]
    assert done.returncode == 1, done.stdout
    assert len(lines) == 1, done.stdout
    assert "Traceback" not in done.stdout
    assert not (tree.folder / "results").exists()
    assert not (tree.folder / "canary").exists()
    assert seconds < 10  # 2 where nothing else runs
    return lines[0]


@pytest.mark.parametrize("case", FILES)
def test_a_study_file(tree, case):
    content, said = FILES[case]
    path = tree.folder / "study.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert said in refused(tree, "--configfile", "study.yaml")


@pytest.mark.parametrize("case", ["an open bracket", "code"])
def test_the_default_study(tree, case):
    content, said = FILES[case]
    path = tree.folder / "config.yaml"
    before = path.read_text()
    try:
        path.write_text(content)
        assert said.replace("study.yaml", "config.yaml") in refused(tree)
    finally:
        path.write_text(before)


@pytest.mark.parametrize("case", COMMANDS)
def test_a_command_line(tree, case):
    arguments, said = COMMANDS[case]
    assert said in refused(tree, *arguments)


def test_what_pictures_give_is_said(tree, tmp_path):
    """And what the user wrote holds."""
    from PIL import Image

    for name in ("ant", "bee", "cat"):
        (tmp_path / "own" / name).mkdir(parents=True)
        for i in range(6):
            Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / f"own/{name}/{i}.png")
    text = tree.run("-n", "grid", "--config", f"data={tmp_path / 'own'}", "seeds=[3]")
    note = next(line for line in text.splitlines() if line.startswith("note: for your own images"))
    assert "data.image_size 32, recipes.short.epochs 30, " in note and "recipes.short.crop_padding 4, " in note
    assert "seeds" not in note
