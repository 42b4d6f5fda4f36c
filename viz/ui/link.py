"""Choices as a link's parameters: each field of a page's dataclass declares its default and what a parameter may hold.

From that alone follow the reading of a link, its spelling, and the notes on refused values. Nothing here needs Streamlit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, replace
from typing import Any, Self

Rule = Callable[[str], Any]  # a parameter's text -> the value, or None where it is no such thing
REFUSED = "The link's {name} isn't valid here; using the default."


@dataclass(frozen=True)
class Choice:
    """How one field is declared: see `choice`."""

    default: Any
    rule: Rule | None
    name: str
    parameter: str
    always: bool
    refused: str
    spell: Callable[[Any], str]
    when: Callable[[Any], bool]

    def in_link(self, value: Any, choices: Choices) -> bool:
        """Whether a link states the value: it can be read back, it means something beside the others, it is not the default."""
        stated = self.always or value != self.default
        return self.rule is not None and value is not None and stated and self.when(choices)


def spelled(value: object) -> str:
    """A value as a link has it: tuples with points, True as 1."""
    if isinstance(value, tuple):
        return ".".join(map(spelled, value))
    if isinstance(value, float):
        return f"{value:g}"
    return {True: "1", False: "0"}[value] if isinstance(value, bool) else str(value)


def choice(
    default: Any = MISSING, rule: Rule | None = str, *, name: str = "", parameter: str = "", always: bool = False,
    refused: str = REFUSED, spell: Callable[[Any], str] = spelled, when: Callable[[Any], bool] = lambda choices: True,
) -> Any:  # fmt: skip
    """A field of a `Choices` dataclass.

    rule: reads a parameter's text; None for a field that is in no link. name: what people call the field, where that is
    not its name. parameter: what a link calls it, likewise. always: a link states it even at its default. refused: the
    note on a value that the rule refuses, with {name} in it. spell: the rule's opposite. when: whether the field means
    anything, given all choices; a link leaves it out where it does not.
    """
    declared = Choice(default, rule, name, parameter, always or default is MISSING, refused, spell, when)
    return field(default=default, metadata={"choice": declared})


def declared(kind: type[Choices]) -> dict[str, Choice]:
    """Field -> how it is declared; a subclass that narrows a field's type need not declare it again."""
    classes = [each for each in reversed(kind.__mro__) if hasattr(each, "__dataclass_fields__")]
    every = [(name, each) for base in classes for name, each in base.__dataclass_fields__.items()]
    return {name: each.metadata["choice"] for name, each in every if "choice" in each.metadata}


@dataclass(frozen=True)
class Choices:
    """What a visitor has chosen on one page: the base of a frozen dataclass whose fields are declared with `choice`."""

    @classmethod
    def parse(cls, link: Mapping[str, str], start: Self) -> tuple[Self, list[str]]:
        """`start` with the fields that a link's parameters state, and a note for each value that is refused."""
        stated = [(name, each, link[at]) for name, each, at in _parameters(cls) if at in link]
        read = [(name, each, each.rule(text)) for name, each, text in stated if each.rule]
        notes = [each.refused.format(name=each.name or _called(name)) for name, each, value in read if value is None]
        return replace(start, **{name: value for name, _, value in read if value is not None}), notes

    def link(self) -> dict[str, str]:
        """The parameters of the address bar."""
        fields = ((at, each, getattr(self, name)) for name, each, at in _parameters(type(self)))
        return {at: each.spell(value) for at, each, value in fields if each.in_link(value, self)}


def _parameters(kind: type[Choices]) -> list[tuple[str, Choice, str]]:
    """Field, declaration, and what a link calls it."""
    return [(name, each, each.parameter or name) for name, each in declared(kind).items() if each.rule]


def _called(name: str) -> str:
    """A field in words; before the first underscore stands its section.

    >>> _called("layer"), _called("own_kv_heads")
    ('layer', 'kv heads')
    """
    return (name.partition("_")[2] or name).replace("_", " ")


def partial_link(kind: type[Choices], fields: Mapping[str, object]) -> dict[str, str]:
    """A link that states these fields and leaves the others to the page. Raises ValueError for one that no link can state."""
    parameters = {name: (each, at) for name, each, at in _parameters(kind)}
    link = {}
    for name, value in fields.items():
        each, at = parameters.get(name, (None, ""))
        link[at] = "" if each is None else each.spell(value)
        if each is None or each.rule is None or each.rule(link[at]) != value:
            raise ValueError(f"no link to this page can state {name}={value!r}")
    return link


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


def switch(value: str) -> bool:
    """On at 1, off at anything else."""
    return value == "1"


def several(rule: Rule, most: int) -> Rule:
    """At most `most` different values with points between them, each as `rule` has it; none for an empty text."""

    def values(value: str) -> tuple[Any, ...] | None:
        found = [rule(part) for part in value.split(".")[: most + 1]] if value else []
        good = None not in found and len(set(found)) == len(found) <= most
        return tuple(found) if good else None

    return values
