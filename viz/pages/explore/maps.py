"""Explore's pictures: all heads of the layer small, the chosen one large."""

from __future__ import annotations

import streamlit as st

from headlight.core.types import Run, Trace
from headlight.viz.components.chart import chart
from headlight.viz.components.head_grid import head_grid
from headlight.viz.figures import head_maps
from headlight.viz.figures.explore.head_map import head_drawing
from headlight.viz.figures.summary import cell_sentence, head_sentence
from headlight.viz.pages.explore.choices import View, state
from headlight.viz.theme import Theme

CHART = "head_map"


def draw(result: Run, view: View, look: Theme) -> None:
    """Small multiples on the left, the large map on the right; clicks pick a head, a cell."""
    left, right = st.columns([2, 3], gap="medium")
    with left:
        _small(result, view, look)
    with right:
        _large(result, view, look)


def _small(result: Run, view: View, look: Theme) -> None:
    trace = result.layers[view.layer]
    maps, mask = head_maps(result, view.layer, skip_first=view.skip_first)
    head_grid(
        maps, mask, trace.n_kv_heads, view.head, view.query, lut=look.lut(), key_name="grid", q_len=len(result.tokens),
        latent=_latent(trace), on_pick=_pick_head,
        notes=[head_sentence(result, view.layer, head, view.query) for head in range(trace.n_heads)],
    )  # fmt: skip


def _latent(trace: Trace) -> str | None:
    """What all heads share in MLA: the latent and the one rotated key that a decoder remembers."""
    kept = trace.cache.tensors
    if "c_kv" not in kept:
        return None
    beside = f" + one key of {kept['k_rope'].shape[-1]}" if "k_rope" in kept else ""
    return f"one latent of {kept['c_kv'].shape[-1]} numbers{beside}"


def _large(result: Run, view: View, look: Theme) -> None:
    figure = head_drawing(result, view.layer, view.head, skip_first=view.skip_first, theme=look)
    summary = head_sentence(result, view.layer, view.head, view.query)
    sentence = cell_sentence(result, view.layer, view.head, view.query, view.key)
    size = len(result.tokens)
    chart(
        figure, key_name=CHART, alt=f"{summary} {sentence}.",
        file_name=f"headlight-{view.model}-layer{view.layer}-head{view.head}",
        shape=(size, size), picked=(view.query, view.key),
        token_map=True,
        on_pick=_pick_cell,
    )  # fmt: skip


def _pick_head(head: int) -> None:
    state.change(head=head)


def _pick_cell(cell: tuple[int, int]) -> None:
    state.change(query=cell[0], key=cell[1])
