"""The values of `--config`, as Snakemake reads them and lays them over a config file."""

import contextlib
import re
from collections.abc import Iterable
from typing import Any

import yaml

from lskd.errors import UserError
from lskd.study.overrides import check_levels


def laid_over(base: Any, over: dict[str, Any]) -> dict[str, Any]:
    """As Snakemake lays one config over another: mappings merge, anything else replaces."""
    merged = dict(base) if isinstance(base, dict) else {}
    for key, value in over.items():
        merged[key] = laid_over(merged.get(key, {}), value) if isinstance(value, dict) else value
    return merged


def read_overrides(entries: Iterable[str]) -> dict[str, Any]:
    """`key=value ...` as Snakemake reads them: numbers, True, False, YAML whose leaves are text, else text."""
    overrides: dict[str, Any] = {}
    for entry in entries:
        key, equals, value = entry.partition("=")
        if not equals or not re.match(r"[a-zA-Z_][\w-]*\w$", key):
            raise UserError(f"--config: found {entry!r}, key=value is needed; targets stand before --config")
        check_levels(key, value)
        value = value.strip("'\"")
        overrides = laid_over(overrides, {key: _value(value) if value else None})
    return overrides


def _value(text: str) -> Any:
    for number in (int, float):
        with contextlib.suppress(ValueError):
            return number(text)
    if text in ("True", "False"):
        return text == "True"
    try:
        value = yaml.load(text, Loader=yaml.BaseLoader)  # it makes nothing but text
    except yaml.YAMLError:
        return text
    return text if value is None else value
