"""What is laid over a study: the command line's form and types, and what `pictures` may give."""

import pytest

from lskd.errors import UserError
from lskd.study import overrides, reading

SMALL = {
    "study": "s",
    "recipes": {"r": {"epochs": 1}},
    "teachers": {"t": {"model": "mlp", "recipe": "r"}},
    "figures": {"f": {"kind": "projection"}},
    "scales": {"demo": {"recipes": {"r": {"crop_padding": 1}}, "figures": {"f": {"classes": ["3", "8", "6"]}}}},
    "pictures": {
        "seeds": [7, 8],
        "data": {"image_size": 32},
        "recipes": {"r": {"crop_padding": 4}},
        "figures": {"f": {"classes": None}, "gone": {"classes": None}},
    },
}
LINES = {
    "a key within a key": (["--config", "data.dataset=mnist"], "say a key within a key as --config 'data={dataset: mn"),
    "three keys": (["-C", "recipes.short.lr=1"], "--config 'recipes={short: {lr: 1}}'"),
    "a target": (["--config", "seeds=1", "grid"], "found 'grid', no KEY=VALUE; targets stand before --config"),
    "no key": (["--config", "=x"], "found '=x'; a key is a name of the study's"),
    "a key of one letter": (["--config=a=1"], "found 'a=1'; a key is a name"),
    "no YAML": (
        ["--config", "data={dataset: mnist"],
        "--config data: not valid YAML: .*; mend its brackets and quotes, or write it in a file",
    ),
    "a bomb": (
        ["--config", "data={a: &a [" + "1, " * 500 + "], b: [" + "*a, " * 500 + "]}"],
        "more than 20,000 values",
    ),
    "far too long": (["--config", "seeds=[" + "1," * 20000 + "]"], "seeds: found 40,00. characters, at most 20,000"),
    "twice": (["--config", "seeds=1", "--config", "scale=demo"], "--config: stands twice, .* give all after one"),
    "two files apart": (["--configfile", "a", "--configfile", "b"], "--configfile: stands twice"),
    "no such file": (["--configfile", "nosuch.yaml"], "nosuch.yaml: no such file"),
    "no file at all": (["--configfile"], "expected at least one argument"),
    "an empty word": (["grid", ""], "holds an empty word"),
}


@pytest.mark.parametrize("case", LINES)
def test_a_command_line_is_refused_in_one_line(case):
    arguments, said = LINES[case]
    with pytest.raises(SystemExit, match=said) as caught:
        overrides.check_command_line(arguments)
    assert str(caught.value).startswith("error: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-n", "--cores", "2", "grid"],
        ["--config", "seeds=[0, 1]", "data={dataset: mnist}", "--", "grid"],
        ["grid", "--config", "data=~/my birds", "name=a: b", "-n"],
        ["--mode", "remote", "--config", "a.b=1"],  # Snakemake's own call of itself
    ],
)
def test_a_right_command_line_passes(arguments):
    overrides.check_command_line(arguments)


def test_a_home_is_no_null_and_null_deletes():
    assert overrides.typed_all({"data": "~", "baselines": "null"}, "config") == {"data": "~", "baselines": None}
    asked = {"figures": {"f": {"classes": "null", "groups": ["null"], "temperatures": "null"}}}
    assert overrides.typed_all(asked, "config") == {
        "figures": {"f": {"classes": None, "groups": ["null"], "temperatures": None}}
    }


def test_what_is_no_yaml_on_the_command_line():
    with pytest.raises(UserError, match="--config data:.*not valid YAML"):
        overrides.typed_all({"data": "{dataset: mnist"}, "config")


@pytest.fixture
def own():
    given = {"data": "my/birds"}
    return SMALL | given, given


def test_pictures_hold_over_a_scale(own):
    study = reading.parse(own[0], overrides=own[1])
    assert (study.seeds, study.recipes["r"].crop_padding, study.figures["f"].classes) == ([7, 8], 4, [])
    assert study.data.image_size == 32
    said = "seeds [7, 8], data.image_size 32, recipes.r.crop_padding 4, figures.f.classes left out"
    assert reading.filled_by_pictures(*own) == said


def test_pictures_never_hold_over_what_is_written(own):
    """Every key that stands above `scales`, and every one of the command line."""
    written = {
        "seeds": [5],
        "data": {"dataset": "imagefolder", "root": "my/birds", "image_size": 64},
        "recipes": {"r": {"epochs": 1, "crop_padding": 2}},
        "figures": {"f": {"kind": "projection", "classes": ["ant", "bee", "cat"]}},
    }
    study = reading.parse(SMALL | written)
    plain = reading.parse({key: value for key, value in (SMALL | written).items() if key != "pictures"})
    assert study == plain
    assert (study.seeds, study.data.image_size) == ([5], 64)
    assert reading.filled_by_pictures(SMALL | written, {}) == ""
    given = {"data": {"dataset": "imagefolder", "root": "my/birds", "image_size": "16"}, "seeds": ["3"]}
    study = reading.parse(SMALL | given, overrides=given)
    assert (study.seeds, study.data.image_size, study.recipes["r"].crop_padding) == ([3], 16, 4)


def test_pictures_say_nothing_of_other_data():
    assert reading.filled_by_pictures(SMALL, {}) == ""


def test_too_many_runs_are_refused_before_they_are_made():
    raw = SMALL | {"seeds": list(range(1000)), "figures": {"f": {"kind": "grid"}}}
    raw["teachers"] = {"t": {"model": "mlp", "recipe": "r", "label_smoothing": [0.0, 0.1, 0.2, 0.3, 0.4]}}
    raw["scales"] = {}
    with pytest.raises(
        UserError, match="config: 5,000 networks to train, 5,000 of them t; at most 4,000: shorten seeds"
    ):
        reading.parse(raw)


@pytest.mark.parametrize("value", ["- " * 9_000, "? " * 9_000, "x: " + "[" * 9_000])
def test_levels_without_end_are_refused_before_anything_is_built(value):
    with pytest.raises(UserError, match="seeds: found more than 40 levels"):
        overrides.check_entry(f"seeds={value}")
    overrides.check_entry("seeds=- 1")


def test_aliases_that_stand_for_billions_are_refused():
    value = "a: &a [x, x]\nb: &b [*a, *a]"
    with pytest.raises(UserError, match=r"data: found \*a, an alias; write the values out"):
        overrides.check_entry(f"data={value}")
    for text in ("*.png", "\ud800", "a: b: c"):
        overrides.check_entry(f"data={text}")


@pytest.mark.parametrize(
    "entry", ["a.b=" + "x" * 9_000, ".".join(["a"] * 9_000) + "=1", "a" * 9_000 + "=1", "x" * 9_000]
)
def test_no_line_repeats_an_entry_without_end(entry):
    with pytest.raises(UserError, match="--config: found") as caught:
        overrides.check_entry(entry)
    assert len(str(caught.value)) < 1_000
