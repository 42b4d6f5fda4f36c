"""Watch it think: a sentence continued token by token with the real cache, each step's attention row appended."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import streamlit as st

from headlight.core.decoding import Continuation, what_variants_keep
from headlight.core.errors import HeadlightError, InputError, OutOfMemoryError, OverloadError
from headlight.core.model import Model
from headlight.viz import store
from headlight.viz.components.chart import chart
from headlight.viz.components.share import share
from headlight.viz.figures import cache_growth, candidate_bars, continuation_map
from headlight.viz.pages.watch.choices import MAX_NEW, MAX_SEED, MAX_TEMPERATURE, WatchChoices, decoders, state
from headlight.viz.text import markdown_text, visible
from headlight.viz.theme import Theme, theme
from headlight.viz.ui.state import went_back_or_forward
from headlight.viz.ui.visitor import refused

_PLAYING, _KEPT = "watch:playing", "watch:kept"  # session: whether tokens come by themselves; what is continued
_TICK = 0.4  # seconds between two tokens while it plays


def page() -> None:
    """The whole page; what Headlight refuses on purpose becomes one line."""
    st.html("<h1 class='headlight'>Watch it think <small>one token at a time, with the real cache</small></h1>")
    try:
        _page()
    except HeadlightError as error:
        st.session_state[_PLAYING] = False
        refused(error, "watch", icon=":material/edit:")


def _page() -> None:
    names = decoders()
    if not names:
        raise InputError("no decoder is installed; MiniLM reads both ways and cannot continue a text")
    choices, notes = state.read()
    if went_back_or_forward():
        st.session_state[_PLAYING] = False
    if choices.model not in names:
        notes.append("The link's model cannot continue a text or is not here; showing the first that can.")
        choices = replace(choices, model=names[0], layer=None, head=None)
    model = _controls(choices, names)
    messages = st.container()  # always there: what comes and goes inside it leaves the page below where it is
    if notes:
        messages.info(markdown_text(" ".join(notes)), icon=":material/info:")
    choices = _settled(choices, model)
    with messages:
        continuation = _continued(choices)
    choices = replace(choices, count=len(continuation.steps))
    if not _playing():  # while it plays, a history entry a token would bury the page before
        state.write(choices)
    _buttons(choices, continuation)
    _draw(choices, continuation, model, theme(st.context.theme.type))


def _controls(choices: WatchChoices, names: list[str]) -> Model:
    box, link = st.columns([7, 1], vertical_alignment="bottom")
    most, titles = store.engine().limits.max_characters, {name: store.engine().rows[name].title for name in names}
    state.text("Sentence to continue", "text", choices.text, most, partial(_restart_with, "text"), box)
    with link:
        share(key_name="watch_share")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        state.menu(
            "Model", "model", choices.model, names, partial(_restart_with, "model"), format_func=titles.__getitem__, width=200
        )  # fmt: skip
        model = store.model(choices.model)
        if not isinstance(model, Model):
            raise InputError(f"{model.title} cannot be continued here")
        settled = _settled(choices, model)
        state.slider("Layer", "layer", settled.layer, 0, model.n_layers - 1, width=150)
        state.slider("Head", "head", settled.head, 0, model.n_heads - 1, width=150)
        _chance(choices)
    return model


def _chance(choices: WatchChoices) -> None:
    state.slider(
        "Temperature", "temperature", choices.temperature, 0.0, MAX_TEMPERATURE, partial(_restart_with, "temperature"), 0.1,
        width=150, help="0 takes the likeliest token. Above, tokens are drawn: the higher, the more unlikely ones.",
    )  # fmt: skip
    state.number(
        "Seed", "seed", choices.seed, 0, MAX_SEED, partial(_restart_with, "seed"), width=120,
        disabled=choices.temperature == 0, help="The same seed draws the same tokens.",
    )  # fmt: skip


def _restart_with(field: str, value: object) -> None:
    st.session_state[_PLAYING] = False
    fresh = {"layer": None, "head": None} if field == "model" else {}
    state.change(**{field: value, "count": 0}, **fresh)


def _settled(choices: WatchChoices, model: Model) -> WatchChoices:
    """Layer and head that exist; by default the middle layer's first head."""
    layer = model.n_layers // 2 if choices.layer is None else min(choices.layer, model.n_layers - 1)
    head = 0 if choices.head is None else min(choices.head, model.n_heads - 1)
    return replace(choices, layer=layer, head=head)


def _continued(choices: WatchChoices) -> Continuation:
    """The continuation as far as it was asked for: kept between reruns, or written anew for another link."""
    key = (choices.text, choices.model, choices.temperature, choices.seed)

    def anew() -> Continuation:
        return store.engine().continuation(choices.model, choices.text, choices.temperature, choices.seed, watch=True)

    if st.session_state.get(_KEPT) != key:
        store.forget(st.session_state.get(_KEPT))  # a visitor has one at a time
        st.session_state[_KEPT] = key
    continuation = store.continuation(key, anew)
    if len(continuation.steps) > choices.count:
        continuation = anew()
    try:
        _write(continuation, choices.count)
    except OutOfMemoryError:
        store.forget(key)  # some of its layers may have read the token, others not
        raise
    except OverloadError as error:
        refused(error, "watch", "Below is what was written so far.")
    store.keep(key, continuation)
    return continuation


def _write(continuation: Continuation, count: int) -> None:
    bar = st.progress(0.0, text="Writing…") if count - len(continuation.steps) > 8 else None
    while len(continuation.steps) < count and not continuation.full:
        store.advance(continuation)
        if bar is not None:
            bar.progress(len(continuation.steps) / count, text="Writing…")
    if bar is not None:
        bar.empty()


def _buttons(choices: WatchChoices, continuation: Continuation) -> None:
    ended = _end(choices, continuation)
    playing = _playing() and ended is None
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Step", key="watch_step", icon=":material/skip_next:", on_click=_step, disabled=ended is not None or playing
        )
        label, icon = ("Pause", ":material/pause:") if playing else ("Play", ":material/play_arrow:")
        st.button(label, key="watch_play", icon=icon, on_click=_toggle, disabled=ended is not None)
        st.button(
            "Start again", key="watch_restart", icon=":material/replay:", on_click=_restart, disabled=not choices.count
        )
        if ended:
            st.caption(ended)
    with st.container():  # always there, so that the picture below is not made anew at Play and Pause
        if playing:
            _tick()
    st.session_state[_PLAYING] = playing


def _end(choices: WatchChoices, continuation: Continuation) -> str | None:
    if continuation.full:
        return f"The model reads {continuation.decoder.model.context:,} tokens at most: this is the end."
    return f"{MAX_NEW} new tokens are the limit here." if choices.count >= MAX_NEW else None


def _playing() -> bool:
    return bool(st.session_state.get(_PLAYING))


@st.fragment(run_every=_TICK)
def _tick() -> None:
    # The first run of a fragment belongs to the page's own; the ones after it come by the clock.
    if st.session_state.get("watch:seen") == state.current().count and _playing():
        state.advance(count=state.current().count + 1)
        st.rerun()
    st.session_state["watch:seen"] = state.current().count


def _step() -> None:
    state.change(count=state.current().count + 1)


def _toggle() -> None:
    st.session_state[_PLAYING] = not _playing()


def _restart() -> None:
    st.session_state[_PLAYING] = False
    state.change(count=0)


def _draw(choices: WatchChoices, continuation: Continuation, model: Model, look: Theme) -> None:
    steps, prompt = continuation.steps, continuation.prompt
    new = "".join(visible_text(step.text) for step in steps)
    st.markdown(markdown_text(prompt.text) + (f":blue-background[{markdown_text(new)}]" if new.strip() else ""))
    if not steps:
        st.caption(
            "Press Step for one token, Play for many. Nothing is precomputed: each token is computed when it is due."
        )
        return
    left, right = st.columns([3, 2], gap="medium")
    pieces = [*prompt.pieces, *(step.text for step in steps)]
    layer, head = choices.layer or 0, choices.head or 0
    with left:
        figure = continuation_map(steps, pieces, layer, head, theme=look)
        chart(
            figure, key_name="watch_map", alt=f"Where each of {len(steps)} readers looked in head {head} of layer {layer}.",
            file_name=f"headlight-{choices.model}-continued",
        )  # fmt: skip
        st.caption(
            "A row is the token read last: where it looked when the next token was chosen. Blank: not there yet."
        )
    with right:
        last = steps[-1]
        st.markdown(f"**What could come after {len(steps) - 1 + len(prompt)} tokens**")
        st.caption(f"Chosen: {markdown_text(visible(last.text))}, probability {last.probability:.3f}.")
        told = ", ".join(f"{visible(text)} {p:.3f}" for text, p in last.candidates[:3])
        chart(candidate_bars(last, theme=look), key_name="watch_candidates", alt=f"The likeliest: {told}.")
        _memory(continuation, model, look)


def visible_text(text: str) -> str:
    """New text with its line ends shown, so that it stays in one paragraph."""
    return text.replace("\n", " ↵ ")


def _memory(continuation: Continuation, model: Model, look: Theme) -> None:
    held = [step.cache_nbytes for step in continuation.steps]
    tokens = continuation.decoder.length
    st.markdown(f"**Remembered: {held[-1]:,} bytes** for {tokens} tokens in {model.n_layers} layers")
    others = what_variants_keep(model)
    room = max(64, 2 ** (tokens - 1).bit_length())
    chart(
        cache_growth(held, tokens - len(held) + 1, others, room=room, theme=look), key_name="watch_cache",
        alt=f"The caches hold {held[-1]:,} bytes; " + ", ".join(f"{n} keeps {b:,} bytes per token" for n, b in others.items()),
    )  # fmt: skip
    st.caption(
        "Points: bytes of the tensors really held (float32). Lines: what each variant keeps with the same heads."
    )
