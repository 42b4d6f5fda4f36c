"""What is on the Positions page, to and from a link; what each choice may be stands in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headlight.core.checkpoints.sibling import variants
from headlight.viz.ui.link import Rule, among, changed, read, several, whole

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


_ANY = whole(0, 999_999_999)  # whether such a layer or token exists is known once the model is
_RULES: Mapping[str, Rule] = {
    "section": among(SECTIONS), "width": among(WIDTHS), "count": whole(2, 512),
    "dims": several(whole(0, max(WIDTHS) - 1), MOST_DIMS), "at": whole(0, MOST),
    "text": str, "model": str, "layer": _ANY, "head": _ANY, "query": _ANY, "key": _ANY,
    "q_at": whole(0, MOST), "k_at": whole(0, MOST), "together": among((True,)), "theta": among(THETAS),
    "reach": among(REACHES), "pair": whole(0, 255), "rotary": among(ROTARY), "factor": whole(1, 64),
    "original": among(ORIGINALS), "length": among(LENGTHS), "unit": among(UNITS), "learned": whole(8, 512),
    "heads": whole(1, 64), "head_alibi": whole(0, 63), "layer_mla": _ANY, "head_mla": _ANY, "shift": whole(0, 500),
    "attention": among(tuple(variants())), "first": str, "second": str,
}  # fmt: skip
_NAMES = {"at": "position", "q_at": "query's position", "k_at": "key's position", "layer_mla": "layer", "head_mla": "head",
          "head_alibi": "head", "learned": "number of positions", "count": "number of positions"}  # fmt: skip


def to_link(choices: Positions) -> dict[str, str]:
    """The parameters of the address bar; what is as at first is left out, but for section and text."""
    return changed(choices, Positions(text="")) | {"section": choices.section, "text": choices.text}


def from_link(params: Mapping[str, str], fallback: Positions) -> tuple[Positions, list[str]]:
    """The choices that a link asks for, gaps filled from `fallback`, and a note for each value that is no such thing."""
    return read(params, _RULES, fallback, _NAMES)


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
