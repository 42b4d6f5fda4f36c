"""The device's lock serves who waits before who was just served."""

from __future__ import annotations

import threading

import pytest

from core.turns import Turns


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
