"""Whether the runs behind a figure were made alike: what moves numbers by rounding is told where it differs."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lskd.jobs.work import Work

Values = dict[str, list[str]]  # name -> its different values, sorted


def gathered(work: "Work", inputs: Iterable[dict[str, Any]]) -> Values:
    """The environments that a job was made in, with those in the records of what it reads: what a record tells."""
    own = [{name: [value] for name, value in each.items()} for each in (work.environment, *work.begun_on)]
    return merged([*own, *(above["made_on"] for above in inputs)])


def merged(parts: Iterable[Values]) -> Values:
    """All values of each name."""
    values: dict[str, set[str]] = {}
    for part in parts:
        for name, each in part.items():
            values.setdefault(name, set()).update(each)
    return {name: sorted(each) for name, each in sorted(values.items())}


def mixed(environments: Iterable[dict[str, list[str]]]) -> str:
    """What a caption and a verdict say where runs mix devices, precisions, versions and the like; else "".

    Each environment names the values that a record's `made_on` gathered.
    """
    parts = [f"{name} {' and '.join(each)}" for name, each in merged(environments).items() if len(each) > 1]
    return f"These runs mix {'; '.join(parts)}." if parts else ""
