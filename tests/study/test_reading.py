"""A config file and the command line: what is accepted, what is refused and how it is said."""

import copy
from pathlib import Path

import pytest

from lskd.errors import UserError
from lskd.study import reading, schema

SMALLEST = {
    "study": "s",
    "recipes": {"r": {"epochs": 1}},
    "teachers": {"t": {"model": "mlp", "recipe": "r"}},
    "figures": {"grid": {"kind": "grid"}},
}
STUDENT = {"teacher": "t", "model": "mlp", "recipe": "r"}


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
    study = reading.parse(SMALLEST)
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
        ("data/dataset", "minst", "no such data set; allowed: aligned, cifar10, .*, wmt14; did you mean mnist"),
        ("data/val_fraction", 0.9, "less than 0.5"),
        ("data/val_fraction", "0.1", 'data.val_fraction: found "0.1"'),
        ("data/vall_fraction", 0.1, "data.vall_fraction: unknown key; .* did you mean val_fraction"),
        ("recipes", {}, "recipes: found {}"),
        ("recipes/r/epochs", 0, "recipes.r.epochs: found 0"),
        ("recipes/r/epochs", 1.5, "recipes.r.epochs: found 1.5"),
        ("recipes/r/lr", -0.1, "recipes.r.lr: found -0.1"),
        ("recipes/r/lr", float("nan"), "recipes.r.lr"),
        ("recipes/r/optimiser", "sgd", "did you mean optimizer"),
        ("recipes/r/optimizer", "sgdd", "no such optimizer; allowed: adam, sgd; did you mean sgd"),
        (
            "recipes/r/milestones",
            [1],
            "milestones is for schedule multistep; schedule is cosine here",
        ),
        ("recipes/r/schedule", "multistep", "milestones is missing; schedule multistep needs it"),
        ("recipes/r", {"epochs": 3, "schedule": "multistep", "milestones": [2, 1]}, "must ascend"),
        ("recipes/r", {"epochs": 3, "schedule": "multistep", "milestones": [4]}, "none may be above epochs 3"),
        ("recipes/r/mixup", -0.2, "recipes.r.mixup: found -0.2"),
        ("recipes/r/resized_crop", [0.2, 1.0], "recipes.r.resized_crop: .*four numbers are needed"),
        ("recipes/r/resized_crop", [0.0, 1.0, 0.75, 1.25], "recipes.r.resized_crop: .*four numbers are needed"),
        ("recipes/r/resized_crop", [0.2, 1.0, 1.25, 0.75], "recipes.r.resized_crop: .*four numbers are needed"),
        ("recipes/r/warmup_epochs", 5, "warmup_epochs 5 must be less than epochs 1"),
        ("recipes/r; rm -rf x", {"epochs": 1}, "a name is 1 to 64"),
        ("teachers", {}, "teachers: found {}"),
        ("teachers/t/model", "resnet9", "no such model.*resnet8"),
        (
            "teachers/t/model",
            {"name": "resnet18", "width": 4},
            "width is for name mlp, .*; name is resnet18",
        ),
        (
            "teachers/t/model",
            {"name": "resnet8", "dropout": 0.1},
            "dropout is for name mlp, alexnet_cifar; name is resn",
        ),
        ("teachers/t/recipe", "-", "teachers.t: .*recipe is missing; name one, or give start.checkpoint"),
        ("teachers/t/supervision", "kd", "no such supervision of teachers and baselines; allowed: labels"),
        ("teachers/t/temperature", 1, "temperature is for supervision tf_kd_reg; .*: leave temperature out"),
        ("teachers/t/recipe", "q", "recipe of t: 'q' is not defined; allowed: r"),
        ("teachers/t/label_smoothing", [1.0], "less than 1"),
        ("teachers/t/label_smoothing", [0.1, 0.1], "stands twice"),
        ("teachers/t/smoothing", "all", "'uniform' or 'others'"),
        ("students/s", STUDENT | {"teacher": "tt", "temperature": [1]}, "did you mean t?"),
        ("students/s", STUDENT | {"temperature": [0]}, "greater than 0"),
        (
            "students/s",
            STUDENT | {"temperature": 1, "teacher_epoch": [2]},
            "students.s.teacher_epoch: found 2, but recipe r of t keeps no weights; add 2 to its snapshot_epochs",
        ),
        ("students/s", STUDENT, "students.s: .*temperature is missing; supervision kd needs it"),
        (
            "students/s",
            STUDENT | {"temperature": [1, 3], "supervision": "logit_mse"},
            "temperature is for supervision kd, kd_top_k, .*; supervision is logit_mse here: leave temperature out",
        ),
        (
            "students/s",
            STUDENT | {"supervision": "labels"},
            "no such supervision of students; allowed: dist, dkd, kd, ",
        ),
        ("students/s", STUDENT | {"temperature": 1, "loss": "kd"}, "students.s.loss: unknown key"),
        ("students/s", STUDENT | {"temperature": 1, "views": 3}, "students.s.views: unknown key"),
        (
            "data",
            {"dataset": "imagefolder", "root": "birds", "image_size": 64, "short_side": 48},
            "data: .*short_side: found 48, less than image_size 64; give as much or more",
        ),
        (
            "students/s",
            STUDENT | {"temperature": 1, "draws": "online", "dtype": "float16"},
            "draws online stores no logits",
        ),
        (
            "students/s",
            STUDENT | {"temperature": 1, "draws": "online", "transform": "shuffle"},
            "draws online stores no logits, and transform shuffle is of stored ones; say epochs",
        ),
        (
            "students/s",
            STUDENT | {"temperature": 1, "supervision": "kd_top_k", "k": 4, "draws": "online"},
            "students.s.draws: found online, where all logits are at hand; say supervision kd",
        ),
        (
            "students/s",
            STUDENT | {"temperature": 1, "supervision": "kd_top_k", "k": 4, "transform": "shuffle"},
            "students.s.transform: found shuffle, which changes all logits, but kd_top_k stores a few",
        ),
        (
            "students/s",
            STUDENT | {"temperature": 1, "transform": "erases"},
            "no such transform; allowed: calibrate, erase, none, randomize, shuffle; did you mean erase?",
        ),
        (
            "students/s",
            STUDENT | {"temperature": 1, "keep": [0, 1]},
            "keep is for transform erase; transform is none here: leave keep out",
        ),
        ("students/s", STUDENT | {"temperature": 1, "transform": "erase", "keep": 1.1}, "less than or equal to 1"),
        ("students/s", STUDENT | {"temperature": 1, "draws": 0}, "students.s.draws"),
        (
            "students/s",
            STUDENT | {"temperature": 1, "label_smoothing": 0.1},
            "found 0.1, but t has 0; add it there",
        ),
        ("teachers/t/start", {}, "give one of run .a group. and checkpoint .a file."),
        ("teachers/t/start", {"run": "t", "checkpoint": "x.pt"}, "give one of run"),
        ("teachers/t/start", {"run": "t"}, "start.run of t: 't' is not defined"),
        ("teachers/t/start", {"run": "u"}, "start.run of t: 'u' is not defined"),
        ("teachers/t/start", {"run": "t", "keys": {"a": "b"}}, "keys is for a checkpoint"),
        ("teachers/t/start", {"checkpoint": "x.pt", "keys": {"(": ""}}, "keys: '.' is no regular expression"),
        ("teachers/t/start", {"checkpoint": "{seeds}.pt"}, "found {seeds} in checkpoint"),
        ("teachers/t/start", {"checkpoint": "a}.pt"}, "found } in checkpoint"),
        ("teachers/t/start", {"checkpoint": "x.pt", "head": "fresh"}, "'keep' or 'new'"),
        ("students/t", STUDENT | {"temperature": 1}, "'t' stands twice"),
        ("figures/grid/kind", "gird", "did you mean grid"),
        ("figures/grid/classes", ["3"], "classes is for kind clusters, .*; kind is grid here: leave classes out"),
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
        reading.parse(edited(path, value))
    assert "\n" not in str(caught.value)


def test_a_key_given_twice_is_refused(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("study: a\nstudy: b\n")
    with pytest.raises(UserError, match="'study' stands twice"):
        reading.read(file)


def test_scales_merge_and_null_deletes():
    raw = SMALLEST | {
        "baselines": {"b": {"model": "mlp", "recipe": "r"}},
        "scales": {"demo": None, "small": {"data": "fashion_mnist", "baselines": {"b": None}}},
    }
    assert reading.parse(raw).data.dataset == "digits"
    small = reading.parse(raw, "small")
    assert small.data.dataset == "fashion_mnist"
    assert small.baselines == {}
    with pytest.raises(UserError, match="scale: found 'paper'; this study has demo, small"):
        reading.parse(raw, "paper")


def test_the_command_line_holds_over_a_scale():
    raw = SMALLEST | {"scales": {"demo": None, "small": {"data": "fashion_mnist", "seeds": [7]}}}
    given = {"scale": "small", "data": "cifar10"}
    study = reading.parse(raw | given, overrides=given)
    assert (study.scale, study.data.dataset, study.seeds) == ("small", "cifar10", [7])


def test_numbers_in_a_list_or_mapping_on_the_command_line_are_numbers():
    given = {
        "seeds": ["0", "3"],
        "runtime": {"threads": "2", "channels_last": "true"},
        "teachers": {"t": {"label_smoothing": ["0", "0.2"]}},
        "data": {"dataset": "imagefolder", "root": "2024", "val_fraction": "0.2"},
        "figures": {"one": {"kind": "projection", "classes": ["3", "9", "6"], "temperatures": ["1", "3"]}},
        "recipes": {"r": {"lr": "1e-2", "flip": "true", "amp": "bfloat16"}},
        "pictures": {"recipes": {"r": {"crop_padding": "2"}}},
        "name": "2024",
    }
    study = reading.parse(reading.merge(OWN, given), overrides=given)
    assert study.seeds == [0, 3]
    assert (study.runtime.threads, study.runtime.channels_last, study.recipes["r"].amp) == (2, True, "bfloat16")
    assert study.teachers["t"].label_smoothing == [0.0, 0.2]
    assert (study.data.root, study.data.val_fraction) == ("2024", 0.2)
    assert (study.figures["one"].classes, study.figures["one"].temperatures) == (["3", "9", "6"], [1.0, 3.0])
    assert (study.recipes["r"].lr, study.recipes["r"].flip, study.recipes["r"].crop_padding) == (0.01, True, 2)
    assert study.name == "2024"
    assert (
        reading.parse(OWN | {"baselines": {"b": OWN["teachers"]["t"]}}, overrides={"baselines": "null"}).baselines == {}
    )
    with pytest.raises(UserError, match='seeds.0: found "zero"'):
        reading.parse(OWN, overrides={"seeds": ["zero"]})


def test_what_is_told_of_pictures_holds_over_what_is_said_for_them():
    given = {"data": {"dataset": "imagefolder", "root": "my/birds", "image_size": "64"}}
    assert reading.parse(OWN | given, overrides=given).data.image_size == 64
    with pytest.raises(UserError, match="data.image_size: found 4"):
        reading.parse(OWN, overrides={"data": given["data"] | {"image_size": "4"}})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"data": None}, "data: found nothing"),
        ({"data": {"root": "my/birds"}}, "data.root: found 'my/birds', but digits are embedded; say data=my/birds"),
        ({"data": "my/cifar10"}, "a folder called cifar10 would share its results with cifar10"),
        ({"scales": {"demo": "3"}}, "scales.demo: found 3, a mapping"),
    ],
)
def test_what_is_told_wrongly_is_refused(given, said):
    with pytest.raises(UserError, match=said):
        reading.parse(OWN | given, overrides=given)


def test_a_folder_in_ones_home():
    assert reading.parse(SMALLEST | {"data": "~/birds"}).data.root == str(Path.home() / "birds")


def test_an_exponent_that_yaml_reads_as_text():
    with pytest.raises(UserError, match="recipes.r.lr.*such as 1.0e-3"):
        reading.parse(edited("recipes/r/lr", "1e-3"))


def test_a_path_as_data_is_a_folder_of_pictures():
    data = reading.parse(SMALLEST | {"data": "my pictures/birds"}).data
    assert (data.dataset, data.folder) == ("imagefolder", "birds")


OWN = SMALLEST | {
    "pictures": {"seeds": [7], "data": {"image_size": 16}, "figures": {"grid": {"classes": None}}},
    "scales": {"demo": {"seeds": [5], "figures": {"grid": {"classes": ["3"]}}}, "small": {"data": "fashion_mnist"}},
    "figures": {"grid": {"kind": "projection"}},
}


@pytest.mark.parametrize("data", ["my/birds", {"dataset": "imagefolder", "root": "my/birds"}])
def test_what_is_said_for_pictures_is_laid_over_a_folders_study(data):
    study = reading.parse(OWN | {"data": data})
    assert study.seeds == [7]
    assert (study.data.root, study.data.image_size) == ("my/birds", 16)
    assert study.figures["grid"].classes == []


@pytest.mark.parametrize("data", ["digits", {"dataset": "digits"}, {}])
def test_what_is_said_for_pictures_changes_no_other_study(data):
    assert reading.parse(OWN | {"data": data}) == reading.parse({k: v for k, v in OWN.items() if k != "pictures"})


def test_the_default_study_and_a_folder_of_pictures():
    raw = reading.read(schema.PATH.parents[2] / "config.yaml")
    study = reading.parse(raw | {"data": "my/birds"})
    assert (study.data.dataset, study.data.root, len(study.seeds)) == ("imagefolder", "my/birds", 5)
    assert study.figures["projection"].classes == []
    assert "verdict" in study.figures


def test_pictures_must_be_keys():
    with pytest.raises(UserError, match='config: pictures: found "birds", a mapping'):
        reading.parse(OWN | {"pictures": "birds"})
    with pytest.raises(UserError, match="seed: unknown key; allowed: .* pictures, .* did you mean seeds"):
        reading.parse(OWN | {"data": "birds", "pictures": {"seed": [1]}})


def test_each_folder_said_on_the_command_line_has_its_own_place_for_figures():
    given = {"data": "my/fine birds"}
    assert reading.parse(OWN | given, overrides=given).study == f"{OWN['study']}_fine-birds"
    assert reading.parse(OWN | given).study == OWN["study"]  # in a config file the name is the writer's
    named = given | {"study": "mine"}
    assert reading.parse(OWN | named, overrides=named).study == "mine"
    published = {"data": "cifar10"}
    assert reading.parse(OWN | published, overrides=published).study == OWN["study"]


def test_a_key_without_end_is_not_repeated_whole():
    for study in ({"x" * 50_000: 1}, {"scales": {"x" * 50_000: {}}}, {"scales": {"demo": {"x" * 50_000: 1}}}):
        with pytest.raises(UserError, match="unknown key|is missing|allowed") as caught:
            reading.parse({"study": "s"} | study)
        assert len(str(caught.value)) < 1_000
