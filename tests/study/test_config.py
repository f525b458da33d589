"""The config's sections: what a spec names."""

import pytest
import torchvision
from pydantic import ValidationError

from lskd.study import config
from lskd.study import registry as tables
from lskd.study.config import Data, Distill, Figure, Labels, Model, Recipe, spec

KD, MSE = {"temperature": 3.0}, {"temperature": 1.0, "loss": "logit_mse"}
STEP, MULTISTEP = {"schedule": "step"}, {"schedule": "multistep", "milestones": [2]}
FOLDER, DIGITS, MNIST = {"dataset": "imagefolder", "root": "x"}, {"dataset": "digits"}, {"dataset": "mnist"}
MLP = {"name": "mlp"}

# field -> another value than its default; the fields beside which it is used, and those beside which it is not
USED = {
    Data: {
        "dataset": ("mnist", [{}], []),
        "val_fraction": (0.2, [DIGITS, FOLDER, MNIST], []),
        "test_fraction": (0.3, [DIGITS, FOLDER], [MNIST]),
        "image_size": (32, [FOLDER], [DIGITS, MNIST]),
    },
    Model: {"name": ("resnet8", [{}], [])},
    Recipe: {
        "epochs": (7, [{}], []),
        "batch_size": (7, [{}], []),
        "optimizer": ("adam", [{}], []),
        "lr": (0.5, [{}], []),
        "momentum": (0.5, [{}], []),
        "weight_decay": (0.5, [{}], []),
        "schedule": ("constant", [{}], []),
        "step_epochs": (7, [STEP], [{}, MULTISTEP]),
        "milestones": ([3], [MULTISTEP], [{}, STEP]),
        "decay": (0.5, [STEP, MULTISTEP], [{}, {"schedule": "constant"}]),
    },
    Labels: {"label_smoothing": (0.3, [{}], []), "smoothing": ("others", [{}], [])},
    Distill: {
        "loss": ("logit_mse", [KD], []),
        "temperature": (2.0, [KD], [MSE]),
        "soft_weight": (0.5, [KD, MSE], []),
        "t_squared": (False, [KD], [MSE]),
        "soften_student": (False, [KD], [MSE]),
        "reduction": ("mean", [KD], [MSE]),
        "views": (2, [KD, MSE], []),
        "dtype": ("float16", [KD, MSE], []),
    },
}
# field -> the value at which it is off and left out, and another; what it needs beside it
OFF = {
    Model: {"width": (None, 8, MLP), "dropout": (0.0, 0.5, MLP)},
    Recipe: {
        "nesterov": (False, True, {}),
        "warmup_epochs": (0, 1, {}),
        "grad_clip": (0.0, 1.0, {}),
        "loss_scale": (1.0, 3.0, {}),
        "amp": ("none", "bfloat16", {}),
        "crop_padding": (0, 1, {}),
        "flip": (False, True, {}),
        "snapshot_epochs": ([], [1], {}),
    },
}
NEVER = {Data: {"name": "mine", "root": "elsewhere"}, Recipe: {"select": "best"}}
SECTIONS = [Data, Model, Recipe, Labels, Distill]
REQUIRED = {Model: MLP, Distill: KD}


def cases(kinds):
    return [(section, name, *values) for section, fields in kinds.items() for name, values in fields.items()]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_is_of_one_kind(section):
    names = [name for kinds in (USED, OFF, NEVER) for name in kinds.get(section, {})]
    assert sorted(names) == sorted(section.model_fields)


@pytest.mark.parametrize(("section", "name", "other", "used", "unused"), cases(USED))
def test_a_field_is_in_the_spec_at_its_value_where_it_is_used_and_nowhere_else(section, name, other, used, unused):
    for beside in used:
        one = section(**REQUIRED.get(section, {}) | beside)
        assert spec(one)[name] == getattr(one, name)  # its default, too: a changed default is a changed spec
        two = section(**REQUIRED.get(section, {}) | beside | {name: other})
        assert spec(two)[name] == other != getattr(one, name)
    for beside in unused:
        assert name not in spec(section(**REQUIRED.get(section, {}) | beside))


@pytest.mark.parametrize(("section", "name", "off", "other", "beside"), cases(OFF))
def test_what_is_off_is_left_out(section, name, off, other, beside):
    assert getattr(section(**beside), name) == off  # every default is off
    assert name not in spec(section(**beside))
    assert name not in spec(section(**beside | {name: off}))
    assert spec(section(**beside | {name: other})) == spec(section(**beside)) | {name: other}


@pytest.mark.parametrize(("section", "name", "other"), [(s, n, v) for s, f in NEVER.items() for n, v in f.items()])
def test_what_changes_no_result_is_in_no_spec(section, name, other):
    assert spec(section()) == spec(section(**{name: other}))
    assert name not in spec(section(**{name: other}))


def test_a_changed_default_is_a_changed_spec():
    class Later(Recipe):
        momentum: float = 0.8
        flip: bool = config.off(False, True)
        decay: float = config.used_with(0.2, {"schedule": ["step"]})

    assert spec(Later()) == spec(Recipe()) | {"momentum": 0.8, "flip": True}
    assert spec(Later(flip=False, momentum=0.9)) == spec(Recipe())
    assert spec(Later(schedule="step"))["decay"] == 0.2


def test_a_new_option_that_is_off_changes_no_spec():
    class Later(Recipe):
        mixup: float = config.off(0.0, 0.0)

    assert spec(Later()) == spec(Recipe())
    assert spec(Later(mixup=0.2)) == spec(Recipe()) | {"mixup": 0.2}


def test_specs_in_full():
    assert spec(Recipe(epochs=3, flip=True)) == {
        "epochs": 3,
        "batch_size": 128,
        "optimizer": "sgd",
        "lr": 0.1,
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "schedule": "cosine",
        "flip": True,
    }
    assert spec(Data(root="elsewhere")) == {"dataset": "digits", "val_fraction": 0.15, "test_fraction": 0.2}
    assert spec(Distill(temperature=1.0, loss="logit_mse")) == {
        "loss": "logit_mse",
        "views": "epochs",
        "dtype": "float32",
        "soft_weight": 1.0,
    }
    figure = {"kind": "diffusion", "t1": 1.0, "t2": 3.0}
    assert figure.items() <= spec(Figure(**figure)).items()


def test_canonical_text_of_equal_values_is_equal():
    assert config.canonical({"b": [1, 2.5], "a": None}) == config.canonical({"a": None, "b": [1, 2.5]})
    assert config.canonical({"a": 1}) != config.canonical({"a": True})
    with pytest.raises(ValueError, match="not JSON compliant"):
        config.canonical({"a": float("nan")})


def test_sections_are_immutable():
    with pytest.raises(ValidationError, match="frozen"):
        Recipe().lr = 1.0


def test_torchvision_names_are_torchvisions():
    assert list(tables.TORCHVISION_NAMES) == torchvision.models.list_models(module=torchvision.models)
