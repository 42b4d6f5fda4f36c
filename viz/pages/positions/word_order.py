"""Positions, word order: two sentences of the same words, and which models can tell them apart, measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import streamlit as st

from headlight.core.analysis.word_order import both_ways
from headlight.core.checkpoints.sibling import encodings, variants
from headlight.core.lessons.order import ROUNDING, Apart, apart, without_positions
from headlight.core.model import Model
from headlight.core.registry import SIBLINGS
from headlight.viz import store
from headlight.viz.pages.positions.choices import Positions, state
from headlight.viz.text import markdown_text
from headlight.viz.theme import Theme
from headlight.viz.ui.widgets import take_away

_INTRO = (
    "Attention by itself sees a set of words: for it *cross the street* is *street the cross*. Here the same words in two "
    "orders go through siblings that were trained alike in all but how they know positions. Each word is compared with itself "
    "where it stands."
)
_LONGEST = 300  # characters of a sentence
_EXAMPLES = (
    ("the dog bit the man today", "the man bit the dog today"),
    ("cross the street", "street the cross"),
    ("Tom saw the old dog again", "the old dog saw Tom again"),
)
_EXPLAINED = (
    "Entering: how far a word's vector differs before the first layer, as a share of its length. First layer, any layer: the "
    "largest change of an attention weight (0 to 1). Leaving: like entering, after the last layer. Next word: how far the two "
    "predictions after the last word differ (total variation, 0 to 1), where both sentences end alike. Computed in float64: "
    "what is below 10⁻⁹ is rounding, shown as 0."
)


@dataclass(frozen=True)
class _Case:
    encoding: str
    title: str
    masked: bool
    apart: Apart


def draw(choices: Positions, look: Theme) -> tuple[Positions, list[str]]:
    """Two sentences, a table of differences, a plain sentence each."""
    st.markdown(_INTRO)
    there = [name for name in variants() if any(_installed(name, encoding) for encoding in encodings())]
    if not there:
        st.info(
            "No sibling is trained on this machine yet: `python -m training.run` makes them.", icon=":material/info:"
        )
        return choices, []
    notes = []
    if choices.attention not in there:
        notes.append(f"No sibling with {_title(choices.attention)} is here; showing {_title(there[0])}.")
        choices = replace(choices, attention=there[0])
    choices = replace(choices, first=choices.first[:_LONGEST], second=choices.second[:_LONGEST])
    _controls(choices, there)
    cases = list(_cases(choices))
    _table(cases)
    st.caption(_EXPLAINED)
    for case in cases:
        st.markdown(f"- **{_name(case)}**: {_verdict(case)}")
    missing = [row.title for e, row in encodings().items() if not _installed(choices.attention, e)]
    if missing:
        st.caption(f"Not trained on this machine yet with {_title(choices.attention)}: {', '.join(missing)}.")
    take_away(
        state,
        "order",
        "from headlight import load_model\nfrom headlight.core.lessons.order import apart\n"
        "from headlight.core.analysis.word_order import both_ways\n"
        f'model = load_model("{choices.attention}-rope")\n'
        f"apart(model, {choices.first!r}, {choices.second!r}), apart(both_ways(model), {choices.first!r}, {choices.second!r})",
        {},
    )
    return choices, notes


def _title(attention: str) -> str:
    return variants()[attention].title


def _installed(attention: str, encoding: str) -> bool:
    return SIBLINGS[f"{attention}-{encoding}"].installed


def _controls(choices: Positions, there: list[str]) -> None:
    with state.row("order"):
        for label, field in (("One order", "first"), ("Another order of the same words", "second")):
            state.text(label, field, getattr(choices, field), _LONGEST, width=330)
        state.segments("Attention", "attention", choices.attention, {name: _title(name) for name in there})
        st.menu_button(
            "Examples", [first for first, _ in _EXAMPLES], key="positions_examples", icon=":material/lightbulb:",
            on_click=_example,
        )  # fmt: skip


def _example() -> None:
    found = dict(_EXAMPLES).get(st.session_state["positions_examples"])
    if found is not None:
        state.change(first=st.session_state["positions_examples"], second=found)


def _cases(choices: Positions) -> Iterator[_Case]:
    for encoding, title in {name: row.title for name, row in encodings().items()}.items():
        if _installed(choices.attention, encoding):
            model = store.model(f"{choices.attention}-{encoding}")
        elif encoding == "none" and _installed(choices.attention, "rope"):
            # Until this sibling is trained, another one's weights show what its kind cannot know.
            model, title = store.model(f"{choices.attention}-rope"), "RoPE taken away, untrained"
            model = without_positions(model) if isinstance(model, Model) else model
        else:
            continue
        if isinstance(model, Model):
            for masked in (True, False):
                shown = model if masked else both_ways(model)
                yield _Case(encoding, title, masked, apart(shown, choices.first, choices.second))


def _name(case: _Case) -> str:
    return f"{markdown_text(case.title)}, {'left to right' if case.masked else 'mask off (untrained)'}"


def _table(cases: list[_Case]) -> None:
    st.table([
        {
            "positions": case.title,
            "reads": "left to right" if case.masked else "both ways (untrained)",
            "entering": _number(case.apart.entering),
            "weights, first layer": _number(case.apart.first_attention),
            "weights, any layer": _number(case.apart.attention),
            "leaving": _number(case.apart.leaving),
            "next word": "other last word" if case.apart.saying is None else _number(case.apart.saying),
            "tells them apart": "yes" if case.apart.tells else "no",
        }
        for case in cases
    ])  # fmt: skip


def _number(value: float) -> str:
    return f"{value:.4f}" if value > ROUNDING else "0"


def _verdict(case: _Case) -> str:
    numbers = case.apart
    if not numbers.tells:
        same = "and the next word is predicted alike" if numbers.saying is not None else "wherever it stands"
        return f"cannot tell the two apart. Every word leaves with the same vector, {same}."
    if numbers.entering > ROUNDING:
        return (
            f"tells them apart before attention begins: a word in another place enters with another vector "
            f"({numbers.entering:.0%} of its length), and weights change by up to {numbers.attention:.2f}."
        )
    if case.encoding == "none":
        return (
            "has no positions, yet tells them apart by its mask alone: a word sees only those before it, which are other ones "
            f"in the other order. Weights change by up to {numbers.attention:.2f}."
        )
    return (
        "words enter alike, and attention tells them apart, since scores depend on distance: weights change by up to "
        f"{numbers.first_attention:.2f} in the first layer already."
    )
