"""What this is and where it runs: version, device, models with their sources, limits, and what is logged."""

from __future__ import annotations

import platform
from importlib.metadata import version as installed

import streamlit as st

from headlight.core.attention.variants import VARIANTS
from headlight.core.registry import PACKAGED, SIBLINGS, ModelRow
from headlight.core.serving.version import commit, version
from headlight.viz import store
from headlight.viz.text import markdown_text
from headlight.viz.ui.visitor import in_one_line

_SAFE = """
- Your texts and files are processed in this server's memory and sent nowhere else. The app fetches nothing from the internet
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
    with in_one_line():
        _page()


def _page() -> None:
    st.html("<h1 class='headlight'>About <small>what runs here, and what happens to what you type</small></h1>")
    st.markdown(
        "Headlight shows what each attention head looks at, and what it costs to remember it. Open source, Apache-2.0."
    )
    st.markdown("#### This server")
    _facts(_server())
    st.markdown("#### Models")
    _facts(_models())
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
    settings = store.engine().settings
    text, requests = settings.text, settings.requests
    return {
        "A sentence": f"{text.max_tokens:,} tokens, {text.max_characters:,} characters",
        "A long text": f"{text.long_tokens:,} tokens, {text.long_characters:,} characters",
        "An uploaded file": f"{max(settings.uploads.text_bytes, settings.uploads.config_bytes) / 2**20:.3g} MiB",
        "A request": f"computes for {requests.seconds:,} seconds at most, once its turn has come",
        "Waiting for a turn": f"{requests.waiting:,} requests, {requests.waiting_of_one:,} of each visitor",
        "Pages open at once": f"{settings.sessions.open:,}",
    }


def _facts(facts: dict[str, str]) -> None:
    rows = [{"": markdown_text(name), " ": markdown_text(told)} for name, told in facts.items()]
    st.table(rows, hide_header=True, border="horizontal")


def _models() -> dict[str, str]:
    engine = store.engine()
    found = {row.title: _weights(row) for name, row in engine.rows.items() if name not in SIBLINGS and row.base is None}
    found |= {f"{PACKAGED[base].title} in other attention": _variants(base) for base in PACKAGED if base in engine.rows}
    offered = [row for name, row in SIBLINGS.items() if name in engine.rows]
    if offered:
        found[f"{len(offered)} siblings"] = _weights(offered[0])
    return found


def _variants(base: str) -> str:
    """Which variants of a packaged model there are, and which are missing."""
    rows = [row for row in store.engine().rows.values() if row.base == base]
    there = ", ".join(VARIANTS[str(row.attention)].title for row in rows if row.installed)
    lacking = ", ".join(VARIANTS[str(row.attention)].title for row in rows if not row.installed)
    told = f"{there or 'none'}. Everything but the attention is {PACKAGED[base].title}'s own; the attention was converted and "
    told += f"healed here, by training/distill (Surgery says how well). {PACKAGED[base].licence}."
    return told + (f" Not on this server: {lacking}." if lacking else "")


def _weights(row: ModelRow) -> str:
    source, licence = row.source or "its operator's", row.licence or "licence: see there"
    return f"{row.about}. Weights: {source}, {licence}." + ("" if row.installed else " Not on this server.")
