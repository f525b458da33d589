"""The JSON schema is that of the sections, and the studies fit it."""

import json

import jsonschema
import yaml

from lskd.study import reading, schema


def test_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(schema.schema())


def test_schema_is_the_one_in_the_tree_and_accepts_the_studies():
    sections = schema.schema()
    assert json.loads(schema.PATH.read_text()) == json.loads(json.dumps(sections)), "run `make schema`"
    root = schema.PATH.parents[2]
    for path in [root / "config.yaml", *sorted((root / "workflow/studies").glob("*.yaml"))]:
        raw = yaml.safe_load(path.read_text())
        raw["data"] = {"dataset": raw["data"]} if isinstance(raw.get("data"), str) else raw.get("data", {})
        for scale in raw.get("scales") or {"demo": None}:
            reading.parse(raw, scale, path.name)
