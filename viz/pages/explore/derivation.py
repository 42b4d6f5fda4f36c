"""Explore's derivation: how the weight in the picked cell came to be, in numbers that multiply out."""

from __future__ import annotations

import streamlit as st

from headlight.core.types import Run
from headlight.viz.components.chart import chart
from headlight.viz.figures.explore.derivation import Cell, cell, row_bars, score_bars, value_bars
from headlight.viz.figures.summary import cell_sentence
from headlight.viz.pages.explore.choices import View
from headlight.viz.theme import Theme


def draw(result: Run, view: View, look: Theme) -> None:
    """Three columns: the score, the softmax, the values; nothing is computed while the section is closed."""
    section = st.expander("How this number came to be", expanded=True, key="derivation", on_change="rerun")
    if not section.open:
        return
    trace = result.layers[view.layer]
    numbers = cell(trace, view.head, view.query, view.key)
    with section:
        st.text(cell_sentence(result, view.layer, view.head, view.query, view.key))
        if not numbers.allowed:
            st.caption("This token comes later, so the query may not look at it: its weight is 0 by rule.")
            return
        score, softmax, values = st.columns(3, gap="medium")
        with score:
            _score(numbers, len(numbers.q), look)
        with softmax:
            _softmax(numbers, result, view, look)
        with values:
            _values(numbers, look)
        if trace.n_kv_heads < trace.n_heads:
            st.caption(
                f"Query head {view.head} reads KV head {trace.kv_head(view.head)}, which it shares with "
                f"{trace.n_heads // trace.n_kv_heads - 1} other query heads."
            )


def _score(numbers: Cell, width: int, look: Theme) -> None:
    st.markdown(
        "**1 · Query times key**",
        help="Each dimension of the query times the same dimension of the key; all products added up.",
    )
    _lines(
        rf"q \cdot k = {numbers.product:.4f}",
        rf"s = \frac{{q \cdot k}}{{\sqrt{{{width}}}}} = {numbers.product:.4f} \times {numbers.scale:.6f}",
        *_rules(numbers),
        rf"s = {numbers.score:.4f}",
    )
    chart(
        score_bars(numbers, theme=look),
        key_name="score-bars",
        alt="The query, the key and their product, dimension by dimension.",
    )


def _rules(numbers: Cell) -> list[str]:
    """What some models do to the scaled product: a bias for the distance, a soft cap."""
    lines = []
    if abs(numbers.bias) > 1e-4:
        lines.append(rf"s + b = {numbers.product * numbers.scale:.4f} + {numbers.bias:.4f} = {numbers.uncapped:.4f}")
    if numbers.softcap is not None:
        cap = f"{numbers.softcap:g}"
        lines.append(rf"s \leftarrow {cap} \tanh\frac{{{numbers.uncapped:.4f}}}{{{cap}}}")
    return lines


def _softmax(numbers: Cell, result: Run, view: View, look: Theme) -> None:
    st.markdown("**2 · Softmax over the row**", help="Every score of this query becomes a share; the shares sum to 1.")
    total = r"\textstyle\sum_u e^{s_u}"
    if numbers.sink is not None:
        total = rf"\left({total} + e^{{{numbers.sink:.4f}}}\right)"
    power = f"{numbers.score:.4f} - {numbers.log_sum:.4f}"
    _lines(
        rf"L = \ln {total} = {numbers.log_sum:.4f}",
        rf"p = e^{{s - L}} = e^{{{power}}} = {numbers.weight:.4f}",
    )
    chart(
        row_bars(numbers, result, view.key, theme=look),
        key_name="row-bars",
        alt="Scores and weights of the whole row, token by token.",
    )


def _values(numbers: Cell, look: Theme) -> None:
    st.markdown(
        "**3 · Weighted sum of values**",
        help="This token's value times its weight, added to those of all other tokens.",
    )
    _lines(r"o = \textstyle\sum_u p_u\, v_u", rf"p\,v = {numbers.weight:.4f} \times v")
    chart(
        value_bars(numbers, theme=look),
        key_name="value-bars",
        alt="The value, its weighted share, and the head's output, dimension by dimension.",
    )


def _lines(*formulas: str) -> None:
    # One element for all lines: each costs the browser a typesetting of its own.
    st.latex(r"\begin{gathered}" + r" \\ ".join(formulas) + r"\end{gathered}")
