"""Numbers as people, links and files give them, checked at the door: whole, positive, of a sensible size."""

from __future__ import annotations

import math

from headlight.core.errors import ConfigError

MAX_LAYERS = 10_000
MAX_HEADS = 10_000
MAX_WIDTH = 1_000_000  # of a head, a latent, a window's token count has its own limit
MAX_TOKENS = 100_000_000  # ten times the longest context published so far
MAX_BATCH = 1_000_000
MAX_PARAMETERS = 10**15
MAX_BYTES = 10**18


def whole(name: str, value: object, most: int, least: int = 1) -> int:
    """`value` as an int from `least` to `most`; raises ConfigError with the name, the value and the limits.

    >>> whole("n_layers", 32, MAX_LAYERS), whole("n_layers", 32.0, MAX_LAYERS)
    (32, 32)
    """
    number = value if isinstance(value, int) and not isinstance(value, bool) else None
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        number = int(value)
    if number is None or not least <= number <= most:
        raise ConfigError(f"{name} ({told(value)}) must be a whole number from {least:,} to {most:,}")
    return number


def positive(name: str, value: object, most: float) -> float:
    """`value` as a positive, finite float up to `most`; raises ConfigError with the name, the value and the limit."""
    number = (
        float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value <= most else math.nan
    )
    if not 0 < number <= most:
        raise ConfigError(f"{name} ({told(value)}) must be a number above 0 and at most {most:,.0f}")
    return number


def told(value: object) -> str:
    """A value as a sentence may hold it: short, on one line."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,}" if isinstance(value, float) or abs(value) < 10**21 else "a number of more than 20 digits"
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    text = " ".join(str(value)[:200].split())
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
