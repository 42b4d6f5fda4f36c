"""The only Streamlit caches: one engine and one workshop a process, and the runs looked at last, bounded in bytes."""

from __future__ import annotations

import argparse
import gc
import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

# Whole before any page runs: st.table imports it at first use, and a half-imported pandas in another thread breaks Plotly.
import pandas  # noqa: F401
import streamlit as st
from cachetools import LRUCache
from headlight.core.checkpoints.pretrained import cache_folder
from headlight.core.decoding import Continuation
from headlight.core.errors import InputError, OverloadError
from headlight.core.lessons.latent import Sample
from headlight.core.lessons.latent import sample as read_sample
from headlight.core.measured.clock import Times, alternate
from headlight.core.measured.held import Held, growth
from headlight.core.memory.published import Published, published
from headlight.core.model import Model, Readable
from headlight.core.serving import metrics
from headlight.core.serving.compute import from_environment
from headlight.core.serving.conversions import Workshop
from headlight.core.serving.engine import Engine
from headlight.core.serving.readings import Desk
from headlight.core.types import Run, Tokens
from headlight.viz.ui.state import page_on_screen
from headlight.viz.ui.visitor import asking, caller, refused, visitor
from torch import Tensor

MEASUREMENTS = 64
_LAST = "store:last"  # session: model -> the last text that it read for this visitor


@st.cache_resource(show_spinner=False)
def engine() -> Engine:
    """The process's engine, from what stands after `--` on the command line: --device (the best there is otherwise),
    --model PATH_OR_ID (again for each one more), --any-model (visitors may name others)."""
    parser = argparse.ArgumentParser(prog="streamlit run app.py --", add_help=False)
    parser.add_argument("--device")
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--any-model", action="store_true")
    asked = parser.parse_known_args(sys.argv[1:])[0]
    made = Engine(asked.device, own_models=asked.model, any_model=asked.any_model, compute=from_environment())
    metrics.WAITING.set_function(lambda: made.waiting)
    return made


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
    with metrics.request("run", page=page_on_screen(), model=name) as seen:
        with lock:
            found = kept.get((name, text))
        if found is not None:
            seen.outcome, seen.tokens = "kept", len(found.tokens)
            return found
        with asking() as caller:
            result = engine().run(name, text, caller=caller)
        seen.tokens = len(result.tokens)
    with lock:
        if result.nbytes + result.trace_nbytes <= kept.maxsize:
            kept[name, text] = result
    return result


def run_or_last(name: str, text: str) -> Run:
    """As `run`; where the machine cannot do it now, a line that says so, a button to try again, and what this visitor last
    saw of the model."""
    last: dict[str, str] = st.session_state.setdefault(_LAST, {})
    try:
        result = run(name, text)
    except OverloadError as error:
        kept, lock = _runs()
        with lock:
            found = kept.get((name, last.get(name, "")))
        if found is None:
            raise
        refused(error, f"run_{name}", "Below is the last sentence that could be read.")
        return found
    last[name] = text
    return result


@st.cache_resource(show_spinner=False)
def _runs() -> tuple[LRUCache[tuple[str, str], Run], threading.Lock]:
    return _kept(engine().settings.caches.runs)


def advance(continuation: Continuation) -> None:
    """One more token of a continuation."""
    with asking() as caller:
        engine().advance(continuation, caller)


def continuation(key: Hashable, make: Callable[[], Continuation]) -> Continuation:
    """This visitor's continuation by its key: what was written so far, or a new one where it was let go of."""
    kept, lock = _continuations()
    with lock:
        found = kept.get((visitor(), key))
    return make() if found is None else found


def keep(key: Hashable, continuation: Continuation) -> None:
    """After some tokens: remembers a visitor's continuation with its cache."""
    kept, lock = _continuations()
    with lock:
        place = visitor(), key
        kept.pop(place, None)
        if continuation.nbytes <= kept.maxsize:
            kept[place] = continuation


def forget(key: Hashable) -> None:
    """Drops a continuation that went wrong in the middle of a token."""
    kept, lock = _continuations()
    with lock:
        kept.pop((visitor(), key), None)


@st.cache_resource(show_spinner=False)
def _continuations() -> tuple[LRUCache[tuple[str, Hashable], Continuation], threading.Lock]:
    return _kept(engine().settings.caches.continuations)


def document(name: str, text: str) -> tuple[Tokens, list[str]]:
    """A document as a model reads it, cut to what it can, with notes on that."""
    kept, lock = _documents()
    key = (name, hashlib.sha256(text.encode("utf-8", "replace")).hexdigest())
    with lock:
        found = kept.get(key)
    if found is None:
        tokens, notes = engine().document(name, text)
        found = Kept((tokens, notes), 4 * len(tokens.text) + 250 * len(tokens))
        with lock:
            if found.nbytes <= kept.maxsize:
                kept[key] = found
    return found.value  # type: ignore[no-any-return]


def own_text() -> str | None:
    """The long text that this visitor brought, while it is kept."""
    kept, lock = _documents()
    with lock:
        found = kept.get((visitor(), "own"))
    return None if found is None else str(found.value)


def keep_own_text(text: str) -> None:
    """A long text that this visitor brings; it takes the place of the one before. Beyond a document's limit it is cut, one
    character later, so that it still reads as too long."""
    kept, lock = _documents()
    text, place = text[: engine().limits.long_characters + 1], (visitor(), "own")
    with lock:
        kept.pop(place, None)
        if 4 * len(text) <= kept.maxsize:
            kept[place] = Kept(text, 4 * len(text))


@st.cache_resource(show_spinner=False)
def _documents() -> tuple[LRUCache[tuple[str, str], Kept], threading.Lock]:
    return _kept(engine().settings.caches.documents)


@dataclass(frozen=True)
class Kept:
    """A value with about the bytes that it takes."""

    value: Any
    nbytes: int


def _kept(most: int) -> tuple[LRUCache[Any, Any], threading.Lock]:
    """A cache of so many bytes for things that know their own, emptied where memory runs out, and its lock."""
    kept: LRUCache[Any, Any] = LRUCache(most, getsizeof=lambda each: each.nbytes + getattr(each, "trace_nbytes", 0))
    lock = threading.Lock()

    def let_go() -> None:
        with lock:
            kept.clear()

    engine().when_short(let_go)
    return kept, lock


def sample(name: str) -> Sample:
    """The latents of the fixed text in an MLA sibling, read once."""
    kept, lock = _samples()
    with lock:
        found = kept.get(name)
    if found is None:
        loaded = model(name)
        if not isinstance(loaded, Model):
            raise InputError(f"{loaded.title} is carried by transformers and keeps no latent here")
        with asking() as caller:
            found = read_sample(loaded, partial(engine().alone, caller))
        with lock:
            kept[name] = found
    return found


@st.cache_resource(show_spinner=False)
def _samples() -> tuple[LRUCache[str, Sample], threading.Lock]:
    return _kept(engine().settings.caches.samples)


def measured(
    what: tuple[str, int], make: Callable[[], Mapping[str, Callable[[], Tensor]]], again: bool = False
) -> dict[str, Times]:
    """How long some steps take on this machine, kept for all visitors until somebody measures again; a round at a time."""
    kept, lock, one_at_a_time = _measurements()
    with lock:
        found = kept.get(what)
    if found is not None and not again:
        return found
    with one_at_a_time, asking() as caller:
        with engine().alone(caller):
            steps = make()
        found = alternate(steps, alone=partial(engine().alone, caller))
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
    loaded = model(name)
    with asking() as caller:
        for result in growth(loaded, ids, partial(engine().alone, caller)):
            found = result
            on_token(len(result.held))
    if found is None:
        raise InputError("there is nothing to read: give at least one token")
    with lock:
        if found.nbytes <= kept.maxsize:
            kept[name, ids] = found
    return found


def is_held(name: str, ids: tuple[int, ...]) -> bool:
    """Whether `held` answers at once."""
    kept, lock = _held()
    with lock:
        return (name, ids) in kept


@st.cache_resource(show_spinner=False)
def _held() -> tuple[LRUCache[tuple[str, tuple[int, ...]], Held], threading.Lock]:
    return _kept(engine().settings.caches.held)


@st.cache_resource(show_spinner=False)
def workshop() -> Workshop:
    """The process's conversions of models; bounded in bytes by itself."""
    return Workshop(engine())


@st.cache_resource(show_spinner=False)
def desk() -> Desk:
    """Where long texts are read and kept, for all visitors together."""
    return Desk(engine(), _folder(), caller)


def _folder() -> Path | None:
    # Beside the converted weights rather than in /tmp, which on many systems is memory.
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    # None for a folder on a disk that cannot be written to; asked of the system, since permissions say nothing to root.
    return cache_folder() if os.access(cache_folder(), os.W_OK) else None


def _calm_the_collector() -> None:
    # Streamlit collects garbage after every rerun, which with torch imported holds the interpreter for 150 ms and more.
    gc.collect()
    gc.freeze()


def let_the_browser_draw() -> None:
    """Between the picture and what explains it: a pause in which the browser gets and draws what the page has so far.

    Without it both arrive together, and the picture waits for everything below it (measured: 100 ms).
    """
    time.sleep(0.06)
