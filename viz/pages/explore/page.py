"""Explore: a sentence, and what each head of a trained model looks at in it."""

from __future__ import annotations

from dataclasses import asdict, replace

import streamlit as st

from headlight.core.analysis.head_scores import ranked, survey
from headlight.core.checkpoints.packages import INSTALL_COMMAND
from headlight.core.errors import HeadlightError, MissingModelError, OverloadError
from headlight.core.examples import Spot, examples, locate
from headlight.core.model import Readable
from headlight.core.registry import base_of
from headlight.core.types import Run
from headlight.viz import store
from headlight.viz.components.share import share
from headlight.viz.components.token_strip import token_strip
from headlight.viz.figures.summary import head_sentence, strongest_key
from headlight.viz.pages.explore import controls as explore_controls
from headlight.viz.pages.explore import derivation as explore_derivation
from headlight.viz.pages.explore import families as explore_families
from headlight.viz.pages.explore import maps as explore_maps
from headlight.viz.pages.explore import survey as explore_survey
from headlight.viz.pages.explore import take_away as explore_export
from headlight.viz.pages.explore.choices import Choices, View, follow, installed_models, settle, state
from headlight.viz.text import markdown_text
from headlight.viz.theme import Theme, theme
from headlight.viz.ui.visitor import refused

_HEADING = (
    "<h1 class='headlight'>Headlight <small>what each attention head of a real, trained model looks at</small></h1>"
)
_SHOWN, _FOLLOW = "shown", "follow"  # session: the tokens on screen; the tokens that the picked ones are to follow


def page() -> None:
    """The whole page; what Headlight refuses on purpose (no such device, a damaged model) becomes one line."""
    try:
        _page()
    except HeadlightError as error:
        refused(error, "explore_page")


def _page() -> None:
    names = installed_models()
    if not names:
        st.error(f"No model is installed yet. Where Headlight is installed, run:\n\n`{INSTALL_COMMAND}`")
        return
    choices, notes = state.read()
    if choices.model not in names:
        instead = base_of(choices.model)  # of a variant that is not here
        choices = (
            replace(choices, model=instead)
            if instead in names
            else replace(choices, model=names[0], layer=None, head=None)
        )
        notes.append(f"The link's model is not on this machine; showing {store.engine().rows[choices.model].title}.")
    st.html(_HEADING)
    _ask_for_text(choices)
    controls = st.container(horizontal=True, vertical_alignment="bottom", key="controls")
    messages = st.container()  # always there: what comes and goes inside it leaves the page below where it is
    with messages:
        if refusal := explore_controls.refusal():
            st.warning(markdown_text(refusal), icon=":material/error:")
        choices, model = _load(choices, names)
        result = _read_text(choices)
    if result is None:
        state.write(choices)
        return
    view, more = _complete(choices, model, result)
    st.session_state[_SHOWN] = result.tokens
    with controls:
        explore_controls.draw(view, names, model, _FOLLOW)
    explore_families.facts(view, model)
    if notes + more:
        messages.info("  \n".join(notes + more), icon=":material/info:")
    state.write(view)
    _draw(result, view, theme(st.context.theme.type))


def _ask_for_text(view: Choices) -> None:
    box, menu, link = st.columns([6, 1, 1], vertical_alignment="bottom")
    state.text(
        "Sentence", "text", view.text, store.engine().limits.max_characters, _text_changed, box, live=True,
        placeholder="Type a sentence, or pick an example", help="The picture follows as you type.",
    )  # fmt: skip
    texts = {example.title: example.text for example in examples()}
    menu.menu_button(
        "Examples", list(texts), key="example", icon=":material/lightbulb:", width="stretch", on_click=_example_picked,
        args=(texts,),
    )  # fmt: skip
    with link:
        share(key_name="share")


def _example_picked(texts: dict[str, str]) -> None:
    title = st.session_state["example"]
    if title in texts:
        state.change(text=texts[title], layer=None, head=None, query=None, key=None)


def _text_changed(text: str) -> None:
    st.session_state[_FOLLOW] = st.session_state.get(_SHOWN)
    state.change(text=text)


def _load(choices: Choices, names: list[str]) -> tuple[Choices, Readable]:
    """The chosen model; one that cannot be loaded gives way to the first that can, with a line that says why."""
    base = base_of(choices.model)
    for name in dict.fromkeys([choices.model, *(each for each in (base, *names) if each in names)]):
        try:
            model = store.model(name)
        except HeadlightError as error:
            title = store.engine().rows[name].title
            st.warning(markdown_text(f"{title} cannot be shown: {error}."), icon=":material/error:")
            continue
        same = name in (choices.model, base)
        return replace(choices, model=name) if same else replace(choices, model=name, layer=None, head=None), model
    raise MissingModelError("no model could be loaded")


def _read_text(view: Choices) -> Run | None:
    """The run of the text; while it cannot be read, a line that says why and the run of the last text that could."""
    try:
        return store.run_or_last(view.model, view.text)
    except OverloadError as error:
        refused(error, "explore")
        return None
    except HeadlightError as error:
        message = str(error)[:1].upper() + str(error)[1:]
        last = st.session_state.get(_SHOWN)
        if last is None:
            st.warning(f"{message}. The examples are a good start.", icon=":material/edit:")
            return None
        st.warning(f"{message}. Below is the last sentence that could be read.", icon=":material/edit:")
        return store.run(view.model, last.text)


def _complete(choices: Choices, model: Readable, result: Run) -> tuple[View, list[str]]:
    """Every choice made: followed from the text before, settled to what exists, and the open ones chosen well."""
    choices, notes = settle(
        _followed(choices, result), n_layers=model.n_layers, n_heads=model.n_heads, length=len(result.tokens),
        causal=model.causal,
    )  # fmt: skip
    spot = _spot(choices, result)
    layer = spot.layer if choices.layer is None else choices.layer
    head = spot.head if choices.head is None else choices.head
    query, key = choices.query, choices.key
    if query is None:
        query, key = locate(spot, result.tokens.pieces)
    if key is None:
        key = strongest_key(result, layer, head, query)
    made = {"layer": layer, "head": head, "query": query, "key": key}
    return View(**(asdict(choices) | made)), notes


def _followed(choices: Choices, result: Run) -> Choices:
    """After an edit or a change of model, the picked tokens are where the same words are now."""
    old = st.session_state.pop(_FOLLOW, None)
    if old is None or choices.query is None:
        return choices
    key = None if choices.key is None else follow(choices.key, old, result.tokens)
    return replace(choices, query=follow(choices.query, old, result.tokens), key=key)


def _spot(choices: Choices, result: Run) -> Spot:
    """The head to show first: known for our examples, else the one in which the example's words look at each other most."""
    here = [e for e in examples() if e.text == choices.text] or examples()
    spot = here[0].spot(choices.model)
    if spot is not None:
        return spot
    words = next(iter(here[0].spots.values()))
    query, key = locate(words, result.tokens.pieces)
    if key is None or None not in (choices.layer, choices.head):
        return replace(words, layer=len(result.layers) // 2, head=0)
    layer, head, _ = ranked(survey(result, "weight", query, key), 1)[0]
    return replace(words, layer=layer, head=head)


def _draw(result: Run, view: View, look: Theme) -> None:
    trace = result.layers[view.layer]
    weights, mask = trace.weights[view.head].float().cpu().numpy(), trace.mask.cpu().numpy()
    token_strip(
        result.tokens.spaced, result.tokens.special, weights, mask, view.query, view.key, lut=look.lut(),
        key_name="strip", sink=view.skip_first, on_pick=_pick_query,
    )  # fmt: skip
    explore_maps.draw(result, view, look)
    store.let_the_browser_draw()
    explore_derivation.draw(result, view, look)
    explore_survey.draw(result, view, look)
    explore_export.draw(result, view, look)
    st.caption(head_sentence(result, view.layer, view.head, view.query))


def _pick_query(index: int) -> None:
    state.change(query=index, key=None)
