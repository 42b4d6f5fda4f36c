"""Positions, MLA: position travels in a few dimensions of its own, and the order of putting keys together matters."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from headlight.core.attention.mla import MLA, mla_of
from headlight.core.export.table import to_csv
from headlight.core.lessons.shift import (
    after_up_projection,
    largest,
    layer_of,
)
from headlight.core.model import Model
from headlight.core.registry import SIBLINGS
from headlight.viz import store
from headlight.viz.figures import dimension_bars, signed_map
from headlight.viz.pages.explore import choices as plain_view
from headlight.viz.pages.positions.choices import Positions, state
from headlight.viz.pages.positions.query import text
from headlight.viz.text import labels
from headlight.viz.theme import Theme
from headlight.viz.ui.shift_test import Shown, by_shift, shown
from headlight.viz.ui.widgets import picture, take_away

if TYPE_CHECKING:
    from torch import Tensor

_NAME = "mla-rope"
_INTRO = (
    "MLA keeps one small latent per token and makes keys from it. Turning those keys would put a matrix that depends on the "
    "position between the two projections, which could then not be absorbed. So position travels separately (DeepSeek-V2, "
    "section 2.1.3): a few dimensions of each query and one key that all heads share are rotated, everything else is not."
)
_UNTRAINED = (
    "The wrong order was never trained: its up-projection is the trained one wherever there is one, and random numbers of the "
    "same spread where it reads the rotated key or fills the columns that the rotated key had."
)


def draw(choices: Positions, look: Theme) -> tuple[Positions, list[str]]:
    """The dimensions that move, and the shift test in both orders."""
    st.markdown(_INTRO)
    if not SIBLINGS[_NAME].installed:
        st.info("The sibling MLA · RoPE is not trained on this machine yet: `python -m training.run` makes it.")
        return choices, []
    model = store.model(_NAME)
    if not isinstance(model, Model):
        return choices, ["This sibling is no MLA."]
    choices, notes = _settle(choices, model)
    with state.row("mla"):
        text(choices)
        state.slider("Layer", "layer_mla", choices.layer_mla, 0, model.n_layers - 1, width=170)
        state.slider("Head", "head_mla", choices.head_mla, 0, model.n_heads - 1, width=170)
        state.slider("All positions later by", "shift", choices.shift, 0, 500, width=260)
    tokens = store.engine().tokens(_NAME, choices.text)
    layer = layer_of(model, tokens, choices.layer_mla)
    seen = shown(layer, model, choices.head_mla, choices.shift, tokens.pieces)
    _dimensions(seen, mla_of(model.attention, model.title), look)
    _test(seen, look)
    take_away(
        state,
        "mla",
        _code(choices),
        {
            "Scores": lambda: to_csv(
                layer.scores(choices.shift, after_up_projection)[choices.head_mla], range(len(tokens)), "query"
            )
        },
    )
    return choices, notes


def _settle(choices: Positions, model: Model) -> tuple[Positions, list[str]]:
    wanted = plain_view.Choices("", "", choices.layer_mla, choices.head_mla)
    found, notes = plain_view.settle(wanted, n_layers=model.n_layers, n_heads=model.n_heads, length=1, causal=True)
    return replace(choices, layer_mla=found.layer or 0, head_mla=found.head or 0), notes


def _dimensions(shown: Shown, attention: MLA, look: Theme) -> None:
    moved = shown.layer.moved(shown.shift)
    nope, rope = attention.qk_nope_head_dim, attention.qk_rope_head_dim
    for column, (name, title) in zip(
        st.columns(2, gap="medium"), {"q": "Query", "k": "Key"}.items(), strict=True
    ):  # fmt: skip
        with column:
            values = moved[name][shown.head].numpy()
            figure = dimension_bars(values, nope, f"{title}: change by {shown.shift} positions", theme=look)
            picture(
                figure,
                f"moved_{name}",
                f"{title}: the last {rope} of {nope + rope} dimensions change, the others do not.",
            )
    largest_value = float(moved["v"].abs().max())
    st.caption(
        f"{rope} of {nope + rope} dimensions of a head's query and key carry position; the other {nope} come from the latents "
        f"and do not change, nor do values (largest change {largest_value:.1g}). The key's {rope} are the same for all heads: "
        f"the cache keeps {attention.kv_lora_rank} + {rope} values per token."
    )


def _test(shown: Shown, look: Theme) -> None:
    st.markdown("#### The shift test, computed now in float64")
    rows = []
    for name, order in shown.orders.items():
        now, later = shown.layer.scores(0, order), shown.layer.scores(shown.shift, order)
        weights = largest(shown.layer.weights(shown.shift, order) - shown.layer.weights(0, order))
        first, then = (float(each[shown.head, -1, 0]) for each in (now, later))
        change = largest(later - now)
        rows.append({
            "keys": name,
            "last token's score for the first": f"{first:.4f}",
            f"the same, {shown.shift} later": f"{then:.4f}",
            "largest change of a score": f"{float(change[shown.head]):.3g}",
            "of a weight": f"{float(weights[shown.head]):.3g}",
            "of a score in any head": f"{float(change.max()):.3g}",
        })  # fmt: skip
    st.table(rows)
    st.caption(_UNTRAINED)
    columns = st.columns(3, gap="medium")
    with columns[0]:
        by_shift(shown, look)
    changed = {
        name: (shown.layer.weights(shown.shift, order) - shown.layer.weights(0, order))[shown.head]
        for name, order in shown.orders.items()
    }
    limit = max(float(each.nan_to_num(0.0).abs().max()) for each in changed.values())
    for column, (name, change), title in zip(columns[1:], changed.items(), ("Right order", "Wrong order"), strict=True):
        with column:
            _changed(name, change, title, shown, limit, look)


def _changed(name: str, change: Tensor, title: str, shown: Shown, limit: float, look: Theme) -> None:
    figure = signed_map(
        change.numpy(), f"{title}: change of weights", axes=("key, looked at", "query, looking"), legend="change",
        limit=limit or 1.0, square=True, height=340, theme=look,
    )  # fmt: skip
    if len(shown.pieces) <= 24:
        names = {"tickvals": list(range(len(shown.pieces))), "ticktext": labels(shown.pieces, 10)}
        figure.update_layout(xaxis=names | {"tickangle": -60}, yaxis=names)
    top = float(change.nan_to_num(0.0).abs().max())
    picture(
        figure,
        f"changed_{title[:5].lower()}",
        f"{name}: largest change {top:.3g}.",
        f"Largest change of a weight: {top:.3g}.",
    )


def _code(choices: Positions) -> str:
    return (
        "from headlight import load_model\nfrom headlight.core.lessons import shift\n"
        f"model = load_model({_NAME!r})\n"
        f"layer = shift.layer_of(model, model.tokens({choices.text!r}), {choices.layer_mla})\n"
        "wrong = shift.before_up_projection(shift.mixing(layer.attention, layer.params))\n"
        f"shift.changes(layer, shift.after_up_projection, [{choices.shift}]), shift.changes(layer, wrong, [{choices.shift}])"
    )
