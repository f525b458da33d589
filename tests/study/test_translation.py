"""Studies of translation: what fits together, and what gets one line."""

import copy

import pytest

from lskd.errors import UserError
from lskd.study import reading, runs

STUDY = {
    "study": "nmt",
    "seeds": [0],
    "data": {"dataset": "help_extract", "source": "en", "target": "de"},
    "recipes": {"nmt": {"task": "translation", "updates": 10}, "images": {"epochs": 2}},
    "teachers": {"t": {"model": "transformer_small", "recipe": "nmt", "label_smoothing": [0.0, 0.1]}},
    "students": {"s": {"teacher": "t", "model": "transformer_small", "recipe": "nmt", "temperature": [1, 2]}},
    "figures": {"grid": {"kind": "grid"}},
}
PICTURES = {"model": "mlp", "recipe": "images", "data": "digits"}


def changed(path: str, value: object) -> dict:
    study = copy.deepcopy(STUDY)
    *outer, last = path.split("/")
    part = study
    for key in outer:
        part = part.setdefault(key, {})
    part[last] = value
    return study


def test_a_run_is_named_and_described_by_its_task():
    titles = {member.run.title: member.run for member in runs.members(reading.parse(STUDY))}
    first = titles["help_extract-en-de/transformer_small/nmt/kd-T1-from-transformer_small-ls0/seed0"]
    assert first.spec.keys() == {"model", "supervision", "seed", "recipe"}
    assert first.spec["recipe"]["task"] == "translation"


def test_images_and_translation_stand_side_by_side_in_one_study():
    study = changed("teachers/p", PICTURES)
    study["figures"] = {"grid": {"kind": "grid", "groups": ["t", "s"]}, "one": {"kind": "reliability", "groups": ["p"]}}
    declared = reading.parse(study)
    assert (declared.task_shown("grid"), declared.task_shown("one")) == ("translation", "images")


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (
            "data",
            "digits",
            "data of t: found digits, which is of images, but the group's network, transformer_small, is",
        ),
        ("teachers/t/model", "mlp", "data of t: found help_extract, which is of translation, but .* mlp, is of images"),
        (
            "students/s/model",
            "mlp",
            "recipe of s: found nmt, which is of translation, but the group.s network, mlp, is",
        ),
        ("students/s/recipe", "images", "recipe of s: found images, which is of images"),
        (
            "students/s/hard_smoothing",
            0.1,
            "students.s.hard_smoothing: found 0.1, but at soft_weight 1 the labels have no weight; give a soft_weight",
        ),
        ("students/s/supervision", "dkd", "supervision of s: found dkd, which is of images"),
        ("students/s/draws", 3, "students.s.draws: found 3; a sentence has one form: say epochs or online"),
        ("students/s/transform", "shuffle", "students.s.transform: found shuffle, which is of images; leave it out"),
        (
            "figures/grid/kind",
            "projection",
            "figures.grid: found kind projection, which is not of translation, as t is",
        ),
        ("recipes/nmt/epochs", 3, "epochs is for task images; task is translation here: leave epochs out"),
        ("recipes/nmt/momentum", 0.5, "momentum is for task images; task is translation here"),
        ("recipes/images/updates", 3, "updates is for task translation; task is images here"),
        ("recipes/nmt/snapshot_updates", [5, 20], "snapshot_updates .5, 20.: none may be above updates 10"),
        ("data/source", "english", "must be two or three small letters"),
        ("data/long_tail", 5.0, "long_tail is for dataset digits, .*; dataset is help_extract here"),
        ("data", {"dataset": "help_extract", "source": "en"}, "target is missing; dataset help_extract needs it"),
        ("teachers/p", PICTURES, "figures.grid.groups: found t and p, .*; name groups of one of them"),
    ],
)
def test_what_does_not_fit_gets_one_line(path, value, said):
    with pytest.raises(UserError, match=said) as caught:
        reading.parse(changed(path, value))
    assert "\n" not in str(caught.value)


def test_a_smoothed_hard_term_is_of_images_too():
    images = changed("students/s/hard_smoothing", 0.1)
    images["data"] = "digits"
    images["teachers"]["t"] = {"model": "mlp", "recipe": "images"}
    images["students"]["s"] |= {"model": "mlp", "recipe": "images", "soft_weight": 0.9}
    assert reading.parse(images).students["s"].hard_smoothing == 0.1


def test_online_teaching_has_all_tokens_at_hand():
    study = changed("students/s/draws", "online")
    reading.parse(study)
    study["students"]["s"] |= {"supervision": "kd_top_k", "k": [4]}
    with pytest.raises(UserError, match="found online, where all tokens are at hand; say supervision kd"):
        reading.parse(study)
