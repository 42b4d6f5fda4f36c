"""A config.json as text, checked before it is believed: its size, its depth, that it is one JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from headlight.core.errors import InputError

MAX_BYTES = (
    4 * 2**20
)  # as `settings.Uploads` has it, where nobody says otherwise; published ones have some hundred kilobytes
MAX_DEPTH = 24


def parse(text: str | bytes, most: int = MAX_BYTES) -> dict[str, Any]:
    """The object that the text holds; raises InputError, in one sentence, for what is no config.json.

    >>> parse('{"num_hidden_layers": 4}')
    {'num_hidden_layers': 4}
    """
    size = len(text)
    if size > most:
        raise InputError(f"a config.json has some kilobytes; this has {size:,} bytes, and {most:,} are the limit")
    try:
        values = json.loads(text.decode("utf-8-sig") if isinstance(text, bytes) else text.lstrip("\ufeff"))
    except RecursionError:
        raise InputError(f"this is nested more than {MAX_DEPTH} deep, which no config.json is") from None
    except UnicodeDecodeError:
        raise InputError("this is no text in UTF-8, so no config.json") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InputError(f"this is not JSON: {error.msg[:1].lower()}{error.msg[1:]} at {where}") from None
    except ValueError:  # a number of more digits than Python turns into an int
        raise InputError("this holds a number of thousands of digits, which no config.json does") from None
    if not isinstance(values, dict):
        raise InputError("a config.json is one object, from { to }, with names and values")
    if max((depth for depth, _ in _inner(values)), default=0) > MAX_DEPTH:
        raise InputError(f"this is nested more than {MAX_DEPTH} deep, which no config.json is")
    return values


def _inner(values: Mapping[str, Any]) -> Iterator[tuple[int, object]]:
    """Everything inside, with its depth; without recursion, as it may be nested deeply."""
    left: list[tuple[int, Any]] = [(1, values)]
    while left:
        depth, value = left.pop()
        yield depth, value
        if depth <= MAX_DEPTH and isinstance(value, dict | list):
            left += [(depth + 1, item) for item in (value.values() if isinstance(value, dict) else value)]
