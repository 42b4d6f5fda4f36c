"""What is on the page "Long texts", and what each choice may be; which part of a map is asked for in what grain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from headlight.core.checkpoints.packages import INSTALL_COMMAND
from headlight.core.errors import MissingModelError
from headlight.core.long.profile import SCORES
from headlight.core.registry import MODELS
from headlight.viz import store
from headlight.viz.ui.link import Choices, among, choice, whole
from headlight.viz.ui.state import PageState

OWN = "own"  # the place of an example's name where the text was pasted or uploaded
CELLS = 512  # of a picture, each way, at most
CLOSE = 48  # tokens each way that a click on a cell goes to
LINKED = 1500  # characters of a pasted text that go into a link
SHOWS = {"largest": "Largest weight", "mass": "Share of attention"}
COLOURS = {"log": "Logarithmic", "linear": "Linear"}
LOOKS = {"at": "Where it looks", "by": "Where it is seen from"}
SECTIONS = {"head": "This head", "heads": "All heads", "beyond": "Beyond the trained length"}

Viewport = tuple[int, int, int, int]  # first and last-but-one query, first and last-but-one key: [q0, q1) x [k0, k1)


_TOO_LONG = "This link was made for a text that was too long for it, so an example is shown; paste the text again."


def _viewport(value: str) -> Viewport | None:
    numbers = [_ANY(part) for part in value.split(".")[:5]]
    if len(numbers) != 4 or None in numbers:
        return None
    q0, q1, k0, k1 = numbers
    return (q0, q1, k0, k1) if q0 < q1 and k0 < k1 else None


_ANY = whole(0, 999_999_999)  # whether there is such a layer or token is known once the model is and has read the text


@dataclass(frozen=True)
class LongChoices(Choices):
    """What a visitor has chosen; None is a choice not made yet, which the page makes well.

    model; example: of `core.long.document`, or OWN; pasted: the text itself, if it is short enough for a link; layer, head;
    view: the part of the map on screen, None: all of it; query, key: the picked pair; shows, colours: what a cell is and its
    scale; looks: whether the document shows a row (at) or a column (by) of the map; section: of those below; score: what all
    heads are ranked by.
    """

    model: str = choice()
    example: str = choice("giant", always=True)
    pasted: str = choice(
        "", lambda value: value[:LINKED] or None, name="text", when=lambda choices: choices.example == OWN
    )
    layer: int | None = choice(None, _ANY)
    head: int | None = choice(None, _ANY)
    view: Viewport | None = choice(None, _viewport, name="part of the map")  # noqa: RUF009  # a field, by another name
    query: int | None = choice(None, _ANY)
    key: int | None = choice(None, _ANY)
    shows: str = choice("largest", among(SHOWS), name="kind of cell")
    colours: str = choice("log", among(COLOURS), name="colour scale")
    looks: str = choice("at", among(LOOKS), name="direction")
    section: str = choice("head", among(SECTIONS))
    score: str = choice("copied", among(SCORES))

    @classmethod
    def parse(cls, link: Mapping[str, str], start: Self) -> tuple[Self, list[str]]:
        """The base's; a link with a text is that text's, and one that should have a text and does not shows an example."""
        choices, notes = super().parse(link, start)
        if link.get("pasted"):
            return replace(choices, example=OWN), notes
        if link.get("example") == OWN:
            return replace(choices, example=start.example, view=None, query=None, key=None), [*notes, _TOO_LONG]
        return choices, notes


def models() -> list[str]:
    """Names of the models that read in parts: those of the registry that are here, SmolLM2 first. Raises MissingModelError."""
    rows = store.engine().rows
    there = (name for name in MODELS if name in rows and rows[name].installed)
    names = sorted(there, key=lambda name: name != "smollm2")
    if not names:
        raise MissingModelError(f"no model is installed yet; {INSTALL_COMMAND} brings two")
    return names


def _start() -> LongChoices:
    """Where the page begins: the first model."""
    return LongChoices(model=models()[0])


state = PageState("long", LongChoices, _start)


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
