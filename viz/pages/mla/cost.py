"""Inside MLA, what each form costs a decoding step: counted for some sizes, and measured now for this sibling's layer."""

from __future__ import annotations

import streamlit as st

from headlight.core.attention import MLA
from headlight.core.lessons.absorbing import FORMS, PUBLISHED, LatentLayer, costs, decoders
from headlight.core.measured.clock import Times
from headlight.core.memory.config.wording import decimal
from headlight.viz import store
from headlight.viz.figures import form_bars
from headlight.viz.pages.mla.choices import CONTEXTS, SIZES, InsideMLA, state
from headlight.viz.pages.mla.state import Layered, attention_of
from headlight.viz.theme import Theme
from headlight.viz.ui.widgets import picture

_NAMES = {"absorbed": "absorbed", "full": "expanded, kept", "expanded": "expanded anew"}
_HUES = {"absorbed": "latent", "full": "key", "expanded": "value"}


def draw(choices: InsideMLA, here: Layered, layer: LatentLayer, look: Theme) -> None:
    """The controls, operations, bytes and time of the three forms, and what to make of them."""
    st.markdown("#### What a decoding step costs")
    st.markdown("\n".join(f"- **{_NAMES[form]}**: {about}." for form, about in FORMS.items()))
    with state.row("cost"):
        state.steps(
            "Context, in tokens", "context", choices.context, CONTEXTS, width=260, format_func=lambda n: f"{n:,}"
        )
        state.menu("Sizes of", "sizes", choices.sizes, list(SIZES), format_func=lambda n: SIZES[n], width=200)
        own = choices.sizes == "own"
        again = st.button("Measure again", key="mla_again", disabled=not own, icon=":material/timer:")
    attention = attention_of(here) if own else PUBLISHED[SIZES[choices.sizes]]
    times = _times(choices, here, layer, again) if own else {}
    _picture(costs(attention, choices.context), times, choices, look)
    _told(attention, choices, times)


def _times(choices: InsideMLA, here: Layered, layer: LatentLayer, again: bool) -> dict[str, Times]:
    with st.spinner("Measuring, a second or two…", show_time=True):
        return store.measured(
            (here.name, choices.context), lambda: decoders(layer, choices.context), again=again
        )  # fmt: skip


def _picture(found, times: dict[str, Times], choices: InsideMLA, look: Theme) -> None:  # type: ignore[no-untyped-def]
    columns = st.columns(3, gap="medium")
    operations = {_NAMES[form]: cost.flops for form, cost in found.items()}
    read = {_NAMES[form]: cost.traffic() for form, cost in found.items()}
    with columns[0]:
        _bars("operations", operations, "Operations", _short, look)
    with columns[1]:
        _bars("bytes", read, "Bytes through memory", decimal, look)
    if not times:
        return
    with columns[2]:
        spread = {_NAMES[form]: times[form].middle_half for form in found}
        medians = {_NAMES[form]: times[form].median for form in found}
        _bars("time", medians, "Time, measured", _milliseconds, look, spread)


def _bars(name: str, values, title: str, tell, look: Theme, spread=None) -> None:  # type: ignore[no-untyped-def]
    roles = {_NAMES[form]: role for form, role in _HUES.items()}
    figure = form_bars(values, title, tell=tell, roles=roles, spread=spread, theme=look)
    told = "; ".join(f"{form} {tell(value)}" for form, value in values.items())
    picture(figure, f"cost_{name}", f"{title}: {told}.")


def _told(a: MLA, choices: InsideMLA, times: dict[str, Times]) -> None:
    kept, wide = a.cached_elements_per_token(), a.n_heads * (a.head_dim + a.v_head_dim)
    more = a.n_heads * (kept + a.kv_lora_rank) / wide
    lines = [
        f"One layer, one new token. Counted at 2 bytes per value (bfloat16): absorbed reads {wide / kept:.3g} times less than "
        f"kept keys and values ({kept} values per token instead of {wide}) and computes {more:.3g} times more. A "
        "multiplication and an addition are two operations. The projections of the new token, alike in all forms, are left "
        "out. Expanding anew counts each expanded number twice: written, and read back.",
    ]
    if times:
        rounds = len(times["absorbed"].seconds)
        lines.append(
            f"Measured: this layer's whole attention in float32 on {store.engine().device.type.upper()}, projections included, "
            f"medians of {rounds} alternating rounds, with the middle half as a line. A loaded machine shows as a wide spread. "
            "A layer this small fits into the processor's own cache, so reading less helps it little: the saving shows where "
            "memory is what limits, with large models and long contexts."
        )
    else:
        lines.append("Times are measured for this sibling alone.")
    st.caption("  \n".join(lines))


def _short(number: float) -> str:
    for size, sign in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:.3g}{sign}"
    return f"{number:.3g}"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms"
