"""Surgery's reasons, with the numbers of the layer on screen: where the rank ends, and what can be absorbed."""

from __future__ import annotations

import streamlit as st

from headlight.core.attention import Attention
from headlight.core.cache import KVCache
from headlight.core.lessons.rotated_keys import how_far, multiplications
from headlight.core.memory.shape import CachePart
from headlight.core.surgery.rotary import CHOICES
from headlight.viz import store
from headlight.viz.components.chart import chart
from headlight.viz.figures import curves
from headlight.viz.figures.positions.maps import thinned
from headlight.viz.pages.surgery.choices import SurgeryChoices
from headlight.viz.pages.surgery.state import Shown
from headlight.viz.text import markdown_text
from headlight.viz.theme import Theme

_FAR = 64  # distances drawn
_HEADS = (
    "Queries stay as they were trained, but several heads now look through the same keys. Nothing made the heads of a group "
    "agree, so this breaks much at once; the GQA paper therefore trains on for 5% of the pretraining steps (below: healed)."
)
_RANDOM = (
    "The GQA paper's own “random” baseline draws new heads from scratch; a trained head picked at random is our addition, "
    "beside its “first head”."
)


def draw(choices: SurgeryChoices, shown: Shown, look: Theme) -> None:
    """What there is to say to this conversion; nothing is computed while the section is closed."""
    section = st.expander("Why", expanded=True, key="surgery_why", on_change="rerun")
    if not section.open:
        return
    with section:
        attention = shown.new
        if attention.cache_row().part("latent"):
            st.markdown(_rank(shown, attention.cache_row().part("rotated")))
            _absorbing(choices, shown, attention, look)
        elif choices.method == "repeat":
            st.markdown(
                f"Each of {attention.n_heads} query heads gets a copy of the key and value head that it read. The same numbers "
                "are multiplied, so the outputs are the same; the cache holds copies."
            )
        else:
            st.markdown(_HEADS + (f" {_RANDOM}" if choices.method in ("random", "fresh") else ""))


def _rank(shown: Shown, rotated: CachePart | None) -> str:
    source, full = shown.source, shown.conversion.settings(shown.source)[-1]
    rows, width = 2 * source.n_kv_heads * source.head_dim, source.d_model
    if rotated is not None:
        return (
            f"Of each key {rotated.width} of {source.head_dim} dimensions keep their rotation "
            f"({source.n_kv_heads} × {rotated.width} = {rotated.elements} values per token); the other "
            f"{source.head_dim - rotated.width} lose it, so those parts of the scores no longer know how far apart two tokens "
            f"are. That is a loss at every rank, the full one ({full}) too. MHA2MLA and TransMLA train on afterwards."
        )
    start = f"The keys and values of a layer are [W_K; W_V] h: {rows} numbers, made from {width}. "
    if width < rows:
        return start + (
            f"A matrix of {rows} × {width} has rank {width} at most: all {rows} are combinations of the {width} that went in. "
            f"So {width} numbers are enough to make them all again, and rank {full} halves what is cached for nothing lost. "
            f"No larger rank exists." if rows == 2 * width else
            f"Its rank is {width} at most, so {full} numbers are enough to make them all again; no larger rank exists."
        )  # fmt: skip
    return start + (
        f"A matrix of {rows} × {width} has rank {rows} at most, 2 × {source.n_kv_heads} KV heads × {source.head_dim}: just "
        f"what is cached already. Full rank is exact and saves nothing here; every saving is a loss."
    )


def _absorbing(choices: SurgeryChoices, shown: Shown, attention: Attention, look: Theme) -> None:
    cost = multiplications(attention)
    if attention.cache_row().part("rotated"):
        st.markdown(
            "**It can be absorbed**: what is rotated is not in the latent, so W^UK goes to the query's side and decoding "
            f"attends in latent space. {_difference(choices, shown)} These dimensions were kept: {CHOICES[choices.choice]}."
        )
    elif attention.absorbs(shown.model.position):
        st.markdown(
            f"**It can be absorbed**: positions are not in the keys, so W^UK goes to the query's side. "
            f"{_difference(choices, shown)} A remembered token costs a decoding step {cost['absorbed']:,} multiplications that "
            f"way, {cost['expanded']:,} if keys and values are expanded first."
        )
    else:
        _not_absorbable(choices, shown, attention, cost, look)


def _difference(choices: SurgeryChoices, shown: Shown) -> str:
    attention, params = shown.converted.attention, shown.converted.params
    h = store.conversions().inputs(shown.name, choices.text)[choices.layer or 0]
    p = attention.project(h, params, shown.model.position, KVCache())
    weights, _ = attention.absorbed(p.q, p.cache, p.q_pos, p.position, params)
    apart = float((weights - attention.rows(p, slice(None))).abs().max())
    return f"On this sentence and layer both forms differ by {apart:.1g} at most, which is rounding."


def _not_absorbable(
    choices: SurgeryChoices, shown: Shown, attention: Attention, cost: dict[str, int], look: Theme
) -> None:  # fmt: skip
    head, far = choices.head or 0, range(_FAR + 1)
    apart = how_far(attention, shown.converted.params, shown.model.position, head, far).cpu().numpy()
    words, picture = st.columns([1, 1], gap="medium")
    words.markdown(
        "**It cannot be absorbed.** Keys are expanded from the latent, then rotated by RoPE (exact at full rank). The score is "
        r"$h_t^\top\, W_Q^\top R_{u-t} W^{UK}\, c_u$: between the input and the latent stands another matrix for every "
        "distance. Absorbing would need one for all. "
        f"In head {head} of this layer the matrix for the token just before differs from the one for the token itself by "
        f"{apart[1]:.0%} of its size, 8 tokens back by {apart[8]:.0%}, {_FAR} back by {apart[_FAR]:.0%}. "
        f"So every step expands all that is remembered: {cost['expanded']:,} multiplications per remembered token per layer, "
        f"where attending in latent space would take {cost['absorbed']:,}. Less is kept, more is computed."
    )
    figure = curves(
        thinned(_FAR + 1, 999), {"this head": apart}, "The matrix to absorb, against the one at distance 0",
        axes=("tokens back", "difference / size"), colours=("position",), theme=look, height=300,
    )  # fmt: skip
    with picture:
        alt = f"Relative difference: 1 token back {apart[1]:.3f}, 8 {apart[8]:.3f}, {_FAR} {apart[_FAR]:.3f}."
        chart(figure, key_name="surgery_absorbing", alt=markdown_text(alt), file_name="headlight-surgery-absorbing")
