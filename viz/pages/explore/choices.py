"""What a person is looking at on Explore, settled to what exists."""

from __future__ import annotations

from dataclasses import dataclass, replace

from headlight.core.analysis.head_scores import MEASURES
from headlight.core.examples import examples
from headlight.core.types import Tokens
from headlight.viz import store
from headlight.viz.ui import link
from headlight.viz.ui.link import choice
from headlight.viz.ui.state import PageState, carried_text

SINKS = (
    "Many heads put most of their weight on the first token (an “attention sink”), which leaves the rest pale. This changes "
    "the colours only, never a number."
)
NO_NUMBER = "The link's {name} isn't a number; using the default."


def integer(value: str) -> int | None:
    """A whole number, below 0 too, in ASCII digits; whether there is such a layer or token is known once the model is."""
    digits = value.strip().removeprefix("-")
    return int(value.strip()) if digits.isascii() and digits.isdecimal() and len(digits) <= 9 else None


@dataclass(frozen=True)
class Choices(link.Choices):
    """What a visitor has chosen; None is a choice not made yet, which the page makes well.

    text, model, layer, head; query and key: the tokens of the picked cell; skip_first: the first token is left out of
    the colour scale; measure and everyone: what heads are ranked by, for the query or averaged over all tokens.
    """

    text: str = choice()
    model: str = choice()
    layer: int | None = choice(None, integer, refused=NO_NUMBER)
    head: int | None = choice(None, integer, refused=NO_NUMBER)
    query: int | None = choice(None, integer, refused=NO_NUMBER)
    key: int | None = choice(None, integer, refused=NO_NUMBER)
    skip_first: bool = choice(False, link.switch)
    measure: str = choice(
        "weight", link.among(MEASURES), always=True,
        refused=f"The link's measure is unknown; heads are ranked by {MEASURES['weight'].title}.",
    )  # fmt: skip
    everyone: bool = choice(False, link.switch)


@dataclass(frozen=True)
class View(Choices):
    """What is on screen: every choice made, and every one possible."""

    layer: int = 0
    head: int = 0
    query: int = 0
    key: int = 0


def installed_models() -> list[str]:
    """Names of the models on this machine."""
    return [name for name, row in store.engine().rows.items() if row.installed]


def _start() -> Choices:
    """Where the page begins: the sentence of the page before, and the first model."""
    names = installed_models()
    return Choices(text=carried_text(examples()[0].text), model=names[0] if names else "")


state = PageState("explore", Choices, _start, prefix="")


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
