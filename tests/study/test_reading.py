"""A config file and the command line: what is accepted, what is refused and how it is said."""

import copy
from pathlib import Path

import pytest

from lskd.errors import UserError
from lskd.study import reading as studyfile
from lskd.study import schema

SMALLEST = {
    "study": "s",
    "recipes": {"r": {"epochs": 1}},
    "teachers": {"t": {"model": "mlp", "recipe": "r"}},
    "figures": {"grid": {"kind": "grid"}},
}


def edited(path, value):
    """The smallest config with one key set; "-" as the value deletes it."""
    raw = copy.deepcopy(SMALLEST)
    *steps, last = path.split("/")
    place = raw
    for step in steps:
        place = place.setdefault(step, {})
    if value == "-":
        del place[last]
    else:
        place[last] = value
    return raw


def test_smallest_config_has_the_defaults():
    study = studyfile.parse(SMALLEST)
    assert study.seeds == [0, 1, 2]
    assert study.data.dataset == "digits"
    assert study.teachers["t"].label_smoothing == [0.0]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("study", "-", "study: is missing"),
        ("study", "a b", 'study: found "a b": a name is 1 to 64'),
        ("study", "$(reboot)", "a name is 1 to 64"),
        ("study", "../up", "a name is 1 to 64"),
        ("seed", [1], "seed: unknown key; allowed: .* did you mean seeds?"),
        ("seeds", [], "seeds: found \\[\\]"),
        ("seeds", [0, 0], "stands twice"),
        ("seeds", ["0"], 'seeds.0: found "0"'),
        ("seeds", [-1], "greater than or equal to 0"),
        ("scale", "huge", "'demo', 'small' or 'paper'"),
        ("data/dataset", "minst", "'digits', 'mnist'"),
        ("data/val_fraction", 0.9, "less than 0.5"),
        ("data/val_fraction", "0.1", 'data.val_fraction: found "0.1"'),
        ("data/vall_fraction", 0.1, "data.vall_fraction: unknown key; .* did you mean val_fraction"),
        ("recipes", {}, "recipes: found {}"),
        ("recipes/r/epochs", 0, "recipes.r.epochs: found 0"),
        ("recipes/r/epochs", 1.5, "recipes.r.epochs: found 1.5"),
        ("recipes/r/lr", -0.1, "recipes.r.lr: found -0.1"),
        ("recipes/r/lr", float("nan"), "recipes.r.lr"),
        ("recipes/r/optimiser", "sgd", "did you mean optimizer"),
        ("recipes/r/optimizer", "sgdd", "'sgd' or 'adam'"),
        ("recipes/r/milestones", [1], "milestones belong to schedule multistep"),
        ("recipes/r/warmup_epochs", 5, "warmup_epochs 5 must be less than epochs 1"),
        ("recipes/r; rm -rf x", {"epochs": 1}, "a name is 1 to 64"),
        ("teachers", {}, "teachers: found {}"),
        ("teachers/t/model", "resnet9", "no such model.*resnet8"),
        ("teachers/t/model", {"name": "resnet18", "width": 4}, "takes neither width nor dropout"),
        ("teachers/t/recipe", "q", "recipe of t: 'q' is not defined; allowed: r"),
        ("teachers/t/label_smoothing", [1.0], "less than 1"),
        ("teachers/t/label_smoothing", [0.1, 0.1], "stands twice"),
        ("teachers/t/smoothing", "all", "'uniform' or 'others'"),
        ("students/s", {"teacher": "tt", "model": "mlp", "recipe": "r", "temperature": [1]}, "did you mean t?"),
        ("students/s", {"teacher": "t", "model": "mlp", "recipe": "r", "temperature": [0]}, "greater than 0"),
        ("students/s", {"teacher": "t", "model": "mlp", "recipe": "r"}, "students.s.temperature: is missing"),
        (
            "students/s",
            {"teacher": "t", "model": "mlp", "recipe": "r", "temperature": [1, 3], "loss": "logit_mse"},
            "temperature must be 1",
        ),
        (
            "students/s",
            {"teacher": "t", "model": "mlp", "recipe": "r", "temperature": 1, "views": "online", "dtype": "float16"},
            "views online stores no logits",
        ),
        ("students/t", {"teacher": "t", "model": "mlp", "recipe": "r", "temperature": 1}, "'t' stands twice"),
        ("figures/grid/kind", "gird", "did you mean grid"),
        ("figures/grid/groups", ["x"], "figures.grid.groups: 'x' is not defined"),
        ("runtime/device", "gpu", "'auto', 'cpu' or 'cuda'"),
        ("runtime/threads", 0, "runtime.threads: found 0"),
        ("runtime/thread", 1, "runtime.thread: unknown key; allowed: channels_last, .* did you mean threads"),
        ("runtime/amp", "bfloat16", "runtime.amp: unknown key; allowed: channels_last, .*; it is recipes.<name>.amp"),
        ("recipes/r/amp", "float8", "'none', 'bfloat16' or 'float16'"),
    ],
)
def test_a_bad_value_gets_one_line(path, value, said):
    with pytest.raises(UserError, match=said) as caught:
        studyfile.parse(edited(path, value))
    assert "\n" not in str(caught.value)


def test_a_key_given_twice_is_refused(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("study: a\nstudy: b\n")
    with pytest.raises(UserError, match="'study' stands twice"):
        studyfile.read(file)


def test_scales_merge_and_null_deletes():
    raw = SMALLEST | {
        "baselines": {"b": {"model": "mlp", "recipe": "r"}},
        "scales": {"demo": None, "small": {"data": "fashion_mnist", "baselines": {"b": None}}},
    }
    assert studyfile.parse(raw).data.dataset == "digits"
    small = studyfile.parse(raw, "small")
    assert small.data.dataset == "fashion_mnist"
    assert small.baselines == {}
    with pytest.raises(UserError, match="scale: found 'paper'; this study has demo, small"):
        studyfile.parse(raw, "paper")


def test_the_command_line_holds_over_a_scale():
    raw = SMALLEST | {"scales": {"demo": None, "small": {"data": "fashion_mnist", "seeds": [7]}}}
    told = {"scale": "small", "data": "cifar10"}
    study = studyfile.parse(raw | told, told=told)
    assert (study.scale, study.data.dataset, study.seeds) == ("small", "cifar10", [7])


def test_numbers_in_a_list_or_mapping_on_the_command_line_are_numbers():
    told = {
        "seeds": ["0", "3"],
        "runtime": {"threads": "2", "channels_last": "true"},
        "teachers": {"t": {"label_smoothing": ["0", "0.2"]}},
        "data": {"dataset": "imagefolder", "root": "2024", "val_fraction": "0.2"},
        "figures": {"one": {"kind": "projection", "classes": ["3", "9", "6"], "temperatures": ["1", "3"]}},
        "recipes": {"r": {"lr": "1e-2", "flip": "true", "amp": "bfloat16"}},
        "pictures": {"recipes": {"r": {"crop_padding": "2"}}},
        "name": "2024",
    }
    study = studyfile.parse(studyfile.merge(OWN, told), told=told)
    assert study.seeds == [0, 3]
    assert (study.runtime.threads, study.runtime.channels_last, study.recipes["r"].amp) == (2, True, "bfloat16")
    assert study.teachers["t"].label_smoothing == [0.0, 0.2]
    assert (study.data.root, study.data.val_fraction) == ("2024", 0.2)
    assert (study.figures["one"].classes, study.figures["one"].temperatures) == (["3", "9", "6"], [1.0, 3.0])
    assert (study.recipes["r"].lr, study.recipes["r"].flip, study.recipes["r"].crop_padding) == (0.01, True, 2)
    assert study.name == "2024"
    assert studyfile.parse(OWN | {"baselines": {"b": OWN["teachers"]["t"]}}, told={"baselines": "null"}).baselines == {}
    with pytest.raises(UserError, match='seeds.0: found "zero"'):
        studyfile.parse(OWN, told={"seeds": ["zero"]})


def test_what_is_told_of_pictures_holds_over_what_is_said_for_them():
    told = {"data": {"dataset": "imagefolder", "root": "my/birds", "image_size": "64"}}
    assert studyfile.parse(OWN | told, told=told).data.image_size == 64
    with pytest.raises(UserError, match="data.image_size: found 4"):
        studyfile.parse(OWN, told={"data": told["data"] | {"image_size": "4"}})


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"data": None}, "data: found nothing"),
        ({"data": {"root": "my/birds"}}, "data.root: found 'my/birds', but digits are embedded; say data=my/birds"),
        ({"data": "my/cifar10"}, "a folder called cifar10 would share its results with cifar10"),
        ({"scales": {"demo": "3"}}, "scales.demo: found 3, a mapping"),
    ],
)
def test_what_is_told_wrongly_is_refused(told, said):
    with pytest.raises(UserError, match=said):
        studyfile.parse(OWN | told, told=told)


def test_a_folder_in_ones_home():
    assert studyfile.parse(SMALLEST | {"data": "~/birds"}).data.root == str(Path.home() / "birds")


def test_an_exponent_that_yaml_reads_as_text():
    with pytest.raises(UserError, match="recipes.r.lr.*such as 1.0e-3"):
        studyfile.parse(edited("recipes/r/lr", "1e-3"))


def test_a_path_as_data_is_a_folder_of_pictures():
    data = studyfile.parse(SMALLEST | {"data": "my pictures/birds"}).data
    assert (data.dataset, data.folder) == ("imagefolder", "birds")


OWN = SMALLEST | {
    "pictures": {"seeds": [7], "data": {"image_size": 16}, "figures": {"grid": {"classes": None}}},
    "scales": {"demo": {"seeds": [5]}, "small": {"data": "fashion_mnist"}},
    "figures": {"grid": {"kind": "grid", "classes": ["3"]}},
}


@pytest.mark.parametrize("data", ["my/birds", {"dataset": "imagefolder", "root": "my/birds"}])
def test_what_is_said_for_pictures_is_laid_over_a_folders_study(data):
    study = studyfile.parse(OWN | {"data": data})
    assert study.seeds == [7]
    assert (study.data.root, study.data.image_size) == ("my/birds", 16)
    assert study.figures["grid"].classes == []


@pytest.mark.parametrize("data", ["digits", {"dataset": "digits"}, {}])
def test_what_is_said_for_pictures_changes_no_other_study(data):
    assert studyfile.parse(OWN | {"data": data}) == studyfile.parse({k: v for k, v in OWN.items() if k != "pictures"})


def test_the_default_study_and_a_folder_of_pictures():
    raw = studyfile.read(schema.PATH.parents[2] / "config.yaml")
    study = studyfile.parse(raw | {"data": "my/birds"})
    assert (study.data.dataset, study.data.root, len(study.seeds)) == ("imagefolder", "my/birds", 5)
    assert study.figures["projection"].classes == []
    assert "verdict" in study.figures


def test_pictures_must_be_keys():
    with pytest.raises(UserError, match='config: pictures: found "birds", a mapping'):
        studyfile.parse(OWN | {"pictures": "birds"})
    with pytest.raises(UserError, match="seed: unknown key; allowed: .* pictures, .* did you mean seeds"):
        studyfile.parse(OWN | {"data": "birds", "pictures": {"seed": [1]}})


def test_each_folder_said_on_the_command_line_has_its_own_place_for_figures():
    told = {"data": "my/fine birds"}
    assert studyfile.parse(OWN | told, told=told).study == f"{OWN['study']}_fine-birds"
    assert studyfile.parse(OWN | told).study == OWN["study"]  # in a config file the name is the writer's
    named = told | {"study": "mine"}
    assert studyfile.parse(OWN | named, told=named).study == "mine"
    published = {"data": "cifar10"}
    assert studyfile.parse(OWN | published, told=published).study == OWN["study"]
