"""The one kind of cache that visitors share: bounded in bytes, and every value made once, however many ask for it at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from cachetools import LRUCache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

LOOK = 0.4  # seconds between two checks by a thread that waits for another's value


class _Making(Generic[V]):
    """A value that one thread makes and others wait for; `values` stays empty if making it failed."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.values: list[V] = []


class Bounded(Generic[K, V]):
    """A thread-safe cache that drops the value used longest ago once all of them together exceed `most`.

    size: what a value counts, in the unit of `most`, asked once when it is stored; 1 by default, so `most` is then a number of
    values. A value larger than `most` is handed out, but not kept. Where a value can be None, `peek` cannot tell it from a
    missing one.
    """

    def __init__(self, most: int, size: Callable[[V], int] = lambda value: 1) -> None:
        self.most = most
        self._values: LRUCache[K, V] = LRUCache(most, getsizeof=size)
        self._making: dict[K, _Making[V]] = {}
        self._lock = threading.Lock()  # held only for a look, never while something is made

    def get(self, key: K, make: Callable[[], V], check: Callable[[], object] = lambda: None) -> V:
        """The value of a key: the one kept, else what `make` returns; threads that ask meanwhile wait for it, and get it.

        check: called now and then while this thread waits for another; it may raise to end the wait. An error in `make` is
        raised in the thread that called it and nothing is kept; of those who waited, one calls its own `make`.
        """
        while True:
            with self._lock:
                if key in self._values:
                    return self._values[key]  # type: ignore[no-any-return]
                mine = key not in self._making
                making = self._making.setdefault(key, _Making())
            if mine:
                return self._made(key, make, making)
            while not making.over.wait(LOOK):
                check()
            if making.values:
                return making.values[0]

    def _made(self, key: K, make: Callable[[], V], making: _Making[V]) -> V:
        try:
            value = make()
            self.put(key, value)
            making.values.append(value)
            return value
        finally:
            with self._lock:
                del self._making[key]
            making.over.set()

    def peek(self, key: K) -> V | None:
        """The value if it is kept, else None; counts as a use of it."""
        with self._lock:
            return self._values.get(key)  # type: ignore[no-any-return]

    def put(self, key: K, value: V) -> None:
        """Stores a value in place of the key's former one; drops both if the new one is larger than `most`."""
        with self._lock:
            self._values.pop(key, None)
            if self._values.getsizeof(value) <= self.most:
                self._values[key] = value

    def pop(self, key: K) -> V | None:
        """Takes the value out; None if there is none."""
        with self._lock:
            return self._values.pop(key, None)  # type: ignore[no-any-return]

    def clear(self) -> None:
        """Drops every value; one that is being made is kept once it is ready."""
        with self._lock:
            self._values.clear()

    @property
    def size(self) -> int:
        """What all kept values count together."""
        with self._lock:
            return int(self._values.currsize)

    def __contains__(self, key: object) -> bool:
        with self._lock:
            return key in self._values

    def __len__(self) -> int:
        with self._lock:
            return len(self._values)
