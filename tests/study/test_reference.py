"""docs/config.md is what its generator makes, says something of every key, and its examples are taken."""

import jsonschema
import pytest
import yaml

from lskd.study import reading, reference, registry, runs
from lskd.study.schema import schema

WHOLE = schema()
PARTS = {"Study": WHOLE, **WHOLE["$defs"]}
KEYS = [(name, key) for name, part in PARTS.items() for key in part["properties"]]
PAGE = reference.reference()


def test_the_page_is_the_one_in_the_tree():
    assert reference.PATH.read_text() == PAGE, "run `make docs`"


def test_every_section_has_its_table():
    assert {name for _, name, _ in reference.SECTIONS} == set(PARTS)


@pytest.mark.parametrize(("section", "key"), KEYS, ids=[".".join(pair) for pair in KEYS])
def test_a_key_has_a_meaning_and_an_example_that_is_taken(section, key):
    field = PARTS[section]["properties"][key]
    assert len(field.get("description", "")) > 2, f"{section}.{key} has no description"
    example = reference.example(section, key, field)
    assert example not in (None, "", [])
    rules = jsonschema.Draft202012Validator(field | {"$defs": WHOLE["$defs"]})
    assert not list(rules.iter_errors(example))
    (where,) = {where for where, name, _ in reference.SECTIONS if name == section}
    table = PAGE.split(f"\n## {where}\n")[1].split("\n## ")[0]
    (row,) = [line for line in table.splitlines() if line.startswith(f"| `{key}`") and field["description"] in line]
    *_, shown = (cell.strip() for cell in row.strip("|\n ").split(" | "))
    assert yaml.safe_load(shown.strip("`")) == {key: example}


def test_every_choice_of_the_registry_is_there():
    tables = (registry.DATASETS, registry.SUPERVISIONS, registry.SCHEDULES, registry.OPTIMIZERS, registry.TRANSFORMS)
    for name in [name for table in tables for name in table]:
        assert f": {name}` |" in PAGE
    for name in [*registry.MODELS, *registry.FIGURES]:
        assert f"| `{name}` |" in PAGE
    for name in registry.AUGMENTATIONS:
        assert f"| `{name}` of a recipe |" in PAGE


@pytest.mark.parametrize("kind", registry.FIGURES)
def test_a_figure_kind_tells_what_it_needs(kind):
    figure, needs = registry.FIGURES[kind], reference.figure_needs()[kind]
    assert all(needs) and bool(needs) == bool(figure.families)
    row = next(line for line in PAGE.split("## Figure kinds")[1].splitlines() if line.startswith(f"| `{kind}` |"))
    assert all(f"`{family}`" in row for family in figure.families)
    assert all(f"`{option.name}`" in row for option in figure.options)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ({"type": "integer", "minimum": 1, "exclusiveMaximum": 4096}, "whole number ≥ 1, < 4,096"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}, "number > 0, ≤ 0.5"),
        ({"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]}, "`a`, `b`"),
        ({"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "number"}]}, "number; or a list"),
        ({"anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "string"}}]}, "number or a list: text"),
        ({"type": "array", "items": {"type": "string"}}, "a list: text"),
        ({"type": ["object", "null"]}, "a mapping"),
        ({"type": "boolean"}, "`true`, `false`"),
    ],
)
def test_types_in_words(field, words):
    assert reference.takes(field) == words


def test_the_study_of_ten_lines_is_a_study():
    assert reference.TEN_LINES.count("\n") == 10 and reference.TEN_LINES in PAGE
    study = reading.parse(yaml.safe_load(reference.TEN_LINES))
    members = runs.members(study)
    assert len(members) == 3 * (2 + 4)
    assert {member.row["temperature"] for member in members if member.role == "student"} == {1, 3}


def test_where_a_sentence_ends():
    assert reference._first_sentence("By eq. 2 and fig. 3. Then more.") == "By eq. 2 and fig. 3"
    assert reference._first_sentence("One.") == "One"
