"""Converted layers and how good converted models are: made once, shared by all visitors, bounded in bytes.

What is on screen is converted at once; qualities are measured one after another by a thread of low priority, which lets every
visitor's request go first. Nothing here depends on a visitor's text but `inputs`.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

from headlight.core.errors import HeadlightError
from headlight.core.model import Model
from headlight.core.serving.bounded import Bounded
from headlight.core.serving.engine import Engine
from headlight.core.serving.turns import APP, Caller
from headlight.core.surgery import Conversion, Converted, Prepared
from headlight.core.surgery.calibration import inputs, second_moments
from headlight.core.surgery.held_out import Evaluation, calibration, held_out
from headlight.core.surgery.methods import convertible
from headlight.core.surgery.whole import cut_model, layer_of
from headlight.core.types import Run

MOST_RESULTS, MOST_WAITING = 8192, 256
_NICENESS = 10  # of the measuring thread, where the system knows such a thing

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Point:
    """One setting of one conversion of one model."""

    model: str
    conversion: Conversion
    setting: int


@dataclass(frozen=True)
class Result:
    """value: perplexity or similarity; own: what the model itself reaches; failure: why there is none."""

    value: float = float("nan")
    own: float = float("nan")
    failure: str = ""


class _Ended(Exception):
    """The process ends; what is being measured is dropped."""


class ConversionStore:
    """Everything that surgery keeps for an engine's models."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        caches = engine.settings.caches
        self._lock = threading.Lock()
        self._prepared: Bounded[tuple[str, Conversion, int], Prepared] = Bounded(
            caches.prepared, lambda p: p.nbytes + 64
        )
        self._runs: Bounded[tuple[str, Conversion, int, str], Run] = Bounded(
            caches.converted_runs, lambda run: run.nbytes + run.trace_nbytes
        )
        self._inputs: Bounded[tuple[str, str], list[Any]] = Bounded(caches.inputs, _nbytes)
        self._moments: Bounded[str, list[Any]] = Bounded(caches.moments, _nbytes)
        self._yardsticks: Bounded[str, Evaluation] = Bounded(16)
        self._results: Bounded[Point, Result] = Bounded(MOST_RESULTS)
        self._waiting: list[Point] = []
        self._thread: threading.Thread | None = None
        self._ending = False
        engine.when_short(self.let_go)

    def let_go(self) -> None:
        """Drops what can be made again; what was measured stays."""
        self._prepared.clear()
        self._runs.clear()
        self._inputs.clear()

    def inputs(self, name: str, text: str, caller: Caller = APP) -> list[Any]:
        """What goes into each layer's attention for a text, a tensor (seq, d_model) a layer."""

        def make() -> list[Any]:
            model, tokens = self._model(name), self._engine.tokens(name, text)
            return self._engine.in_turn(lambda check: inputs(model, tokens), caller)

        return self._inputs.get((name, text), make, caller.check)

    def moments(self, name: str, show: Progress | None = None) -> list[Any]:
        """Second moments of what the layers read; the first time the calibration text is read, with show(done, what)."""
        passages, done = calibration().passages, [0]

        @contextmanager
        def turn() -> Iterator[None]:
            with self._after_visitors() if show is None else nullcontext():
                yield
            done[0] += 1
            if show is not None:
                show(done[0] / len(passages), "reading the calibration text")

        return self._moments.get(name, lambda: second_moments(self._model(name), passages, turn))

    def calibrated(self, name: str) -> bool:
        """Whether `moments` answers at once."""
        return name in self._moments

    def layer(self, name: str, conversion: Conversion, setting: int, index: int) -> Converted:
        """One layer converted; raises what the conversion refuses."""
        model = self._model(name)
        conversion.check(model.attention, model.position, setting)
        return self._prepare(name, conversion, index).cut(setting)

    def model(self, name: str, conversion: Conversion, setting: int, show: Progress | None = None) -> Model:
        """The whole model converted; the first setting of a method takes longer than others, with show(done, what)."""
        model = self._model(name)
        conversion.check(model.attention, model.position, setting)
        prepared = []
        for index in range(model.n_layers):
            prepared.append(self._prepare(name, conversion, index))
            if show is not None:
                show((index + 1) / model.n_layers, "converting the layers")
        return cut_model(model, prepared, setting)

    def run(
        self, name: str, conversion: Conversion, setting: int, text: str, show: Progress | None = None, caller: Caller = APP
    ) -> Run:  # fmt: skip
        """The text through the whole converted model."""

        def make() -> Run:
            converted = self.model(name, conversion, setting, show)
            return self._engine.read(converted, self._engine.tokens(name, text), caller=caller)

        return self._runs.get((name, conversion, setting, text), make, caller.check)

    def ready(self, name: str, conversion: Conversion) -> bool:
        """Whether `model` answers at once for any setting."""
        return all((name, conversion, i) in self._prepared for i in range(self._model(name).n_layers))

    def ask(self, points: Sequence[Point]) -> None:
        """Measures these points next, in their order, before all that was asked for earlier."""
        with self._lock:
            missing = [point for point in dict.fromkeys(points) if point not in self._results]
            rest = [point for point in self._waiting if point not in missing]
            self._waiting = [*missing, *rest][:MOST_WAITING]
            if self._waiting and self._thread is None:
                self._thread = threading.Thread(target=self._work, name="surgery", daemon=True)
                self._thread.start()
                atexit.unregister(self._end)
                atexit.register(self._end)

    def result(self, point: Point) -> Result | None:
        """What was measured, or None as long as it was not."""
        return self._results.peek(point)

    def measure(self, name: str) -> str:
        """What is measured for a model: "perplexity" or "similarity"."""
        return "similarity" if self._model(name).head is None else "perplexity"

    def _work(self) -> None:
        with suppress(OSError, AttributeError):
            if sys.platform.startswith("linux"):  # elsewhere this would slow the whole process down
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        with suppress(_Ended):
            while (point := self._next()) is not None:
                result = self._measured(point)
                with self._lock:
                    self._results.put(point, result)
                    self._waiting = [other for other in self._waiting if other != point]

    def _next(self) -> Point | None:
        with self._lock:
            if not self._waiting:
                self._thread = None  # the next who asks starts another
            return self._waiting[0] if self._waiting else None

    def _end(self) -> None:
        # Before the interpreter goes: a thread that is inside torch then would abort the process.
        thread, self._ending = self._thread, True
        if thread is not None and thread.is_alive():
            thread.join(60)

    def _measured(self, point: Point) -> Result:
        try:
            evaluation = self._yardsticks.get(point.model, lambda: self._yardstick(point.model))
            converted = self.model(point.model, point.conversion, point.setting)
            return Result(evaluation.value(converted, self._after_visitors), evaluation.own)
        except _Ended:
            raise
        except HeadlightError as error:
            return Result(failure=str(error))
        except Exception as error:  # whatever it is, the thread goes on with the next
            return Result(failure=f"it could not be measured ({type(error).__name__})")

    def _yardstick(self, name: str) -> Evaluation:
        return Evaluation.of(self._model(name), held_out(), self._after_visitors)

    @contextmanager
    def _after_visitors(self) -> Iterator[None]:
        self._engine.wait_for_visitors()
        self._go_on()
        yield

    def _go_on(self) -> None:
        if self._ending:
            raise _Ended

    def _prepare(self, name: str, conversion: Conversion, index: int) -> Prepared:
        def make() -> Prepared:
            self._go_on()
            moments = self.moments(name) if conversion.calibrated else None
            return conversion.prepare(layer_of(self._model(name), index, moments))

        return self._prepared.get((name, conversion, index), make)

    def _model(self, name: str) -> Model:
        return convertible(self._engine.model(name))


def _nbytes(tensors: list[Any]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)
