"""Long texts: while a text is read, how far it is, how long it will take, and a button that stops it."""

from __future__ import annotations

import streamlit as st

from headlight.core.errors import HeadlightError
from headlight.core.long.reading import Reading
from headlight.core.types import Tokens
from headlight.viz import store
from headlight.viz.pages.long.state import visitor
from headlight.viz.text import markdown_text

_STOPPED, _WAITS = "long:stopped", "long:waits"  # session: the reading that was cancelled; the one that is waited for
_POLL = 0.4  # seconds between two looks at a job
_QUICK = 0.7  # seconds in which a short text is read without any ado


def reading(name: str, tokens: Tokens) -> Reading | None:
    """What was read of the text; until it is there, None and a progress bar."""
    readings = store.readings()
    key = readings.key(name, tokens)
    _give_up_others(key)
    found = readings.reading(key)
    if found is not None:
        st.session_state.pop(_WAITS, None)
        return found
    job = readings.job(key)
    if job is not None and job.error:
        _failed(key, job.error)
        return None
    if st.session_state.get(_STOPPED) == key:
        _offer(key, tokens)
        return None
    try:
        job = readings.read(name, tokens, visitor())
    except HeadlightError as error:
        st.warning(markdown_text(f"{str(error)[:1].upper()}{str(error)[1:]}."), icon=":material/hourglass:")
        st.button("Try again", key="long_again")
        return None
    job.join(_QUICK)
    if (found := readings.reading(key)) is not None:
        return found
    st.session_state[_WAITS] = key
    _progress(key, len(tokens))
    return None


def _give_up_others(key: str) -> None:
    """A visitor waits for one text at a time: another choice gives up the one before."""
    before = st.session_state.get(_WAITS)
    if before is not None and before != key:
        _stop(before)


def _stop(key: str) -> None:
    job = store.readings().job(key)
    if job is not None:
        job.give_up(visitor())
    st.session_state.pop(_WAITS, None)


@st.fragment(run_every=_POLL)
def _progress(key: str, length: int) -> None:
    readings = store.readings()
    job = readings.job(key)
    if job is None or not job.running or st.session_state.get(_STOPPED) == key:
        st.rerun()  # it is read, it went wrong, or it was stopped
    job.wait_for(visitor())
    left = job.seconds_left
    told = "starting" if left is None or job.done < 0.02 else f"about {_duration(left)} left"
    with st.container(horizontal=True, vertical_alignment="center", key="long_progress"):
        st.progress(job.done, text=f"Reading {length:,} tokens: {job.done:.0%}, {told}", width="stretch")
        st.button("Cancel", key="long_cancel", icon=":material/close:", on_click=_cancel, args=(key,))


def _failed(key: str, error: str) -> None:
    st.warning(markdown_text(f"{error[:1].upper()}{error[1:]}."), icon=":material/error:")
    st.button("Try again", key="long_retry", on_click=store.readings().forget_job, args=(key,))


def _cancel(key: str) -> None:
    _stop(key)
    st.session_state[_STOPPED] = key


def _offer(key: str, tokens: Tokens) -> None:
    st.info(f"Reading was stopped. {len(tokens):,} tokens are to be read.", icon=":material/stop_circle:")
    st.button("Read it", key="long_read", type="primary", icon=":material/play_arrow:", on_click=_go_on)


def _go_on() -> None:
    st.session_state.pop(_STOPPED, None)


def _duration(seconds: float) -> str:
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{seconds / 60:.0f} min"
