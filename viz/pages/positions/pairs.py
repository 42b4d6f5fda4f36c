"""Positions, RoPE's pairs: two layouts of the same rotation, and what happens when one is taken for the other."""

from __future__ import annotations

import streamlit as st

from headlight.core.export.table import to_csv
from headlight.core.lessons.rotation import QueryKey, pair_numbers
from headlight.core.positions.rope import Layout
from headlight.viz.figures import curves, pairings
from headlight.viz.figures.positions.maps import thinned
from headlight.viz.pages.positions import query as positions_query
from headlight.viz.pages.positions.choices import REACHES, Positions, state
from headlight.viz.pages.positions.rope import places
from headlight.viz.theme import Theme
from headlight.viz.ui.widgets import picture, take_away

_INTRO = (
    "Which two dimensions are rotated together is a convention. **Half-split** pairs dimension j with j + r/2 (GPT-NeoX, "
    "transformers' Llama, Qwen, Mistral); **interleaved** pairs 2j with 2j + 1 (the paper, Meta's Llama code, GPT-J, DeepSeek)."
)
_NAMES: dict[str, Layout] = {"half-split": "half", "interleaved": "interleaved"}


def draw(choices: Positions, look: Theme) -> tuple[Positions, list[str]]:
    """A small picture of eight dimensions, and a real query and key read rightly, wrongly, and converted."""
    st.markdown(_INTRO)
    numbers = {name: pair_numbers(8, layout).numpy() for name, layout in _NAMES.items()}
    figure = pairings(numbers, "Pairs in a head of 8 dimensions", theme=look)
    told = "; ".join(f"{name}: {' '.join(map(str, row.tolist()))}" for name, row in numbers.items())
    picture(
        figure,
        "pairings",
        f"Pair numbers of dimensions 0 to 7. {told}.",
        "The same colour and number: rotated together.",
    )
    choices, notes, found = positions_query.choose(choices)
    if found is None:
        return choices, notes
    qk, title = found
    other: Layout = "interleaved" if qk.rope.layout == "half" else "half"
    _three(choices, qk, other, title, look)
    take_away(
        state,
        "pairs",
        "# qk as on the section RoPE\n"
        f"qk.score(8, 2), qk.read_as({other!r}).score(8, 2), qk.permuted_to({other!r}).score(8, 2)",
        {"Added by each pair": lambda: to_csv(qk.by_distance(choices.reach), range(qk.rope.dim // 2), "distance")},
    )
    return choices, notes


def _three(choices: Positions, qk: QueryKey, other: Layout, title: str, look: Theme) -> None:
    wrong, converted = qk.read_as(other), qk.permuted_to(other)
    q_at, k_at = places(choices, qk)
    names = {layout: name for name, layout in _NAMES.items()}
    rows = {
        f"read as {names[qk.rope.layout]}, as trained": qk,
        f"the same numbers read as {names[other]}: the mistake": wrong,
        f"rows permuted, then read as {names[other]}: a right conversion": converted,
    }
    distances = [0, 1, q_at - k_at]
    st.table([
        {"the same query and key": name}
        | {f"score at distance {d}": f"{each.score(max(d, 0), max(-d, 0)):.4f}" for d in dict.fromkeys(distances)}
        for name, each in rows.items()
    ])  # fmt: skip
    with state.row("pairs"):
        state.steps("Distances drawn", "reach", choices.reach, REACHES, width=220)
    lines = {"as trained": qk, "read in the other layout": wrong}
    figure = curves(
        thinned(choices.reach, choices.reach),
        {name: (each.by_distance(choices.reach).sum(-1) + each.rest).numpy() for name, each in lines.items()},
        f"Score by distance: {title}", axes=("distance, query after key", "score before the softmax"), theme=look,
    )  # fmt: skip
    far = float((wrong.by_distance(choices.reach).sum(-1) - qk.by_distance(choices.reach).sum(-1)).abs().max())
    picture(
        figure, "layouts", f"The two curves agree at distance 0 and differ by up to {far:.3f}.",
        "At distance 0 nothing is rotated and both readings agree, so a wrong layout looks right at first. Farther off they "
        f"part, by up to {far:.3f} here. Permuting the rows of both projections, as converters do, changes no score.",
    )  # fmt: skip
