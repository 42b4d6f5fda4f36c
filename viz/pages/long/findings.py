"""Long texts, what long context shows: one section at a time, and only the open one computes."""

from __future__ import annotations

import streamlit as st

from headlight.core.errors import HeadlightError
from headlight.core.long.reading import Reading
from headlight.core.serving import long_curves as long_measures
from headlight.viz import store
from headlight.viz.components.chart import chart
from headlight.viz.figures import curves
from headlight.viz.pages.long import beyond_context as long_beyond
from headlight.viz.pages.long import heads as long_heads
from headlight.viz.pages.long.choices import SECTIONS, LongChoices, state
from headlight.viz.text import markdown_text
from headlight.viz.theme import Theme, theme


@st.fragment
def draw(key: str) -> None:
    """The switch and the open section. key: of the reading, as in `long_views.draw`."""
    if st.session_state.pop(long_heads.PICKED, False):
        st.rerun()  # another head: all of the page shows it
    reading = store.readings().reading(key)
    if reading is None:
        st.rerun()
    choices, look = state.current(), theme(st.context.theme.type)
    state.segments("What long context shows", "section", choices.section, SECTIONS)
    try:
        with st.container(key=f"long_section_{choices.section}"):
            _SECTIONS[choices.section](choices, key, reading, look)
    except HeadlightError as error:
        st.warning(markdown_text(f"{str(error)[:1].upper()}{str(error)[1:]}."), icon=":material/error:")
    state.write(choices)


def _head(choices: LongChoices, key: str, reading: Reading, look: Theme) -> None:
    layer, head = choices.layer or 0, choices.head or 0
    made = long_measures.head_curves(store.readings(), key, reading, layer)
    left, right = st.columns(2, gap="medium")
    with left:
        lines = {f"head {head}": made.first[head], "mean of the layer's heads": made.first.mean(0)}
        figure = curves(
            made.position, lines, "Weight on the first token", axes=("position of the token that looks", "weight"),
            colours=("query", "muted"), theme=look,
        )  # fmt: skip
        mean = float(made.first[head].mean())
        chart(
            figure, key_name="long_first", file_name="headlight-first-token",
            alt=f"Head {head} puts {mean:.3f} of its attention on the first token, on average over the text.",
        )  # fmt: skip
        st.caption(
            f"Head {head} puts {mean:.3f} on the first token, on average. A head with nothing to look for rests there (an "
            "“attention sink”, Xiao et al. 2023)."
        )
    with right:
        _distances(made, head, reading, look)


def _distances(made: long_measures.HeadCurves, head: int, reading: Reading, look: Theme) -> None:
    lines = {f"head {head}": made.weight[head], "mean of the layer's heads": made.weight.mean(0)}
    if reading.model.causal:
        lines["if it looked at all tokens equally"] = made.alike
    figure = curves(
        made.distance, lines, "Weight by distance", axes=("tokens back", "mean weight"), log=(True, True),
        colours=("query", "muted", "key"), theme=look,
    )  # fmt: skip
    near, far = float(made.weight[head][0]), float(made.weight[head][-1])
    told = (
        f"On the token before, head {head} puts {near:.4f} on average; {made.distance[-1]:,.0f} tokens back, {far:.2g}."
    )
    chart(figure, key_name="long_distance", alt=told, file_name="headlight-by-distance")
    st.caption(f"{told} Both axes are logarithmic; a token's weight on itself is left out.")


_SECTIONS = {"head": _head, "heads": long_heads.draw, "beyond": long_beyond.draw}
