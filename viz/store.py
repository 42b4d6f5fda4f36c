"""The only Streamlit caches: one engine a process, and the runs that visitors looked at last, bounded in bytes."""

from __future__ import annotations

import argparse
import gc
import sys
import threading
import time
from pathlib import Path

# Whole before any page runs: st.table imports it at first use, and a half-imported pandas in another thread breaks Plotly.
import pandas  # noqa: F401
import streamlit as st
from cachetools import LRUCache

from core.checkpoints.pretrained import cache_folder
from core.engine import Engine
from core.model import Readable
from core.types import Run
from viz.desk import Desk

RUNS_BYTES = 256 * 2**20


@st.cache_resource(show_spinner=False)
def engine() -> Engine:
    """The process's engine, from what stands after `--` on the command line: --device (the best there is otherwise),
    --model PATH_OR_ID (again for each one more), --any-model (visitors may name others)."""
    # A page's first parts go out to the browser while its later parts are still being made.
    sys.setswitchinterval(0.001)
    parser = argparse.ArgumentParser(prog="streamlit run app.py --", add_help=False)
    parser.add_argument("--device")
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--any-model", action="store_true")
    asked = parser.parse_known_args(sys.argv[1:])[0]
    return Engine(asked.device, own_models=asked.model, any_model=asked.any_model)


def model(name: str) -> Readable:
    """A model, loaded at first use behind a progress bar."""
    shared = engine()
    place = st.empty()  # always there, so that the page below it stays where it is when the bar goes
    if shared.loaded(name):
        return shared.model(name)
    place.progress(0.0, text="Loading the model…")

    def show(done: float, what: str) -> None:
        place.progress(done, text=f"First start: {what}…")

    loaded = shared.model(name, progress=show)
    place.empty()
    _calm_the_collector()
    return loaded


def add_model(path_or_id: str) -> None:
    """One more checkpoint, named by a visitor; raises what `core.load_model` raises."""
    place = st.empty()

    def show(done: float, what: str) -> None:
        place.progress(done, text=f"{what}…".capitalize())

    try:
        engine().add(path_or_id, progress=show)
    finally:
        place.empty()
    _calm_the_collector()


def run(name: str, text: str) -> Run:
    """The text through all layers of a model; weights of a layer are made when a figure asks for them."""
    kept, lock = _runs()
    with lock:
        found = kept.get((name, text))
    if found is not None:
        return found
    result = engine().run(name, text)
    with lock:
        if result.nbytes <= RUNS_BYTES:
            kept[name, text] = result
    return result


@st.cache_resource(show_spinner=False)
def _runs() -> tuple[LRUCache[tuple[str, str], Run], threading.Lock]:
    return LRUCache(RUNS_BYTES, getsizeof=lambda result: result.nbytes), threading.Lock()


@st.cache_resource(show_spinner=False)
def desk() -> Desk:
    """Where long texts are read and kept, for all visitors together."""
    return Desk(engine(), _folder())


def _folder() -> Path | None:
    # Beside the converted weights rather than in /tmp, which on many systems is memory.
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return cache_folder()


def _calm_the_collector() -> None:
    # Streamlit collects garbage after every rerun, which with torch imported holds the interpreter for 150 ms and more.
    gc.collect()
    gc.freeze()


def let_the_browser_draw() -> None:
    """Between the picture and what explains it: a pause in which the browser gets and draws what the page has so far.

    Without it both arrive together, and the picture waits for everything below it (measured: 100 ms).
    """
    time.sleep(0.06)
