"""The only Streamlit caches: one engine and one workshop a process, and the runs looked at last, bounded in bytes."""

from __future__ import annotations

import argparse
import gc
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

# Whole before any page runs: st.table imports it at first use, and a half-imported pandas in another thread breaks Plotly.
import pandas  # noqa: F401
import streamlit as st
from cachetools import LRUCache
from torch import Tensor

from core.checkpoints.pretrained import cache_folder
from core.compute import from_environment
from core.engine import Engine
from core.errors import InputError
from core.lessons.latent import Sample
from core.lessons.latent import sample as read_sample
from core.measured.held import Held, growth
from core.memory.published import Published, published
from core.model import Model, Readable
from core.timing import Times, alternate
from core.types import Run
from viz.desk import Desk
from viz.workshop import Workshop

RUNS_BYTES = 256 * 2**20
HELD_BYTES = 8 * 2**20
SAMPLES_BYTES = 64 * 2**20
MEASUREMENTS = 64


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
    return Engine(asked.device, own_models=asked.model, any_model=asked.any_model, compute=from_environment())


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


@st.cache_resource(show_spinner=False)
def catalogue() -> dict[str, Published]:
    """Slug -> published model with its cache's shape; a hundred kilobytes, read once."""
    return published()


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


def sample(name: str) -> Sample:
    """The latents of the fixed text in an MLA sibling, read once."""
    kept, lock = _samples()
    with lock:
        found = kept.get(name)
    if found is None:
        loaded = model(name)
        if not isinstance(loaded, Model):
            raise InputError(f"{loaded.title} is carried by transformers and keeps no latent here")
        found = read_sample(loaded, engine().alone)
        with lock:
            kept[name] = found
    return found


@st.cache_resource(show_spinner=False)
def _samples() -> tuple[LRUCache[str, Sample], threading.Lock]:
    return LRUCache(SAMPLES_BYTES, getsizeof=lambda found: found.nbytes), threading.Lock()


def measured(
    what: tuple[str, int], make: Callable[[], Mapping[str, Callable[[], Tensor]]], again: bool = False
) -> dict[str, Times]:
    """How long some steps take on this machine, kept for all visitors until somebody measures again; a round at a time."""
    kept, lock, one_at_a_time = _measurements()
    with lock:
        found = kept.get(what)
    if found is not None and not again:
        return found
    with one_at_a_time:
        with engine().alone():
            steps = make()
        found = alternate(steps, alone=engine().alone)
        with lock:
            kept[what] = found
    return found


@st.cache_resource(show_spinner=False)
def _measurements() -> tuple[LRUCache[tuple[str, int], dict[str, Times]], threading.Lock, threading.Lock]:
    return LRUCache(MEASUREMENTS), threading.Lock(), threading.Lock()  # a few dozen numbers each


def held(name: str, ids: tuple[int, ...], on_token: Callable[[int], object] = lambda number: None) -> Held:
    """What a model's caches hold after each of the tokens. on_token: called with the number of those read, while it is new."""
    kept, lock = _held()
    with lock:
        found = kept.get((name, ids))
    if found is not None:
        return found
    for result in growth(model(name), ids, engine().alone):
        found = result
        on_token(len(result.held))
    if found is None:
        raise InputError("there is nothing to read: give at least one token")
    with lock:
        if found.nbytes <= HELD_BYTES:
            kept[name, ids] = found
    return found


def is_held(name: str, ids: tuple[int, ...]) -> bool:
    """Whether `held` answers at once."""
    kept, lock = _held()
    with lock:
        return (name, ids) in kept


@st.cache_resource(show_spinner=False)
def _held() -> tuple[LRUCache[tuple[str, tuple[int, ...]], Held], threading.Lock]:
    return LRUCache(HELD_BYTES, getsizeof=lambda result: result.nbytes), threading.Lock()


@st.cache_resource(show_spinner=False)
def workshop() -> Workshop:
    """The process's conversions of models; bounded in bytes by itself."""
    return Workshop(engine())


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
