"""The device's lock serves who waits before who was just served."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from headlight.core.errors import BusyError
from headlight.core.serving import turns as module
from headlight.core.serving.turns import APP, Caller, Turns


def test_who_waits_is_served_before_who_comes_again() -> None:
    turns, order = Turns(), []

    def other(name: str) -> None:
        with turns:
            order.append(name)

    with turns:
        order.append("first")
        visitors = []
        for number in range(3):
            visitors.append(threading.Thread(target=other, args=(f"visitor {number}",)))
            visitors[-1].start()
            while turns.waiting <= number:  # until it stands in the queue
                pass
    with turns:
        order.append("first again")
    for visitor in visitors:
        visitor.join()
    assert order == ["first", "visitor 0", "visitor 1", "visitor 2", "first again"]
    assert not turns.locked() and turns.waiting == 0


def test_an_error_inside_gives_it_back() -> None:
    turns = Turns()
    with pytest.raises(ValueError), turns:
        raise ValueError
    assert not turns.locked()


def test_only_one_holds_it_at_a_time() -> None:
    turns, inside, most = Turns(), 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(200):
            with turns:
                inside += 1
                most = max(most, inside)
                inside -= 1

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert (most, inside, turns.waiting) == (1, 0, 0)


class Gone(BaseException):
    """What a check raises for a visitor who has gone."""


def wait_until(holds: Callable[[], bool]) -> None:
    """Returns once it holds (the test's own time limit ends it)."""
    while not holds():
        threading.Event().wait(0.005)


class Visitor:
    """Asks for a turn in a thread of its own and keeps what it was told."""

    def __init__(self, turns: Turns, name: str, check: Callable[[], None] = lambda: None) -> None:
        self.places: list[int] = []
        self.error: BaseException | None = None
        self.served, self.may_end = threading.Event(), threading.Event()
        self._turns, self._caller = turns, Caller(name, check, self.places.append)
        self._thread = threading.Thread(target=self._ask)
        before = turns.waiting
        self._thread.start()
        wait_until(lambda: turns.waiting > before or self.served.is_set() or not self._thread.is_alive() or before > 0)

    def _ask(self) -> None:
        try:
            with self._turns.turn(self._caller):
                self.served.set()
                self.may_end.wait()
        except BaseException as error:
            self.error = error

    def join(self) -> None:
        self.may_end.set()
        self._thread.join()


def test_who_waits_is_told_how_many_are_before_him_and_again_when_that_changes() -> None:
    turns = Turns(of_one=9)
    first = Visitor(turns, "a")
    second = Visitor(turns, "b")
    third = Visitor(turns, "c")
    wait_until(lambda: third.places == [2] and second.places == [1])
    first.join()
    wait_until(lambda: third.places == [2, 1])
    second.join()
    third.join()
    assert (first.places, second.places, third.places) == ([], [1, 0], [2, 1, 0])
    assert not turns.locked() and turns.waiting == 0


def test_a_short_wait_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 3600.0)
    turns, looks = Turns(), []
    first = Visitor(turns, "a")
    second = Visitor(turns, "b", lambda: looks.append(1))
    wait_until(lambda: len(looks) > 2)
    first.join()
    second.join()
    assert second.places == [] and second.error is None


def test_more_than_may_wait_are_told_so_at_once_and_the_app_itself_is_not_counted() -> None:
    turns = Turns(most_waiting=2)
    everyone = [Visitor(turns, "a")]
    everyone += [Visitor(turns, name) for name in ("b", "", "c")]
    wait_until(lambda: turns.waiting == 3)
    turned_away = Visitor(turns, "d")
    wait_until(lambda: turned_away.error is not None)
    assert isinstance(turned_away.error, BusyError)
    assert str(turned_away.error).startswith("all 2 places in the queue are taken")
    own = Visitor(turns, "")
    wait_until(lambda: turns.waiting == 4)
    for each in (*everyone, own):
        each.join()
        assert each.error is None
    assert not turns.locked() and turns.waiting == 0


def test_a_newer_request_takes_the_place_of_ones_own_older_one_even_in_a_full_queue() -> None:
    turns = Turns(most_waiting=2)
    first, other, older = Visitor(turns, "a"), Visitor(turns, "b"), Visitor(turns, "c")
    wait_until(lambda: turns.waiting == 2)
    newer = Visitor(turns, "c")
    wait_until(lambda: older.error is not None)
    assert "a newer request of yours" in str(older.error)
    for each in (first, other, newer):
        each.join()
    assert newer.error is None and newer.served.is_set() and not older.served.is_set()
    assert not turns.locked() and turns.waiting == 0


def test_who_has_gone_leaves_the_queue_and_the_next_one_is_served() -> None:
    turns, gone = Turns(), threading.Event()

    def check() -> None:
        if gone.is_set():
            raise Gone

    first, leaving, last = Visitor(turns, "a"), Visitor(turns, "b", check), Visitor(turns, "c")
    wait_until(lambda: turns.waiting == 2)
    gone.set()
    wait_until(lambda: isinstance(leaving.error, Gone))
    wait_until(lambda: turns.waiting == 1)
    first.join()
    last.join()
    assert last.served.is_set() and not leaving.served.is_set()
    assert not turns.locked() and turns.waiting == 0


def test_who_leaves_just_as_his_turn_comes_passes_it_on() -> None:
    turns = Turns()
    turns.enter(APP)
    with turns._door:
        waiter = turns._join(Caller("a"))
    turns.leave()  # the turn is the waiter's now
    turns._give_up(waiter)
    assert not turns.locked() and turns.waiting == 0


def test_an_error_of_showing_the_place_loses_neither_turn_nor_place() -> None:
    turns, first = Turns(), None

    def shows(before: int) -> None:
        raise Gone

    first = Visitor(turns, "a")
    with pytest.raises(Gone):
        turns.enter(Caller("b", waits=shows))
    first.join()
    assert not turns.locked() and turns.waiting == 0


def test_one_turn_may_be_taken_again_and_again() -> None:
    turns = Turns()
    turn = turns.turn(Caller("a"))
    for _ in range(3):
        with turn:
            assert turns.locked()
        assert not turns.locked()


def test_several_may_hold_it_at_once_where_it_is_made_for_several() -> None:
    turns = Turns(at_once=2)
    first, second, third = Visitor(turns, "a"), Visitor(turns, "b"), Visitor(turns, "c")
    assert first.served.is_set() and second.served.is_set()
    wait_until(lambda: third.places == [2])
    second.join()
    assert third.served.wait(60)
    for each in (first, third):
        each.join()
    assert not turns.locked() and turns.waiting == 0
