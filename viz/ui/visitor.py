"""The visitor whose page runs just now: a name for them, whether they are still there, and the line that shows their place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st
from streamlit.runtime import exists, get_instance
from streamlit.runtime.scriptrunner_utils.script_run_context import get_script_run_ctx

from headlight.core.errors import HeadlightError, OverloadError
from headlight.core.serving.turns import APP, Caller
from headlight.viz.text import markdown_text

_IN = "visitor:in"  # session: that this one was let in


def visitor() -> str:
    """A name for this session; "" where no page runs."""
    context = get_script_run_ctx(suppress_warning=True)
    return "" if context is None else context.session_id


def caller() -> Caller:
    """The visitor as somebody who asks for the device, without a line that shows their place."""
    context = get_script_run_ctx(suppress_warning=True)
    return APP if context is None else Caller(context.session_id, context.yield_check)


@contextmanager
def asking() -> Iterator[Caller]:
    """For what a page asks of the device: the caller, and at this place on the page, while they wait, how many are ahead.

    His check is Streamlit's own: it ends the script between two layers, or in the queue, once the visitor has gone or has
    asked for something newer.
    """
    context = get_script_run_ctx(suppress_warning=True)
    if context is None:
        yield APP
        return
    place = st.empty()  # always there, so that the page below it stays where it is when the line comes and goes

    def waits(before: int) -> None:
        if before:
            place.caption(f":material/hourglass_empty: {before:,} ahead of you")
        else:
            place.empty()

    try:
        yield Caller(context.session_id, context.yield_check, waits)
    except HeadlightError:
        place.empty()
        raise


def refused(error: HeadlightError, key_name: str, then: str = "", icon: str = ":material/error:") -> None:
    """What was refused, in a sentence or two; a button that tries again where a moment later it may go well."""
    again = isinstance(error, OverloadError)
    message = f"{str(error)[:1].upper()}{str(error)[1:]}."
    st.warning(markdown_text(f"{message} {then}".strip()), icon=":material/hourglass:" if again else icon)
    if again:
        st.button("Try again", key=f"{key_name}_again", icon=":material/refresh:")


@contextmanager
def in_one_line() -> Iterator[None]:
    """Around a whole page: what Headlight refuses on purpose becomes one line."""
    try:
        yield
    except HeadlightError as error:
        st.error(markdown_text(str(error)), icon=":material/error:")


def let_in(most: int) -> bool:
    """Whether this visitor has a place among the pages that may be open at once; who has one keeps it."""
    if _IN not in st.session_state:
        if open_sessions() > most:
            return False
        st.session_state[_IN] = True
    return True


def open_sessions() -> int:
    """Pages that are open in a browser just now, this one counted; 0 without a server."""
    sessions = getattr(get_instance(), "_session_mgr", None) if exists() else None
    return 0 if sessions is None else len(sessions.list_active_sessions())
