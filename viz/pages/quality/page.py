"""Quality against cache: what the siblings can do, against what they keep; published figures beside them."""

from __future__ import annotations

import streamlit as st

from headlight.core.analysis import sibling_quality as core
from headlight.core.analysis.sibling_quality import MEASURES, Quality
from headlight.viz.components.chart import chart
from headlight.viz.components.share import share
from headlight.viz.figures import quality_map
from headlight.viz.pages.quality.choices import QualityChoices, state
from headlight.viz.theme import theme
from headlight.viz.ui.published import published_tables
from headlight.viz.ui.visitor import in_one_line

_INTRO = (
    "Twelve small language models, the same in everything (data and its order, steps, optimiser, seed, widths, depth) but "
    "their attention and their position encoding. Whatever order they come out in is what is shown."
)
_CAVEAT = (
    "At this size and budget the differences are small: read them with their bars. DeepSeek-V2's ablation compares models "
    "trained alike from scratch, as here; the GQA paper converts a trained model and trains it a little further, and finds "
    "near parity. Both can be right."
)


def page() -> None:
    """The whole page; what Headlight refuses on purpose becomes one line."""
    with in_one_line():
        _page()


def _page() -> None:
    st.html("<h1 class='headlight'>Quality against cache <small>what a smaller memory costs, measured</small></h1>")
    choices, notes = state.read()
    found = core.qualities()
    if not found:
        st.info("No sibling is trained yet: `python -m training.run` makes them.", icon=":material/info:")
        return
    st.markdown(_INTRO)
    if notes:
        st.info("  \n".join(notes), icon=":material/info:")
    _choose(choices, found)
    state.write(choices)
    _picture(choices, found)
    _table(found)
    _published()


def _choose(choices: QualityChoices, found: list[Quality]) -> None:
    measures, titles = {name: each.title for name, each in MEASURES.items()}, {q.name: q.title for q in found}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        state.menu("Measure", "measure", choices.measure, list(measures), format_func=measures.__getitem__, width=320)
        state.menu_or_none(
            "Mark a sibling", "model", choices.model, list(titles), format_func=titles.__getitem__, width=240,
            placeholder="None",
        )  # fmt: skip
        with st.container(width=140):
            share(key_name="quality_share")


def _picture(choices: QualityChoices, found: list[Quality]) -> None:
    measure = MEASURES[choices.measure]
    st.caption(measure.about)
    if not any(choices.measure in q.scores for q in found):
        st.info("This has not been measured yet: `python -m training.evaluate` does.", icon=":material/info:")
        return
    figure = quality_map(
        found, choices.measure, measure, lines=_lines(choices.measure, found), chosen=choices.model,
        theme=theme(st.context.theme.type),
    )  # fmt: skip
    chart(figure, key_name="quality_map", alt=_words(choices.measure, found), file_name=f"headlight-{choices.measure}")


def _lines(name: str, found: list[Quality]) -> dict[str, float]:
    if name == "loss":
        return core.baselines()
    chances = [q.scores[name].chance for q in found if name in q.scores]
    return {"chance": chances[0]} if chances and chances[0] is not None else {}


def _words(name: str, found: list[Quality]) -> str:
    there = [q for q in found if name in q.scores]
    ordered = sorted(there, key=lambda q: q.scores[name].value, reverse=not MEASURES[name].lower)
    told = ", ".join(f"{q.title} {q.scores[name].value:.3f}" for q in ordered)
    return f"{MEASURES[name].title}, best first: {told}."


def _table(found: list[Quality]) -> None:
    st.markdown("**All numbers**")
    rows = [
        {"sibling": q.title, "values per token per layer": q.kept, "bytes per token, half precision": q.cached_bytes(),
         "parameters": q.parameters}
        | {MEASURES[name].title: q.scores[name].value if name in q.scores else None for name in MEASURES}
        for q in found
    ]  # fmt: skip
    st.dataframe(
        rows,
        hide_index=True,
        column_config={m.title: st.column_config.NumberColumn(format="%.3f") for m in MEASURES.values()},
    )


def _published() -> None:
    st.markdown("### Published figures")
    st.markdown(_CAVEAT)
    published_tables(core.published())
