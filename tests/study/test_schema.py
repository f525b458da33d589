"""The JSON schema is that of the sections, and takes what they take."""

import json

import jsonschema
import pytest
import yaml

from lskd.study import reading, schema

ROOT = schema.PATH.parents[2]
STUDIES = [ROOT / "config.yaml", *sorted((ROOT / "workflow/studies").glob("*.yaml"))]
RULES = jsonschema.Draft202012Validator(schema.schema())
SMALL = {
    "study": "small",
    "recipes": {"r": {}},
    "teachers": {"t": {"model": "mlp", "recipe": "r"}},
    "figures": {"f": {"kind": "grid"}},
}


def test_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(schema.schema())


def test_schema_is_the_one_in_the_tree():
    assert json.loads(schema.PATH.read_text()) == json.loads(json.dumps(schema.schema())), "run `make docs`"


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.name)
def test_schema_takes_the_studies(path):
    raw = yaml.safe_load(path.read_text())
    assert not [error.message for error in RULES.iter_errors(raw)]
    for scale in raw.get("scales") or {"demo": None}:
        reading.parse(raw, scale, path.name)


STUDENT = {"teacher": "t", "model": "mlp", "recipe": "r"}


@pytest.mark.parametrize(
    ("change", "is_taken"),
    [
        ({}, True),
        ({"seeds": 3}, True),
        ({"seeds": [3]}, True),
        ({"seeds": -1}, False),
        ({"data": "cifar10"}, True),
        ({"data": {"dataset": "cifar10"}}, True),
        ({"data": {"dataset": "cifar11"}}, False),
        ({"students": {"s": STUDENT | {"temperature": 2}}}, True),
        ({"students": {"s": STUDENT | {"temperature": [2, 3]}}}, True),
        ({"students": {"s": STUDENT | {"temperature": 0}}}, False),
        ({"students": {"s": STUDENT | {"temperature": 2, "label_smoothing": 0}}}, True),
        ({"students": {"s": STUDENT | {"temperature": 2, "loss": "kd"}}}, False),
        ({"baselines": {"b": {"model": {"name": "mlp"}, "recipe": "r", "data": "images"}}}, True),
        ({"baselines": {"b": {"model": {"name": "mlp", "depth": 3}, "recipe": "r"}}}, False),
        ({"scales": {"small": {"seeds": [0]}}, "pictures": None}, True),
        (
            {"teachers": {"t": {"recipe": "r"}}, "scales": {"small": {"teachers": {"t": {"model": "mlp"}}}}},
            True,
        ),
        ({"scales": {"large": {}}}, False),
    ],
)
def test_schema_takes_what_the_config_takes(change, is_taken):
    study = SMALL | change
    assert RULES.is_valid(study) == is_taken
    if is_taken:
        reading.parse(study, "small" if "scales" in study else None)
    else:
        with pytest.raises(reading.UserError):
            reading.parse(study)
