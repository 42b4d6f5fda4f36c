"""Positions, ALiBi: no vectors at all, a penalty on the scores that grows with distance, one slope a head."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from headlight.core.export.table import to_csv
from headlight.core.lessons.penalty import bias, slopes, weaker
from headlight.viz.figures import curves, signed_map
from headlight.viz.figures.positions.maps import thinned
from headlight.viz.pages.positions.choices import Positions, state
from headlight.viz.theme import Theme
from headlight.viz.ui.widgets import picture, take_away

if TYPE_CHECKING:
    from torch import Tensor

_INTRO = (
    "ALiBi (Press et al. 2022) adds nothing to tokens and turns nothing: each head subtracts slope × distance from its scores. "
    "Steep heads look nearby, flat ones far; nothing is learned, so longer texts need nothing new."
)
_SPAN = 32  # positions drawn


def draw(choices: Positions, look: Theme) -> tuple[Positions, list[str]]:
    """The slopes, the penalties by distance, and one head's penalties as a map."""
    choices = replace(choices, head_alibi=min(choices.head_alibi, choices.heads - 1))
    st.markdown(_INTRO)
    with state.row("alibi"):
        state.slider("Heads", "heads", choices.heads, 1, 64, width=240)
        state.slider("Head drawn as a map", "head_alibi", choices.head_alibi, 0, choices.heads - 1, width=240)
    penalties = bias(choices.heads, _SPAN)
    left, middle, right = st.columns(3, gap="medium")
    with left:
        _slopes(choices, look)
    with middle:
        _lines(choices, penalties, look)
    with right:
        _map(choices, penalties, look)
    take_away(
        state,
        "alibi",
        f"from headlight.core.lessons.penalty import bias, slopes\nslopes({choices.heads}), bias({choices.heads}, {_SPAN})",
        {"Bias": lambda: to_csv(penalties[choices.head_alibi], range(_SPAN), "query")},
    )
    return choices, []


def _slopes(choices: Positions, look: Theme) -> None:
    values = slopes(choices.heads)
    figure = curves(
        thinned(choices.heads, 64), {"slope": values.numpy()}, "Slope of each head", axes=("head", "slope (log)"),
        log=(False, True), at={f"head {choices.head_alibi}": (float(choices.head_alibi), float(values[choices.head_alibi]))},
        colours=("position",), markers=True, theme=look,
    )  # fmt: skip
    rule = "2^(−8k/n), k = 1 … n" if choices.heads & (choices.heads - 1) == 0 else (
        "no power of two: the slopes of the power below, then every other one of the power above"
    )  # fmt: skip
    first = ", ".join(f"{float(v):.4g}" for v in values[:8])
    picture(
        figure,
        "slopes",
        f"Slopes: {first}.",
        f"n = {choices.heads}: {rule}. {first}{' …' if choices.heads > 8 else ''}",
    )


def _lines(choices: Positions, penalties: Tensor, look: Theme) -> None:
    # The last query's row, read from itself backwards, is the penalty by distance.
    by_distance = penalties[:, -1].flip(-1)
    heads = thinned(choices.heads, 6).tolist()
    lines = {f"head {h}": by_distance[h].numpy() for h in heads}
    if choices.head_alibi not in heads:
        lines[f"head {choices.head_alibi}"] = by_distance[choices.head_alibi].numpy()
    figure = curves(
        thinned(_SPAN, _SPAN), lines, "Added to the score, by distance", axes=("distance", "added"), theme=look
    )
    value = float(by_distance[choices.head_alibi, -1])
    picture(
        figure, "penalties", f"Head {choices.head_alibi} at distance {_SPAN - 1}: {value:.4g}.",
        f"Head {choices.head_alibi} takes {-value:.4g} off a score at distance {_SPAN - 1}: the weight there falls by a factor "
        f"of {_rounded(weaker(-value))} against distance 0.",
    )  # fmt: skip


def _rounded(ratio: float) -> str:
    return f"{float(f'{ratio:.3g}'):,.0f}" if ratio >= 100 else f"{ratio:.3g}"


def _map(choices: Positions, penalties: Tensor, look: Theme) -> None:
    figure = signed_map(
        penalties[choices.head_alibi].numpy(), f"Head {choices.head_alibi}'s bias", axes=("key, looked at", "query, looking"),
        legend="added", square=True, height=340, theme=look,
    )  # fmt: skip
    picture(
        figure, "bias", f"Bias of head {choices.head_alibi}: 0 on the diagonal, falling to the left.",
        "0 on the diagonal; keys that come later are masked, in grey.",
    )  # fmt: skip
