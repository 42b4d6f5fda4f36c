"""Long texts' pictures: the deep map, the document beside it, and all heads of the layer small."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from headlight.core.errors import HeadlightError
from headlight.core.long.reading import Reading
from headlight.viz import store
from headlight.viz.components.deep_map import Moved, deep_map
from headlight.viz.components.document_view import document_view
from headlight.viz.components.head_grid import head_grid
from headlight.viz.figures import tiles as long_maps
from headlight.viz.pages.long import take_away as long_take
from headlight.viz.pages.long.choices import LOOKS, LongChoices, clamp, grain, state
from headlight.viz.theme import Theme, theme
from headlight.viz.ui.visitor import refused

if TYPE_CHECKING:
    from headlight.viz.components.deep_map import Tile
    from headlight.viz.pages.long.choices import Viewport

_NUMBER = "long:number"  # session: of the map's last request
_SAYS = {
    "largest": "a cell: the largest weight of {n} × {n} tokens",
    "mass": "a cell: the share of attention of {n} queries that falls on {n} keys, their mean",
}


@st.fragment
def draw(key: str) -> None:
    """The map and the document; a zoom or a click runs and sends these two alone. key: of the reading, which the store keeps; a
    fragment that held it would keep its file for as long as the page is open."""
    reading = store.readings().reading(key)
    if reading is None:
        st.rerun()  # let go of meanwhile: the page reads it anew
    choices, look = state.current(), theme(st.context.theme.type)
    left, right = st.columns([11, 9], gap="medium")
    try:
        with left:
            _map(choices, key, reading, look)
        with right:
            _document(choices, key, reading, look)
    except HeadlightError as error:
        refused(error, "long_views")
    long_take.draw(choices, key, len(reading.tokens))
    state.write(choices)


def _map(choices: LongChoices, key: str, reading: Reading, look: Theme) -> None:
    length, layer, head = len(reading.tokens), choices.layer or 0, choices.head or 0
    readings = store.readings()
    whole = (0, length, 0, length)
    view = choices.view or whole

    def made(part: Viewport) -> Tile:  # in the grain it is shown in
        return long_maps.tile(readings, key, reading, layer, head, *grain(part, length), choices.shows)

    deep_map(
        made(view), None if view == whole else long_maps.overview(made(whole)), reading.tokens.spaced,
        picture=f"{key}:{layer}:{head}:{choices.shows}", view=view, number=st.session_state.get(_NUMBER, 0),
        picked=(choices.query or 0, choices.key), colours=choices.colours, says=_SAYS[choices.shows], lut=look.lut(),
        alt=f"Attention of head {head} in layer {layer} over {length:,} tokens.", key_name="long_map",
        on_move=lambda moved: _moved(moved, length),
    )  # fmt: skip


def _moved(moved: Moved, length: int) -> None:
    st.session_state[_NUMBER] = moved.number
    pair = {} if moved.pair is None else {"query": moved.pair[0], "key": moved.pair[1]}
    state.change(view=clamp(moved.view, length), **pair)


def _document(choices: LongChoices, key: str, reading: Reading, look: Theme) -> None:
    state.segments("The document shows", "looks", choices.looks, LOOKS, label_visibility="collapsed")
    focus, other = choices.query or 0, choices.key
    if choices.looks == "by":
        focus, other = (focus, None) if other is None else (other, focus)
    weights, allowed = long_maps.one(
        store.readings(), key, reading, choices.layer or 0, choices.head or 0, focus, choices.looks
    )
    document_view(
        reading.tokens.spaced, reading.tokens.special, weights, allowed, focus, text=key, other=other,
        direction=choices.looks, colours=choices.colours, lut=look.lut(), key_name="long_document", on_pick=_word,
    )  # fmt: skip


def _word(index: int) -> None:
    # The clicked word looks, or is looked at; the pair picked before is left.
    if state.current().looks == "at":
        state.change(query=index, key=None)
    else:
        state.change(query=index, key=index)


def heads(choices: LongChoices, key: str, reading: Reading, look: Theme) -> None:
    """All heads of the layer small; a click picks one."""
    values, allowed = long_maps.small_maps(store.readings(), key, reading, choices.layer or 0, choices.shows)
    attention = reading.model.attention
    latent = attention.cache_row().part("latent")
    places = long_maps.few_colours(long_maps.ramp_places(values, choices.colours))
    head_grid(
        places, allowed, attention.n_kv_heads, choices.head or 0, choices.query or 0,
        lut=look.lut(), key_name="long_heads", q_len=len(reading.tokens), small=True, on_pick=_head,
        notes=long_maps.heads_said(values),
        latent=f"one latent of {latent.width} numbers" if latent else None,
    )  # fmt: skip


def _head(head: int) -> None:
    state.change(head=head)
