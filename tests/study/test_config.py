"""The config's sections: what a spec names, and what stands beside what."""

import pytest
import torchvision
from pydantic import Field, ValidationError

from lskd.study import config, registry
from lskd.study.config import Data, Distilled, Figure, Model, Recipe, RecipeFields, Supervision, Trained
from lskd.study.options import ALWAYS, REQUIRED, Option, off, outside, spec, with_options

KD, MSE, LABELS = {"way": "kd", "temperature": 3.0}, {"way": "logit_mse"}, {"way": "labels"}
DKD, DIST, WTTM = ({"way": way, "temperature": 3.0} for way in ("dkd", "dist", "wttm"))
MAXSUP, SQUARED, TF_REG = {"way": "maxsup"}, {"way": "squared_error"}, {"way": "tf_kd_reg", "temperature": 3.0}
STEP, MULTISTEP = {"schedule": "step"}, {"schedule": "multistep", "milestones": [2]}
FOLDER, DIGITS, MNIST = {"dataset": "imagefolder", "root": "x"}, {"dataset": "digits"}, {"dataset": "mnist"}
PARQUET, NPZ = {"dataset": "hf_dataset", "root": "x"}, {"dataset": "npz", "root": "x.npz"}
GLYPHS, NOT_GLYPHS = {"dataset": "glyphs"}, [DIGITS, MNIST, FOLDER]
CORPUS = {"dataset": "help_extract", "source": "en", "target": "de"}
TRANSLATION = {"task": "translation"}
TOP_K = {"way": "kd_top_k", "temperature": 3.0, "k": 8}
SAMPLE = {"way": "kd_sample", "temperature": 3.0, "sampled": 8}
MLP, CNN, RESNET, LIBRARY = ({"name": name} for name in ("mlp", "plain_cnn", "resnet8", "resnet18"))

# field -> another value than its default; the fields beside which it is used, and those beside which it is not
USED = {
    Data: {
        "dataset": ("mnist", [{}], []),
        "val_fraction": (0.2, [DIGITS, FOLDER, MNIST], []),
        "test_fraction": (0.3, [DIGITS, FOLDER, NPZ, PARQUET, CORPUS], [MNIST]),
        "source": ("fr", [CORPUS], [DIGITS, FOLDER]),
        "target": ("fr", [CORPUS], [DIGITS, FOLDER]),
        "pieces": (500, [CORPUS], [DIGITS, FOLDER]),
        "longest": (50, [CORPUS], [DIGITS, FOLDER]),
        "leaks": ("drop", [CORPUS | {"dataset": "aligned"}], [CORPUS, DIGITS]),
        "image_size": (32, [FOLDER, PARQUET], [DIGITS, MNIST, NPZ]),
        "classes": (32, [GLYPHS], NOT_GLYPHS),
        "images": (30, [GLYPHS], NOT_GLYPHS),
        "test_images": (30, [GLYPHS], NOT_GLYPHS),
        "pixels": (28, [GLYPHS], NOT_GLYPHS),
        "distortion": (0.5, [GLYPHS], NOT_GLYPHS),
        "test_faces": (4, [GLYPHS], NOT_GLYPHS),
        "data_seed": (1, [GLYPHS], NOT_GLYPHS),
    },
    Model: {"name": ("resnet8", [{}], [])},
    Recipe: {
        "epochs": (7, [{}], [TRANSLATION]),
        "batch_size": (7, [{}], [TRANSLATION]),
        "optimizer": ("adam", [{}], [TRANSLATION]),
        "updates": (7, [TRANSLATION], [{}]),
        "tokens": (700, [TRANSLATION], [{}]),
        "warmup_updates": (7, [TRANSLATION], [{}]),
        "dropout": (0.5, [TRANSLATION], [{}]),
        "validate_updates": (7, [TRANSLATION], [{}]),
        "lr": (0.5, [{}, TRANSLATION], []),
        "momentum": (0.5, [{}, {"optimizer": "adam"}], [TRANSLATION]),
        "weight_decay": (0.5, [{}], []),
        "schedule": ("constant", [{}], [TRANSLATION]),
        "step_epochs": (7, [STEP], [{}, MULTISTEP]),
        "milestones": ([3], [MULTISTEP], [{}, STEP]),
        "decay": (0.5, [STEP, MULTISTEP], [{}, {"schedule": "constant"}]),
    },
    Supervision: {
        "way": ("logit_mse", [{}], []),
        "label_smoothing": (0.3, [LABELS], [KD, MSE]),
        "smoothing": ("others", [LABELS], [KD, MSE]),
        "suppression": (0.3, [MAXSUP], [LABELS, KD]),
        "hard_weight": (0.3, [{"way": "online_smoothing"}], [LABELS, KD]),
        "label_weight": (15.0, [SQUARED], [LABELS, KD]),
        "label_value": (30.0, [SQUARED], [LABELS, MAXSUP]),
        "label_probability": (0.9, [TF_REG], [LABELS, KD]),
        "form": ("code", [TF_REG], [LABELS, KD]),
        "multiplier": (50.0, [TF_REG], [LABELS, KD]),
        "temperature": (2.0, [KD, DKD, DIST, TF_REG], [LABELS, MSE]),
        "ce_weight": (0.1, [DKD, DIST, WTTM], [LABELS, KD]),
        "kd_weight": (9.0, [WTTM, {"way": "wsld", "temperature": 3.0}], [KD, DKD]),
        "target_weight": (2.0, [DKD], [KD, DIST]),
        "nontarget_weight": (2.0, [DKD], [KD, DIST]),
        "inter_weight": (2.0, [DIST], [KD, DKD]),
        "intra_weight": (2.0, [DIST], [KD, DKD]),
        "others_weight": (2.0, [{"way": "nkd", "temperature": 3.0}], [KD, DKD]),
        "weighted": (False, [WTTM], [KD, DKD]),
        "keep": (0.5, [KD | {"transform": "erase"}, MSE | {"transform": "erase"}], [KD, KD | {"transform": "shuffle"}]),
        "soft_weight": (0.5, [KD, MSE, TF_REG], [LABELS]),
        "k": (4, [TOP_K], [KD, SAMPLE]),
        "tail": (False, [TOP_K], [KD, SAMPLE]),
        "sampled": (16, [SAMPLE], [KD, TOP_K]),
        "t_squared": (False, [KD], [LABELS, MSE]),
        "soften_student": (False, [KD], [LABELS, MSE]),
        "reduction": ("mean", [KD], [LABELS, MSE]),
    },
}
# field -> the value at which it is off and left out, and another; what it needs beside it, and where it is refused
OFF = {
    Data: {
        "stream": (False, True, FOLDER, [DIGITS, MNIST, NPZ]),
        "short_side": (None, 256, FOLDER, [DIGITS, MNIST, NPZ]),
        "class_subset": (None, ["a", "b"], {}, [CORPUS]),
        "train_images": (None, 20, {}, [CORPUS]),
        "long_tail": (0.0, 10.0, {}, [CORPUS]),
        "label_noise": (0.0, 0.2, {}, [CORPUS]),
        "pareto": ([], [6.0, 5.0, 100.0], {}, [CORPUS]),
        "split_file": (None, "list.txt", MNIST | {"root": "data"}, [CORPUS]),
    },
    Model: {"width": (None, 8, MLP, [LIBRARY]), "dropout": (0.0, 0.5, MLP, [CNN, RESNET, LIBRARY])},
    Recipe: {
        "nesterov": (False, True, {}, [{"optimizer": "adam"}, TRANSLATION]),
        "warmup_epochs": (0, 1, {}, [TRANSLATION]),
        "grad_clip": (0.0, 1.0, {}, []),
        "loss_scale": (1.0, 3.0, {}, [TRANSLATION]),
        "amp": ("none", "bfloat16", {}, [TRANSLATION]),
        "crop_padding": (0, 1, {}, [TRANSLATION]),
        "flip": (False, True, {}, [TRANSLATION]),
        "mixup": (0.0, 0.2, {}, [TRANSLATION]),
        "resized_crop": ([], [0.2, 1.0, 0.75, 1.25], {}, [TRANSLATION]),
        "rotation": (0.0, 15.0, {}, [TRANSLATION]),
        "rotation_bilinear": (0.0, 45.0, {}, [TRANSLATION]),
        "grey": (0.0, 0.2, {}, [TRANSLATION]),
        "jitter": (0.0, 0.2, {}, [TRANSLATION]),
        "randaugment": ([], [2, 9], {}, [TRANSLATION]),
        "cutmix": (0.0, 1.0, {}, [TRANSLATION]),
        "train_only": ("all", "last", {}, [TRANSLATION]),
        "processes": (1, 2, {}, [TRANSLATION]),
        "snapshot_epochs": ([], [1], {}, [TRANSLATION]),
        "snapshot_updates": ([], [1], TRANSLATION, [{}]),
    },
    Supervision: {
        "draws": (None, 2, KD, []),
        "dtype": ("float32", "float16", KD, []),
        "transform": ("none", "shuffle", KD, []),
        "teacher_temperature": (None, 5.0, KD, [LABELS, MSE, DKD]),
        "hard_smoothing": (0.0, 0.1, KD, [LABELS, MSE, DKD]),
    },
}
SELECTING = {Recipe: {"task": "translation"}}  # off, and at another value other fields are used
TOGETHER = {Data: {"mean": [0.5], "std": [0.25]}}  # fields that are off, and given together
NEVER = {Data: {"name": "mine", "root": "elsewhere"}, Recipe: {"select": "best"}}
SECTIONS = [Data, Model, Recipe, Supervision]
NEEDED = {Model: MLP}


def cases(kinds):
    return [(section, name, *values) for section, fields in kinds.items() for name, values in fields.items()]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_is_of_one_kind(section):
    names = [name for kinds in (USED, OFF, SELECTING, TOGETHER, NEVER) for name in kinds.get(section, {})]
    assert sorted(names) == sorted(section.model_fields)


@pytest.mark.parametrize(("section", "name", "other", "used", "unused"), cases(USED))
def test_a_field_is_in_the_spec_at_its_value_where_it_is_used_and_nowhere_else(section, name, other, used, unused):
    for beside in used:
        one = section(**NEEDED.get(section, {}) | beside)
        assert spec(one)[name] == getattr(one, name)  # its default, too: a changed default is a changed spec
        two = section(**NEEDED.get(section, {}) | beside | {name: other})
        assert spec(two)[name] == other != getattr(one, name)
    for beside in unused:
        given = NEEDED.get(section, {}) | beside
        assert name not in spec(section(**given))
        with pytest.raises(ValidationError, match=f"{name} is for .*; .* is .* here: leave {name} out"):
            section(**given | {name: other})


@pytest.mark.parametrize(("section", "name", "off", "other", "beside", "refused"), cases(OFF))
def test_what_is_off_is_left_out(section, name, off, other, beside, refused):
    assert getattr(section(**beside), name) == off  # every default is off
    assert name not in spec(section(**beside))
    assert name not in spec(section(**beside | {name: off}))
    assert spec(section(**beside | {name: other})) == spec(section(**beside)) | {name: other}
    for given in refused:
        assert name not in spec(section(**given | {name: off}))
        with pytest.raises(ValidationError, match=f"{name} is for .*: leave {name} out"):
            section(**given | {name: other})


def test_mean_and_std_are_given_together():
    both = TOGETHER[Data]
    assert spec(Data(**both)) == spec(Data()) | both
    for name, value in both.items():
        with pytest.raises(ValidationError, match="mean and std are given together"):
            Data(**{name: value})
    with pytest.raises(ValidationError, match="1 or 3 of each"):
        Data(mean=[0.5, 0.5], std=[0.5, 0.5])


@pytest.mark.parametrize(("section", "name", "other"), [(s, n, v) for s, f in NEVER.items() for n, v in f.items()])
def test_what_changes_no_result_is_in_no_spec(section, name, other):
    assert spec(section()) == spec(section(**{name: other}))
    assert name not in spec(section(**{name: other}))


SELECTED = [
    (Data, "dataset", registry.DATASETS, {"root": "x"}),
    (Model, "name", registry.MODELS, {}),
    (Recipe, "schedule", registry.SCHEDULES, {}),
    (Recipe, "optimizer", registry.OPTIMIZERS, {}),
    (Recipe, "task", registry.TASKS, {}),
    (Figure, "kind", registry.FIGURES, {}),
    (Supervision, "way", registry.supervisions(), {}),
    (Supervision, "transform", registry.transforms(), KD),
]
OTHER = {  # a value that is not the default, by option, or by section where two have one of the name
    "source": "fr",
    "target": "it",
    "pieces": 500,
    "longest": 50,
    "leaks": "drop",
    "updates": 7,
    "tokens": 700,
    "warmup_updates": 7,
    "validate_updates": 7,
    "snapshot_updates": [7],
    "hard_smoothing": 0.1,
    "label_probability": 0.9,
    "form": "code",
    "multiplier": 50.0,
    "k": 4,
    "tail": False,
    "sampled": 16,
    "decoding": [2.0],
    "crop_padding": 1,
    "flip": True,
    "mixup": 0.2,
    "resized_crop": [0.2, 1.0, 0.75, 1.25],
    "test_fraction": 0.3,
    "image_size": 32,
    "stream": True,
    "short_side": 256,
    "width": 8,
    "dropout": 0.5,
    "step_epochs": 7,
    "milestones": [3],
    "decay": 0.5,
    "momentum": 0.5,
    "nesterov": True,
    "classes": {Data: 32, Figure: ["a"]},
    "images": 30,
    "test_images": 30,
    "pixels": 28,
    "distortion": 0.5,
    "test_faces": 4,
    "data_seed": 1,
    "targets": ["a"],
    "similar": {"a": ["b"]},
    "temperatures": [2.0],
    "t1": 1.0,
    "t2": 3.0,
    "margin": 0.5,
    "reference_temperature": 4.0,
    "label_smoothing": 0.1,
    "smoothing": "others",
    "temperature": 2.0,
    "soft_weight": 0.5,
    "t_squared": False,
    "soften_student": False,
    "reduction": "mean",
    "teacher_temperature": 5.0,
    "suppression": 0.3,
    "hard_weight": 0.3,
    "label_weight": 15.0,
    "label_value": 30.0,
    "ce_weight": 0.1,
    "kd_weight": 9.0,
    "target_weight": 2.0,
    "nontarget_weight": 2.0,
    "inter_weight": 2.0,
    "intra_weight": 2.0,
    "others_weight": 2.0,
    "weighted": False,
    "keep": 0.5,
    "small_images": ["mlp"],
}


@pytest.mark.parametrize(("section", "selector", "entries", "beside"), SELECTED)
def test_every_entry_takes_its_own_options_and_refuses_all_others(section, selector, entries, beside):
    everything = {option.name: option for entry in entries.values() for option in entry.options}
    for entry_name, entry in entries.items():
        required = {option.name: OTHER[option.name] for option in entry.options if option.default is REQUIRED}
        given = beside | {selector: entry_name} | required
        own = {option.name for option in entry.options}
        used = spec(section(**given))
        for name, option in everything.items():
            value = OTHER[name][section] if name == "classes" else OTHER[name]
            if name in own:
                assert spec(section(**given | {name: value}))[name] == value
                assert (name in used) == (option.off is ALWAYS)
            else:
                assert name not in used
                with pytest.raises(ValidationError, match=f"{name} is for {selector} .*{selector} is {entry_name}"):
                    section(**given | {name: value})
                if option.default is not REQUIRED:
                    assert spec(section(**given | {name: option.default})) == used
        for name in required:
            with pytest.raises(ValidationError, match=f"{name} is missing; {selector} {entry_name} needs it"):
                section(**{key: value for key, value in given.items() if key != name})


def test_a_recipe_of_translation_names_nothing_of_images():
    assert spec(Recipe(task="translation", updates=7)) == {
        "task": "translation",
        "updates": 7,
        "tokens": 4096,
        "lr": 5e-4,
        "warmup_updates": 400,
        "weight_decay": 1e-4,
        "dropout": 0.1,
        "validate_updates": 100,
    }
    assert "task" not in spec(Recipe(task="images"))


def test_a_changed_default_is_a_changed_spec():
    beside = {"schedule": ["step"]}

    class Later(Recipe):
        momentum: float = 0.8
        flip: bool = off(False, True)
        decay: float = Field(0.2, json_schema_extra={"used_with": beside})

    assert spec(Later()) == spec(Recipe()) | {"momentum": 0.8, "flip": True}
    assert spec(Later(flip=False, momentum=0.9)) == spec(Recipe())
    assert spec(Later(schedule="step"))["decay"] == 0.2


def tasks(*more):
    """The tasks, whose images have augmentations, and more."""
    options = [augmentation.option for augmentation in registry.AUGMENTATIONS.values()]
    return registry.TASKS | {"images": registry.Entry("", (*options, *more))}


RECIPES = {"schedule": registry.SCHEDULES, "optimizer": registry.OPTIMIZERS}


def test_a_new_option_that_is_off_changes_no_spec():
    cutout = Option("cutout", float, 0.0, "side of a black square", 0.0)
    later = with_options(RecipeFields, RECIPES | {"task": tasks(cutout)})
    assert spec(later()) == spec(Recipe())
    assert spec(later(cutout=0.2)) == spec(Recipe()) | {"cutout": 0.2}


def test_a_new_entry_with_an_option_of_its_own_changes_no_spec():
    added = registry.Entry("lskd.training.schedules:cosine", (Option("cycles", int, 1, "how often it restarts"),))
    schedules = registry.SCHEDULES | {"restarts": added}
    later = with_options(RecipeFields, RECIPES | {"schedule": schedules, "task": tasks()})
    for schedule in ({}, STEP, MULTISTEP):
        assert spec(later(**schedule)) == spec(Recipe(**schedule))
    assert spec(later.model_construct(**dict(later()) | {"schedule": "restarts"}))["cycles"] == 1


def test_a_place_is_never_in_a_spec():
    class Later(Recipe):
        note: str = outside("")

    assert spec(Later(note="x")) == spec(Recipe())


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
    assert spec(Supervision(way="logit_mse", draws="epochs")) == {
        "way": "logit_mse",
        "draws": "epochs",
        "soft_weight": 1.0,
    }
    assert spec(Supervision()) == {"way": "labels", "label_smoothing": 0.0, "smoothing": "uniform"}
    figure = {"kind": "diffusion", "t1": 1.0, "t2": 3.0}
    assert figure.items() <= spec(Figure(**figure)).items()


def test_the_options_of_a_supervision_are_the_arguments_of_its_loss():
    assert Supervision(label_smoothing=0.1).options == {"label_smoothing": 0.1, "smoothing": "uniform"}
    assert Supervision(way="logit_mse", draws=3).options == {"soft_weight": 1.0}
    assert Supervision(**KD, draws="online").options == {
        "temperature": 3.0,
        "teacher_temperature": None,
        "soft_weight": 1.0,
        "t_squared": True,
        "soften_student": True,
        "reduction": "batchmean",
        "hard_smoothing": 0.0,
    }


def test_axes_are_lists_in_groups_and_values_in_runs():
    group = Distilled(teacher="t", model=Model(name="mlp"), recipe="r", temperature=[3.0, 1.0], soft_weight=0.5)
    assert (group.temperature, group.soft_weight) == ([1.0, 3.0], [0.5])
    given = {"teacher": "t", "model": Model(name="mlp"), "recipe": "r", "temperature": 1.0}
    assert Distilled(**given).teacher_temperature == [None]
    assert Distilled(**given, teacher_temperature=[2.0, None, 1.0]).teacher_temperature == [None, 1.0, 2.0]
    with pytest.raises(ValidationError, match="stands twice"):
        Distilled(**given, teacher_temperature=[None, 2.0, None])
    trained = Trained(model=Model(name="mlp"), recipe="r")
    assert (trained.label_smoothing, trained.smoothing) == ([0.0], "uniform")
    with pytest.raises(ValidationError):
        Supervision(way="kd", temperature=[1.0])


def test_a_copy_has_uses_of_its_own():
    recipe = Recipe()
    assert "flip" not in recipe.used
    assert recipe.model_copy(update={"flip": True}).used == recipe.used | {"flip": True}
    assert recipe.augmentations == [] and "flip" not in recipe.used


def test_augmentations_stand_in_the_order_in_which_they_are_applied():
    recipe = Recipe(mixup=0.2, flip=True, crop_padding=1, resized_crop=[0.2, 1, 0.75, 1.25])
    assert recipe.augmentations == ["resized_crop", "crop_padding", "flip", "mixup"]
    assert recipe.mixes == ["mixup"]
    assert Recipe(flip=True).augmentations == ["flip"] and Recipe(flip=True).mixes == []
    every = Recipe(jitter=0.2, grey=0.2, rotation=15.0, randaugment=[2, 9], cutmix=1.0, flip=True)
    assert every.augmentations == ["flip", "rotation", "grey", "jitter", "randaugment", "cutmix"]


def test_canonical_text_of_equal_values_is_equal():
    assert config.canonical({"b": [1, 2.5], "a": None}) == config.canonical({"a": None, "b": [1, 2.5]})
    assert config.canonical({"a": 1}) != config.canonical({"a": True})
    with pytest.raises(ValueError, match="not JSON compliant"):
        config.canonical({"a": float("nan")})


def test_sections_are_immutable():
    with pytest.raises(ValidationError, match="frozen"):
        Recipe().lr = 1.0


def test_torchvision_names_are_torchvisions():
    assert list(registry.TORCHVISION_NAMES) == torchvision.models.list_models(module=torchvision.models)
