"""What is laid over a study: the command line's `--config`, and `pictures` for a user's own folder of images."""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import yaml

from lskd.errors import UserError
from lskd.study import yaml_file

EXPONENT = r"[+-]?\d+(\.\d*)?[eE][+-]?\d+"
LONGEST, LONGEST_KEY = 20_000, 64  # characters of an entry
# below these keys stand names of classes, groups and files, which stay text
_NAMES = {"root", "name", "classes", "targets", "similar", "groups"}
_KEY = r"[a-zA-Z_][\w-]*\w"  # what Snakemake takes for a key


class _Parser(argparse.ArgumentParser):
    """One whose mistakes are told in a line."""

    def error(self, message: str) -> NoReturn:
        raise UserError(message)


def check_command_line(arguments: Sequence[str]) -> None:
    """Exit with one line for a --config or --configfile at which Snakemake would end in a traceback, or run code.

    The profile calls this, so it comes before Snakemake reads them. Snakemake's own calls of itself are left alone.
    """
    if "--mode" in arguments:
        return
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", "-C", nargs="*", action="append", default=[])
    parser.add_argument("--configfile", "--configfiles", nargs="+", action="append", default=[])
    try:
        options, _ = parser.parse_known_args(arguments)
        for option in ("config", "configfile"):
            if len(getattr(options, option)) > 1:
                raise UserError(f"--{option}: stands twice, and Snakemake takes the last alone; give all after one")
        if "" in arguments:
            raise UserError("the command line holds an empty word, as an unset variable leaves; give it a value")
        for path in (path for paths in options.configfile for path in paths):
            yaml_file.read(path)
        for entry in (entry for entries in options.config for entry in entries):
            check_entry(entry)
    except UserError as error:
        sys.exit(f"error: {error}")


def check_entry(entry: str) -> None:
    """Refuse an entry of --config that is no KEY=VALUE, or whose value is no YAML."""
    key, equals, value = entry.partition("=")
    if not equals:
        raise UserError(
            f"--config: found {entry!r:.60}, no KEY=VALUE; targets stand before --config: snakemake grid --config ..."
        )
    if "." in key and all(key.split(".")):
        raise UserError(
            f"--config: found {entry!r:.60}; say a key within a key as {_nested(key[:200].split('.'), value)}"
        )
    if not re.fullmatch(_KEY, key) or len(key) > LONGEST_KEY:
        raise UserError(f"--config: found {entry!r:.60}; a key is a name of the study's, such as seeds='[0, 1]'")
    if len(entry) > LONGEST:
        raise UserError(f"{key}: found {len(value):,} characters, at most {LONGEST:,} on a command line; use a file")
    if value.startswith(("[", "{")) and not _is_path(value):
        _check_yaml(key, value)
    check_levels(key, value)


def check_levels(key: str, value: str) -> None:
    """Refuse what grows without end when it is read, as far as a value is YAML: Snakemake reads it unasked."""
    level = 0
    anchors: set[str | None] = set()
    with suppress(yaml.YAMLError, UnicodeEncodeError):  # then it is text
        for event in yaml.parse(value, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.AliasEvent) and event.anchor in anchors:
                raise UserError(f"{key}: found *{event.anchor}, an alias; write the values out, or use a file")
            anchors.add(getattr(event, "anchor", None))
            level += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if level > yaml_file.DEEPEST:
                raise UserError(f"{key}: found more than {yaml_file.DEEPEST} levels; no study is so deep: write fewer")


def _check_yaml(key: str, value: str) -> None:
    """Refuse a list or mapping that is none; Snakemake would take it for text."""
    try:
        yaml_file.load(value, "")
    except UserError as error:
        problem = str(error).partition(": ")[2].partition("; ")[0]  # without a place, and without a file's mend
        raise UserError(f"--config {key}: {problem}; mend its brackets and quotes, or write it in a file") from None


def _nested(keys: list[str], value: str) -> str:
    """`a={b: {c: value}}`, in quotes for a shell."""
    nested = value if value and len(value) <= 60 else "VALUE"
    for key in reversed(keys[1:]):
        nested = f"{{{key}: {nested}}}"
    return f"--config '{keys[0]}={nested}'"


def typed_all(overrides: Mapping[str, Any], source: str) -> dict[str, Any]:
    """What Snakemake's command line gives, where below the top all is text. UserError for a key with nothing."""
    for key, value in overrides.items():
        if value is None:  # such as data=$PICTURES, unset
            raise UserError(f"{source}: {key}: found nothing; give a value, or leave {key}= out")
        if isinstance(value, str) and value.startswith(("[", "{")) and not _is_path(value):
            _check_yaml(key, value)
    return {key: _typed(value, key) for key, value in overrides.items()}


def _is_path(value: str) -> bool:
    try:
        return Path(value).exists()
    except (OSError, ValueError):
        return False


def _typed(value: Any, *path: str) -> Any:
    """Numbers, true, false and null, where they are not names of classes, groups or files."""
    if isinstance(value, dict):
        return {key: _typed(each, *path, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_typed(each, *path, "") for each in value]
    if not isinstance(value, str):
        return value
    if _NAMES & set(path):
        return None if value in ("null", "~") and path[-1] in _NAMES else value
    return _scalar(value, is_top=len(path) == 1)


def _scalar(text: str, is_top: bool) -> Any:
    """A number, truth value or null; at the top only null, as Snakemake itself reads what stands there."""
    if is_top:
        return None if text == "null" else text  # not ~, which is a home
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return text
    if value is None or isinstance(value, int | float):
        return value
    return float(text) if re.fullmatch(EXPONENT, text) else text


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
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


def unwritten(values: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `values` whose key is not written already; where both hold mappings, of the keys in these."""
    left: dict[str, Any] = {}
    for key, value in values.items():
        if key not in written:
            left[key] = value
        elif isinstance(value, dict) and isinstance(written[key], dict):
            below = unwritten(value, written[key])
            if below:
                left[key] = below
    return left


def effective(values: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """`values` without the nulls that have nothing to delete in `base`, and without what is empty then."""
    left: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            inner = base.get(key)
            below = effective(value, inner if isinstance(inner, dict) else {})
            if below or not value:
                left[key] = below
        elif value is not None or key in base:
            left[key] = value
    return left


def leaves(values: Mapping[str, Any], *path: str) -> Iterator[tuple[str, Any]]:
    """Each value with its key path."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, *path, key)
        else:
            yield ".".join([*path, key]), value


def listed(values: Mapping[str, Any]) -> str:
    """The values in a line: seeds [0, 1], data.image_size 32, figures.projection.classes left out."""
    return ", ".join(f"{path} {_shown(value)}" for path, value in leaves(values))


def _shown(value: Any) -> str:
    names: Iterable[tuple[Any, str]] = ((None, "left out"), (True, "true"), (False, "false"))
    return next((word for each, word in names if value is each), str(value))
