"""A study read from a config file, with its scale, the command line laid over it, and each mistake told in one line."""

import json
import re
from collections.abc import Hashable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from lskd.errors import UserError
from lskd.study.config import Study, data_keys, folder_name, sections

LAID_OVER = {"scales", "pictures"}  # keys of a config file that hold other values for the rest
_EXPONENT = r"[+-]?\d+(\.\d*)?[eE][+-]?\d+"
# below these keys stand names of classes, groups and files, which stay text
_NAMES = {"root", "name", "classes", "targets", "similar", "groups"}


def parse(
    raw: dict[str, Any], scale: str | None = None, source: str = "config", told: Mapping[str, Any] | None = None
) -> Study:
    """The study that a config file's mapping describes, at one of its scales.

    `raw` may hold `scales: {demo: {...}, small: {...}, paper: {...}}`, each merged over the rest (null deletes a key),
    and `pictures: {...}`, merged over these where the data is a user's own folder of pictures. What is `told` on the
    command line holds over all of them.
    Raises UserError with one line: key path, value, what is allowed.
    """
    if not isinstance(raw, dict):
        raise UserError(f"{source}: found {type(raw).__name__}, a mapping of keys is needed; see config.yaml")
    told = _typed_all(told or {}, source)
    raw = merge(raw, told)
    scales = raw.get("scales") or {}
    if not isinstance(scales, dict) or not set(scales) <= {"demo", "small", "paper"}:
        found = sorted(map(str, scales)) if isinstance(scales, dict) else type(scales).__name__
        raise UserError(f"{source}: scales: found {found}, allowed are demo, small, paper")
    pictures = raw.get("pictures") or {}
    for key, part in ("pictures", pictures), *((f"scales.{name}", part or {}) for name, part in scales.items()):
        if not isinstance(part, dict):
            raise UserError(f"{source}: {key}: found {_shown(part)}, a mapping of keys is needed; see config.yaml")
    base = {key: value for key, value in raw.items() if key not in LAID_OVER}
    base["scale"] = scale or raw.get("scale", "demo")
    if scales and base["scale"] not in scales:
        raise UserError(f"{source}: scale: found {base['scale']!r}; this study has {', '.join(scales)}")
    spoken = {key: value for key, value in told.items() if key not in {"scale", *LAID_OVER}}
    made = merge(merge(base, scales.get(base["scale"]) or {}), spoken)
    try:
        return Study.model_validate(_laid_over_pictures(made, pictures, spoken, source))
    except ValidationError as error:
        raise UserError(f"{source}: {_one_line(error)}") from None


def _laid_over_pictures(
    made: dict[str, Any], pictures: dict[str, Any], spoken: dict[str, Any], source: str
) -> dict[str, Any]:
    """`made`; where its data is a folder of pictures, with what is said for these, and under what was told."""
    data, told = data_keys(made.get("data", {})), data_keys(spoken.get("data", {}))
    if not isinstance(data, dict) or not isinstance(told, dict):
        return made
    if "root" in told and data.get("dataset", "digits") == "digits":
        raise UserError(
            f"{source}: data.root: found {told['root']!r}, but digits are embedded; say data={told['root']}"
        )
    if data.get("dataset") != "imagefolder":
        return made
    made = merge(merge(made | {"data": data}, pictures), spoken | {"data": told})
    if told and "study" not in spoken and isinstance(data.get("root"), str):
        made["study"] = f"{made.get('study')}_{folder_name(data['root'])}"  # figures of their own for each folder
    return made


def _typed_all(told: Mapping[str, Any], source: str) -> dict[str, Any]:
    """What Snakemake's command line gives, where below the top all is text. UserError for a key with nothing."""
    for key, value in told.items():
        if value is None:  # such as data=$PICTURES, unset
            raise UserError(f"{source}: {key}: found nothing; give a value, or leave {key}= out")
    return {key: _typed(value, key) for key, value in told.items()}


def _typed(told: Any, *path: str) -> Any:
    """Numbers, true, false and null, where they are not names of classes, groups or files."""
    if isinstance(told, dict):
        return {key: _typed(value, *path, key) for key, value in told.items()}
    if isinstance(told, list):
        return [_typed(value, *path, "") for value in told]
    if not isinstance(told, str) or _NAMES & set(path):
        return told
    try:
        made = yaml.safe_load(told)
    except yaml.YAMLError:
        return told
    if len(path) == 1:
        return None if made is None else told
    if made is None or isinstance(made, int | float):
        return made
    return float(told) if re.fullmatch(_EXPONENT, told) else told


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with `over` laid on it key by key; mappings merge, null deletes, anything else replaces."""
    merged = dict(base)
    for key, value in over.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def read(path: Path | str) -> dict[str, Any]:
    """The mapping in a YAML file; UserError on a syntax error or a key that stands twice."""
    try:
        with Path(path).open() as file:
            return yaml.load(file, _Loader)  # a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); name a YAML file") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None


class _Loader(yaml.SafeLoader):
    """A SafeLoader that refuses a key given twice, where YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":  # `<<: *anchor` may be overridden
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _one_line(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    first = problems[0]
    steps = [str(step) for step in first["loc"] if not str(step).startswith(("function-", "constrained-", "literal["))]
    path = ".".join(steps)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    if first["type"] == "extra_forbidden":
        allowed = sorted(_fields_at(Study, steps[:-1]))
        near = get_close_matches(steps[-1], allowed, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        hint = "; it is recipes.<name>.amp, as it changes results" if path == "runtime.amp" else hint
        return f"{path}: unknown key; allowed: {', '.join(allowed)}{hint}{more}"
    message = first["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if first["type"] == "missing":
        return f"{path}: is missing; add it{more}"
    if isinstance(first["input"], str) and re.fullmatch(_EXPONENT, first["input"]):
        message = f"{message}; YAML takes an exponent after a point and with a sign, such as 1.0e-3"
    value = f": found {_shown(first['input'])}"
    where = f"{path}{value}: " if path else ""  # a study's own messages name their keys
    return f"{where}{message[0].lower()}{message[1:]}{more}"


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _fields_at(section: type[BaseModel], steps: list[str]) -> set[str]:
    """The keys that `section` allows at a path below it."""
    if not steps:
        return set(section.model_fields) | (LAID_OVER if section is Study else set())
    field = section.model_fields.get(steps[0])
    for part in sections(field.annotation if field else None):
        holds_names = "dict" in str(field.annotation) if field else False
        return _fields_at(part, steps[2:] if holds_names else steps[1:])
    return set()
