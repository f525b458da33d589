"""Names: no two different things share one, and twins share their lineage."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd.study import naming, registry, runs
from lskd.study.config import Data, Model, Recipe, Supervision
from lskd.study.runs import Run

RECIPE = Recipe(epochs=4, crop_padding=2)


def kd(**options):
    return Supervision(**{"way": "kd", "temperature": 3.0, "draws": "epochs"} | options)


def teacher(alpha=0.1, form="uniform", seed=0, width=8, recipe="r", data=None, **above):
    supervision = Supervision(label_smoothing=alpha, smoothing=form)
    return Run(data or Data(), Model(name="mlp", width=width), recipe, RECIPE, supervision, seed, **above)


def student(of, supervision=None, recipe="r", model="plain_cnn", **above):
    return Run(of.data, Model(name=model), recipe, RECIPE, supervision or kd(), of.seed, of, **above)


def test_every_variant_has_its_own_name():
    ways = [
        {},
        {"t_squared": False},
        {"soften_student": False},
        {"reduction": "mean"},
        {"draws": 2},
        {"draws": "online"},
        {"dtype": "float16"},
        {"soft_weight": 0.5},
        {"teacher_temperature": 2.0},
        {"transform": "shuffle"},
        {"transform": "erase", "keep": 0.0},
        {"transform": "erase", "keep": 1.0},
    ]
    slugs = {naming.supervision_slug(kd(**way)) for way in ways}
    slugs.add(naming.supervision_slug(Supervision(way="logit_mse", draws="epochs")))
    assert len(slugs) == 13
    assert {"kd-T3", "kd-T3-w0.5", "kd-T3-Tt2", "kd-T3-shuffle", "kd-T3-erase-keep0", "logit_mse"} <= slugs


def test_a_variant_is_what_has_no_column_of_its_own():
    assert naming.variant(kd(temperature=7.0, soft_weight=0.5)) == ""
    assert naming.variant(Supervision(label_smoothing=0.1, smoothing="others")) == ""
    assert naming.variant(kd(t_squared=False, soften_student=False)) == "noT2-hardstudent"
    assert naming.variant(kd(draws=3, dtype="float16")) == "draws3-float16"
    assert naming.variant(kd(transform="erase", keep=0.5, draws=1)) == "erase-keep0.5-draws1"
    assert naming.variant(Supervision(way="dkd", temperature=2.0, nontarget_weight=2.0)) == "dkd-non2"
    assert naming.variant(Supervision(way="logit_mse", soft_weight=0.6, draws="online")) == "logit_mse-online"


@given(st.floats(0, 0.99), st.floats(0.01, 100))
def test_slugs_tell_values_apart_to_six_digits(alpha, temperature):
    smoothed = naming.supervision_slug(Supervision(label_smoothing=alpha))
    assert float(smoothed.removeprefix("ls")) == pytest.approx(alpha, rel=1e-5)
    softened = naming.supervision_slug(kd(temperature=temperature))
    assert float(softened.removeprefix("kd-T")) == pytest.approx(temperature, rel=1e-5)


@pytest.mark.parametrize(
    ("model", "slug"),
    [
        ({"name": "mlp"}, "mlp"),
        ({"name": "mlp", "width": 1200, "dropout": 0.5}, "mlp-w1200-d0.5"),
        ({"name": "resnet8", "width": 16}, "resnet8-w16"),
        ({"name": "resnet18"}, "resnet18"),
        ({"name": "timm/resnet10t"}, "timm-resnet10t"),
    ],
)
def test_models(model, slug):
    assert naming.model_slug(Model(**model)) == slug


@pytest.mark.parametrize(
    ("augmentations", "texts"),
    [
        ({}, []),
        ({"flip": True, "crop_padding": 2}, ["crop2", "flip"]),
        ({"mixup": 0.2}, ["mixup0.2"]),
        ({"mixup": 1, "flip": True}, ["flip", "mixup1"]),
        ({"randaugment": [2, 9], "rotation": 15.0}, ["rotation15", "randaugment2-9"]),
        ({"resized_crop": [0.08, 1, 0.75, 1.3333], "flip": True}, ["rrc0.08-1-0.75-1.3333", "flip"]),
    ],
)
def test_augmentations(augmentations, texts):
    assert naming.augmentation_texts(Recipe(**augmentations)) == texts


def old_lineage(run):
    """What the verdict's regular expression made of a title."""
    title = run.teacher.title if run.teacher else run.title
    return re.sub(r"[/-]ls\d[\de.-]*(-others)?/seed\d+$", "", title)


TEACHERS = [
    teacher(alpha, form, seed, width, recipe)
    for alpha in (0.0, 1e-5, 0.1)
    for form in ("uniform", "others")
    for seed in (0, 1, 12)
    for width in (8, 16)
    for recipe in ("r", "long")
]


@pytest.mark.parametrize("supervision", [kd(), kd(t_squared=False), Supervision(way="logit_mse", draws=2)])
def test_the_lineage_of_a_plain_chain_is_what_the_old_titles_gave(supervision):
    for root in TEACHERS:
        for run in (root, student(root), student(root, supervision, "long")):
            assert naming.lineage(run) == old_lineage(run)


def test_the_lineage_of_longer_chains_parts_runs_as_the_old_titles_did():
    chains = []
    for root in TEACHERS:
        for between in (student(root), student(root, kd(temperature=1.0)), student(root, kd(), "long")):
            chains += [student(between), student(student(between), kd(temperature=64.0), model="resnet8")]
    pairs = {(naming.lineage(run), old_lineage(run)) for run in chains}
    assert len({new for new, _ in pairs}) == len({old for _, old in pairs}) == len(pairs)


def test_a_lineage_is_of_one_start():
    twins = [teacher(alpha, start=teacher(0.0, recipe="long")) for alpha in (0.0, 0.1)]
    lineages = {naming.lineage(run) for run in twins}
    assert len(lineages) == 1
    assert lineages != {naming.lineage(teacher(0.0))} != {naming.lineage(teacher(0.0, start=teacher(0.0, width=16)))}


def test_twins_that_start_from_twins_share_a_lineage():
    """Of a group that starts where another of the same smoothings ended, or from checkpoints named by theirs."""
    started = [teacher(alpha, start=teacher(alpha, recipe="long")) for alpha in (0.0, 0.1)]
    assert len({naming.lineage(run) for run in started}) == 1
    assert len({naming.lineage(student(run)) for run in started}) == 1


def test_above_a_run_what_is_the_same_goes_without_saying():
    own = teacher(0.0)
    assert naming.above(own, teacher(0.1)) == "mlp-w8-ls0.1"
    assert naming.above(own, teacher(0.1, recipe="long")) == "mlp-w8-long-ls0.1"
    other = teacher(0.1, data=Data(dataset="mnist"))
    assert naming.above(own, other) == "mnist-mlp-w8-ls0.1"
    assert naming.above(own, student(teacher(0.1))) == "plain_cnn-kd-T3-from-mlp-w8-ls0.1"


def test_a_store_says_what_its_images_are():
    mixed = Recipe(epochs=4, crop_padding=2, flip=True, mixup=0.2)
    run = Run(Data(), Model(name="mlp"), "r", mixed, kd(dtype="float16"), 0, teacher())
    assert naming.store_slug(run, runs.stored_draws(run)) == "draws4-crop2-flip-mixup0.2-float16"
    assert naming.store_slug(run, [0]) == "clean-float16"


def test_every_augmentation_shows_in_a_store():
    for name, augmentation in registry.AUGMENTATIONS.items():
        lists = {"randaugment": [2, 9], "resized_crop": [0.2, 1, 0.75, 1.25]}
        value = lists.get(name, True if augmentation.option.type is bool else 1)
        assert naming.augmentation_texts(Recipe(**{name: value}))
