"""What this is and where it runs: version, device, models with their sources, limits, and what is logged."""

from __future__ import annotations

import platform
from importlib.metadata import version as installed

import streamlit as st

from core.errors import HeadlightError
from core.registry import SIBLINGS
from core.version import commit, version
from viz import store
from viz.text import markdown_text

_SAFE = """
- Your texts and files are worked on in this server's memory and go to no one else. The app fetches nothing from the internet
  because of anything you type.
- A link holds what is on screen, your sentence too: whoever gets the link can read it, and so can whoever keeps a log of
  addresses on the way (most web servers do).
- For each request the server logs the time, the page, the model, how many tokens, how many milliseconds, and whether it went
  well. It does not log texts, addresses or who you are, and it sets no cookie but one against forged requests and the
  framework's own session cookie.
- Recent results are kept in memory, bounded in bytes, and shared: the same sentence is not computed twice. They are gone when
  the server stops. Long texts are kept in files without a name until nobody has them open.
- Nothing is measured about you: the framework's usage statistics are switched off.
"""


def page() -> None:
    """The whole page; what Headlight refuses on purpose becomes one line."""
    try:
        _page()
    except HeadlightError as error:
        st.error(markdown_text(str(error)), icon=":material/error:")


def _page() -> None:
    st.html("<h1 class='headlight'>About <small>what runs here, and what becomes of what you type</small></h1>")
    st.markdown(
        "Headlight shows what each attention head looks at, and what it costs to remember it. Open source, Apache-2.0."
    )
    st.markdown("#### This server")
    _facts(_server())
    st.markdown("#### Models")
    _models()
    st.markdown("#### Limits")
    _facts(_limits())
    st.markdown("#### Privacy")
    st.markdown(_SAFE)


def _server() -> dict[str, str]:
    known = commit()
    return {
        "Headlight": version() + (f", commit {known[:12]}" if known else ""),
        "Computes on": store.engine().device_name,
        "Python": platform.python_version(),
        "PyTorch": installed("torch"),
        "Streamlit": installed("streamlit"),
    }


def _limits() -> dict[str, str]:
    limits = store.engine().limits
    return {
        "A sentence": f"{limits.max_tokens:,} tokens, {limits.max_characters:,} characters",
        "A long text": f"{limits.long_tokens:,} tokens, {limits.long_characters:,} characters",
        "An uploaded file": f"{st.get_option('server.maxUploadSize')} MB",
    }


def _facts(facts: dict[str, str]) -> None:
    st.table([{"": name, " ": told} for name, told in facts.items()], hide_header=True, border="horizontal")


def _models() -> None:
    rows = [
        {
            "model": row.title,
            "what it is": row.about,
            "weights from": row.source or "its operator",
            "licence": row.licence or "see its source",
            "here": "yes" if row.installed else "no",
        }
        for name, row in store.engine().rows.items()
        if name not in SIBLINGS
    ]
    there = [row for row in SIBLINGS.values() if row.installed]
    one = next(iter(SIBLINGS.values()))
    siblings = {"model": f"the siblings ({len(there)})", "what it is": one.about, "weights from": one.source,
                "licence": one.licence, "here": "yes" if there else "no"}  # fmt: skip
    st.dataframe([*rows, siblings], hide_index=True)
