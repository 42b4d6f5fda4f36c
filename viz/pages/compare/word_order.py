"""Compare's experiment: the same words in another order, through the same model, and what that does to the picture."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from headlight.core.analysis.word_order import Experiment, both_ways, reorder, shuffled, words
from headlight.core.errors import HeadlightError
from headlight.core.model import Readable
from headlight.core.model import run as run_model
from headlight.core.positions.encodings import ENCODINGS
from headlight.core.registry import MODELS, SIBLINGS
from headlight.viz import store
from headlight.viz.components.chart import chart
from headlight.viz.figures import difference_map, weight_map
from headlight.viz.figures.compare.maps import difference, difference_limit
from headlight.viz.figures.explore.head_map import colour_top, visible_weights
from headlight.viz.pages.compare.choices import ORDERS, Comparison, state
from headlight.viz.pages.compare.state import Shown
from headlight.viz.text import markdown_text, visible
from headlight.viz.theme import Theme

MOST_CELLS = 2**24  # of all maps together, for which all layers are looked through
_CAUSAL = (
    "This model has no position encoding, yet order shows: its causal mask tells it. A token sees only those before it, so "
    "in another order it sees other ones, and how thin its weights are spread says how many came before (Haviv et al. 2022). "
    "Read it both ways, and the change is gone."
)
_BLIND = (
    "No position encoding and no mask: nothing tells this model where a word stands. The picture is the same up to the "
    "shuffle, “cross the street” is “street the cross”; what is left is rounding in float32."
)
_AS_IT_IS = "The siblings' causal mask can be taken away; this model is shown as it is."
_UNTRAINED = "The model was trained to read left to right, so reading both ways is an experiment, not a use of it."


def draw(choices: Comparison, shown: Shown, names: Sequence[str], look: Theme) -> None:
    """Model, order and mask in one row; as written, nothing is computed."""
    with st.container(border=True, key="compare_order"):
        st.markdown("**What happens if the words change places?**")
        subject = choices.subject or _subject(shown)
        _controls(choices, subject, names)
        if choices.order == "written":
            st.caption("Choose an order: the same tokens go through the same model in other places.")
            return
        try:
            _experiment(choices, shown, subject, look)
        except HeadlightError as error:
            st.warning(markdown_text(f"This experiment isn't possible: {error}."), icon=":material/error:")


def _subject(shown: Shown) -> str:
    """The model to begin with: one without position encoding where there is one, since it has most to tell."""
    blind = [name for name in shown.names if name in MODELS and MODELS[name].position == "none"]
    return (*blind, *shown.names)[0]


def _controls(choices: Comparison, subject: str, names: Sequence[str]) -> None:
    rows = store.engine().rows
    with st.container(horizontal=True, vertical_alignment="bottom", key="compare_order_controls"):
        state.menu("Model", "subject", subject, names, format_func=lambda name: rows[name].title, width=230)
        state.segments("Order of the words", "words", choices.order, ORDERS, lambda order: state.change(order=order))
        if choices.order == "shuffled":
            st.button("Shuffle again", icon=":material/shuffle:", key="compare_again", on_click=_again)
        live = subject in SIBLINGS
        about = f"Takes the causal mask away. {_UNTRAINED}" if live else _AS_IT_IS
        state.toggle("Read both ways", "both_ways", choices.both_ways and live, disabled=not live, help=about)


def _again() -> None:
    state.change(seed=state.current().reshuffled())


def _experiment(choices: Comparison, shown: Shown, subject: str, look: Theme) -> None:
    model, experiment = _made(choices, subject, shown.readings[0].run.tokens.text)
    if len(experiment.order) < 2:
        st.caption("There is only one word, so there is no other order.")
        return
    layer, head = _place(choices, shown, subject, model)
    st.text(f"Read as: {' '.join(visible(word) for word in experiment.moved.tokens.text.split())}")
    st.caption(f"Places of the words, counted from 0: {' '.join(map(str, experiment.order))}")
    _pictures(experiment, layer, head, choices.skip_first, look)
    st.text(f"Largest change of a weight: {_changes(experiment, layer, head)}.")
    st.markdown(_why(subject, model))
    if choices.both_ways and subject in SIBLINGS:
        st.caption(_UNTRAINED)


def _made(choices: Comparison, subject: str, text: str) -> tuple[Readable, Experiment]:
    model = store.model(subject)
    written = store.run(subject, text)
    if choices.both_ways and subject in SIBLINGS:
        model = both_ways(model)
        written = run_model(model, written.tokens)
    count = len(words(written.tokens))
    order = shuffled(count, choices.seed) if choices.order == "shuffled" else tuple(reversed(range(count)))
    return model, reorder(model, written, order)


def _place(choices: Comparison, shown: Shown, subject: str, model: Readable) -> tuple[int, int]:
    """The head that is shown of this model above, else the one of the same number, as far as there is one."""
    layer, head = choices.layer or 0, choices.head or 0
    if subject in shown.names:
        layer, head = shown.places[shown.names.index(subject)]
    return min(layer, model.n_layers - 1), min(head, model.n_heads - 1)


def _pictures(experiment: Experiment, layer: int, head: int, skip_first: bool, look: Theme) -> None:
    trace = experiment.written.layers[layer]
    written = visible_weights(trace.weights[head].float().cpu().numpy(), trace.mask.cpu().numpy())
    back = visible_weights(experiment.put_back(layer)[head].float().cpu().numpy(), experiment.mask(layer).cpu().numpy())
    pieces, top = experiment.written.tokens.pieces, max(colour_top(each, skip_first) for each in (written, back))
    limit = difference_limit([difference(written, back)])
    legend = "weight, first token left out of the scale" if skip_first else "weight, one scale for both maps"
    title = f"layer {layer} · head {head}"
    figures = {
        "written": weight_map(written, pieces, f"As written · {title}", top=top, legend=legend, theme=look),
        "back": weight_map(back, pieces, "Other order, put back", top=top, theme=look),
        "change": difference_map(
            written, back, pieces, "Other order minus as written", limit=limit,
            legend="purple: less, orange: more weight", theme=look,
        ),
    }  # fmt: skip
    for column, (name, figure) in zip(st.columns(3, gap="small"), figures.items(), strict=True):
        with column:
            chart(
                figure, key_name=f"compare_{name}", alt=f"{figure.layout.title.text}, in the written order of tokens.",
                file_name="headlight-order", shape=(len(pieces), len(pieces)), token_map=True,
            )  # fmt: skip
    st.caption(
        "In the middle, rows and columns are put back into the written order: a cell stands for the same two words."
    )


def _changes(experiment: Experiment, layer: int, head: int) -> str:
    here = experiment.change(layer)
    told = f"{float(here[head]):.2g} in this head"
    if len(experiment.written.layers) * len(here) * len(experiment.places) ** 2 > MOST_CELLS:
        return f"{told}, {float(here.max()):.2g} in any head of this layer"
    return f"{told}, {experiment.largest_change():.2g} in any head of any layer"


def _why(subject: str, model: Readable) -> str:
    position = MODELS[subject].position if subject in MODELS else None
    if position == "none":
        return _CAUSAL if model.causal else _BLIND
    encoding = ENCODINGS.get(position or "")
    if encoding is not None and encoding.carrier:
        means = encoding.carrier + (" and its causal mask" if model.causal else "")
        return f"This model knows where a word stands by {means}; in other places the same words look elsewhere."
    return "What changed is what this model knows of places: through its position encoding, its mask, or both."
