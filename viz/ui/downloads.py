"""What a page lets a visitor take away: files, made when they are asked for and no larger than the operator allows; code."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from headlight.viz import store

CELL = 14  # characters of a number in a CSV file, at most


def download(label: str, make: Callable[[], str | bytes], file_name: str, mime: str, nbytes: int) -> None:
    """The button; a line instead where the file would be too large. nbytes: about what it will have.

    Without its button nothing can be asked for: what would make the file is not even handed to the server.
    """
    most = store.engine().settings.exports.max_bytes
    if nbytes > most:
        st.caption(f"{label}: about {nbytes:,} bytes; {most:,} are the limit here.")
        return
    st.download_button(label, make, file_name, mime, on_click="ignore", icon=":material/download:")


def notebook(code: str) -> None:
    """The calls that make what is on the page, to be copied."""
    st.caption("In a notebook, with the Python package `headlight` installed:")
    st.code(code, language="python")
