"""Where long texts are read and kept: jobs under way, readings within a bound of bytes, and maps made from them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from headlight.core.errors import BusyError, InputError
from headlight.core.long.job import Job
from headlight.core.long.reading import Reading
from headlight.core.overload import with_room
from headlight.core.serving.bounded import Bounded
from headlight.core.serving.engine import Engine
from headlight.core.serving.turns import APP, Caller
from headlight.core.types import Projections, Tokens

T = TypeVar("T")


class ReadingStore:
    """One a process, shared by all visitors, who share what is read of the same text, too; bounded by the engine's settings.

    folder: where readings lie on disk; caller: who asks, for the queue.
    """

    def __init__(self, engine: Engine, folder: Path | None = None, caller: Callable[[], Caller] = lambda: APP) -> None:
        self._engine, self._folder, self._caller = engine, folder, caller
        caches = engine.settings.caches
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._readings: Bounded[str, Reading] = Bounded(caches.readings, lambda reading: reading.activations.nbytes)
        self._projections: Bounded[tuple[str, int], Projections] = Bounded(caches.projections, _nbytes)
        self._made: Bounded[tuple[Any, ...], tuple[Any, int]] = Bounded(caches.maps, lambda made: made[1])
        engine.when_short(self.let_go)

    def key(self, name: str, tokens: Tokens) -> str:
        """What a reading is known by: the model and the text."""
        return f"{name}:{hashlib.sha256(tokens.text.encode('utf-8', 'replace')).hexdigest()}"

    def reading(self, key: str) -> Reading | None:
        """What was read, if it is still kept."""
        with self._lock:
            self._clear()
            return self._readings.peek(key)

    def job(self, key: str) -> Job | None:
        """The reading under way, or the one that went wrong last."""
        with self._lock:
            return self._jobs.get(key)

    def read(self, name: str, tokens: Tokens, visitor: str) -> Job:
        """Has a text read, or joins those who wait for it; raises InputError where too many texts are under way."""
        key = self.key(name, tokens)
        with self._lock:
            self._clear()
            job = self._jobs.get(key)
            if job is None or not job.running:
                most_jobs = self._engine.settings.requests.documents
                if sum(other.running for other in self._jobs.values()) >= most_jobs:
                    raise BusyError(f"{most_jobs} long texts are being read just now; try again in a minute")
                job = Job(self._engine, name, tokens, self._folder)
                if job.nbytes > self._readings.most:
                    most = self._readings.most
                    raise InputError(f"this text would keep {job.nbytes:,} bytes; {most:,} are the limit here")
                job.wait_for(visitor)
                self._jobs[key] = job
                job.start()
        job.wait_for(visitor)
        return job

    def forget_job(self, key: str) -> None:
        """After its error was told: the next one to ask begins anew."""
        with self._lock:
            if key in self._jobs and not self._jobs[key].running:
                del self._jobs[key]

    def projections(self, key: str, reading: Reading, layer: int) -> Projections:
        """A layer's queries and keys, made from what is kept and remembered for the next head or zoom."""
        return self._projections.get((key, layer), lambda: reading.projections(layer), self._caller().check)

    def made(self, key: tuple[Any, ...], nbytes: Callable[[T], int], make: Callable[[], T], alone: bool = True) -> T:
        """A map or a measure by its key: remembered, or made, alone on the device unless `make` sees to that itself."""
        caller = self._caller()

        def sized() -> tuple[T, int]:
            with self._engine.alone(caller) if alone else nullcontext():
                made = with_room(make, self._engine.let_go)
            return made, nbytes(made)

        return self._made.get(key, sized, caller.check)[0]  # type: ignore[no-any-return]

    def knows(self, key: tuple[Any, ...]) -> bool:
        """Whether `made` answers at once."""
        return key in self._made

    def let_go(self) -> None:
        """Drops what can be made again without reading a text anew."""
        self._projections.clear()
        self._made.clear()

    def turn(self) -> AbstractContextManager[None]:
        """The device for one piece of a visitor's work, and the next, as often as it is entered."""
        return self._engine.alone(self._caller())

    def _clear(self) -> None:
        # Finished jobs become readings; what does not fit with the others lets the oldest go.
        for key, job in list(self._jobs.items()):
            if job.result is not None:
                self._readings.put(key, job.result)
                del self._jobs[key]
            elif job.stopped or (job.error and len(self._jobs) > 2 * self._engine.settings.requests.documents):
                del self._jobs[key]


def _nbytes(p: Projections) -> int:
    return sum(t.numel() * t.element_size() for t in (p.q, p.k, p.v))
