"""What is on the Positions page, and what each choice may be."""

from __future__ import annotations

from dataclasses import dataclass

from headlight.core.checkpoints.sibling import variants
from headlight.core.examples import examples
from headlight.viz import store
from headlight.viz.pages.explore.choices import state as explore
from headlight.viz.ui.link import Choices, among, choice, several, whole
from headlight.viz.ui.state import PageState, carried_text

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
_ANY = whole(0, 999_999_999)  # whether such a layer or token exists is known once the model is


@dataclass(frozen=True)
class Positions(Choices):
    """What a visitor has chosen; None is a choice not made yet, which the page makes well.

    section: of SECTIONS. Sinusoidal: width (d_model), count (positions), dims (drawn as curves), at (the position that
    others are compared with; Learned, too). RoPE: text, model, layer, head, query, key (tokens); q_at, k_at: where the two
    are put, None where they stand; together: they move together; theta: OWN or another base; reach: distances drawn; pair:
    the one drawn beside the sum. Longer texts: rotary (dimensions), factor, original, length, unit. learned: positions of
    the table. ALiBi: heads, head_alibi. MLA: layer_mla, head_mla, shift. Word order: attention, first, second.
    """

    text: str = choice()
    section: str = choice("rope", among(SECTIONS), always=True)
    width: int = choice(64, among(WIDTHS))
    count: int = choice(64, whole(2, 512), name="number of positions")
    dims: tuple[int, ...] = choice(
        (0, 8, 16, 24), several(whole(0, max(WIDTHS) - 1), MOST_DIMS), name="list of dimensions"
    )
    at: int = choice(16, whole(0, MOST), name="position")
    model: str = choice("smollm2")
    layer: int | None = choice(None, _ANY)
    head: int | None = choice(None, _ANY)
    query: int | None = choice(None, _ANY)
    key: int | None = choice(None, _ANY)
    q_at: int | None = choice(None, whole(0, MOST), name="query's position")
    k_at: int | None = choice(None, whole(0, MOST), name="key's position")
    together: bool = choice(False, among((True,)))
    theta: int = choice(OWN, among(THETAS))
    reach: int = choice(128, among(REACHES))
    pair: int | None = choice(None, whole(0, 255))
    rotary: int = choice(64, among(ROTARY))
    factor: int = choice(4, whole(1, 64))
    original: int = choice(4096, among(ORIGINALS))
    length: int = choice(16384, among(LENGTHS))
    unit: str = choice("frequency", among(UNITS))
    learned: int = choice(128, whole(8, 512), name="number of positions")
    heads: int = choice(8, whole(1, 64))
    head_alibi: int = choice(0, whole(0, 63), name="head")
    layer_mla: int = choice(1, _ANY, name="layer")
    head_mla: int = choice(0, _ANY, name="head")
    shift: int = choice(100, whole(0, 500))
    attention: str = choice("gqa", among(variants()))
    first: str = choice("the dog bit the man today")
    second: str = choice("the man bit the dog today")


def rope_models() -> dict[str, str]:
    """Name -> title of the models on this machine that rotate their queries and keys; last, two vectors of length 1."""
    rows = store.engine().rows
    there = {name: row.title for name, row in rows.items() if row.installed and row.position == "rope"}
    return there | {UNIT: "Two equal vectors"}


def _start() -> Positions:
    """Where the page begins: the sentence of the page before, and the head chosen on Explore where it rotates its queries."""
    seen, text = explore.seen(), carried_text(examples()[0].text)
    if seen is None or seen.model not in rope_models():
        return Positions(text, model=next(iter(rope_models())))
    return Positions(text, model=seen.model, layer=seen.layer, head=seen.head)


state = PageState("positions", Positions, _start)


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
