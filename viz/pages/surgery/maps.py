"""Surgery's pictures: one head before and after, the difference, and how far every head of the layer went."""

from __future__ import annotations

from typing import Any

import streamlit as st

from headlight.viz.components.chart import chart
from headlight.viz.figures import difference_map, head_bars, weight_map
from headlight.viz.figures.compare.maps import difference, difference_limit
from headlight.viz.figures.explore.head_map import visible_weights
from headlight.viz.pages.surgery.choices import SurgeryChoices, state
from headlight.viz.pages.surgery.state import Shown
from headlight.viz.text import markdown_text, shorten, visible
from headlight.viz.theme import Theme


def draw(choices: SurgeryChoices, shown: Shown, look: Theme) -> None:
    """Before, after and difference side by side; below, the distances of all heads of the layer."""
    layer, head = choices.layer or 0, choices.head or 0
    mask = shown.run.layers[layer].mask.cpu().numpy()
    before, after = (
        visible_weights(each[head].float().cpu().numpy(), mask) for each in (shown.before, shown.after)
    )  # fmt: skip
    pieces, limit = shown.run.tokens.pieces, difference_limit([difference(before, after)])
    place = f"layer {layer} · head {head}"
    figures = {
        "before": weight_map(before, pieces, f"Before · {place}", legend="weight, one scale for both maps", theme=look),
        "after": weight_map(after, pieces, "After", theme=look),
        "change": difference_map(
            before, after, pieces, "After minus before", limit=limit, legend="purple: less, orange: more weight", theme=look
        ),
    }  # fmt: skip
    for column, (name, figure) in zip(st.columns(3, gap="small"), figures.items(), strict=True):
        with column:
            _map(figure, name, f"{figure.layout.title.text}, {place}.", choices, len(pieces))
    st.text(_told(choices, shown, before, after))
    _bars(choices, shown, layer, head, look)


def _map(figure: Any, name: str, alt: str, choices: SurgeryChoices, size: int) -> None:
    picked = None if choices.query is None or choices.key is None else (choices.query, choices.key)
    chart(
        figure, key_name=f"surgery_{name}", alt=alt, file_name=f"headlight-surgery-{name}", shape=(size, size), picked=picked,
        token_map=True, on_pick=lambda cell: state.change(query=cell[0], key=cell[1]),
    )  # fmt: skip


def _told(choices: SurgeryChoices, shown: Shown, before: Any, after: Any) -> str:
    """The picked cell in words, or the cell that changed most."""
    query, key = choices.query, choices.key
    lead = ""
    if query is None or key is None:
        change = abs(difference(before, after))
        change[change != change] = -1.0
        query, key = divmod(int(change.argmax()), change.shape[1])
        lead = "Largest change: "
    looks, at = (shorten(visible(shown.run.tokens.pieces[i]), 24) for i in (query, key))
    values = (float(each[query, key]) for each in (before, after))
    told = [f"{value:.3f}" if value == value else "masked (it comes later)" for value in values]
    return f"{lead}“{looks}” looks at “{at}”: {told[0]} before, {told[1]} after."


def _bars(choices: SurgeryChoices, shown: Shown, layer: int, head: int, look: Theme) -> None:
    scope = "all layers are converted" if choices.whole else "this layer alone is converted"
    figure = head_bars(shown.apart.numpy(), "Change per head", chosen=head, theme=look)
    told = ", ".join(f"head {i} {value:.3f}" for i, value in enumerate(shown.apart.tolist()))
    chart(
        figure, key_name="surgery_heads_apart", alt=f"Jensen-Shannon distance of each head to itself: {told}.",
        file_name="headlight-surgery-heads", shape=(1, len(shown.apart)),
        on_pick=lambda cell: state.change(head=cell[1], query=None, key=None),
    )  # fmt: skip
    group = ""
    kv = shown.new.n_heads // shown.new.n_kv_heads
    if shown.conversion.counts == "heads" and kv > 1:
        first = head // kv * kv
        group = f" Heads {first} to {first + kv - 1} now read the same key and value head."
    st.caption(
        markdown_text(
            "Jensen-Shannon distance of each head to itself, mean over the tokens that look: 0 is the same, 1 has nothing in "
            f"common. Layer {layer}, {scope}. This head: {float(shown.apart[head]):.3f}.{group} Click a bar to see its head."
        )
    )
