"""The shared cache: a value is made once for all who ask at once, nobody waits for another's key, and the bound holds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from headlight.core.serving import bounded
from headlight.core.serving.bounded import Bounded

SECONDS = 30.0  # far more than anything here takes


class Gate:
    """A `make` that returns `value`, or raises, once it is opened; counts its calls."""

    def __init__(self, value: object) -> None:
        self.value, self.calls = value, 0
        self.entered, self.opened = threading.Event(), threading.Event()

    def __call__(self) -> object:
        self.calls += 1
        self.entered.set()
        assert self.opened.wait(SECONDS)
        if isinstance(self.value, BaseException):
            raise self.value
        return self.value


def asked(pool: ThreadPoolExecutor, cache: Bounded[str, object], make: Callable[[], object]) -> Future[object]:
    """A `get` in a thread of its own, returned once it waits (its check was called)."""
    waits = threading.Event()
    found = pool.submit(cache.get, "key", make, waits.set)
    assert waits.wait(SECONDS)
    return found


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "LOOK", 0.001)


def test_a_value_is_made_once_however_many_ask_at_once() -> None:
    cache: Bounded[str, object] = Bounded(3)
    gate = Gate(object())
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(cache.get, "key", gate)
        assert gate.entered.wait(SECONDS)
        rest = [asked(pool, cache, gate) for _ in range(7)]
        gate.opened.set()
        assert {each.result(SECONDS) for each in [first, *rest]} == {gate.value}
    assert gate.calls == 1 and cache.peek("key") is gate.value


def test_a_thread_waits_for_its_own_key_only() -> None:
    cache: Bounded[str, object] = Bounded(3)
    gate = Gate("slow")
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(cache.get, "slow", gate)
        assert gate.entered.wait(SECONDS)
        assert cache.get("quick", lambda: "quick") == "quick" and "slow" not in cache and len(cache) == 1
        gate.opened.set()
        assert slow.result(SECONDS) == "slow"


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt()])
def test_a_failure_is_its_makers_own_and_one_of_those_who_wait_tries_again(error: BaseException) -> None:
    cache: Bounded[str, object] = Bounded(3)
    bad, good = Gate(error), Gate("good")
    good.opened.set()
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(cache.get, "key", bad)
        assert bad.entered.wait(SECONDS)
        rest = [asked(pool, cache, good) for _ in range(3)]
        bad.opened.set()
        assert first.exception(SECONDS) is error
        assert [each.result(SECONDS) for each in rest] == ["good"] * 3
    assert (bad.calls, good.calls) == (1, 1)


def test_what_fails_is_not_kept() -> None:
    cache: Bounded[str, int] = Bounded(3)
    with pytest.raises(ZeroDivisionError):
        cache.get("key", lambda: 1 // 0)
    assert "key" not in cache and cache.get("key", lambda: 5) == 5


def test_who_waits_may_leave_and_the_value_is_made_all_the_same() -> None:
    cache: Bounded[str, object] = Bounded(3)
    gate = Gate("value")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(cache.get, "key", gate)
        assert gate.entered.wait(SECONDS)
        with pytest.raises(ZeroDivisionError):
            cache.get("key", gate, lambda: 1 // 0)
        gate.opened.set()
        assert first.result(SECONDS) == cache.peek("key") == "value"


def test_the_value_used_longest_ago_goes_first() -> None:
    cache: Bounded[str, str] = Bounded(10, len)
    for key in "abc":
        cache.put(key, 3 * key)
    assert cache.get("a", lambda: "never") == "aaa" and cache.peek("b") == "bbb"
    cache.put("d", "dd")
    assert [key in cache for key in "abcd"] == [True, True, False, True] and cache.size == 8


def test_a_value_larger_than_the_bound_is_handed_to_all_who_ask_and_not_kept() -> None:
    cache: Bounded[str, object] = Bounded(5, len)  # type: ignore[arg-type]
    gate = Gate("123456")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, "key", gate)
        assert gate.entered.wait(SECONDS)
        second = asked(pool, cache, gate)
        gate.opened.set()
        assert first.result(SECONDS) == second.result(SECONDS) == "123456"
    assert gate.calls == 1 and not len(cache)
    assert cache.get("other", lambda: "12345") == "12345" and len(cache) == 1


def test_a_value_that_grew_too_large_takes_the_place_of_the_old_one_by_leaving_none() -> None:
    cache: Bounded[str, str] = Bounded(5, len)
    cache.put("key", "123")
    cache.put("key", "123456")
    assert cache.peek("key") is None and cache.size == 0


def test_a_value_may_be_none_and_may_be_taken_out_or_dropped_with_all() -> None:
    cache: Bounded[str, str | None] = Bounded(3)
    made = []
    for _ in range(2):
        assert cache.get("none", lambda: made.append(1)) is None
    assert len(made) == 1
    cache.put("key", "value")
    assert cache.pop("key") == "value" and cache.pop("key") is None and "none" in cache
    cache.clear()
    assert not len(cache)


def test_many_threads_and_keys_stay_within_the_bound_and_get_their_own_values() -> None:
    cache: Bounded[int, str] = Bounded(40, len)
    with ThreadPoolExecutor(8) as pool:
        for number, value in enumerate(pool.map(lambda n: cache.get(n % 13, lambda: str(n % 13) * 7), range(2_000))):
            assert value == str(number % 13) * 7
    assert 0 < cache.size <= 40
