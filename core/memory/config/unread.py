"""Fields that might matter for a cache and were not understood, at all levels of a file: each is named, none passed over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from headlight.core.memory.config.cache_precision import ASKING
from headlight.core.memory.config.fields import Fields, Filled
from headlight.core.memory.config.meanings import OTHER_PARTS, STRONG, WORDS, needless

MOST, LONGEST, DEEPEST = 12, 60, 6


def unread(top: Fields, fields: Fields) -> tuple[str, ...]:
    """Names as they stand in the file, with the objects they lie in ("attn_config.attn_type"), those of the text's part without
    it; the first twelve. top: the whole file; fields: its part about text, or all of it.
    """
    names = (
        name
        for source in (fields, *([] if top.objects is fields.objects else [top]))
        for name in _inner(source, fields)
    )
    return tuple(islice(dict.fromkeys(names), MOST))


def _inner(fields: Fields, text: Fields, where: str = "", depth: int = 0) -> Iterator[str]:
    """What is not understood in one object and in the objects inside it, but for the text's part, which is looked at apart."""
    filled = fields.filled if isinstance(fields, Filled) else ()
    for name, value in fields.values.items():
        if value in (None, False, [], {}, "") or name in filled or name in ASKING:
            continue
        short = name[:LONGEST]
        if not isinstance(value, dict):
            if name not in fields.read and might_matter(short):
                yield f"{where}{short}"[:LONGEST]
        elif depth < DEEPEST and not _elsewhere(short) and (name not in fields.read or name in fields.objects):
            inner = fields.objects.get(name) or Fields(value)
            if inner.objects is not text.objects:
                yield from _inner(inner, text, f"{where}{short}.", depth + 1)


def _elsewhere(name: str) -> bool:
    """Whether an object is about something else: pictures, sounds, weights, rotations."""
    return any(word in OTHER_PARTS for word in words(name)) or needless(name)


def might_matter(name: str) -> bool:
    """Whether a field of that name might change what is kept, and the table does not say that it does not.

    >>> might_matter("kv_pool_heads"), might_matter("attention_dropout"), might_matter("hidden_act")
    (True, False, False)
    """
    said = set(words(name))
    if said & OTHER_PARTS or needless(name):
        return False
    return bool(said & (STRONG | WORDS))


def words(name: str) -> list[str]:
    """The words of a field's name, in lower case and without a plural's s.

    >>> words("num_kvHeads")
    ['num', 'kv', 'head']
    """
    split = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower())
    return [word.removesuffix("s") if len(word) > 3 and not word.endswith("ss") else word for word in split]
