"""What a caption says of family, margin, looks, registration and spread."""

import pytest

from lskd.analysis import protocol
from tests.analysis.studies import compared, hurt_at_64, study
from tests.figures import synthetic


def test_the_family_is_counted():
    numbers = compared(hurt_at_64(seeds=range(5), noise=0.05))
    text = protocol.family(numbers)
    assert text.startswith(
        "One family of 8 claims (3 effects of smoothing, 2 differences of effects, 1 test of any difference"
        " between T, the set of the best on val and 1 choice): p is multiplied by their number"
    )
    assert text.endswith("compared with 0.05; their intervals hold together with 95 %.")
    assert protocol.family(compared(hurt_at_64(seeds=(0, 1)))) == "Nothing is claimed."
    assert "compared with 0.0125; their intervals hold together with 98.75 %" in protocol.family(
        compared(hurt_at_64(seeds=range(5)), looks=[3, 4])
    )


def test_the_margin_is_given_with_its_reason():
    accuracy = hurt_at_64()
    assert protocol.margin(compared(accuracy), {}).startswith(
        "No difference: two one-sided tests within 0.5 points (0.5,"
    )
    given = {"margin": 0.2}
    assert "within 0.2 points (as the study says)" in protocol.margin(compared(accuracy, **given), given)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({}, ["One look, at 5 seeds."]),
        ({"looks": [3]}, ["has the level 0.025", "without a plan, at 3 seeds", "at most 0.075"]),
        (
            {"planned_looks": [3, 5, 10]},
            ["the level 0.01;", "planned at 3, 5 and 10 seeds, and it is one", "most 0.025"],
        ),
        ({"planned_looks": [4, 8]}, ["the level 0.05;", "it is none of them", "at most 0.075"]),
    ],
)
def test_looks_have_their_level_and_bound(options, parts):
    text = protocol.looks(5, options)
    assert all(part in text for part in parts), text


def test_registration_is_said_with_what_differs():
    assert protocol.registration({}) == "Not registered: this study was explored."
    given = {"date": "2026-01-02", "file": "registrations/demo/s.json", "differences": []}
    text = protocol.registration({"registered": given})
    assert text == "Registered on 2026-01-02, before its test numbers existed (registrations/demo/s.json)."
    differs = protocol.registration({"registered": given | {"differences": ["seeds 3 -> 5", "margin none -> 0.2"]}})
    assert differs.endswith("but today's study differs: seeds 3 -> 5; margin none -> 0.2.")


def test_what_spreads_is_said_where_seeds_have_several_students():
    effects = {(0.0, 1.0): 90.0, (0.1, 1.0): 91.0}
    assert protocol.spread(compared(study(effects)))[0].startswith("A seed has one student")
    (text,) = protocol.spread(compared(study(effects, students=3, noise=0.5)))
    assert "points between seeds of the teachers and 0.8 between the students of one seed" in text
    everything = protocol.protocol(compared(study(effects, students=3)), 3, {})
    assert everything.count("One family of 3 claims") == everything.count("Not registered") == 1


def test_given_teachers_of_one_file_are_told():
    accuracy = synthetic.accuracy(synthetic.runs())
    nll = accuracy["metric"] == "nll"
    several = accuracy.assign(value=accuracy["value"].where(~nll, 0.1 + accuracy["seed"]))
    is_teacher = accuracy["role"] == "teacher"
    one_file, own_files = (
        frame.assign(recipe=frame["recipe"].where(~is_teacher, "given")) for frame in (accuracy, several)
    )
    (text,) = protocol.one_teacher(one_file)
    assert text.startswith("Given teachers are one file for all seeds")
    assert protocol.one_teacher(own_files) == protocol.one_teacher(accuracy) == []
    assert protocol.one_teacher(one_file[one_file["seed"] == 0]) == []
