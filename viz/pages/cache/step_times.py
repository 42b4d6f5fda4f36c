"""KV cache, measured: a decoding step timed against what is remembered, live on the server's device."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from headlight.core.errors import HeadlightError
from headlight.core.export.table import rows_to_csv
from headlight.core.measured.decode_timing import Measurement, Timed, Timing
from headlight.core.measured.layers import SIZES
from headlight.viz import store
from headlight.viz.figures import step_times
from headlight.viz.pages.cache.choices import MOST_CONTEXT, REPEATS, CacheChoices, state
from headlight.viz.pages.cache.choices import SIZES as TITLES
from headlight.viz.text import markdown_text
from headlight.viz.theme import Theme
from headlight.viz.ui.widgets import picture, take_away

# Session: the measurement under way, what it is of, and the last finished ones with what they are of (a few numbers each).
_RUNNING, _DONE, _REFUSED = "cache:measurement", "cache:measured", "cache:refused"
_MOST_DONE = 16
_TICK = 0.4  # seconds between two looks at the progress
_INTRO = (
    "One new token through one attention layer, its cache filled with random numbers (the arithmetic does not care). The five "
    "ways take turns, so that a busy moment hits them all; two warm-up rounds do not count."
)
Asked = tuple[str, int, int]


def draw(choices: CacheChoices, look: Theme) -> CacheChoices:
    """Sizes, a Run button, progress with Cancel, and the last result for these choices."""
    st.markdown("### A step against the context")
    st.markdown(_INTRO)
    measurement = _current()
    _choose(choices, busy=measurement is not None)
    asked = _asked(choices)
    result = st.session_state.get(_DONE, {}).get(asked)
    with st.container():  # always there: what comes and goes inside it leaves the picture below what and where it is
        if refused := st.session_state.pop(_REFUSED, None):
            st.warning(markdown_text(f"{refused[:1].upper()}{refused[1:]}."), icon=":material/hourglass_top:")
        if measurement is not None:
            _progress()
        elif result is None:
            st.caption("Nothing measured yet with these choices. A run takes a few seconds, longer on a busy machine.")
    if result is not None:
        _result(asked, result, look)
    return choices


def _asked(choices: CacheChoices) -> Asked:
    return choices.measured_sizes, choices.measured_most, choices.measured_repeats


def _choose(choices: CacheChoices, busy: bool) -> None:
    with state.row("steps"):
        state.menu(
            "Sizes", "measured_sizes", choices.measured_sizes, list(TITLES), format_func=lambda name: TITLES[name],
            width=260, disabled=busy,
        )  # fmt: skip
        state.steps(
            "Most tokens remembered", "measured_most", choices.measured_most, MOST_CONTEXT, width=220,
            format_func=lambda n: f"{n:,}", disabled=busy,
        )  # fmt: skip
        state.steps("Repeats", "measured_repeats", choices.measured_repeats, REPEATS, width=140, disabled=busy)
        if busy:
            st.button("Cancel", key="cache_cancel", icon=":material/stop_circle:", on_click=_cancel)
        else:
            st.button(
                "Run", key="cache_run", icon=":material/timer:", on_click=_run, args=(_asked(choices),), type="primary"
            )


def contexts(most: int) -> list[int]:
    """What is measured: the most tokens, and a half, a quarter and an eighth of them."""
    return [most // 8, most // 4, most // 2, most]


def _run(asked: Asked) -> None:
    sizes, most, repeats = asked
    engine = store.engine()
    try:
        measurement = engine.measure(Timing(SIZES[sizes], contexts(most), repeats, engine.device))
    except HeadlightError as error:
        st.session_state[_REFUSED] = str(error)
        return
    st.session_state[_RUNNING] = (asked, measurement)


def _cancel() -> None:
    if _RUNNING in st.session_state:
        st.session_state[_RUNNING][1].cancel()


def _current() -> Measurement | None:
    """The visitor's measurement while it is at work; one that has ended is put with the finished ones."""
    if _RUNNING not in st.session_state:
        return None
    asked, measurement = st.session_state[_RUNNING]
    if measurement.running:
        return measurement
    del st.session_state[_RUNNING]
    if measurement.error:
        st.session_state[_REFUSED] = measurement.error
    elif not measurement.complete and not measurement.cancelled:
        st.session_state[_REFUSED] = "the machine is too busy: not all contexts were measured in time"
    if measurement.timing.results:
        done = st.session_state.get(_DONE, {}) | {asked: measurement.timing.results}
        st.session_state[_DONE] = dict(list(done.items())[-_MOST_DONE:])
    return None


@st.fragment(run_every=_TICK)
def _progress() -> None:
    _, measurement = st.session_state.get(_RUNNING, (None, None))
    if measurement is None or not measurement.running:
        st.rerun()
    done = measurement.timing.done
    context = contexts_done(measurement.timing.results)
    st.progress(done, text=f"Measuring… {done:.0%}{context}")


def contexts_done(results: Sequence[Timed]) -> str:
    """What is finished, in words."""
    return f", {results[-1].context:,} tokens are done" if results else ""


def _result(asked: Asked, rows: Sequence[Timed], look: Theme) -> None:
    sizes, _, repeats = asked
    longest = max(row.context for row in rows)
    told = ", ".join(f"{row.title} {row.times.median * 1e3:.3g} ms" for row in rows if row.context == longest)
    device = store.engine().device
    left, right = st.columns([3, 2], gap="medium")
    with left:
        picture(
            step_times(rows, theme=look), "steps", f"At {longest:,} tokens: {told}.",
            f"Measured on this server ({store.engine().device_name}), float32, medians of {repeats} steps each, "
            "bars from the first to the third quartile. Other work on the machine widens them.",
        )  # fmt: skip
    with right:
        st.dataframe(_table(rows), hide_index=True, key="cache_steps_table", height=35 * (len(rows) + 1) + 3)
    take_away(
        state,
        "steps",
        "from headlight.core.measured.layers import SIZES\nfrom headlight.core.measured.decode_timing import Timing\n"
        f'timing = Timing(SIZES["{sizes}"], {contexts(asked[1])}, repeats={repeats}, device="{device.type}")\n'
        "timing.run()\n[(row.title, row.context, row.times.median) for row in timing.results]",
        {"Step times": lambda: _sheet(rows)},
    )


def _table(rows: Sequence[Timed]) -> list[dict[str, object]]:
    return [
        {"attention": row.title, "tokens": f"{row.context:,}", "kept (B)": f"{row.nbytes:,}",
         "median (ms)": f"{row.times.median * 1e3:.3g}",
         "quartiles (ms)": " – ".join(f"{value * 1e3:.3g}" for value in row.times.middle_half)}
        for row in rows
    ]  # fmt: skip


def _sheet(rows: Sequence[Timed]) -> str:
    headings = ["attention", "tokens", "bytes kept", "step", "seconds"]
    return rows_to_csv(
        headings,
        [
            [row.title, row.context, row.nbytes, number, taken]
            for row in rows
            for number, taken in enumerate(row.times.seconds)
        ],
    )
