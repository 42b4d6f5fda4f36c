"""KV cache: what if this model had MHA, GQA, MQA or MLA; and for MLA, its latent, expanded, and as plain heads."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from headlight.core.errors import ConfigError
from headlight.core.memory.config.wording import decimal, number
from headlight.core.memory.deployment import Deployment
from headlight.core.memory.shape import CacheShape, Heads
from headlight.core.memory.variants import as_mha, as_mla, mla_forms, with_kv_heads
from headlight.viz.figures import memory_bars
from headlight.viz.pages.cache.choices import RANKS, CacheChoices, state
from headlight.viz.pages.cache.sizing import UNITS, bar
from headlight.viz.text import markdown_text
from headlight.viz.theme import Theme
from headlight.viz.ui.widgets import picture


def knobs(shape: CacheShape, choices: CacheChoices) -> int:
    """The controls: KV heads of GQA and the latent's rank; returns the KV heads, settled to what divides the heads."""
    options = [n for n in range(1, shape.n_heads + 1) if shape.n_heads % n == 0]
    asked = choices.models_kv_heads or 8
    n_kv_heads = asked if asked in options else min(options, key=lambda n: abs(n - asked))
    state.steps(
        "GQA with KV heads", "models_kv_heads", n_kv_heads, options if len(options) > 1 else [*options, options[0] + 1],
        width=220, disabled=len(options) < 2,
    )  # fmt: skip
    state.steps("MLA with rank", "models_rank", choices.models_rank, RANKS, width=220)
    return n_kv_heads


def draw(plan: Deployment, n_kv_heads: int, choices: CacheChoices, look: Theme) -> None:
    """The bars: as it is, and otherwise."""
    shape = plan.shape
    try:
        shapes = _forms(shape) | _others(shape, n_kv_heads, choices.models_rank)
    except ConfigError as error:
        st.caption(markdown_text(f"{shape.name}: {error}."))
        return
    plans = {title: replace(plan, shape=other) for title, other in shapes.items()}
    figure = memory_bars(
        [bar(each, title) for title, each in plans.items()], f"{shape.name} with other attention", theme=look
    )
    now = plan.ideal or 1
    told = "; ".join(
        f"{title}: {decimal(each.ideal)}, {number(round(each.ideal / now, 3))} ×" for title, each in plans.items()
    )
    picture(
        figure, "otherwise", f"{told}.",
        "The same layers, windows and widths of heads; only what a layer keeps is changed. How good such a model would be is "
        "another question." + _absorbed(shape) + " " + UNITS,
    )  # fmt: skip


def _forms(shape: CacheShape) -> dict[str, CacheShape]:
    """The model as it is; MLA in its three forms."""
    if shape.mla is None:
        as_it_is = next((group.row for group in shape.groups if isinstance(group.row, Heads)), None)
        kind = "" if as_it_is is None else f": {_named(shape, as_it_is.n_kv_heads)}"
        return {f"As it is{kind}": shape}
    forms = mla_forms(shape)
    return {
        "As it is: MLA's latent": forms["latent"],
        "MLA expanded for every head": forms["expanded"],
        "MHA of these heads, without the rotated part": forms["mha"],
    }


def _others(shape: CacheShape, n_kv_heads: int, rank: int) -> dict[str, CacheShape]:
    mha = {} if shape.mla else {"MHA": as_mha(shape)}
    gqa = {} if n_kv_heads in (1, shape.n_heads) else {f"GQA, {n_kv_heads} KV heads": with_kv_heads(shape, n_kv_heads)}
    others = mha | gqa | {"MQA": with_kv_heads(shape, 1), f"MLA, rank {rank}": as_mla(shape, rank)}
    return {title: other for title, other in others.items() if other.groups != shape.groups}


def _named(shape: CacheShape, n_kv_heads: int) -> str:
    if n_kv_heads == shape.n_heads:
        return "MHA"
    return "MQA" if n_kv_heads == 1 else f"GQA, {n_kv_heads} KV heads"


def _absorbed(shape: CacheShape) -> str:
    if shape.mla is None:
        return " MLA's rotated key is half a head wide, as in DeepSeek-V2."
    row = shape.mla.row
    return (
        f" Absorbed, attention runs on the latent's row itself: {row.kv_lora_rank} + {row.qk_rope_head_dim} = {row.elements} "
        "values per token per layer, which serve all heads."
    )
