"""Where the boxes of a layer's derivation stand: a step a box, to scale; rows downwards, lanes of queries, keys and values.

Across, one unit is one number of a token; a step with heads is as wide as all its heads together. Down, one unit is a pixel,
and a token takes as many of them in every box.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from headlight.core.types import Step

LANE, BESIDE = 60, 36  # numbers between lanes; between boxes of one lane
ROOM = 68  # pixels above a row, for arrows and labels
LABEL = 150  # numbers that a label is wide, where the figure is some 900 wide in all
WIDEST = 420  # numbers; maps of all heads that would be wider show the chosen head alone
MOST_PIXELS, LEAST_PIXELS = 72.0, 24.0  # of a box's height

# Step -> its row, its lane (queries, keys, values), and its slot there: 0 left, 1 right of what is in 0, ALL across both.
Places = Mapping[str, tuple[float, int, int]]
ALL = 2
READING: Places = {  # MLA, keys and values expanded
    "h": (0, 1, ALL), "c_q": (1, 0, ALL), "c_kv": (1, 1, 0), "k_rope": (1, 1, 1), "q_nope": (2, 0, 0), "q_rope": (2, 0, 1),
    "k_nope": (2, 1, 0), "v": (2, 2, ALL), "q": (3, 0, ALL), "k": (3, 1, ALL), "scores": (4, 0, ALL),
    "weights": (4, 1, ALL), "heads": (4, 2, ALL), "out": (5, 2, ALL),
}  # fmt: skip
DECODING: Places = {  # MLA, absorbed
    "h": (0, 2, ALL), "c_q": (1, 0, ALL), "q_nope": (2, 0, ALL), "q_rope": (2, 1, ALL), "c_kv": (2, 2, 0),
    "k_rope": (2, 2, 1), "q_latent": (3, 0, ALL), "scores": (4, 1, ALL), "weights": (4, 2, ALL), "z": (5, 0, ALL),
    "heads": (6, 0, 0), "out": (6, 0, 1),
}  # fmt: skip
PLAIN: Places = {  # MHA, GQA, MQA
    "h": (0, 1, ALL), "q": (1, 0, ALL), "k": (1, 1, ALL), "v": (1, 2, ALL), "scores": (2, 0, ALL), "weights": (2, 1, ALL),
    "heads": (2, 2, ALL), "out": (3, 2, ALL),
}  # fmt: skip


NOT_DRAWN = ("products", "masked")  # lines between q, k and the scores that would add nothing to a picture


@dataclass(frozen=True)
class Box:
    """One step's place; x and width in numbers, y and height in pixels, growing to the right and downwards.

    heads: how many it draws side by side; head: which one it shows where that is one of several; kept: whether a decoder
    remembers it; pieces: what a head's width is put together of, (step, width) each; sources: names of boxes it comes from.
    """

    step: Step
    x: float
    y: float
    width: int
    height: float
    heads: int
    head: int | None
    kept: bool
    pieces: tuple[tuple[str, int], ...]
    sources: tuple[str, ...]

    @property
    def right(self) -> float:
        """Its right side."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its lower side."""
        return self.y + self.height

    @property
    def middle(self) -> float:
        """Halfway across."""
        return self.x + self.width / 2

    @property
    def shape(self) -> str:
        """Its step's shape: heads × tokens × numbers."""
        return "×".join(map(str, self.step.value.shape))


def pixels_a_token(tokens: int) -> float:
    """How high a token is drawn: 4 pixels, less in long texts, more in short ones."""
    return min(max(4.0, LEAST_PIXELS / tokens), MOST_PIXELS / tokens)


def places_of(steps: Sequence[Step]) -> Places:
    """Where the steps of an attention stand, by which they are; one that is in no table between what it is made from and what
    is made from it."""
    names = {step.name for step in steps}
    known = DECODING if "q_latent" in names else READING if "c_kv" in names else PLAIN
    places = dict(known)
    for step in steps:
        if step.name not in places and step.name not in NOT_DRAWN:
            places[step.name] = _between(step, steps, places, known)
    return places


def _between(step: Step, steps: Sequence[Step], places: Places, known: Places) -> tuple[float, int, int]:
    above = max((places[name][0] for name in step.inputs if name in places), default=-1.0)
    below = min((known[name][:2] for name in _made_from(step.name, steps) if name in known), default=(above + 2, 1))
    end, lane = max(below[0], above + 1), below[1]
    row = (above + end) / 2
    while any((row, lane) == place[:2] for place in places.values()):
        row = (row + end) / 2
    return row, lane, ALL


def _made_from(name: str, steps: Sequence[Step]) -> set[str]:
    """All steps that a step goes into, at once or by others."""
    found = {name}
    for step in steps:  # inputs stand before what is made from them
        found |= {step.name} if found & set(step.inputs) else set()
    return found - {name}


def boxes(
    steps: Sequence[Step], kept: Collection[str], *, head: int = 0, pixels: float = 4.0, label: float = LABEL
) -> tuple[Box, ...]:
    """Every step that has a place, row by row and lane by lane. kept: names of what a decoder remembers; head: the one
    that is shown where all of them would be too wide; pixels: a token's height; label: numbers that a label is wide."""
    by_name, places = {step.name: step for step in steps}, places_of(steps)
    shown = [step for step in steps if step.name in places]
    rows = sorted({places[step.name][0] for step in shown})
    starts, high = _lanes(shown, places, label), pixels * max(step.value.shape[-2] for step in shown)
    found = []
    for step in shown:
        row, lane, slot = places[step.name]
        x = starts[lane, slot == 1]
        y = ROOM - 30 + rows.index(row) * (high + ROOM)
        heads, columns = _drawn(step), int(step.value.shape[-1])
        one = head if (step.n_heads or 1) > heads else None
        sources = tuple(dict.fromkeys(s for name in step.inputs for s in _sources(name, by_name, places)))
        size = heads * columns, pixels * step.value.shape[-2]
        found.append(Box(step, x, y, *size, heads, one, step.name in kept, _pieces(step, by_name), sources))
    return tuple(found)


def extent(found: Sequence[Box]) -> tuple[float, float]:
    """How far to the right and down the boxes go, a narrow one's label included."""
    return max(max(box.right, box.x + LABEL) for box in found), max(box.bottom for box in found)


def _lanes(shown: Sequence[Step], places: Places, label: float) -> dict[tuple[int, bool], float]:
    """Where each lane begins, and its right slot (True)."""
    widths: dict[tuple[int, int], float] = {}
    for step in shown:
        _, lane, slot = places[step.name]
        widths[lane, slot] = max(widths.get((lane, slot), 0.0), _width(step))
    starts, x = {}, 0.0
    for lane in sorted({lane for lane, _ in widths}):
        left = max(widths.get((lane, 0), 0.0), label) + BESIDE
        starts[lane, False], starts[lane, True] = x, x + left
        right = left + max(widths[lane, 1], label - LANE) if (lane, 1) in widths else 0.0
        x += max(right, widths.get((lane, ALL), 0.0), label - LANE) + LANE
    return starts


def _drawn(step: Step) -> int:
    """Heads side by side: all, but for maps that would be too wide."""
    count = step.n_heads or 1
    return 1 if step.axes[-1] == "kv_len" and count * step.value.shape[-1] > WIDEST else count


def _width(step: Step) -> int:
    return _drawn(step) * int(step.value.shape[-1])


def _sources(name: str, by_name: Mapping[str, Step], places: Places) -> list[str]:
    """The step itself, or what it comes from where it is not drawn."""
    if name in places or name not in by_name:
        return [name] if name in by_name else []
    return [source for inner in by_name[name].inputs for source in _sources(inner, by_name, places)]


def _pieces(step: Step, by_name: Mapping[str, Step]) -> tuple[tuple[str, int], ...]:
    """A concatenation's inputs with their widths; else the step alone."""
    width = int(step.value.shape[-1])
    parts = tuple((name, int(by_name[name].value.shape[-1])) for name in step.inputs if name in by_name)
    together = step.axes[-1] == "qk_head_dim" and len(parts) > 1 and sum(w for _, w in parts) == width
    return parts if together else ((step.name, width),)
