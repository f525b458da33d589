"""Keys of the config: what a section is, and the options that a registry's entry brings along. No torch.

A result's spec holds every field that it uses, at its value, so that a changed default is a changed spec. A plain field
is always used. `off(x)`: at x it does nothing, by definition, and is left out, so that a new option leaves old results
alone. `with_(field=...)`: it is used only beside these values of another field, which is used itself. `outside`: it
changes where things lie, how fast they go or what they are called, never what comes out, and is part of no spec.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Annotated, Any, Protocol, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    create_model,
    model_validator,
)
from pydantic.fields import FieldInfo

REQUIRED: Any = object()  # the default of what must be given
ALWAYS: Any = object()  # `off` of what always does something


@dataclass(frozen=True)
class Option:
    """A key that an entry of the registry takes.

    `type` is annotated with its range. At `off` it does nothing. In names of runs and folders a value that is not the
    default reads as `short` with the value: "w16"; `short` may instead tell the text of each value. An `axis` may be
    given as a list in a group: one run for each value.
    """

    name: str
    type: Any
    default: Any
    meaning: str
    off: Any = ALWAYS
    short: str | Mapping[Any, str] = ""
    axis: bool = False
    always_named: bool = False

    def text(self, value: Any) -> str:
        """How a value reads in a name; "" for the default."""
        if value == self.default and not self.always_named:
            return ""
        if not isinstance(self.short, str):
            return self.short.get(value, f"{self.name}{value}")
        word = self.short or self.name
        if value is True:
            return word
        return word + "-".join(map(_text, value if isinstance(value, list) else [value]))


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


Beside = dict[str, list[str]]  # fields, and the values of each beside which another is used


class Entry(Protocol):
    """A line of the registry, as far as the config reads it."""

    @property
    def options(self) -> tuple[Option, ...]:
        """The keys that it takes."""


def outside(default: Any = ..., **limits: Any) -> Any:
    """A field that no spec names: it cannot change a result."""
    return Field(default, json_schema_extra={"used": "never"}, **limits)


def off(value: Any, default: Any, with_: Beside | None = None, **limits: Any) -> Any:
    """A field that a spec names unless it has `value`, at which it does nothing; `with_` as in `beside`."""
    extra: dict[str, Any] = {"off": value}
    if with_:
        extra["used_with"] = with_
    return Field(default, json_schema_extra=extra, **limits)


def beside(with_: Beside, default: Any, **limits: Any) -> Any:
    """A field that is used only beside certain values of others: {field: values}."""
    extra: dict[str, Any] = {"used_with": with_}
    return Field(default, json_schema_extra=extra, **limits)


class Section(BaseModel):
    """A part of the config: immutable, no unknown keys, no silent conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @cached_property
    def used(self) -> dict[str, Any]:
        """The fields that a result uses, each at its value."""
        return {key: getattr(self, key) for key in type(self).model_fields if _is_used(self, key)}

    def model_copy(self, **options: Any) -> Self:
        """A copy, which has uses of its own."""
        copy = super().model_copy(**options)
        copy.__dict__.pop("used", None)
        return copy

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        """Refuse an option of another entry than the one chosen, and the lack of one that it needs."""
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            for selector, entries in _selectors(self, name):
                chosen = getattr(self, selector)
                if chosen not in entries and name in self.model_fields_set and value != field.default:
                    raise ValueError(
                        f"{name} is for {selector} {', '.join(entries)}; {selector} is {chosen} here: leave {name} out"
                    )
            if value is None and _extra(field).get("must_be_given") and _applies(self, name):
                raise ValueError(f"{name} is missing; {selector} {chosen} needs it")  # the last: its own
        return self


def spec(section: Section) -> dict[str, Any]:
    """The fields of a section that a result uses, each at its value."""
    return dict(section.used)


S = TypeVar("S", bound=Section)
T = TypeVar("T")


def with_options(
    section: type[S],
    selectors: Mapping[str, Mapping[str, Entry]],
    axes: bool = False,
) -> type[S]:
    """`section` with a field for each option: those of `selectors` are used beside the entries that take them.

    `selectors` names, for a field of the section that chooses an entry, the entries.
    With `axes` an option that is an axis takes a list of values.
    """
    fields: dict[str, Any] = {}
    for selector, entries in selectors.items():
        by_name: dict[str, tuple[Option, list[str]]] = {}
        for entry_name, entry in entries.items():
            for option in entry.options:
                known, names = by_name.setdefault(option.name, (option, []))
                if known != option or option.name in section.model_fields:
                    raise ValueError(f"registry: two different options are called {option.name}")
                names.append(entry_name)
        fields |= {name: _field(option, selector, names, axes) for name, (option, names) in by_name.items()}
    name = section.__name__.removesuffix("Fields")
    return create_model(name, __base__=section, __doc__=section.__doc__, __module__=section.__module__, **fields)


def _field(option: Option, selector: str, entries: Iterable[str], axes: bool) -> Any:
    """The type and the field of an option."""
    extra: dict[str, Any] = {"used_with": {selector: list(entries)}}
    if option.off is not ALWAYS:
        extra["off"] = option.off
    required = option.default is REQUIRED
    if required:
        extra["must_be_given"] = True
    kind = Axis[option.type] if axes and option.axis else option.type  # type: ignore[name-defined]
    default = [option.default] if axes and option.axis else option.default
    if required:
        kind, default = kind | None, None
    return (kind, Field(default, description=option.meaning, json_schema_extra=extra))


def _extra(field: FieldInfo) -> dict[str, Any]:
    extra: Any = field.json_schema_extra
    return extra if isinstance(extra, dict) else {}


def _selectors(section: Section, key: str) -> Iterator[tuple[str, list[str]]]:
    """The fields beside which `key` is used, with the values that they must have; those behind them first."""
    for selector, entries in _extra(type(section).model_fields[key]).get("used_with", {}).items():
        yield from _selectors(section, selector)
        yield selector, entries


def _applies(section: Section, key: str) -> bool:
    return all(getattr(section, selector) in entries for selector, entries in _selectors(section, key))


def _is_used(section: Section, key: str) -> bool:
    extra = _extra(type(section).model_fields[key])
    if extra.get("used") == "never" or not _applies(section, key):
        return False
    return "off" not in extra or getattr(section, key) != extra["off"]


def one_of(what: str, entries: Mapping[str, Any]) -> Any:
    """The type of a field that names an entry of the registry."""

    def known(name: str) -> str:
        if name not in entries:
            raise ValueError(f"no such {what}; {nearest(name, entries)}")
        return name

    return Annotated[str, AfterValidator(known), WithJsonSchema({"type": "string", "enum": sorted(entries)})]


def nearest(name: str, names: Iterable[str]) -> str:
    """What is allowed, and what was probably meant."""
    listed = sorted(names)
    near = get_close_matches(name, listed, 1)
    return f"allowed: {', '.join(listed)}" + (f"; did you mean {near[0]}?" if near else "")


def _sorted_unique(values: list[Any]) -> list[Any]:
    if len(set(values)) != len(values):
        raise ValueError("a value stands twice in this list; name each once")
    return sorted(values, key=lambda value: (value is not None, value))


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) or value is None else [value]


def _ascending(values: list[Any]) -> list[Any]:
    if values != sorted(set(values)):
        raise ValueError("these must ascend, each once")
    return values


def _language(code: str) -> str:
    if not (code.isascii() and code.islower() and code.isalpha() and len(code) in (2, 3)):
        raise ValueError("a language must be two or three small letters, such as en")
    return code


def _operations_and_magnitude(value: list[int]) -> list[int]:
    if value and not (len(value) == 2 and 1 <= value[0] <= 14 and 0 <= value[1] <= 30):
        raise ValueError("two whole numbers are needed: operations 1 to 14, magnitude 0 to 30, such as [2, 9]")
    return value


def _areas_and_ratios(limits: list[float]) -> list[float]:
    if limits and not (len(limits) == 4 and 0 < limits[0] <= limits[1] <= 1 and 0.01 <= limits[2] <= limits[3] <= 100):
        raise ValueError(
            "four numbers are needed: least and most share of the area, above 0 and up to 1, least and most ratio of "
            "width to height, 0.01 to 100, such as [0.08, 1, 0.75, 1.3333]"
        )
    return limits


def _slug(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}", name):
        raise ValueError("a name is 1 to 64 of A-Z a-z 0-9 _ . + -, starting with a letter or digit")
    return name


Name = Annotated[str, AfterValidator(_slug)]
Axis = Annotated[list[T], BeforeValidator(_as_list), Field(min_length=1), AfterValidator(_sorted_unique)]
Ascending = Annotated[list[T], AfterValidator(_ascending)]
Language = Annotated[str, AfterValidator(_language)]
OperationsAndMagnitude = Annotated[list[int], AfterValidator(_operations_and_magnitude)]
AreasAndRatios = Annotated[list[float], AfterValidator(_areas_and_ratios)]
Smoothing = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Temperature = Annotated[float, Field(gt=0, le=1e4, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
