"""Long texts, beyond the trained length: RoPE as trained and scaled, measured here on small models and over gaps."""

from __future__ import annotations

import streamlit as st

from headlight.core.errors import InputError
from headlight.core.long.beyond import FACTOR, PASSAGE
from headlight.core.long.document import long_texts
from headlight.core.long.reading import Reading
from headlight.core.model import Model
from headlight.core.registry import SIBLINGS
from headlight.core.serving import long_curves as long_measures
from headlight.viz import store
from headlight.viz.components.chart import chart
from headlight.viz.figures import curves
from headlight.viz.pages.long.choices import LongChoices, models
from headlight.viz.theme import Theme

TIMES = 4  # how many times the trained length
_TEXT = "carol"  # of the examples: held out from the siblings' training
_RUN = "long:gaps"  # session: whether the visitor asked for the second experiment
_INTRO = (
    "RoPE rotates queries and keys by angles that grow with their distance; distances beyond the longest text in training were "
    "never seen. Scalings squeeze them into what was. **YaRN** leaves fast pairs as they are, slows down the slow ones and "
    "adds a temperature; **linear** divides all frequencies alike. No model here was trained on with them: these are the bare "
    "formulas."
)


def draw(choices: LongChoices, key: str, reading: Reading, look: Theme) -> None:
    """The loss by position of a sibling, and SmolLM2's loss after a gap."""
    st.markdown(_INTRO)
    left, right = st.columns(2, gap="medium")
    with left:
        _sibling(look)
    with right:
        _smollm2(look)


def _text() -> str:
    return next(each.text for each in long_texts() if each.name == _TEXT)


def _sibling(look: Theme) -> None:
    name = next((n for n in models() if n in SIBLINGS and SIBLINGS[n].position == "rope" and n.startswith("gqa")), None)
    if name is None:
        st.info("This experiment needs the sibling GQA · RoPE, which is not installed.", icon=":material/info:")
        return
    model = _ours(name)
    place = st.empty()
    at, losses = long_measures.longer(
        store.readings(), model, _text(), TIMES, lambda done: place.progress(done, text="Reading the text three ways…")
    )
    place.empty()
    figure = curves(
        at, losses, f"{model.title}: loss by position", axes=("position", "loss, nats per token"),
        marks={"trained length": model.context}, colours=("ink", "key", "query"), theme=look, height=400,
    )  # fmt: skip
    told = ", ".join(f"{way} {float(rows[0]):.2f} to {float(rows[-1]):.2f}" for way, rows in losses.items())
    chart(figure, key_name="long_longer", alt=f"Loss, first to last part: {told}.", file_name="headlight-longer")
    st.caption(
        f"A sibling trained on {model.context} tokens reads A Christmas Carol in windows of {TIMES * model.context:,} tokens, "
        f"computed here, now. Mean loss, first to last part of a window: {told}."
    )


def _smollm2(look: Theme) -> None:
    if "smollm2" not in models():
        st.info("This experiment needs SmolLM2, which is not installed.", icon=":material/info:")
        return
    model, text = _ours("smollm2"), _text()
    known = long_measures.gaps_known(store.readings(), model, text)
    if not known and not st.session_state.get(_RUN):
        st.markdown(
            f"**SmolLM2 over a gap.** {PASSAGE} tokens are read twice, the second time up to 32,768 positions farther on. A "
            "model that can look back that far copies them. Takes about half a minute."
        )
        st.button("Measure it now", key="long_gaps", icon=":material/science:", on_click=_asked)
        return
    place = st.empty()
    at, losses, first = long_measures.gaps(
        store.readings(),
        model,
        text,
        lambda done: place.progress(done, text="Reading the passage again, farther and farther on…"),
    )
    place.empty()
    lines = {**losses, "read for the first time": at * 0 + first}
    figure = curves(
        at, lines, "SmolLM2: loss of a passage read again, after a gap", axes=("gap, positions", "loss, nats per token"),
        marks={"trained length": model.context}, colours=("ink", "query", "muted"), markers=True, theme=look, height=400,
    )  # fmt: skip
    ends = {way: (float(rows[0]), float(rows[-1])) for way, rows in losses.items()}
    told = "; ".join(f"{way}: {near:.2f} without a gap, {far:.2f} after 32,768" for way, (near, far) in ends.items())
    chart(figure, key_name="long_gap", alt=f"{told}.", file_name="headlight-gaps")
    st.caption(
        f"{PASSAGE} tokens of A Christmas Carol, read twice; the second time all positions are moved on by the gap. Nothing "
        f"else changes, so distances beyond the trained {model.context:,} cost no more than near ones. YaRN for {FACTOR:g} "
        f"times the trained length. {told}."
    )


def _asked() -> None:
    st.session_state[_RUN] = True


def _ours(name: str) -> Model:
    model = store.model(name)
    if not isinstance(model, Model):
        raise InputError(f"{model.title} cannot be read in parts")
    return model
