"""Positions: which query and which key, of a sentence in a model's head, or two equal vectors."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import streamlit as st

from headlight.core.errors import HeadlightError
from headlight.core.examples import examples, locate
from headlight.core.lessons.rotation import QueryKey, of_run, unit
from headlight.core.types import Run
from headlight.viz import store
from headlight.viz.pages.explore import choices as view
from headlight.viz.pages.positions.choices import UNIT, Positions, rope_models, state
from headlight.viz.text import shorten, visible
from headlight.viz.ui.visitor import refused

Found = tuple[QueryKey, str]


def choose(choices: Positions) -> tuple[Positions, list[str], Found | None]:
    """Controls and what they choose: the settled choices, notes, and the query and key with a title."""
    models, notes = rope_models(), []
    if choices.model not in models:
        notes.append(
            f"The link's model does not rotate its queries and keys, or is not here; showing {next(iter(models.values()))}."
        )
        choices = replace(choices, model=next(iter(models)), layer=None, head=None)
    top = state.row("model")
    with top:
        state.menu(
            "Model", "model", choices.model, list(models), _new_model, format_func=lambda n: models.get(n, n), width=170
        )
    if choices.model == UNIT:
        st.caption("A query and a key that are alike, of length 1, every pair pointing right.")
        return choices, notes, (replace(unit(), q_pos=8, k_pos=2), "two equal vectors")
    with top:
        text(choices)
    try:
        model, result = store.model(choices.model), store.run_or_last(choices.model, choices.text)
    except HeadlightError as error:
        refused(error, "positions_query", icon=":material/edit:")
        return choices, notes, None
    spot, more = _complete(choices, result, model.n_layers, model.n_heads)
    choices = replace(choices, layer=spot.layer, head=spot.head, query=spot.query, key=spot.key)
    with top:
        _where(choices, result, model.n_layers, model.n_heads)
    qk = of_run(result, spot.layer, spot.head, spot.query, spot.key)
    return choices, notes + more, (qk, f"layer {spot.layer} · head {spot.head}")


def text(choices: Positions) -> None:
    """The sentence, bound to the choices."""
    most = store.engine().limits.max_characters
    state.text("Sentence", "text", choices.text, most, _new_text, width=370)


def _new_text(text: str) -> None:
    state.change(text=text, query=None, key=None, q_at=None, k_at=None)


def _new_model(name: str) -> None:
    state.change(model=name, layer=None, head=None, query=None, key=None, q_at=None, k_at=None, pair=None)


def _new_token(field: str, index: int) -> None:
    state.change(**{field: index, "q_at": None, "k_at": None})


def _complete(choices: Positions, result: Run, n_layers: int, n_heads: int) -> tuple[view.View, list[str]]:
    """Every choice made: settled to what exists, the open ones as Explore would choose them."""
    plain = view.Choices(choices.text, choices.model, choices.layer, choices.head, choices.query, choices.key)
    plain, notes = view.settle(plain, n_layers=n_layers, n_heads=n_heads, length=len(result.tokens), causal=True)
    here = [e for e in examples() if e.text == choices.text] or examples()
    known = here[0].spot(choices.model)
    spot = known or next(iter(here[0].spots.values()))
    query, key = locate(spot, result.tokens.pieces)
    query = plain.query if plain.query is not None else query
    key = plain.key if plain.key is not None else (key if key is not None and key <= query else 0)
    layer = plain.layer if plain.layer is not None else (spot.layer if known else n_layers // 2)
    head = plain.head if plain.head is not None else (spot.head if known else 0)
    return view.View(choices.text, choices.model, layer, head, query, key), notes


def _where(choices: Positions, result: Run, n_layers: int, n_heads: int) -> None:
    pieces = [shorten(visible(piece), 16) for piece in result.tokens.pieces]
    for field, label in (("query", "Query"), ("key", "Key")):
        state.menu(
            label, field, getattr(choices, field), range(len(pieces)), partial(_new_token, field), width=135,
            format_func=lambda i: f"{i} · {pieces[i]}",
        )  # fmt: skip
    state.slider("Layer", "layer", choices.layer or 0, 0, n_layers - 1, width=110)
    state.slider("Head", "head", choices.head or 0, 0, n_heads - 1, width=110)
