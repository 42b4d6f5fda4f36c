"""Learn, its second half: what must be remembered, and how models came to remember less. Each step draws one live figure
and returns where to try more: the page's path, the label of the link, and the link's parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from headlight.core.analysis import sibling_quality as quality
from headlight.core.analysis import variant_quality
from headlight.core.analysis.sibling_quality import MEASURES
from headlight.core.checkpoints.sibling import read_card
from headlight.core.decoding import what_variants_keep
from headlight.core.errors import InputError
from headlight.core.lessons import shift
from headlight.core.memory.config.wording import decimal
from headlight.core.memory.precision import PRECISIONS
from headlight.core.memory.sizes import bytes_at
from headlight.core.model import Model
from headlight.viz import store
from headlight.viz.components.head_grid import head_grid
from headlight.viz.figures import cache_growth, head_maps, quality_map, signed_map
from headlight.viz.pages.explore.choices import state as explore
from headlight.viz.pages.learn.choices import MOST_NEW, SENTENCE, SHARING, Learning, state
from headlight.viz.pages.learn.looking import Try
from headlight.viz.pages.mla.choices import state as mla
from headlight.viz.pages.positions.choices import state as positions
from headlight.viz.pages.quality.choices import state as quality_page
from headlight.viz.pages.watch.choices import state as watch
from headlight.viz.text import labels
from headlight.viz.theme import Theme
from headlight.viz.ui.referent import referent_table
from headlight.viz.ui.shift_test import by_shift
from headlight.viz.ui.shift_test import shown as shift_test
from headlight.viz.ui.widgets import picture

if TYPE_CHECKING:
    from headlight.core.types import Run

_WRITER, _LATENT, _PROMPT = "mha-rope", "mla-rope", "Once upon a time"
_LARGE = "llama-2-7b"  # of the catalogue: multi-head attention
_LAYER, _HEAD = 1, 0


def cache(choices: Learning, look: Theme) -> Try:
    """A sentence continued by a small model, and the bytes its cache really holds."""
    state.slider("Tokens written", "count", choices.count, 1, MOST_NEW, width=260)
    model = _own(_WRITER)
    continuation = store.engine().continuation(_WRITER, _PROMPT)
    for _ in range(choices.count):
        store.advance(continuation)
    st.text(_PROMPT + "".join(step.text for step in continuation.steps))
    held = [step.cache_nbytes for step in continuation.steps]
    read, kept = continuation.decoder.length, model.attention.cached_elements_per_token()
    figure = cache_growth(held, read - len(held) + 1, what_variants_keep(model), room=32, theme=look)
    picture(
        figure, "learn_cache", f"The cache holds {held[-1]:,} bytes after {read} tokens.",
        f"{held[-1]:,} bytes after {read} tokens: 2 · {model.attention.n_heads} · {model.attention.head_dim} = {kept} numbers "
        f"of 4 bytes, {model.n_layers} layers, {read} tokens. The lines belong to the next steps.",
    )  # fmt: skip
    large = store.catalogue()[_LARGE].shape
    a_token, whole = (decimal(bytes_at(large, tokens, PRECISIONS["bf16"])) for tokens in (1, 4096))
    st.text(f"A large model, {large.name}: {a_token} a token in 16 bits, {whole} for 4,096 tokens.")
    link = watch.link_to(text=_PROMPT, model=_WRITER, count=choices.count)
    return "watch", "Try it: watch each token look back", link


def sharing(choices: Learning, look: Theme) -> Try:
    """The heads of one layer in models that share keys and values more and more."""
    state.segments("Attention", "attention", choices.attention, SHARING)
    name = f"{choices.attention}-rope"
    result, card = store.run(name, SENTENCE.format("tired")), read_card(name)
    trace = result.layers[_LAYER]
    maps, mask = head_maps(result, _LAYER)
    head_grid(
        maps, mask, trace.n_kv_heads, _HEAD, len(result.tokens) - 1, lut=look.lut(), key_name="learn_shared",
        q_len=len(result.tokens),
    )  # fmt: skip
    st.text(
        f"{SHARING[choices.attention]}: {card['cached_elements_per_token_and_layer']} values per token per layer, "
        f"validation loss {card['validation_loss']:.3f} (lower is better)."
    )
    return "", "Try it: switch attention and positions live", explore.link_to(text=result.tokens.text, model=name)


def latent(choices: Learning, look: Theme) -> Try:
    """What an MLA layer keeps of a sentence: the numbers themselves; and that the absorbed way computes the same."""
    model, result = _own(_LATENT), store.run(_LATENT, SENTENCE.format("tired"))
    trace = result.layers[_LAYER]
    kept = trace.cache.tensors["c_kv"].float().cpu().numpy()
    figure = signed_map(
        kept, "Each token's latent", axes=("number", "token"), legend="value",
        height=380, theme=look,
    )  # fmt: skip
    figure.update_layout(yaxis={"tickvals": list(range(len(kept))), "ticktext": labels(result.tokens.pieces, 12)})
    apart, largest = _absorbed_apart(model, result)
    picture(
        figure, "learn_latent", f"Latents of {len(kept)} tokens, {kept.shape[1]} numbers each.",
        f"{kept.shape[1]} values per token where this layer's {model.n_heads} heads, kept one by one, would need "
        f"{2 * model.n_heads * trace.v.shape[-1]}. Computed both ways, outputs differ by at most {apart:.1g} "
        f"(the largest number is {largest:.2g}): rounding.",
    )  # fmt: skip
    link = mla.link_to(section="way", text=result.tokens.text, model=_LATENT, layer=_LAYER, head=_HEAD)
    return "mla", "Try it: inside this model, step by step", link


def _absorbed_apart(model: Model, result: Run) -> tuple[float, float]:
    p = result.layers.projections(_LAYER)
    _, absorbed = model.attention.absorbed(p.q, p.cache, p.q_pos, p.position, model.layers[_LAYER])  # type: ignore[attr-defined]
    expanded = result.layers[_LAYER].out
    return float((absorbed - expanded).abs().max()), float(expanded.abs().max())


def decoupled(choices: Learning, look: Theme) -> Try:
    """The shift test: scores in the right and in the wrong order, all positions later."""
    state.slider("All positions later by", "shift", choices.shift, 0, 500, width=260)
    model, tokens = _own(_LATENT), store.engine().tokens(_LATENT, SENTENCE.format("tired"))
    layer = shift.layer_of(model, tokens, _LAYER)
    shown = shift_test(layer, model, _HEAD, choices.shift, tokens.pieces)
    right, wrong = (float(shift.changes(layer, made, [choices.shift])[0, _HEAD]) for made in shown.orders.values())
    by_shift(shown, look)
    st.text(
        f"{choices.shift} positions later: scores change by {right:.1g} in the right order, {wrong:.2g} in the wrong."
    )
    link = positions.link_to(section="mla", shift=choices.shift, layer_mla=_LAYER, head_mla=_HEAD)
    return "positions", "Try it: which numbers carry position", link


def gains(choices: Learning, look: Theme) -> Try:
    """Our twelve small models: loss against what they keep."""
    found = quality.qualities()
    if not found:
        raise InputError("no sibling is trained on this machine yet: python -m training.run makes them")
    figure = quality_map(found, "loss", MEASURES["loss"], lines=quality.baselines(), theme=look)
    best = min(found, key=lambda q: q.scores["loss"].value)
    picture(
        figure, "learn_quality", f"Lowest loss: {best.title}, {best.scores['loss'].value:.3f}.",
        "Validation loss on texts that none of them was trained on. Dotted: trigram models, which count three tokens "
        "in a row and nothing else.",
    )  # fmt: skip
    converted = variant_quality.qualities()
    if converted:
        st.markdown("**Trained models, converted: does *it* still look at *animal*?**")
        referent_table(converted)
    return "quality", "Try it: other measures, the papers' tables", quality_page.link_to(measure="loss")


def _own(name: str) -> Model:
    model = store.model(name)
    if not isinstance(model, Model):
        raise InputError(f"{model.title} cannot be read here")
    return model
