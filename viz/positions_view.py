"""What is on the Positions page, to and from a link; what each choice may be stands in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

SECTIONS = {
    "sinusoidal": "Sinusoidal", "rope": "RoPE", "pairs": "RoPE's pairs", "longer": "Longer texts", "learned": "Learned",
    "alibi": "ALiBi", "mla": "MLA", "order": "Word order",
}  # fmt: skip
UNIT = "unit"  # the model's place taken by two vectors of length 1
OWN = 0  # theta: the model's own
MOST = 511  # the last position on the sliders
WIDTHS = (16, 32, 64, 128, 256, 512)
THETAS = (OWN, 100, 1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 10_000_000)
REACHES = (32, 64, 128, 256, 512, 1024, 2048)
ROTARY = (32, 64, 128)
ORIGINALS = (512, 2048, 4096, 8192, 32768)
LENGTHS = (512, 2048, 4096, 8192, 16384, 32768, 65536, 131072)
UNITS = {"frequency": "Frequency", "wavelength": "Wavelength"}
MOST_DIMS = 6


@dataclass(frozen=True)
class Positions:
    """What a visitor has chosen; None is a choice not made yet, which the page makes well.

    section: of SECTIONS. Sinusoidal: width (d_model), count (positions), dims (drawn as curves), at (the position that
    others are compared with; Learned, too). RoPE: text, model, layer, head, query, key (tokens); q_at, k_at: where the two
    are put, None where they stand; together: they move together; theta: OWN or another base; reach: distances drawn; pair:
    the one drawn beside the sum. Longer texts: rotary (dimensions), factor, original, length, unit. learned: positions of
    the table. ALiBi: heads, head_alibi. MLA: layer_mla, head_mla, shift. Word order: attention, first, second.
    """

    text: str
    section: str = "rope"
    width: int = 64
    count: int = 64
    dims: tuple[int, ...] = (0, 8, 16, 24)
    at: int = 16
    model: str = "smollm2"
    layer: int | None = None
    head: int | None = None
    query: int | None = None
    key: int | None = None
    q_at: int | None = None
    k_at: int | None = None
    together: bool = False
    theta: int = OWN
    reach: int = 128
    pair: int | None = None
    rotary: int = 64
    factor: int = 4
    original: int = 4096
    length: int = 16384
    unit: str = "frequency"
    learned: int = 128
    heads: int = 8
    head_alibi: int = 0
    layer_mla: int = 1
    head_mla: int = 0
    shift: int = 100
    attention: str = "gqa"
    first: str = "the dog bit the man today"
    second: str = "the man bit the dog today"


def _whole(low: int, high: int):  # type: ignore[no-untyped-def]  # a rule: text -> value, or None if it is no such thing
    def rule(value: str) -> int | None:
        digits = value.strip()
        number = int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= 9 else None
        return number if number is not None and low <= number <= high else None

    return rule


def _among(options):  # type: ignore[no-untyped-def]
    spelled = {str(option): option for option in options}
    return lambda value: spelled.get(value)


def _dims(value: str) -> tuple[int, ...] | None:
    numbers = [_whole(0, max(WIDTHS) - 1)(part) for part in value.split(".")[: MOST_DIMS + 1]] if value else []
    good = None not in numbers and len(set(numbers)) == len(numbers) <= MOST_DIMS
    return tuple(n for n in numbers if n is not None) if good else None


_ANY = _whole(0, 999_999_999)  # whether such a layer or token exists is known once the model is
_RULES = {
    "section": _among(SECTIONS), "width": _among(WIDTHS), "count": _whole(2, 512), "dims": _dims, "at": _whole(0, MOST),
    "text": str, "model": str, "layer": _ANY, "head": _ANY, "query": _ANY, "key": _ANY,
    "q_at": _whole(0, MOST), "k_at": _whole(0, MOST), "together": _among(("1",)), "theta": _among(THETAS),
    "reach": _among(REACHES), "pair": _whole(0, 255), "rotary": _among(ROTARY), "factor": _whole(1, 64),
    "original": _among(ORIGINALS), "length": _among(LENGTHS), "unit": _among(UNITS), "learned": _whole(8, 512),
    "heads": _whole(1, 64), "head_alibi": _whole(0, 63), "layer_mla": _ANY, "head_mla": _ANY, "shift": _whole(0, 500),
    "attention": _among(("mha", "gqa", "mqa", "mla")), "first": str, "second": str,
}  # fmt: skip
_NAMES = {"at": "position", "q_at": "query's position", "k_at": "key's position", "layer_mla": "layer", "head_mla": "head",
          "head_alibi": "head", "learned": "number of positions", "count": "number of positions"}  # fmt: skip


def to_link(choices: Positions) -> dict[str, str]:
    """The parameters of the address bar; what is as at first is left out, but for section and text."""
    plain = Positions(text="")
    changed = {
        f.name: getattr(choices, f.name) for f in fields(choices) if getattr(choices, f.name) != getattr(plain, f.name)
    }
    changed |= {"section": choices.section, "text": choices.text}
    return {name: _spelled(value) for name, value in changed.items() if value is not None}


def _spelled(value: object) -> str:
    if isinstance(value, tuple):
        return ".".join(map(str, value))
    return "1" if value is True else str(value)


def from_link(params: Mapping[str, str], fallback: Positions) -> tuple[Positions, list[str]]:
    """The choices that a link asks for, gaps filled from `fallback`, and a note for each value that is no such thing."""
    changes: dict[str, object] = {}
    notes = []
    for name, rule in _RULES.items():
        if name not in params:
            continue
        value = rule(params[name])
        if value is None:
            notes.append(f"The link's {_NAMES.get(name, name)} is none that can be shown; it was chosen for you.")
        else:
            changes[name] = value
    if "together" in changes:
        changes["together"] = True
    return replace(fallback, **changes), notes  # type: ignore[arg-type]  # names and types are those of Positions


def moved(q_at: int, k_at: int, by: str, to: int, together: bool) -> tuple[int, int]:
    """Where query and key are after one of them (by: "q_at" or "k_at") was put elsewhere.

    Together they keep their distance and stop where the first of them meets an end.

    >>> moved(8, 2, "q_at", 20, together=True), moved(8, 2, "k_at", 511, together=True), moved(8, 2, "q_at", 20, False)
    ((20, 14), (511, 505), (20, 2))
    """
    if not together:
        return (to, k_at) if by == "q_at" else (q_at, to)
    step = to - (q_at if by == "q_at" else k_at)
    step = max(-min(q_at, k_at), min(step, MOST - max(q_at, k_at)))
    return q_at + step, k_at + step
