"""Texts, numbers, links, files and settings that no kind visitor sends."""

from __future__ import annotations

import json
import os
import random
from typing import Any

TIMES = int(os.environ.get("HEADLIGHT_HOSTILE", "1"))
# Each holds EVIL, so that a page that let it through as markup can be told.
EVIL = "3v1l"
MARKUP = (
    f"<img src=x onerror=alert('{EVIL}')>", f"<script>alert('{EVIL}')</script>", f"[{EVIL}](javascript:alert(1))",
    f"![{EVIL}](http://127.0.0.1:9/{EVIL}.png)", f"<a href='http://{EVIL}.example'>{EVIL}</a>", f"<b>{EVIL}</b>",
    f"$\\href{{javascript:alert(1)}}{{{EVIL}}}$", f"`{EVIL}`", f":red[{EVIL}]", f"<iframe srcdoc='{EVIL}'></iframe>",
    f"%{{y}}<extra>{EVIL}</extra>", f"</style><svg onload=alert('{EVIL}')>", f"# {EVIL}", f"|{EVIL}|{EVIL}|\n|-|-|",
)  # fmt: skip
ODD = (
    "", " ", "\n", "\t\r\n", "\x00", "\x1b[31m", "\x7f", "\u200b", "\u202eevil", "\ufeff", "\ud800", "\udfff\ud83d", "\uffff",
    "👩‍👩‍👧‍👦", "🏳️‍🌈", "e\u0301\u0323" * 9, "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢", "ﷺ" * 5, "שלום", "日本語のテキスト", "ß", "ﬃ", "½²",
    "\U0010ffff", "..", "../../etc/passwd", "/dev/zero", "C:\\con", "%00", "%2e%2e%2f", "'; DROP TABLE x; --", "${7*7}",
    "{{7*7}}", "{0.__class__}", "%s%n", "nan", "inf", "-inf", "None", "null", "true", "[]", "{}", "[CLS]", "[MASK]",
    "<|endoftext|>", "<|im_start|>", "##", "Ġ", "▁",
)  # fmt: skip
NUMBERS = (
    "0", "-1", "1", "-0", "00", "1e9", "1.5", "999999999", "1000000000", "-999999999", "9" * 400, "0x10", "１２", "²", "٣",
    "+3", " 7 ", "1_000", "1,000", "NaN", "inf", "3.", ".5", "--1", "2147483648", "18446744073709551616",
)  # fmt: skip


def sendable(words: str) -> str:
    """The words as an address or a message can carry them: without lone surrogates, which no UTF-8 has."""
    return words.encode("utf-8", "replace").decode()


def text(rng: random.Random, most: int = 60) -> str:
    """A few pieces of all kinds one after the other, now and then many."""
    kinds = (MARKUP, ODD, NUMBERS, ("a word", "the animal ", "it was "))
    pieces = [rng.choice(rng.choice(kinds)) for _ in range(rng.choice((1, 1, 2, 3, 5)))]
    if rng.random() < 0.2:
        pieces.append(
            "".join(chr(rng.choice((rng.randrange(256), rng.randrange(0x110000)))) for _ in range(rng.randrange(9)))
        )
    if rng.random() < 0.02:
        pieces.append(rng.choice(("a", "é", "🏳️‍🌈", " ", "<b>", "\x00")) * rng.choice((500, 5_000, 25_000)))
    return "".join(pieces)


def value(rng: random.Random, fitting: list[str]) -> str:
    """Of one parameter: near what is expected, a number, or anything."""
    kind = rng.random()
    if kind < 0.3 and fitting:
        return rng.choice(fitting)
    if kind < 0.4:
        return ".".join(rng.choice(NUMBERS) for _ in range(rng.randrange(1, 9)))
    if kind < 0.7:
        return rng.choice(NUMBERS)
    return text(rng)


def link(rng: random.Random, names: list[str], fitting: list[str]) -> dict[str, str]:
    """Parameters of a page: some of its own, some of no page."""
    some = rng.sample(names, rng.randrange(min(len(names), 8) + 1))
    found = {name: value(rng, fitting) for name in some}
    if rng.random() < 0.3:
        found[text(rng)[:50]] = text(rng)
    return found


def nested(rng: random.Random, depth: int = 0) -> Any:
    """A JSON value of any kind, sometimes deep."""
    kind = rng.randrange(9 if depth < 5 else 6)
    if kind == 0:
        return rng.choice((0, -1, 1, 2**31, 2**63, 10**30, -(10**12), 3, 7, 64, 4096))
    if kind == 1:
        return rng.choice((1.5, -0.0, 1e308, float("nan"), float("inf"), 1e-320))
    if kind in (2, 3):
        return rng.choice((text(rng)[:200], "llama", "full_attention", "sliding_attention", "bfloat16"))
    if kind in (4, 5):
        return rng.choice((None, True, False))
    if kind == 6:
        return [nested(rng, depth + 1) for _ in range(rng.randrange(5))]
    if kind == 7:
        return {text(rng)[:30]: nested(rng, depth + 1) for _ in range(rng.randrange(4))}
    return [[]] * rng.choice((1, 100, 1000))


def changed(rng: random.Random, config: dict[str, Any]) -> dict[str, Any]:
    """A config of which some values are something else, or missing."""
    out = dict(config)
    for name in rng.sample(sorted(out), rng.randrange(1, min(6, len(out)))):
        if rng.random() < 0.2:
            del out[name]
        else:
            out[name] = nested(rng)
    return out


def spoiled(rng: random.Random, raw: bytes) -> bytes:
    """A file cut, lengthened, or with some of its bytes changed."""
    data = bytearray(raw)
    for _ in range(rng.randrange(1, 6)):
        kind, at = rng.randrange(4), rng.randrange(len(data) or 1)
        if kind == 0:
            data = data[:at]
        elif kind == 1:
            data[at:at] = rng.randbytes(rng.randrange(1, 40))
        elif kind == 2:
            data[at : at + 1] = rng.randbytes(1)
        else:
            data[at:at] = json.dumps(nested(rng)).encode("utf-8", "replace")[:300]
    return bytes(data)
