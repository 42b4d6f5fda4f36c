"""What a person is looking at, as one value: read from a link, settled to what exists, written back to a link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from headlight.core.analysis.head_scores import MEASURES
from headlight.core.types import Tokens


@dataclass(frozen=True)
class Choices:
    """What a visitor has chosen; None is a choice not made yet, which the page makes well.

    text, model, layer, head; query and key: the tokens of the picked cell; skip_first: the first token is left out of
    the colour scale; measure and everyone: what heads are ranked by, for the query or averaged over all tokens.
    """

    text: str
    model: str
    layer: int | None = None
    head: int | None = None
    query: int | None = None
    key: int | None = None
    skip_first: bool = False
    measure: str = "weight"
    everyone: bool = False


@dataclass(frozen=True)
class View(Choices):
    """What is on screen: every choice made, and every one possible."""

    layer: int
    head: int
    query: int
    key: int


_NUMBERS = ("layer", "head", "query", "key")
_SWITCHES = ("skip_first", "everyone")


def to_link(view: Choices) -> dict[str, str]:
    """The parameters of the address bar; switches that are off are left out."""
    words = {"text": view.text, "model": view.model, "measure": view.measure}
    numbers = {name: str(getattr(view, name)) for name in _NUMBERS if getattr(view, name) is not None}
    switches = {name: "1" for name in _SWITCHES if getattr(view, name)}
    return words | numbers | switches


def from_link(params: Mapping[str, str], fallback: Choices) -> tuple[Choices, list[str]]:
    """The view that a link asks for, gaps filled from `fallback`, and a note for each value that is no such thing.

    Only shapes are checked here; whether a layer exists is known once the model is (`settle`).
    """
    notes: list[str] = []
    changes: dict[str, object] = {name: params[name] for name in ("text", "model") if name in params}
    for name in _NUMBERS:
        number = _integer(params.get(name, ""))
        if number is None and name in params:
            notes.append(f"The link's {name} is not a number, so it was chosen for you.")
        changes[name] = number
    if params.get("measure", fallback.measure) in MEASURES:
        changes["measure"] = params.get("measure", fallback.measure)
    else:
        notes.append(f"The link's measure is unknown; heads are ranked by {MEASURES[fallback.measure].title}.")
    changes |= {name: params.get(name) == "1" for name in _SWITCHES}
    return replace(fallback, **changes), notes  # type: ignore[arg-type]  # names and types are those of Choices


def _integer(value: str) -> int | None:
    digits = value.strip().removeprefix("-")
    return int(value.strip()) if digits.isascii() and digits.isdecimal() and len(digits) <= 9 else None


def settle(view: Choices, *, n_layers: int, n_heads: int, length: int, causal: bool) -> tuple[Choices, list[str]]:
    """The nearest layer, head and tokens that exist and may look at each other, with a note on each change.

    Choices not made (None) stay so.
    """
    notes: list[str] = []
    layer = _nearest(view.layer, n_layers, "Layer", notes)
    head = _nearest(view.head, n_heads, "Head", notes)
    query = _nearest(view.query, length, "Token", notes)
    key = _nearest(view.key, length, "Token", notes)
    if causal and key is not None and query is not None and key > query:
        notes.append(f"Token {query} cannot see token {key}, which comes later; showing what it sees of itself.")
        key = query
    return replace(view, layer=layer, head=head, query=query, key=key), notes


def _nearest(value: int | None, count: int, what: str, notes: list[str]) -> int | None:
    if value is None or 0 <= value < count:
        return value
    nearest = min(max(value, 0), count - 1)
    notes.append(
        f"{what} {value} does not exist ({what.lower()}s 0 to {count - 1} do); showing {what.lower()} {nearest}."
    )
    return nearest


def follow(index: int, old: Tokens, new: Tokens) -> int:
    """Where the token `index` of `old` is in `new`: by its place counted from the start or, after an edit, from the end.

    With another tokenizer or no common part, the token that holds the same character.
    """
    index = min(index, len(old) - 1)
    if old.pieces[: index + 1] == new.pieces[: index + 1]:
        return index
    tail = len(old) - index
    if old.pieces[-tail:] == new.pieces[-tail:]:
        return len(new) - tail
    if old.special[index]:
        return 0 if index == 0 else len(new) - 1
    start = old.spans[index][0] + (len(old.pieces[index]) - len(old.pieces[index].lstrip()))
    return next((i for i, (s, e) in enumerate(new.spans) if s <= start < e), len(new) - 1)
