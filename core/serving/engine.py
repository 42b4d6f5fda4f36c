"""The one door to compute: loaded models shared by all visitors, limits, one request at a time on the device."""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import TypeVar

import torch

from headlight.core.checkpoints.gguf_llama import Progress
from headlight.core.decoding import Continuation
from headlight.core.errors import BusyError, ConfigError, InputError, lookup
from headlight.core.loading import load_model, pick_device
from headlight.core.long.document import cut
from headlight.core.measured.decode_timing import Measurement, Timing
from headlight.core.model import Model, Readable, run, within
from headlight.core.overload import Check, with_room
from headlight.core.overload import within as within_seconds
from headlight.core.registry import MODELS, ModelRow, own
from headlight.core.serving.compute import Compute, InProcess
from headlight.core.serving.metrics import TURNED_AWAY, request
from headlight.core.serving.turns import APP, Caller, Turns
from headlight.core.settings import Settings
from headlight.core.settings import Text as Limits
from headlight.core.settings import read as read_settings
from headlight.core.types import Run, Tokens

T = TypeVar("T")
MOST_ADDED = 64  # names that visitors may add to the menu


class Engine:
    """Models loaded once and shared by all visitors; one forward pass at a time on the device.

    limits: of texts, else the settings'. own_models: checkpoints that the operator offers beside the registry's, as folders or
    hub names; any_model: whether visitors may name others (for a machine of one's own, never for a hosted app). settings: None
    reads headlight.toml. compute: where forward passes of the registry's models are computed, in this process unless something
    else is given. Raises ConfigError for settings that cannot be.
    """

    def __init__(
        self,
        device: str | None = None,
        limits: Limits | None = None,
        own_models: Sequence[str] = (),
        any_model: bool = False,
        settings: Settings | None = None,
        compute: Compute | None = None,
    ) -> None:
        self.device = pick_device(device)
        found = settings or read_settings()
        self.settings = replace(found, text=limits or found.text)
        self.limits = self.settings.text
        self.any_model = any_model
        self.compute: Compute = compute or InProcess()
        self._own_compute = InProcess()
        self.rows = _offered(self.settings.models.offered) | {name: own(name) for name in own_models}
        self._models: dict[str, Readable] = {}
        self._added: dict[str, int] = {}  # checkpoints that visitors named -> bytes, the one loaded last at the end
        self._loading = threading.Lock()
        requests = self.settings.requests
        self._running = Turns(requests.waiting, requests.waiting_of_one)
        self._elsewhere = Turns(requests.waiting, requests.waiting_of_one, requests.elsewhere)
        self._spare: list[Callable[[], None]] = []
        self._measurement: Measurement | None = None
        self._measuring = threading.Lock()

    @property
    def device_name(self) -> str:
        """The device in words: what kind, and which one or how many threads."""
        if self.device.type == "cuda":
            return f"CUDA, {torch.cuda.get_device_name(self.device)}"
        return f"{self.device.type.upper()}, {platform.machine()}, {torch.get_num_threads()} threads"

    def loaded(self, name: str) -> bool:
        """Whether `model(name)` answers at once."""
        return name in self._models

    def model(self, name: str, progress: Progress | None = None) -> Readable:
        """The model, loaded on first use; who wants the same one meanwhile waits, all others go on."""
        if name in self._models:
            return self._models[name]
        return self._loaded(name, lookup(self.rows, name, "model"), progress)

    def _loaded(self, name: str, row: ModelRow, progress: Progress | None) -> Readable:
        """A variant is laid over its packaged model, loaded once for both, whether that is offered or not."""
        if row.base is not None and row.over is not None:
            load = partial(row.over, self._loaded(row.base, MODELS[row.base], progress))
        else:
            load = partial(row.load, self.device, torch.float32, progress)
        with self._loading:
            if name not in self._models:
                self._models[name] = with_room(load, self.let_go)
            return self._models[name]

    def add(self, path_or_id: str, progress: Progress | None = None) -> None:
        """Loads one more checkpoint and offers it from then on; raises as `load_model`, and then offers nothing new.

        Raises InputError where visitors may not name models.
        """
        if not self.any_model:
            raise InputError("this app offers the models of its menu only")
        name = path_or_id.strip()
        if name in self.rows:
            return
        if len(self._added) >= MOST_ADDED:
            raise InputError(f"{MOST_ADDED} slots for further checkpoints are in use")
        model = with_room(lambda: load_model(name, str(self.device), progress=progress), self.let_go)
        with self._loading:
            self._models[name] = model
            self.rows[name] = own(name)
            self._added[name] = weight_bytes(model)
            self._make_room(name)

    def _make_room(self, newest: str) -> None:
        """Lets go of checkpoints that visitors named, the oldest first; one that is asked for again is loaded again."""
        loaded = [name for name in self._added if name in self._models and name != newest]
        total = sum(self._added[name] for name in [*loaded, newest])
        for name in loaded:
            if total > self.settings.models.added_bytes:
                del self._models[name]
                total -= self._added[name]

    def tokens(self, name: str, text: str) -> Tokens:
        """The text as the model reads it, within the limits; raises InputError with the limit's name and size."""
        if len(text) > self.limits.max_characters:
            raise InputError(
                f"this text has {len(text):,} characters; {self.limits.max_characters:,} are the limit here"
            )
        model = self.model(name)
        return within(model.tokenizer.encode(text), min(model.context, self.limits.max_tokens), model.title)

    def document(self, name: str, text: str) -> tuple[Tokens, list[str]]:
        """The beginning of a document, as far as the model and the limits for documents reach, and what was left out.

        Raises InputError where there is nothing to read.
        """
        model, notes, most = self.model(name), [], self.limits.long_characters
        if len(text) > most:
            notes.append(f"This text has {len(text):,} characters; only the first {most:,} were looked at.")
        limit = min(model.context, self.limits.long_tokens)
        tokens, whole = cut(model.tokenizer, text[:most], limit)
        if whole > len(tokens):
            notes.append(
                f"This text has {whole:,} tokens; {model.title} reads {limit:,} here, so its beginning is shown."
            )
        return tokens, notes

    def in_turn(self, work: Callable[[Check], T], caller: Caller = APP, here: bool = True) -> T:
        """`work`, alone on the device, in the caller's turn; here: whether it needs this process's device, else it is done
        elsewhere, some at a time. work(check) calls check() between its parts: it raises where the
        caller has gone and where it takes longer than a request may.

        Raises BusyError, TooLongError, OutOfMemoryError (after what can be made again was let go), and what check raises.
        """
        try:
            with (self._running if here else self._elsewhere).turn(caller):
                check = within_seconds(float(self.settings.requests.seconds), caller.check)
                return with_room(lambda: work(check), self.let_go)
        except BusyError:
            TURNED_AWAY.labels("queue").inc()
            raise

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return self._running.waiting + self._elsewhere.waiting

    def when_short(self, let_go: Callable[[], None]) -> None:
        """Somebody who keeps what can be made again says how to drop it when memory runs out."""
        self._spare.append(let_go)

    def let_go(self) -> None:
        """Drops what is kept and can be made again."""
        for each in self._spare:
            each()

    def continuation(
        self, name: str, text: str, temperature: float = 0.0, seed: int = 0, watch: bool = False
    ) -> Continuation:
        """A text of one of the engine's models to be continued with `advance`; raises what `Continuation` raises."""
        tokens, model = self.tokens(name, text), self.model(name)
        return Continuation(model, tokens, temperature, seed, watch, self._compute(name).decoder(model, watch))

    def advance(self, continuation: Continuation, caller: Caller = APP) -> None:
        """One more token of a continuation, alone on the device if it is read here; raises what `in_turn` raises."""
        with request("advance", logged=False):
            self.in_turn(continuation.advance, caller, continuation.decoder.here)

    def _compute(self, name: str) -> Compute:
        """Checkpoints of one's own are known to this process alone."""
        return self.compute if name in MODELS else self._own_compute

    def alone(self, caller: Caller = APP) -> AbstractContextManager[None]:
        """With it nothing else runs on the device: for one piece of longer work, or a round of a measurement. Who asks first
        comes first."""
        return self._running.turn(caller)

    def measure(self, timing: Timing) -> Measurement:
        """Starts a measurement in the background, step by step alone on the device; one at a time.

        Raises InputError while another is under way.
        """
        with self._measuring:
            if self._measurement is not None and self._measurement.running:
                raise InputError("another measurement is under way on this machine; it ends within a minute or two")
            self._measurement = Measurement(timing, self.alone)
            self._measurement.start()
            return self._measurement

    def read(self, model: Readable, tokens: Tokens, layers: Sequence[int] | None = None, caller: Caller = APP) -> Run:
        """The tokens through a model that was made from one of the engine's, alone on the device."""
        with request("read") as seen:
            seen.tokens = len(tokens)
            return self.in_turn(lambda check: run(model, tokens, layers, check), caller)

    def wait_for_visitors(self) -> None:
        """For work in the background: returns when no visitor's request is on the device."""
        with self._running:
            return

    def run(self, name: str, text: str, layers: Sequence[int] | None = None, caller: Caller = APP) -> Run:
        """`core.run` within the limits, alone on the device if it is computed here; raises what `tokens`, `model` and `in_turn`
        raise."""
        tokens, model, compute = self.tokens(name, text), self.model(name), self._compute(name)
        return self.in_turn(lambda check: compute.run(model, tokens, layers, check), caller, compute.here)


def _offered(names: Sequence[str]) -> dict[str, ModelRow]:
    """The rows of these models, of all where none is named; raises ConfigError for a name that there is not."""
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        raise ConfigError(
            f"[models] offered names {unknown[0]!r}, which is no model here; there are {', '.join(MODELS)}"
        )
    return {name: row for name, row in MODELS.items() if not names or name in names}


def weight_bytes(model: Readable) -> int:
    """Bytes of a model's parameters."""
    if isinstance(model, Model):
        tensors = [model.embedding, *model.top.values(), *(t for layer in model.layers for t in layer.values())]
    else:
        carried = getattr(model, "module", None)  # by transformers, which is imported only where it is used
        tensors = [] if carried is None else list(carried.parameters())
    return sum(t.numel() * t.element_size() for t in tensors)
