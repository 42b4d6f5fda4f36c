"""What is on the page "Watch it think", to and from a link."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

MAX_NEW = 128  # new tokens at most
MAX_TEMPERATURE = 2.0
_LIMITS = {"count": (0, MAX_NEW), "layer": (0, 10_000), "head": (0, 10_000), "seed": (0, 999_999)}


@dataclass(frozen=True)
class WatchChoices:
    """text: what is continued; model; count: tokens written so far; layer, head: the row that is shown, None: chosen by the
    page; temperature (0: the likeliest token) and seed of the choice."""

    text: str
    model: str
    count: int = 0
    layer: int | None = None
    head: int | None = None
    temperature: float = 0.0
    seed: int = 0


def to_link(choices: WatchChoices) -> dict[str, str]:
    """The parameters of the address bar; what is at its default is left out."""
    link = {"text": choices.text, "model": choices.model, "count": str(choices.count)}
    link |= {name: str(getattr(choices, name)) for name in ("layer", "head") if getattr(choices, name) is not None}
    if choices.temperature:
        link |= {"temperature": f"{choices.temperature:g}", "seed": str(choices.seed)}
    return link


def from_link(params: Mapping[str, str], fallback: WatchChoices) -> tuple[WatchChoices, list[str]]:
    """The choices that a link asks for, and a note for each value that is no such thing."""
    notes: list[str] = []
    changes: dict[str, object] = {name: params[name] for name in ("text", "model") if name in params}
    for name, (low, high) in _LIMITS.items():
        if name in params:
            number = _integer(params[name], low, high)
            if number is None:
                notes.append(f"The link's {name} is no whole number from {low} to {high:,}, so it was chosen for you.")
            else:
                changes[name] = number
    if "temperature" in params:
        temperature = _temperature(params["temperature"])
        if temperature is None:
            notes.append(f"The link's temperature is no number from 0 to {MAX_TEMPERATURE:g}; it is 0 here.")
        else:
            changes["temperature"] = temperature
    return replace(fallback, **changes), notes  # type: ignore[arg-type]  # names and types are those of WatchChoices


def _integer(value: str, low: int, high: int) -> int | None:
    if not (value.isascii() and value.isdecimal() and len(value) < 10):
        return None
    return int(value) if low <= int(value) <= high else None


def _temperature(value: str) -> float | None:
    try:
        number = float(value) if len(value) < 10 else math.nan
    except ValueError:
        return None
    return round(number, 2) if 0 <= number <= MAX_TEMPERATURE else None
