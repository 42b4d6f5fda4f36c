"""KV cache, measured: the bytes that our own decoder's tensors hold, beside the formula, for a text token by token."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from headlight.core.errors import InputError
from headlight.core.export.table import rows_to_csv
from headlight.core.measured.held import CAPACITY, Held
from headlight.core.memory.config.wording import exact, formula
from headlight.core.registry import SIBLINGS
from headlight.viz import store
from headlight.viz.figures import held_and_reserved, held_growth
from headlight.viz.pages.cache import step_times as cache_steps
from headlight.viz.pages.cache.choices import CacheChoices, state
from headlight.viz.text import markdown_text
from headlight.viz.theme import Theme
from headlight.viz.ui.widgets import picture, take_away

MOST_READ = 64  # tokens read one by one
_INTRO = (
    "Nothing is estimated here: each model reads the sentence one token at a time with its real cache, and after each token "
    "the bytes of the tensors it keeps are counted. Lines are the formula, points are the tensors. Precision: float32, as the "
    "models run here."
)


def draw(choices: CacheChoices, look: Theme) -> tuple[CacheChoices, list[str]]:
    """What caches hold, then what steps take."""
    choices, notes = _settle_model(choices)
    st.markdown(_INTRO)
    with state.row("measured"):
        state.text(
            "Sentence to read", "text", choices.text, store.engine().limits.max_characters, width=420
        )  # fmt: skip
        state.menu(
            "Model whose tensors are listed", "measured_model", choices.measured_model, _names(), width=220,
            format_func=lambda name: store.engine().rows[name].title,
        )  # fmt: skip
        slider = st.container(width=220)
    try:
        found, cut = _all(choices)
    except InputError as error:
        st.warning(markdown_text(f"{str(error)[:1].upper()}{str(error)[1:]}."), icon=":material/edit:")
        return cache_steps.draw(choices, look), notes
    own = found[choices.measured_model]
    most = max(len(held.held) for held in found.values())
    at = min(choices.measured_token or most, most)
    with slider:
        state.slider("After token", "measured_token", at, 1, most)
    if cut:
        notes.append(f"The first {MOST_READ} tokens are read here.")
    _pictures(found, own, at, look)
    _table(found, at)
    _tensors(own, at)
    _take_away(choices, found)
    choices = replace(choices, measured_token=None if at == most else at)
    return cache_steps.draw(choices, look), notes


def _names() -> list[str]:
    """Models on this machine that decode: SmolLM2 and its variants, then the siblings."""
    there = [name for name, row in store.engine().rows.items() if row.causal and row.installed]
    if not there:
        raise InputError("no model that decodes is installed here: `python -m training.run` makes the siblings")
    return there


def _settle_model(choices: CacheChoices) -> tuple[CacheChoices, list[str]]:
    names = _names()
    if choices.measured_model in names:
        return choices, []
    return replace(choices, measured_model=names[0]), [
        "The link's model does not decode or is not here; showing another."
    ]


def _all(choices: CacheChoices) -> tuple[dict[str, Held], bool]:
    """Bytes of every model (of variants of SmolLM2 the chosen one alone), and whether the text was cut; a progress bar while
    they are new."""
    engine = store.engine()
    names = [name for name in _names() if engine.rows[name].base is None or name == choices.measured_model]
    found, cut = {}, False
    with st.container():  # always there: bars come and go inside it, and the page below stays what and where it is
        place = st.empty()
        for number, name in enumerate(names):
            tokens = engine.tokens(name, choices.text)
            ids = tuple(tokens.ids[:MOST_READ])
            cut = cut or len(tokens.ids) > MOST_READ
            tell = partial(_tell, place, engine.rows[name].title, number, len(names), len(ids))
            if not store.is_held(name, ids):
                tell(0)
            found[name] = store.held(name, ids, tell)
        place.empty()
    return found, cut


def _tell(place: Any, title: str, number: int, models: int, tokens: int, read: int) -> None:
    """Progress: the model's number and how many of its tokens are read."""
    place.progress((number + read / tokens) / models, text=f"{title} reads…")


def _pictures(found: dict[str, Held], own: Held, at: int, look: Theme) -> None:
    left, right = st.columns(2, gap="medium")
    siblings = {name: held for name, held in found.items() if name in SIBLINGS}
    with left:
        if siblings:
            kinds = {name: (str(SIBLINGS[name].attention), str(SIBLINGS[name].position)) for name in siblings}
            told = ", ".join(f"{held.title} {exact(held.held[-1])}" for held in siblings.values())
            picture(
                held_growth(list(siblings.values()), kinds, at, theme=look), "held", f"Held at the end: {told}.",
                "Encodings add nothing to the cache: their points lie on each other (dot: RoPE, diamond: sinusoidal, square: "
                "none).",
            )  # fmt: skip
        else:
            st.caption("No sibling is trained on this machine: `python -m training.run` makes them.")
    with right:
        here = min(at, len(own.held))
        picture(
            held_and_reserved(own, here, theme=look), "reserved",
            f"{own.title} holds {exact(own.held[here - 1])} after {here} tokens.",
            f"After {here} tokens {own.held[here - 1]:,} B are held in buffers of {own.reserved[here - 1]:,} B. They "
            f"begin with room for {CAPACITY} tokens and double when they are full: most steps copy nothing of what is "
            "remembered.",
        )  # fmt: skip


def _table(found: dict[str, Held], at: int) -> None:
    rows = []
    for held in found.values():
        here = min(at, len(held.held))
        rows.append(
            {"model": held.title, "tokens": here, "a token, formula": formula(held.shape, held.precision),
             "held by the tensors (B)": held.held[here - 1], "by the formula (B)": held.computed[here - 1],
             "equal": "yes" if held.held[here - 1] == held.computed[here - 1] else "NO"}
        )  # fmt: skip
    st.dataframe(
        rows, hide_index=True, height=35 * (len(rows) + 1) + 3, key="cache_held_table",
        column_config={name: st.column_config.NumberColumn(format="localized") for name in rows[0] if name.endswith("(B)")},
    )  # fmt: skip


def _tensors(own: Held, at: int) -> None:
    here = min(at, len(own.held))
    layer = own.tensors[here - 1]
    listed = " + ".join(f"`{t.name}` {' × '.join(map(str, t.shape))} {t.dtype} = {t.nbytes:,} B" for t in layer)
    one = sum(t.nbytes for t in layer)
    st.markdown(
        f"One layer of {markdown_text(own.title)} after {here} tokens: {listed}. Times {own.shape.n_layers} layers: "
        f"{one:,} × {own.shape.n_layers} = **{one * own.shape.n_layers:,} B**."
    )


def _take_away(choices: CacheChoices, found: dict[str, Held]) -> None:
    def sheet() -> str:
        longest = max(len(held.held) for held in found.values())
        rows = [
            [number + 1, *(held.held[number] if number < len(held.held) else "" for held in found.values())]
            for number in range(longest)
        ]
        return rows_to_csv(["token", *found], rows)

    take_away(
        state,
        "held",
        "from headlight import load_model\nfrom headlight.core.measured.held import held\n"
        f'model = load_model("{choices.measured_model}")\n'
        f"found = held(model, model.tokens({choices.text!r}).ids[:{MOST_READ}])\n"
        "found.held, found.computed, found.tensors[-1]",
        {"Bytes held": sheet},
    )
