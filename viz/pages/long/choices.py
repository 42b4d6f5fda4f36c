"""What is on the page "Long texts", to and from a link; which part of a map is asked for in what grain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace

from headlight.core.long.profile import SCORES

OWN = "own"  # the place of an example's name where the text was pasted or uploaded
CELLS = 512  # of a picture, each way, at most
CLOSE = 48  # tokens each way that a click on a cell goes to
LINKED = 1500  # characters of a pasted text that go into a link
SHOWS = {"largest": "Largest weight", "mass": "Share of attention"}
COLOURS = {"log": "Logarithmic", "linear": "Linear"}
LOOKS = {"at": "Where it looks", "by": "Where it is seen from"}
SECTIONS = {"head": "This head", "heads": "All heads", "beyond": "Beyond the trained length"}

Viewport = tuple[int, int, int, int]  # first and last-but-one query, first and last-but-one key: [q0, q1) x [k0, k1)


@dataclass(frozen=True)
class LongChoices:
    """What a visitor has chosen; None is a choice not made yet, which the page makes well.

    model; example: of `core.long.document`, or OWN; pasted: the text itself, if it is short enough for a link; layer, head;
    view: the part of the map on screen, None: all of it; query, key: the picked pair; shows, colours: what a cell is and its
    scale; looks: whether the document shows a row (at) or a column (by) of the map; section: of those below; score: what all
    heads are ranked by.
    """

    model: str
    example: str = "giant"
    pasted: str = ""
    layer: int | None = None
    head: int | None = None
    view: Viewport | None = None
    query: int | None = None
    key: int | None = None
    shows: str = "largest"
    colours: str = "log"
    looks: str = "at"
    section: str = "head"
    score: str = "copied"


def to_link(choices: LongChoices) -> dict[str, str]:
    """The parameters of the address bar; what is at its default is left out."""
    plain = LongChoices(model="")
    changed = {f.name: getattr(choices, f.name) for f in fields(choices)}
    changed = {name: value for name, value in changed.items() if value != getattr(plain, name)}
    changed |= {"model": choices.model, "example": choices.example}
    if choices.example != OWN:
        changed.pop("pasted", None)
    return {name: _spelled(value) for name, value in changed.items() if value is not None}


def _spelled(value: object) -> str:
    return ".".join(map(str, value)) if isinstance(value, tuple) else str(value)


def from_link(params: Mapping[str, str], fallback: LongChoices) -> tuple[LongChoices, list[str]]:
    """The choices that a link asks for, gaps filled from `fallback`, and a note for each value that is no such thing."""
    changes: dict[str, object] = {}
    notes = []
    for name, rule in _RULES.items():
        if name in params:
            value = rule(params[name])
            if value is None:
                notes.append(f"The link's {_NAMES.get(name, name)} is none that can be shown; it was chosen for you.")
            else:
                changes[name] = value
    if changes.get("example") == OWN and "pasted" not in changes:
        notes.append(
            "This link was made for a text that was too long for it, so an example is shown; paste the text again."
        )
        changes |= {"example": fallback.example, "view": None, "query": None, "key": None}
    elif "pasted" in changes:
        changes["example"] = OWN
    return replace(fallback, **changes), notes  # type: ignore[arg-type]  # names and types are those of LongChoices


def _number(value: str) -> int | None:
    return int(value) if value.isascii() and value.isdecimal() and len(value) <= 9 else None


def _view(value: str) -> Viewport | None:
    numbers = [_number(part) for part in value.split(".")[:5]]
    if len(numbers) != 4 or None in numbers:
        return None
    q0, q1, k0, k1 = (n for n in numbers if n is not None)
    return (q0, q1, k0, k1) if q0 < q1 and k0 < k1 else None


def _among(options: Mapping[str, str]) -> Callable[[str], str | None]:
    return lambda value: value if value in options else None


_RULES: Mapping[str, Callable[[str], object]] = {
    "model": str, "example": str, "pasted": lambda value: value[:LINKED] or None, "layer": _number, "head": _number,
    "view": _view, "query": _number, "key": _number, "shows": _among(SHOWS), "colours": _among(COLOURS), "looks": _among(LOOKS),
    "section": _among(SECTIONS), "score": _among(SCORES),
}  # fmt: skip
_NAMES = {
    "view": "part of the map",
    "pasted": "text",
    "shows": "kind of cell",
    "colours": "colour scale",
    "looks": "direction",
}


def settle(
    choices: LongChoices,
    *,
    n_layers: int,
    n_heads: int,
    length: int,
    causal: bool,
    spot: tuple[int, int] | None = None,
) -> tuple[LongChoices, list[str]]:
    """The nearest layer, head, tokens and part that exist, with a note where one that was asked for does not.

    Choices not made become the layer and head of `spot`, else the middle layer's first head, the last token, the whole map.
    """
    notes = [
        f"{name.capitalize()} {asked} does not exist; showing the last one."
        for name, asked, count in (("layer", choices.layer, n_layers), ("head", choices.head, n_heads))
        if asked is not None and asked >= count
    ]
    first_layer, first_head = spot or (n_layers // 2, 0)
    layer = min(first_layer if choices.layer is None else choices.layer, n_layers - 1)
    head = min(first_head if choices.head is None else choices.head, n_heads - 1)
    query = length - 1 if choices.query is None else min(choices.query, length - 1)
    key = None if choices.key is None else min(choices.key, query if causal else length - 1)
    view = None if choices.view is None else clamp(choices.view, length)
    return replace(choices, layer=layer, head=head, query=query, key=key, view=view), notes


def clamp(view: Viewport, length: int) -> Viewport | None:
    """The part of a map of length x length tokens that is nearest to `view`; None for all of it.

    >>> clamp((90, 130, 0, 40), 100), clamp((0, 100, 0, 100), 100)
    ((60, 100, 0, 40), None)
    """
    sides = []
    for start, stop in (view[:2], view[2:]):
        size = min(max(stop - start, 1), length)
        start = min(start, length - size)
        sides += [start, start + size]
    q0, q1, k0, k1 = sides
    return None if (q0, q1, k0, k1) == (0, length, 0, length) else (q0, q1, k0, k1)


def grain(view: Viewport, length: int) -> tuple[Viewport, int]:
    """The part to compute for a part to show, and how many tokens a cell is wide: whole cells, at most CELLS each way.

    >>> grain((0, 8192, 0, 8192), 8192), grain((1000, 1700, 3, 700), 8192)
    (((0, 8192, 0, 8192), 16), ((1000, 1700, 2, 700), 2))
    """
    cell = max(1, -(-max(view[1] - view[0], view[3] - view[2]) // CELLS))
    start_q, start_k = (start // cell * cell for start in (view[0], view[2]))
    stop_q, stop_k = (min(-(-stop // cell) * cell, length) for stop in (view[1], view[3]))
    return (start_q, stop_q, start_k, stop_k), cell


def around(query: int, key: int, length: int) -> Viewport | None:
    """The part that a click goes to: CLOSE x CLOSE tokens with the pair in the middle, as far as the text reaches."""
    size = min(CLOSE, length)
    q0, k0 = (min(max(at - size // 2, 0), length - size) for at in (query, key))
    return clamp((q0, q0 + size, k0, k0 + size), length)
