"""The one door to compute: which device, in what precision, how long a text may be, one request at a time."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from core.checkpoints.gguf_llama import Progress
from core.compute import Compute, InProcess
from core.decoding import Continuation
from core.errors import ConfigError, InputError
from core.long.document import cut
from core.measured.timing import Measurement, Timing
from core.model import Readable, run, within
from core.registry import MODELS, ModelRow, lookup, own
from core.turns import Turns
from core.types import Run, Tokens


def pick_device(name: str | None = None) -> torch.device:
    """The device called `name`, or the best there is: CUDA, else MPS, else CPU. Raises ConfigError if it is not there."""
    if name in (None, "", "auto"):
        return torch.device(
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {name!r} is not available here; try cpu") from error
    return device


def load_model(
    name: str, device: str | None = None, dtype: torch.dtype = torch.float32, progress: Progress | None = None
) -> Readable:
    """A model ready to run: one of the registry by name ("minilm", "smollm2"), or a checkpoint of your own.

    name: of the registry, or a folder with safetensors weights, or "org/name" on the Hugging Face Hub (the last two need
    requirements-hub.txt). device: "cpu", "cuda", "mps" or None for the best there is. progress(done 0-1, what) is called
    while it takes long. Raises UnknownNameError, MissingModelError (with the command that helps), CheckpointError or
    UnsupportedModelError.
    """
    looks_own = "/" in name or Path(name).expanduser().is_dir()
    row: ModelRow = own(name) if name not in MODELS and looks_own else lookup(MODELS, name, "model")
    return row.load(pick_device(device), dtype, progress)


@dataclass(frozen=True)
class Limits:
    """What one request may ask for: max_tokens of a text (a model's context may be less), max_characters before tokenizing.

    long_tokens and long_characters: the same for documents, which are read in parts beside other work (`core.long`) and
    whose maps are pooled.
    """

    max_tokens: int = 512
    max_characters: int = 20_000
    long_tokens: int = 8192
    long_characters: int = 500_000

    @classmethod
    def from_environment(cls) -> Limits:
        """The defaults, or HEADLIGHT_MAX_TOKENS and HEADLIGHT_LONG_TOKENS where they are set."""
        return cls(
            max_tokens=_whole("HEADLIGHT_MAX_TOKENS", cls.max_tokens),
            long_tokens=_whole("HEADLIGHT_LONG_TOKENS", cls.long_tokens),
        )


def _whole(variable: str, otherwise: int) -> int:
    asked = os.environ.get(variable, str(otherwise))
    if not asked.isascii() or not asked.isdecimal() or int(asked) < 1:
        raise ConfigError(f"{variable} ({asked!r}) must be a whole number of tokens, 1 or more")
    return int(asked)


class Engine:
    """Models loaded once and shared by all visitors; one forward pass at a time on the device.

    own_models: checkpoints that the operator offers beside the registry's, as folders or hub names; any_model: whether
    visitors may name others (for a machine of one's own, never for a hosted app); compute: where forward passes of the
    engine's models are computed, in this process unless something else is given.
    """

    def __init__(
        self,
        device: str | None = None,
        limits: Limits | None = None,
        own_models: Sequence[str] = (),
        any_model: bool = False,
        compute: Compute | None = None,
    ) -> None:
        self.device = pick_device(device)
        self.limits = limits or Limits.from_environment()
        self.any_model = any_model
        self.compute: Compute = compute or InProcess()
        self._own_compute = InProcess()
        self.rows: dict[str, ModelRow] = dict(MODELS) | {name: own(name) for name in own_models}
        self._models: dict[str, Readable] = {}
        self._loading = threading.Lock()
        self._running = Turns()
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
        row: ModelRow = lookup(self.rows, name, "model")
        with self._loading:
            if name not in self._models:
                self._models[name] = row.load(self.device, torch.float32, progress)
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
        model = load_model(name, str(self.device), progress=progress)
        with self._loading:
            self._models[name] = model
            self.rows[name] = own(name)

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

    def continuation(
        self, name: str, text: str, temperature: float = 0.0, seed: int = 0, watch: bool = False
    ) -> Continuation:
        """A text of one of the engine's models to be continued with `advance`; raises what `Continuation` raises."""
        tokens = self.tokens(name, text)
        model = self.model(name)
        return Continuation(model, tokens, temperature, seed, watch, self._compute(name).decoder(model, watch))

    def advance(self, continuation: Continuation) -> None:
        """One more token of a continuation, alone on the device if it is read here."""
        with self._turn(continuation.decoder.here):
            continuation.advance()

    def _compute(self, name: str) -> Compute:
        """Checkpoints of one's own are known to this process alone."""
        return self.compute if name in MODELS else self._own_compute

    def _turn(self, here: bool) -> AbstractContextManager[None]:
        return self._running if here else nullcontext()

    def alone(self) -> AbstractContextManager[None]:
        """With it nothing else runs on the device: for one piece of longer work, or a round of a measurement. Who asks first
        comes first."""
        return self._running

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

    def read(self, model: Readable, tokens: Tokens, layers: Sequence[int] | None = None) -> Run:
        """The tokens through a model that was made from one of the engine's, alone on the device."""
        with self._running:
            return run(model, tokens, layers)

    def wait_for_visitors(self) -> None:
        """For work in the background: returns when no visitor's request is on the device."""
        with self._running:
            return

    def run(self, name: str, text: str, layers: Sequence[int] | None = None) -> Run:
        """`core.run` within the limits, alone on the device if it is computed here."""
        tokens = self.tokens(name, text)
        model = self.model(name)
        compute = self._compute(name)
        with self._turn(compute.here):
            return compute.run(model, tokens, layers)
