"""What is on the page "Watch it think", and what each choice may be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from headlight.core.examples import examples
from headlight.core.registry import SIBLINGS
from headlight.viz import store
from headlight.viz.ui.link import Choices, choice, whole
from headlight.viz.ui.state import PageState, carried_text

MAX_NEW = 128  # new tokens at most
MAX_TEMPERATURE = 2.0
MAX_SEED = 999_999


def _number(default: int | None, most: int, **more: Any) -> Any:
    refused = f"The link's {{name}} isn't a whole number from 0 to {most:,}; using the default."
    return choice(default, whole(0, most), refused=refused, **more)


def _temperature(value: str) -> float | None:
    try:
        number = float(value) if len(value) < 10 else math.nan
    except ValueError:
        return None
    return round(number, 2) if 0 <= number <= MAX_TEMPERATURE else None


@dataclass(frozen=True)
class WatchChoices(Choices):
    """text: what is continued; model; count: tokens written so far; layer, head: the row that is shown, None: chosen by the
    page; temperature (0: the likeliest token) and seed of the choice."""

    text: str = choice()
    model: str = choice()
    count: int = _number(0, MAX_NEW, always=True)
    layer: int | None = _number(None, 10_000)
    head: int | None = _number(None, 10_000)
    temperature: float = choice(
        0.0, _temperature, refused=f"The link's temperature isn't a number from 0 to {MAX_TEMPERATURE:g}; it is 0 here."
    )
    seed: int = _number(0, MAX_SEED, always=True, when=lambda choices: choices.temperature > 0)


def decoders() -> list[str]:
    """Models with a language-model head, the siblings first (they are quick)."""
    rows = store.engine().rows
    ordered = sorted(
        (n for n, row in rows.items() if row.causal),
        key=lambda n: (n not in SIBLINGS, rows[n].position != "rope"),
    )
    return [name for name in ordered if rows[name].installed]


def _start() -> WatchChoices:
    """Where the page begins: the sentence of the page before, and the first decoder."""
    return WatchChoices(text=carried_text(examples()[0].text), model=next(iter(decoders()), ""))


state = PageState("watch", WatchChoices, _start)
