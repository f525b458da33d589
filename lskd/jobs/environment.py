"""Whether the runs behind a figure were made alike: what moves numbers by rounding is told where it differs."""

from collections.abc import Iterable


def mixed(environments: Iterable[dict[str, list[str]]]) -> str:
    """What a caption and a verdict say where runs mix devices, precisions, versions and the like; else "".

    Each environment names the values that a record's `made_on` gathered.
    """
    values: dict[str, set[str]] = {}
    for environment in environments:
        for name, each in environment.items():
            values.setdefault(name, set()).update(each)
    parts = [f"{name} {' and '.join(sorted(each))}" for name, each in sorted(values.items()) if len(each) > 1]
    return f"These runs mix {'; '.join(parts)}." if parts else ""
