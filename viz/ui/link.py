"""Choices spelled as a link's parameters and read back: a rule a field says what a value may be, and a note what was none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

C = TypeVar("C", bound="DataclassInstance")
Rule = Callable[[str], Any]  # a parameter's text -> the value, or None where it is no such thing


def whole(low: int, high: int) -> Rule:
    """A whole number from low to high, in ASCII digits."""

    def rule(value: str) -> int | None:
        digits = value.strip()
        number = int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= 9 else None
        return number if number is not None and low <= number <= high else None

    return rule


def among(options: Iterable[Any]) -> Rule:
    """One of a few values, by how it is spelled."""
    table = {spelled(option): option for option in options}
    return lambda value: table.get(value)


def several(rule: Rule, most: int) -> Rule:
    """At most `most` different values with points between them, each as `rule` has it; none for an empty text."""

    def values(value: str) -> tuple[Any, ...] | None:
        found = [rule(part) for part in value.split(".")[: most + 1]] if value else []
        good = None not in found and len(set(found)) == len(found) <= most
        return tuple(found) if good else None

    return values


def spelled(value: object) -> str:
    """A value as a link has it: tuples with points, True as 1."""
    if isinstance(value, tuple):
        return ".".join(map(spelled, value))
    return {True: "1", False: "0"}[value] if isinstance(value, bool) else str(value)


def changed(choices: DataclassInstance, plain: DataclassInstance) -> dict[str, str]:
    """The parameters of the fields in which two choices differ; one that is None now is left out."""
    now = {field.name: getattr(choices, field.name) for field in fields(choices)}
    return {name: spelled(v) for name, v in now.items() if v is not None and v != getattr(plain, name)}


def read(
    params: Mapping[str, str], rules: Mapping[str, Rule], fallback: C, names: Mapping[str, str]
) -> tuple[C, list[str]]:
    """`fallback` with the fields that the parameters name, and a note for each value that is no such thing.

    names: what people call a field, where it is not its name.
    """
    found = {name: rule(params[name]) for name, rule in rules.items() if name in params}
    notes = [
        f"The link's {names.get(name, name)} is none that can be shown; it was chosen for you."
        for name, value in found.items()
        if value is None
    ]
    return replace(fallback, **{name: value for name, value in found.items() if value is not None}), notes
