"""Learn, its first half: how tokens look at each other, and how they know where they stand. Each step draws one live
figure and returns where to try more: the page's path, the label of the link, and the link's parameters."""

from __future__ import annotations

import streamlit as st

from headlight.core.analysis.word_order import both_ways
from headlight.core.examples import examples, locate
from headlight.core.lessons import tables
from headlight.core.lessons.order import ROUNDING, apart
from headlight.core.lessons.rotation import QueryKey, of_run
from headlight.core.model import Model
from headlight.core.positions.encodings import ENCODINGS
from headlight.viz import store
from headlight.viz.components.head_grid import head_grid
from headlight.viz.figures import dials, head_maps, signed_map
from headlight.viz.figures.explore.derivation import cell, row_bars
from headlight.viz.figures.summary import cell_sentence, head_sentence
from headlight.viz.pages.explore.choices import state as explore
from headlight.viz.pages.learn.choices import ALONE, FARTHEST, ORDERS, SENTENCE, WORDS, Learning, state
from headlight.viz.pages.positions.choices import state as positions
from headlight.viz.theme import Theme
from headlight.viz.ui.widgets import picture

Try = tuple[str, str, dict[str, str]]
_ENCODER, _ROTARY = "minilm", "mha-rope"
_TURNING = (2, 4)  # layer and head of the dials


def attention(choices: Learning, look: Theme) -> Try:
    """Scores and weights of “it”, whose sentence ends in one of two words."""
    spot = examples()[0].spots[_ENCODER]
    state.segments("… because it was too …", "word", choices.word, {word: word for word in WORDS})
    text = SENTENCE.format(choices.word)
    result = store.run(_ENCODER, text)
    query, key = locate(spot, result.tokens.pieces)
    key = key or 0
    sentence = cell_sentence(result, spot.layer, spot.head, query, key)
    st.text(f"{text}\n{sentence}")
    figure = row_bars(cell(result.layers[spot.layer], spot.head, query, key), result, key, theme=look)
    picture(
        figure, "learn_row", sentence,
        f"MiniLM, layer {spot.layer}, head {spot.head}: the row of “it”. Orange: animal. The weights sum to 1.",
    )  # fmt: skip
    link = explore.link_to(text=text, model=_ENCODER, layer=spot.layer, head=spot.head, query=query, key=key)
    return "", "Try it: your own sentence, every head", link


def order(choices: Learning, look: Theme) -> Try:
    """The signature of each position, and what two orders of the same words are to a model."""
    titles = {i: first for i, (first, _) in enumerate(ORDERS)}
    state.segments("Words", "order", choices.order, titles)
    first, second = ORDERS[choices.order]
    rows = []
    for encoding in ("none", "sinusoidal"):
        model = store.model(f"mha-{encoding}")
        if isinstance(model, Model):
            change = apart(both_ways(model), first, second).leaving
            told = f"{change:.1%} of its length" if change > ROUNDING else "0: the very same vector"
            rows.append({"positions": ENCODINGS[encoding].title, "a word in the other order differs by at most": told})
    st.text(f"{first}\n{second}")
    st.table(rows)
    figure = signed_map(
        tables.sinusoidal(48, 64).numpy(), "The signature of each position, m = 64", axes=("number", "position"),
        legend="added", limit=1.0, height=300, theme=look,
    )  # fmt: skip
    picture(
        figure, "learn_signatures", "A table of 48 positions by 64 numbers: fast waves on the left, slow ones on the right.",
        "Computed now, mask off. A row is what is added to the token at that position.",
    )  # fmt: skip
    return (
        "positions",
        "Try it: your own words, every encoding",
        positions.link_to(section="order", first=first, second=second),
    )


def rope(choices: Learning, look: Theme) -> Try:
    """A trained query and key turning, pair by pair."""
    qk = turning()
    with state.row("rope"):
        state.slider("Both tokens later by", "together", choices.together, 0, FARTHEST, width=220)
        state.slider("The query alone later by", "alone", choices.alone, 0, ALONE, width=220)
    q_at, k_at = qk.q_pos + choices.together + choices.alone, qk.k_pos + choices.together
    q, k = qk.turned(q_at, k_at)
    adds, lengths = qk.by_pair(q_at, k_at), tables.wavelengths(qk.rope.dim, qk.rope.theta)
    limit = float(qk.by_distance(64).abs().max())
    figure = dials(
        q.numpy(), k.numpy(), lengths.numpy(), adds.numpy(), f"{len(adds)} pairs", limit=limit, theme=look
    )  # fmt: skip
    picture(
        figure, "learn_dials", f"Dials of {len(adds)} pairs.",
        "Below each dial: how many positions make a full turn. Colour: what the pair adds to the score.",
    )  # fmt: skip
    st.text(
        f"“it” at position {q_at}, “animal” at {k_at}, {q_at - k_at} apart: the score is {qk.score(q_at, k_at):.4f}."
    )
    layer, head = _TURNING
    link = positions.link_to(section="rope", model=_ROTARY, layer=layer, head=head, text=SENTENCE.format("tired"))
    return "positions", "Try it: every pair, other models, longer texts", link


def turning() -> QueryKey:
    """Query of “it” and key of “animal” in a head of a small model with RoPE that looks from one to the other."""
    result = store.run(_ROTARY, SENTENCE.format("tired"))
    query, key = locate(examples()[0].spots[_ENCODER], result.tokens.pieces)
    return of_run(result, *_TURNING, query, key or 0)


def heads(choices: Learning, look: Theme) -> Try:
    """All heads of a layer, small."""
    result = store.run(_ENCODER, SENTENCE.format("tired"))
    trace = result.layers[choices.layer]
    state.slider("Layer", "layer", choices.layer, 0, len(result.layers) - 1, width=260)
    query, _ = locate(examples()[0].spots[_ENCODER], result.tokens.pieces)
    maps, mask = head_maps(result, choices.layer)
    told = [head_sentence(result, choices.layer, head, query) for head in range(trace.n_heads)]
    head_grid(
        maps, mask, trace.n_kv_heads, choices.head, query, lut=look.lut(), key_name="learn_grid",
        q_len=len(result.tokens), notes=told, on_pick=lambda head: state.change(head=head),
    )  # fmt: skip
    st.text(told[choices.head])
    link = explore.link_to(text=result.tokens.text, model=_ENCODER, layer=choices.layer, head=choices.head)
    return "", "Try it: one head large, every cell explained", link
