"""Write workflow/schemas/config.schema.json from lskd/study/config.py: `make docs`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, BeforeValidator

from lskd.io.atomic import write_json
from lskd.study.config import Study, sections
from lskd.study.options import _as_list

PATH = Path(__file__).resolve().parents[2] / "workflow" / "schemas" / "config.schema.json"
SHORT = {
    "Data": "the name of a data set, or the path of your own",
    "Model": "its name",
}  # text stands for these
LAID_OVER = {
    "scales": {
        "type": "object",
        "description": "what differs at a scale; merged over the rest, null deletes",
        "properties": {scale: {"type": ["object", "null"]} for scale in ("demo", "small", "paper")},
        "additionalProperties": False,
    },
    "pictures": {
        "type": ["object", "null"],
        "description": "what differs for your own folder of images; fills what the file does not say, null deletes",
    },
}


def schema() -> dict[str, Any]:
    """The JSON schema of a config file, made from the sections of lskd/study/config.py."""
    whole = Study.model_json_schema()
    parts = {"Study": whole, **whole["$defs"]}
    for section in every_section(Study):
        for name, field in section.model_fields.items():
            if any(_takes_one(part) for part in (field, *field.metadata)) or _takes_one(field.annotation):
                _allow_one(parts[section.__name__]["properties"][name])
    for group in ("Trained", "Distilled"):  # whose network each scale may give
        parts[group]["required"] = [name for name in parts[group].get("required", []) if name != "model"]
        parts[group]["properties"]["model"]["must_be_given"] = True
    whole["properties"] |= LAID_OVER
    whole["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return _with_short_forms(whole)


def every_section(section: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A section and all those in it, each as often as it stands there."""
    yield section
    for field in section.model_fields.values():
        for part in sections(field.annotation):
            yield from every_section(part)


def _takes_one(part: Any) -> bool:
    """Whether a type, or a part of it, is an axis, which takes a value for a list of one."""
    if isinstance(part, BeforeValidator):
        return part.func is _as_list
    return any(_takes_one(each) for each in (*get_args(part), *getattr(part, "__metadata__", ())))


def _allow_one(field: dict[str, Any]) -> None:
    """Let a field's schema accept an element in place of its list."""
    choices = field.setdefault("anyOf", [])
    if not choices:
        choices.append({key: field.pop(key) for key in ("type", "items", "minItems", "maxItems") if key in field})
    items = next(choice["items"] for choice in choices if choice.get("type") == "array")
    if items not in choices:
        choices.append(items)


def _with_short_forms(value: Any) -> Any:
    """A schema in which text stands for a section too, where that is so."""
    if isinstance(value, list):
        return [_with_short_forms(each) for each in value]
    if not isinstance(value, dict):
        return value
    name = str(value.get("$ref", "")).rpartition("/")[2]
    if name in SHORT:
        rest = {key: each for key, each in value.items() if key != "$ref"}
        return {"anyOf": [{"type": "string", "description": SHORT[name]}, {"$ref": value["$ref"]}]} | rest
    return {key: _with_short_forms(each) for key, each in value.items()}


def main() -> None:
    """Write it."""
    write_json(PATH, schema())


if __name__ == "__main__":
    main()
