"""A lock whose waiters are served in the order in which they came, know their place, and may leave the queue.

Python's own lock may be taken again by whoever has just given it back, so that one busy visitor keeps all others waiting.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from headlight.core.errors import BusyError

# Seconds between two checks of a waiter: still there? place changed? Each check takes the interpreter from the one who
# computes.
LOOK = 0.4
TELL = 1.0  # seconds between two updates of the place that they are shown
PATIENCE = 0.5  # seconds before a place is shown: most waits are shorter, and what flickers by says nothing


def _nothing() -> None:
    pass


def _unseen(before: int) -> None:
    pass


@dataclass(frozen=True)
class Caller:
    """Who asks for the device. visitor: a name for them, "" for the app's own work, which is bounded elsewhere.

    check: called while they wait, and between two layers of what is computed for them; it raises once nobody wants that any
    more. waits(before): shows that they wait and how many are ahead; called again whenever that has changed, and with 0
    when their turn has come.
    """

    visitor: str = ""
    check: Callable[[], None] = _nothing
    waits: Callable[[int], None] = _unseen


APP = Caller()


class _Waiter:
    """One in the queue. open: set free by the one before; outdated: the same visitor has asked for something newer."""

    def __init__(self, visitor: str) -> None:
        self.visitor, self.outdated = visitor, False
        self.open = threading.Lock()
        self.open.acquire()


@dataclass(frozen=True)
class Turn:
    """One caller's turns, one after the other."""

    turns: Turns
    caller: Caller

    def __enter__(self) -> None:
        self.turns.enter(self.caller)

    def __exit__(self, *_: object) -> None:
        self.turns.leave()


class Turns:
    """One holder at a time, first come, first served. Use it as a context manager; it is not re-entrant.

    most_waiting: visitors' requests in the queue; of_one: of one visitor, a newer one takes the place of the oldest.
    at_once: how many may hold it, where that is not one.

    >>> turns = Turns()
    >>> with turns:
    ...     turns.locked()
    True
    >>> turns.locked(), turns.waiting
    (False, 0)
    """

    def __init__(self, most_waiting: int = 1_000, of_one: int = 1, at_once: int = 1) -> None:
        self._door = threading.Lock()
        self._held, self._at_once = 0, at_once
        self._queue: deque[_Waiter] = deque()
        self._most, self._of_one = most_waiting, of_one

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._queue)

    def locked(self) -> bool:
        """Whether somebody holds it."""
        return self._held > 0

    def turn(self, caller: Caller = APP) -> Turn:
        """A context, to be used as often as one likes, inside which the caller holds it.

        Entering raises BusyError where the queue is full, and what `caller.check` raises.
        """
        return Turn(self, caller)

    def __enter__(self) -> None:
        self.enter(APP)

    def __exit__(self, *_: object) -> None:
        self.leave()

    def enter(self, caller: Caller) -> None:
        """Waits for a turn; `leave` gives it back. Raises as `turn`."""
        with self._door:
            if self._held < self._at_once:
                self._held += 1
                return
            waiter = self._join(caller)
        try:
            self._wait(waiter, caller)
        except BaseException:
            self._give_up(waiter)
            raise

    def _join(self, caller: Caller) -> _Waiter:
        own = [each for each in self._queue if caller.visitor and each.visitor == caller.visitor]
        if len(own) >= self._of_one:
            own[0].outdated = True
            self._queue.remove(own[0])
        if caller.visitor and sum(bool(each.visitor) for each in self._queue) >= self._most:
            raise BusyError(f"all {self._most:,} places in the queue are taken; try again in a moment")
        waiter = _Waiter(caller.visitor)
        self._queue.append(waiter)
        return waiter

    def _wait(self, waiter: _Waiter, caller: Caller) -> None:
        shown, tell_at = None, time.monotonic() + PATIENCE
        # The one before hands the lock over without letting go of it, so nobody who comes later gets in between.
        while not waiter.open.acquire(timeout=LOOK):
            caller.check()
            if waiter.outdated:
                raise BusyError("a newer request of yours has taken its place")
            before = self._before(waiter)
            if before and before != shown and time.monotonic() > tell_at:
                caller.waits(before)
                shown, tell_at = before, time.monotonic() + TELL
        if shown is not None:
            caller.waits(0)

    def _before(self, waiter: _Waiter) -> int:
        with self._door:  # those who hold it count, too
            return self._queue.index(waiter) + self._held if waiter in self._queue else 0

    def _give_up(self, waiter: _Waiter) -> None:
        with self._door:
            if waiter in self._queue:
                self._queue.remove(waiter)
                return
        if not waiter.outdated:  # its turn had just come
            self.leave()

    def leave(self) -> None:
        """Hands the turn to whoever waits longest."""
        with self._door:
            if self._queue:
                self._queue.popleft().open.release()
            else:
                self._held -= 1
