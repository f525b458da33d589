"""A study read from a config file, with its scale, the command line laid over it, and each mistake told in one line."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from lskd.errors import UserError
from lskd.study import registry
from lskd.study.config import Study, sections
from lskd.study.data_keys import data_keys, folder_name
from lskd.study.options import nearest
from lskd.study.overrides import EXPONENT, effective, listed, merge, typed_all, unwritten
from lskd.study.yaml_file import read as read  # for those who read and parse

SCALES = ("demo", "small", "paper")
LAID_OVER = {"scales", "pictures"}  # keys of a config file that hold other values for the rest
LONGEST_NAME, LONGEST_TEXT, LONGEST_MESSAGE = 64, 1_000, 300  # characters
LARGEST_NUMBER = 2**63
MOST_RUNS = 4_000  # of a study; so many are planned within seconds
_OWN_IMAGES = "imagefolder"
WORDS = {  # what pydantic's kinds of mistakes say
    "string_type": "text is needed; put it in quotes",
    "int_type": "a whole number is needed",
    "int_from_float": "a whole number is needed",
    "float_type": "a number is needed",
    "bool_type": "true or false is needed",
    "list_type": "a list is needed, such as [0, 1]",
    "dict_type": "a mapping of keys is needed",
    "model_type": "a mapping of keys is needed",
    "too_short": "one or more are needed",
}
_BETWEEN = ("function-", "constrained-", "literal[", "list[", "nullable")
_TYPES = {"int", "float", "str", "none", "[key]"}


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
    _check_values(merged, source)
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
        raise UserError(f"{source}: scales: found {_cut(', '.join(unknown))}; allowed: {', '.join(SCALES)}")
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
    """Refuse a place for embedded data, which have none: data.root alone makes no data set of a folder."""
    data, own_data = data_keys(merged.get("data", {})), data_keys(own.get("data", {}))
    if not isinstance(data, dict) or not isinstance(own_data, dict):
        return
    dataset = data.get("dataset", "digits")
    if "root" in own_data and dataset in registry.EMBEDDED:
        raise UserError(
            f"{source}: data.root: found {own_data['root']!r}, but {dataset} are embedded; say data={own_data['root']}"
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


def _check_values(value: Any, source: str, *path: str) -> None:
    """Refuse what no key takes, whatever its type: a number that is none, a far too large one, a text without end."""
    if isinstance(value, dict):
        for key, below in value.items():
            _check_values(below, source, *path, str(key))
    elif isinstance(value, list):
        for place, below in enumerate(value):
            _check_values(below, source, *path, str(place))
    problem = _problem(value)
    if problem:
        raise UserError(f"{source}: {_cut('.'.join(path))}: found {problem}")


def _problem(value: Any) -> str:
    """What is wrong with a value; "" for nothing."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value}; a finite number is needed, or leave the key out"
    if isinstance(value, int) and abs(value) >= LARGEST_NUMBER:
        return f"a number of {math.log10(abs(value)):.0f} digits; write a smaller one"
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return f"{len(value):,} characters; at most {LONGEST_TEXT:,} are needed for anything"
    if isinstance(value, str) and "\0" in value:
        return f"{_shown(value)}, which holds a zero byte; delete that"
    return ""


def _one_line(error: ValidationError) -> str:
    """The first mistake of a study, with what is allowed there, and how many there are more."""
    problems = [(_path(problem["loc"]), problem) for problem in error.errors(include_url=False)]
    path, first = problems[0]
    others = len({each for each, _ in problems} - {path})
    more = f" (and {others} more)" if others else ""
    key = _cut(".".join(path))
    if first["type"] == "extra_forbidden":
        return f"{key}: unknown key; {_allowed(path)}{more}"
    if first["type"] == "missing":
        return f"{key}: is missing; add it{more}"
    messages = [_message(problem) for each, problem in problems if each == path]  # one for each type that would do
    message = _cut(", or ".join(dict.fromkeys(messages)))
    if not key or isinstance(first["input"], dict) and first["type"] == "value_error":
        return f"{key}{': ' * bool(key)}{message}{more}"  # a section's own messages name their keys
    return f"{key}: found {_shown(first['input'])}: {message}{more}"


def _path(place: tuple[int | str, ...]) -> tuple[str, ...]:
    """The keys above a mistake, without what pydantic puts between them for types with alternatives."""
    steps = [str(step) for step in place]
    return tuple(step for step in steps if not step.startswith(_BETWEEN) and step not in _TYPES)


def _message(problem: Any) -> str:
    """What is allowed, in the words of a config file."""
    message = WORDS.get(problem["type"])
    if message is None:
        message = problem["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        message = message.replace("Input should be", "must be").replace(" after validation", "")
        message = f"{message[0].lower()}{message[1:]}"
    if isinstance(problem["input"], str) and re.fullmatch(EXPONENT, problem["input"]):
        return f"{message}; YAML takes an exponent after a point and with a sign, such as 1.0e-3"
    return message


def _allowed(path: tuple[str, ...]) -> str:
    """The keys that are allowed beside an unknown one, and the one that was probably meant."""
    known = _fields_at(Study, list(path[:-1]))
    if path == ("runtime", "amp"):
        return f"allowed: {', '.join(sorted(known))}; it is recipes.<name>.amp, as it changes results"
    return nearest(path[-1], known)


def _cut(text: str) -> str:
    """A text, without its middle where it is long."""
    half = LONGEST_MESSAGE // 2
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:half]} ... {text[-half:]}"


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
