"""A reading in a thread of its own, which visitors wait for, watch, and may give up; the device is shared part by part."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from headlight.core.errors import HeadlightError
from headlight.core.long.reading import Reader, Reading
from headlight.core.serving.engine import Engine
from headlight.core.types import Tokens

PATIENCE = 120.0  # seconds after which somebody who no longer asks is taken to have gone

log = logging.getLogger(__name__)


class Job:
    """One text on its way through one model. It stops where nobody waits for it any more.

    engine: whose device it takes turns on. clock: seconds, for tests.
    """

    def __init__(
        self, engine: Engine, name: str, tokens: Tokens, folder: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._engine, self._clock = engine, clock
        self._reader = Reader(engine.model(name), tokens, folder)
        self._lock = threading.Lock()
        self._waiting: dict[str, float] = {}
        self._thread = threading.Thread(target=self._run, name=f"reading {len(tokens)} tokens", daemon=True)
        self.error: str | None = None
        self.stopped = False

    def start(self) -> None:
        """Begins; call `wait_for` first, since a job that nobody waits for stops."""
        self._thread.start()

    @property
    def result(self) -> Reading | None:
        """The reading, once it is there."""
        return self._reader.reading if self._reader.finished else None

    @property
    def nbytes(self) -> int:
        """Bytes that will be kept on disk."""
        return self._reader.nbytes

    @property
    def running(self) -> bool:
        """Whether it is still under way."""
        return not (self._reader.finished or self.stopped or self.error)

    @property
    def done(self) -> float:
        """0 to 1."""
        return self._reader.done

    @property
    def seconds_left(self) -> float | None:
        """An estimate; None before the first part is read."""
        return self._reader.seconds_left

    def wait_for(self, visitor: str) -> None:
        """Somebody waits, or still waits; to be said again within PATIENCE seconds."""
        with self._lock:
            self._waiting[visitor] = self._clock()

    def give_up(self, visitor: str) -> None:
        """Somebody no longer waits; where nobody else does, the job stops before its next part."""
        with self._lock:
            self._waiting.pop(visitor, None)

    def join(self, seconds: float | None = None) -> None:
        """Returns when the thread has ended, or after so many seconds."""
        self._thread.join(seconds)

    def _wanted(self) -> bool:
        with self._lock:
            return any(self._clock() - seen < PATIENCE for seen in self._waiting.values())

    def _run(self) -> None:
        try:
            while not self._reader.finished:
                if not self._wanted():
                    self.stopped = True
                    return
                asked = time.perf_counter()
                with self._engine.alone():
                    self._reader.waited(time.perf_counter() - asked)
                    self._reader.step()
        except HeadlightError as error:
            self.error = str(error)
        except Exception:
            log.exception("a text could not be read")
            self.error = "reading failed; there may be too little memory"
