"""A study read from a config file, with its scale, the command line laid over it, and each mistake told in one line."""

import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from lskd.errors import UserError
from lskd.study.config import Study, data_keys, folder_name, sections
from lskd.study.overrides import EXPONENT, effective, listed, merge, typed_all, unwritten
from lskd.study.yaml_file import read as read  # for those who read and parse

SCALES = ("demo", "small", "paper")
LAID_OVER = {"scales", "pictures"}  # keys of a config file that hold other values for the rest
LONGEST_NAME = 64
MOST_RUNS = 4_000  # of a study; so many are planned within seconds
_OWN_IMAGES = "imagefolder"


def parse(
    raw: dict[str, Any], scale: str | None = None, source: str = "config", overrides: Mapping[str, Any] | None = None
) -> Study:
    """The study that a config file's mapping describes, at one of its scales.

    `raw` may hold `scales: {demo: {...}, small: {...}, paper: {...}}`, each merged over the rest (null deletes a key),
    and `pictures: {...}`, which for a user's own folder of images holds over these, but never over what is written at
    the top of the file. The `overrides` of the command line hold over all of them.
    Raises UserError with one line: key path, value, what is allowed.
    """
    merged, _ = _merged(raw, scale, source, overrides or {})
    try:
        study = Study.model_validate(merged)
    except ValidationError as error:
        raise UserError(f"{source}: {_one_line(error)}") from None
    _check_runs(study, source)
    return study


def filled_by_pictures(raw: dict[str, Any], overrides: Mapping[str, Any]) -> str:
    """What `pictures` gives to the study of a user's own images, in words; "" where it gives nothing."""
    _, filled = _merged(raw, None, "config", overrides)
    return listed(filled)


def _merged(
    raw: dict[str, Any], scale: str | None, source: str, overrides: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keys of a study, its scale and the overrides laid over the file's own; and what `pictures` gave of them."""
    if not isinstance(raw, dict):
        raise UserError(f"{source}: found {type(raw).__name__}, a mapping of keys is needed; see config.yaml")
    overrides = typed_all(overrides, source)
    raw = merge(raw, overrides)
    scales, pictures = _scales(raw, source), _mapping(raw.get("pictures"), "pictures", source)
    written = {key: value for key, value in raw.items() if key not in LAID_OVER}
    written["scale"] = scale or raw.get("scale", "demo")
    chosen = _chosen(scales, written["scale"], source)
    own = {key: value for key, value in overrides.items() if key not in {"scale", *LAID_OVER}}
    merged = merge(merge(written, chosen), own)
    _check_root(merged, own, source)
    filled = _filled(merged, written, pictures)
    if filled:
        merged = merge(merged | {"data": data_keys(merged["data"])}, filled)
    return _named(merged, own), filled


def _scales(raw: dict[str, Any], source: str) -> dict[str, dict[str, Any]]:
    """The values of each scale. UserError for another scale than the three."""
    scales = _mapping(raw.get("scales"), "scales", source)
    unknown = sorted(str(name) for name in scales if name not in SCALES)
    if unknown:
        raise UserError(f"{source}: scales: found {', '.join(unknown)}; allowed: {', '.join(SCALES)}")
    return {name: _mapping(values, f"scales.{name}", source) for name, values in scales.items()}


def _mapping(value: Any, key: str, source: str) -> dict[str, Any]:
    """A mapping, empty for null. UserError for anything else."""
    if value is not None and not isinstance(value, dict):
        raise UserError(f"{source}: {key}: found {_shown(value)}, a mapping of keys is needed; see config.yaml")
    return value or {}


def _chosen(scales: dict[str, dict[str, Any]], scale: Any, source: str) -> dict[str, Any]:
    """The values of the scale that is asked for. UserError where the study has scales, and not this one."""
    if scale in SCALES and scales and scale not in scales:
        raise UserError(f"{source}: scale: found {scale!r}; this study has {', '.join(scales)}")
    return scales.get(scale, {}) if isinstance(scale, str) else {}


def _check_root(merged: dict[str, Any], own: dict[str, Any], source: str) -> None:
    """Refuse a place for the digits, which have none: data.root alone makes no data set of a folder."""
    data, own_data = data_keys(merged.get("data", {})), data_keys(own.get("data", {}))
    if not isinstance(data, dict) or not isinstance(own_data, dict):
        return
    if "root" in own_data and data.get("dataset", "digits") == "digits":
        raise UserError(
            f"{source}: data.root: found {own_data['root']!r}, but digits are embedded; say data={own_data['root']}"
        )


def _filled(merged: dict[str, Any], written: dict[str, Any], pictures: dict[str, Any]) -> dict[str, Any]:
    """The values of `pictures` that a study of a user's own images takes: those that nobody wrote."""
    data = data_keys(merged.get("data"))
    if not isinstance(data, dict) or data.get("dataset") != _OWN_IMAGES:
        return {}
    written_data = data_keys(written.get("data"))
    is_of_images = isinstance(written_data, dict) and written_data.get("dataset") == _OWN_IMAGES
    written = written | {"data": written_data if is_of_images else {}}
    return effective(unwritten(pictures, written), merged | {"data": data})


def _named(merged: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """`merged`, where the command line names a folder of images, with figures of its own for each folder."""
    data = data_keys(merged.get("data"))
    if not isinstance(data, dict) or data.get("dataset") != _OWN_IMAGES or not own.get("data") or "study" in own:
        return merged
    if not isinstance(data.get("root"), str):
        return merged
    return merged | {"study": f"{merged.get('study')}_{folder_name(data['root'])}"[:LONGEST_NAME]}


def _check_runs(study: Study, source: str) -> None:
    """Refuse more runs than a plan can hold, before they are made."""
    counts: dict[str, int] = {}
    groups = {**study.teachers, **study.baselines, **study.students}
    for name in groups:
        counts[name] = _count(name, groups, study)
    total = sum(counts.values())
    if total > MOST_RUNS:
        largest = max(counts, key=lambda name: counts[name])
        raise UserError(
            f"{source}: {total:,} networks to train, {counts[largest]:,} of them {largest}; at most {MOST_RUNS:,}: "
            "shorten seeds, or the group's lists of values"
        )


def _count(name: str, groups: Mapping[str, Any], study: Study) -> int:
    """How many runs a group has: one for each value of each list, and each run of its teacher."""
    count = len(study.seeds)
    above: list[str] = []
    while name in groups and name not in above:  # groups that teach each other in a circle are told later
        above.append(name)
        group = groups[name]
        for key, value in dict(group).items():
            if isinstance(value, list) and not (key == "label_smoothing" and hasattr(group, "teacher")):
                count *= max(1, len(value))
        name = getattr(group, "teacher", "")
    return count


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
    if isinstance(first["input"], str) and re.fullmatch(EXPONENT, first["input"]):
        message = f"{message}; YAML takes an exponent after a point and with a sign, such as 1.0e-3"
    value = f": found {_shown(first['input'])}"
    where = f"{path}{value}: " if path else ""  # a study's own messages name their keys
    return f"{where}{message[0].lower()}{message[1:]}{more}"


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, default=str)
    except (TypeError, ValueError):  # a number of thousands of digits
        return f"a value of type {type(value).__name__}"
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
