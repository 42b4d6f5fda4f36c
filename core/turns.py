"""A lock whose waiters are served in the order in which they came.

Python's own lock may be taken again by whoever has just given it back, so that one busy visitor keeps all others waiting.
"""

from __future__ import annotations

import threading
from collections import deque


class Turns:
    """One holder at a time, first come, first served. Use it as a context manager; it is not re-entrant.

    >>> turns = Turns()
    >>> with turns:
    ...     turns.locked()
    True
    >>> turns.locked(), turns.waiting
    (False, 0)
    """

    def __init__(self) -> None:
        self._door = threading.Lock()
        self._held = False
        self._queue: deque[threading.Lock] = deque()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._queue)

    def locked(self) -> bool:
        """Whether somebody holds it."""
        return self._held

    def __enter__(self) -> None:
        with self._door:
            if not self._held:
                self._held = True
                return
            turn = threading.Lock()
            turn.acquire()
            self._queue.append(turn)
        turn.acquire()  # given free by the one before, who hands the lock over without letting go of it

    def __exit__(self, *_: object) -> None:
        with self._door:
            if self._queue:
                self._queue.popleft().release()
            else:
                self._held = False
