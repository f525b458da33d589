"""Options: how an entry's keys become fields, and how their values read."""

from typing import Annotated, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from lskd.study import registry
from lskd.study.options import REQUIRED, Option, Section, nearest, off, one_of, spec, with_options

DEPTH = Option("depth", Annotated[int, Field(ge=1)], 3, "layers", short="d")
LEAK = Option("leak", float, 0.0, "slope below zero", 0.0)
RATE = Option("rate", float, REQUIRED, "how often", short="r", axis=True)
ENTRIES = {
    "plain": registry.Entry("m:plain", (DEPTH,)),
    "leaky": registry.Entry("m:leaky", (DEPTH, LEAK)),
    "timed": registry.Entry("m:timed", (RATE,)),
    "bare": registry.Entry("m:bare"),
}


class NetFields(Section):
    """A net."""

    kind: one_of("kind of net", ENTRIES) = "plain"
    bias: bool = off(True, True)
    seed: int = Field(0, description="of the draws")


Net = with_options(NetFields, {"kind": ENTRIES})


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ({}, {"kind": "plain", "seed": 0, "depth": 3}),
        ({"kind": "leaky"}, {"kind": "leaky", "seed": 0, "depth": 3}),
        ({"kind": "leaky", "leak": 0.1}, {"kind": "leaky", "seed": 0, "depth": 3, "leak": 0.1}),
        ({"kind": "timed", "rate": 2.0}, {"kind": "timed", "seed": 0, "rate": 2.0}),
        ({"kind": "bare", "depth": 3, "bias": False}, {"kind": "bare", "seed": 0, "bias": False}),
    ],
)
def test_a_spec_holds_what_the_chosen_entry_takes(given, used):
    assert spec(Net(**given)) == used


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "bare", "depth": 4}, "depth is for kind plain, leaky; kind is bare here: leave depth out"),
        ({"kind": "plain", "leak": 0.1}, "leak is for kind leaky; kind is plain here: leave leak out"),
        ({"kind": "timed"}, "rate is missing; kind timed needs it"),
        ({"rate": 1.0}, "rate is for kind timed"),
        ({"depth": 0}, "greater than or equal to 1"),
        ({"kind": "leeky"}, "no such kind of net; allowed: bare, leaky, plain, timed; did you mean leaky?"),
        ({"depht": 2}, "Extra inputs are not permitted"),
        ({"depth": "3"}, "valid integer"),
    ],
)
def test_what_does_not_fit_is_refused(given, said):
    with pytest.raises(ValidationError) as caught:
        Net(**given)
    assert said in str(caught.value)


def test_the_section_keeps_its_name_and_words():
    assert (Net.__name__, Net.__doc__, Net.__module__) == ("Net", NetFields.__doc__, __name__)
    described = {name: field.description for name, field in Net.model_fields.items()}
    assert described["depth"] == "layers" and described["seed"] == "of the draws"


def test_with_axes_an_axis_takes_a_list_or_one_value():
    nets = with_options(NetFields, {"kind": ENTRIES}, axes=True)
    assert nets(kind="timed", rate=2.0).rate == [2.0]
    assert nets(kind="timed", rate=[2.0, 1.0]).rate == [1.0, 2.0]
    assert nets(depth=4).depth == 4  # no axis
    for wrong in ([], [1.0, 1.0], None):
        with pytest.raises(ValidationError):
            nets(kind="timed", rate=wrong)


def test_one_option_may_serve_several_entries_but_no_two_share_a_name():
    other = ENTRIES | {"deep": registry.Entry("m:deep", (Option("depth", int, 9, "layers"),))}
    with pytest.raises(ValueError, match="two different options are called depth"):
        with_options(NetFields, {"kind": other})
    taken = ENTRIES | {"deep": registry.Entry("m:deep", (Option("bias", bool, True, "whether"),))}
    with pytest.raises(ValueError, match="two different options are called bias"):
        with_options(NetFields, {"kind": taken})


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        (DEPTH, 3, ""),
        (DEPTH, 16, "d16"),
        (LEAK, 0.25, "leak0.25"),
        (RATE, 2.0, "r2"),
        (Option("flip", bool, False, "", False), True, "flip"),
        (Option("t2", bool, True, "", short={False: "noT2"}), False, "noT2"),
        (Option("form", Literal["a", "b"], "a", "", short={"b": "bee"}), "b", "bee"),
        (Option("form", Literal["a", "b"], "a", ""), "b", "formb"),
        (Option("ls", float, 0.0, "", short="ls", always_named=True), 0.0, "ls0"),
        (Option("ls", float, 0.0, "", short="ls", always_named=True), 0.1, "ls0.1"),
    ],
)
def test_how_a_value_reads_in_a_name(option, value, text):
    assert option.text(value) == text


def test_no_two_values_of_the_registrys_options_read_alike():
    """In one name they stand side by side, so a short form belongs to one option of an entry."""
    tables = (registry.MODELS, registry.supervisions(), {"": registry.Entry("", registry_free())})
    for entry in (entry for table in tables for entry in table.values()):
        shorts = [option.short or option.name for option in entry.options if not isinstance(option.short, dict)]
        texts = [text for option in entry.options if isinstance(option.short, dict) for text in option.short.values()]
        assert len({*shorts, *texts}) == len(shorts) + len(texts)


def registry_free():
    return tuple(augmentation.option for augmentation in registry.AUGMENTATIONS.values())


def test_a_schema_names_the_entries():
    assert TypeAdapter(one_of("kind", ENTRIES)).json_schema() == {"type": "string", "enum": sorted(ENTRIES)}


def test_nearest():
    assert nearest("plian", ENTRIES) == "allowed: bare, leaky, plain, timed; did you mean plain?"
    assert nearest("xyz", ENTRIES) == "allowed: bare, leaky, plain, timed"
