"""A decoding step timed against the context, one variant after the other in turn, so that a busy moment hits them all.

`Timing` does it in small pieces: between two of them the device is free for others. `Measurement` does it in the background.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from headlight.core.errors import InputError
from headlight.core.measured.clock import WARM, Times, seconds
from headlight.core.measured.layers import Step, TimedLayer, filled, random_params, stepper

Alone = Callable[[], AbstractContextManager[object]]
MOST_BYTES = 2**30  # that a measurement may need at once
MOST_REPEATS = 50
LIMIT = 90.0  # seconds after which a measurement ends with what it has


@dataclass(frozen=True)
class Timed:
    """One layer at one context (tokens). times: of each counted step; nbytes: what its cache held, counted on tensors."""

    name: str
    title: str
    context: int
    nbytes: int
    times: Times


class Timing:
    """Layers timed at several contexts. repeats: counted steps of each.

    Raises InputError where there is nothing to time, too much of it, or where it would need more than MOST_BYTES.
    """

    def __init__(
        self,
        layers: Mapping[str, TimedLayer],
        contexts: Sequence[int],
        repeats: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if not layers or not contexts or min(contexts) < 1:
            raise InputError("give at least one layer and contexts of one token or more")
        if not 1 <= repeats <= MOST_REPEATS:
            raise InputError(f"repeats ({repeats}) must be from 1 to {MOST_REPEATS}")
        self.like = torch.empty(0, dtype=dtype, device=device)
        needed = bytes_needed(layers, max(contexts), self.like.element_size())
        if needed > MOST_BYTES:
            raise InputError(
                f"a context of {max(contexts):,} tokens needs {needed:,} bytes; {MOST_BYTES:,} are the limit"
            )
        self.layers, self.contexts, self.repeats = layers, tuple(contexts), repeats
        self._rows: list[Timed] = []
        self._done = 0

    @property
    def total(self) -> int:
        """Steps there are to take, those that do not count included."""
        return len(self.layers) * len(self.contexts) * (self.repeats + WARM)

    @property
    def done(self) -> float:
        """How far it is, 0-1."""
        return self._done / self.total

    @property
    def results(self) -> tuple[Timed, ...]:
        """What is measured so far: all layers at each context that is finished."""
        return tuple(self._rows)

    def run(self, alone: Alone = nullcontext, go_on: Callable[[], bool] = lambda: True) -> None:
        """Everything, until it is done or `go_on` says no. alone: entered for each piece of work on the device."""
        generator = torch.Generator(self.like.device).manual_seed(0)
        for context in self.contexts:
            if not self._at(context, generator, alone, go_on):
                return

    @torch.inference_mode()
    def _at(self, context: int, generator: torch.Generator, alone: Alone, go_on: Callable[[], bool]) -> bool:
        steps: dict[str, Step] = {}
        kept: dict[str, int] = {}
        for name, layer in self.layers.items():
            if not go_on():
                return False
            with alone():
                steps[name], kept[name] = _ready(layer, context, self.like, generator)
        taken: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(self.repeats + WARM):
            for name, step in steps.items():
                if not go_on():
                    return False
                with alone():
                    taken[name].append(seconds(step))
                self._done += 1
        self._rows += [
            Timed(name, layer.title, context, kept[name], Times(tuple(taken[name][WARM:])))
            for name, layer in self.layers.items()
        ]
        return True


def bytes_needed(layers: Mapping[str, TimedLayer], context: int, element: int = 4) -> int:
    """Bytes of all layers' caches at once and of the most that one step makes besides."""
    kept = sum(layer.kept(context, element) for layer in layers.values())
    return kept + max(layer.needed(context, element) - layer.kept(context, element) for layer in layers.values())


def _ready(layer: TimedLayer, context: int, like: torch.Tensor, generator: torch.Generator) -> tuple[Step, int]:
    params = random_params(layer, like, generator)
    cache = filled(layer, params, context, generator)
    return stepper(layer, params, cache, generator), cache.nbytes


class Measurement:
    """A `Timing` in the background. alone: the device's lock; limit: seconds after which it ends with what it has."""

    def __init__(self, timing: Timing, alone: Alone = nullcontext, limit: float = LIMIT) -> None:
        self.timing, self.cancelled, self.error = timing, False, ""
        self._alone, self._limit = alone, limit
        self._end = 0.0
        self._thread = threading.Thread(target=self._run, name="measurement", daemon=True)

    @property
    def running(self) -> bool:
        """Whether it is still at work."""
        return self._thread.is_alive()

    @property
    def complete(self) -> bool:
        """Whether all that was asked for has been measured."""
        return not self.running and self.timing.done == 1

    def start(self) -> None:
        """Begins; once."""
        self._end = time.monotonic() + self._limit
        self._thread.start()

    def cancel(self) -> None:
        """Ends it after the step that is being taken."""
        self.cancelled = True

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until it has ended, `timeout` seconds at most; whether it has."""
        self._thread.join(timeout)
        return not self.running

    def _run(self) -> None:
        try:
            self.timing.run(self._alone, lambda: not self.cancelled and time.monotonic() < self._end)
        except (RuntimeError, MemoryError) as error:  # torch's word for a device without room
            self.error = f"the device could not do it: {str(error)[:200]}"
