"""A lock whose waiting threads get their turn in the order in which they came."""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType


class Turns:
    """`with turns:` runs one thread at a time, first come, first served.

    Python's own lock goes to whoever asks next, so that long work which gives it back now and then would take it again at
    once, and everybody else would wait for all of it.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._busy = False
        self._waiting: deque[threading.Event] = deque()

    def __enter__(self) -> None:
        with self._guard:
            if not self._busy:
                self._busy = True
                return
            mine = threading.Event()
            self._waiting.append(mine)
        try:
            mine.wait()
        except BaseException:
            self._give_up(mine)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._busy = False

    def _give_up(self, mine: threading.Event) -> None:
        # Streamlit may stop a thread while it waits: its turn, if it has come already, goes to the next one.
        with self._guard:
            waiting = mine in self._waiting
            if waiting:
                self._waiting.remove(mine)
        if not waiting:
            self._pass_on()
