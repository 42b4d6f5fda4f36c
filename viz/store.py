"""The only Streamlit caches: one engine and one conversions a process, and the runs looked at last, bounded in bytes."""

from __future__ import annotations

import argparse
import gc
import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

# Whole before any page runs: st.table imports it at first use, and a half-imported pandas in another thread breaks Plotly.
import pandas  # noqa: F401
import streamlit as st
from torch import Tensor

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
from headlight.core.serving.bounded import Bounded
from headlight.core.serving.compute import from_environment
from headlight.core.serving.conversions import ConversionStore
from headlight.core.serving.engine import Engine
from headlight.core.serving.readings import ReadingStore
from headlight.core.types import Run, Tokens
from headlight.viz.ui.state import page_on_screen
from headlight.viz.ui.visitor import asking, caller, refused, visitor

T = TypeVar("T", bound=Bounded[Any, Any])
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
    with metrics.request("run", page=page_on_screen(), model=name) as seen:
        seen.outcome = "kept"

        def read() -> Run:
            seen.outcome = "ok"
            with asking() as caller:
                return engine().run(name, text, caller=caller)

        result = _runs().get((name, text), read, caller().check)
        seen.tokens = len(result.tokens)
    return result


def run_or_last(name: str, text: str) -> Run:
    """As `run`; where the machine cannot do it now, a line that says so, a button to try again, and what this visitor last
    saw of the model."""
    last: dict[str, str] = st.session_state.setdefault(_LAST, {})
    try:
        result = run(name, text)
    except OverloadError as error:
        found = _runs().peek((name, last.get(name, "")))
        if found is None:
            raise
        refused(error, f"run_{name}", "Below is the last sentence that could be read.")
        return found
    last[name] = text
    return result


@st.cache_resource(show_spinner=False)
def _runs() -> Bounded[tuple[str, str], Run]:
    return _dropped_when_short(Bounded(engine().settings.caches.runs, lambda run: run.nbytes + run.trace_nbytes))


def advance(continuation: Continuation) -> None:
    """One more token of a continuation."""
    with asking() as caller:
        engine().advance(continuation, caller)


def continuation(key: Hashable, make: Callable[[], Continuation]) -> Continuation:
    """This visitor's continuation by its key: what was written so far, or a new one where it was let go of."""
    return _continuations().peek((visitor(), key)) or make()


def keep(key: Hashable, continuation: Continuation) -> None:
    """After some tokens: remembers a visitor's continuation with its cache."""
    _continuations().put((visitor(), key), continuation)


def forget(key: Hashable) -> None:
    """Drops a continuation that went wrong in the middle of a token."""
    _continuations().pop((visitor(), key))


@st.cache_resource(show_spinner=False)
def _continuations() -> Bounded[tuple[str, Hashable], Continuation]:
    return _dropped_when_short(Bounded(engine().settings.caches.continuations, lambda each: each.nbytes))


def document(name: str, text: str) -> tuple[Tokens, list[str]]:
    """A document as a model reads it, cut to what it can, with notes on that."""
    key = (name, hashlib.sha256(text.encode("utf-8", "replace")).hexdigest())
    return _documents().get(key, lambda: engine().document(name, text), caller().check)


def own_text() -> str | None:
    """The long text that this visitor brought, while it is kept."""
    return _documents().peek((visitor(), "own"))


def keep_own_text(text: str) -> None:
    """A long text that this visitor brings; it takes the place of the one before. Beyond a document's limit it is cut, one
    character later, so that it still reads as too long."""
    _documents().put((visitor(), "own"), text[: engine().limits.long_characters + 1])


@st.cache_resource(show_spinner=False)
def _documents() -> Bounded[tuple[str, str], Any]:
    """Texts of visitors' own, and documents as models read them, within one bound."""
    return _dropped_when_short(Bounded(engine().settings.caches.documents, text_bytes))


def text_bytes(kept: str | tuple[Tokens, list[str]]) -> int:
    """About the bytes of an own text, or of a text and its tokens."""
    return 4 * len(kept) if isinstance(kept, str) else 4 * len(kept[0].text) + 250 * len(kept[0])


def _dropped_when_short(kept: T) -> T:
    """The same cache, which is emptied from now on where memory runs out."""
    engine().when_short(kept.clear)
    return kept


def sample(name: str) -> Sample:
    """The latents of the fixed text in an MLA sibling, read once."""
    return _samples().get(name, lambda: _read_sample(name), caller().check)


def _read_sample(name: str) -> Sample:
    loaded = model(name)
    if not isinstance(loaded, Model):
        raise InputError(f"{loaded.title} is run by transformers and keeps no latent here")
    with asking() as caller:
        return read_sample(loaded, partial(engine().alone, caller))


@st.cache_resource(show_spinner=False)
def _samples() -> Bounded[str, Sample]:
    return _dropped_when_short(Bounded(engine().settings.caches.samples, lambda sample: sample.nbytes))


def measured(
    what: tuple[str, int], make: Callable[[], Mapping[str, Callable[[], Tensor]]], again: bool = False
) -> dict[str, Times]:
    """How long some steps take on this machine, kept for all visitors until somebody measures again; a round at a time."""
    kept, one_at_a_time = _measurements()

    def take() -> dict[str, Times]:
        with one_at_a_time, asking() as caller:
            with engine().alone(caller):
                steps = make()
            return alternate(steps, alone=partial(engine().alone, caller))

    if again:
        kept.put(what, take())
    return kept.get(what, take, caller().check)


@st.cache_resource(show_spinner=False)
def _measurements() -> tuple[Bounded[tuple[str, int], dict[str, Times]], threading.Lock]:
    return Bounded(MEASUREMENTS), threading.Lock()  # a few dozen numbers each


def held(name: str, ids: tuple[int, ...], on_token: Callable[[int], object] = lambda number: None) -> Held:
    """What a model's caches hold after each of the tokens. on_token: called with the number of those read, while it is new."""
    return _held().get((name, ids), lambda: _grown(name, ids, on_token), caller().check)


def _grown(name: str, ids: tuple[int, ...], on_token: Callable[[int], object]) -> Held:
    found, loaded = None, model(name)
    with asking() as caller:
        for result in growth(loaded, ids, partial(engine().alone, caller)):
            found = result
            on_token(len(result.held))
    if found is None:
        raise InputError("there is nothing to read: give at least one token")
    return found


def is_held(name: str, ids: tuple[int, ...]) -> bool:
    """Whether `held` answers at once."""
    return (name, ids) in _held()


@st.cache_resource(show_spinner=False)
def _held() -> Bounded[tuple[str, tuple[int, ...]], Held]:
    return _dropped_when_short(Bounded(engine().settings.caches.held, lambda held: held.nbytes))


@st.cache_resource(show_spinner=False)
def conversions() -> ConversionStore:
    """The process's conversions of models; bounded in bytes by itself."""
    return ConversionStore(engine())


@st.cache_resource(show_spinner=False)
def readings() -> ReadingStore:
    """Where long texts are read and kept, for all visitors together."""
    return ReadingStore(engine(), _folder(), caller)


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
