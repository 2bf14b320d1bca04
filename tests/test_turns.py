"""Turns at the judge: seats, order, one at a time for each attempt."""

from __future__ import annotations

import threading
import time
from collections import deque

import pytest

from kernelfactory.model import Refused
from kernelfactory.turns import Turns


def test_no_more_than_the_seats_at_once() -> None:
    turns, now, most, lock = Turns(2), 0, 0, threading.Lock()

    def sit(attempt: int) -> None:
        nonlocal now, most
        with turns.enter(attempt):
            with lock:
                now += 1
                most = max(most, now)
            time.sleep(0.01)
            with lock:
                now -= 1

    threads = [threading.Thread(target=sit, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2


class Rude(Turns):
    """The fault: who comes last goes first."""

    def __init__(self, seats: int) -> None:
        super().__init__(seats)
        self._waiting = Pushed()


class Pushed(deque[int]):
    def append(self, attempt: int) -> None:
        self.appendleft(attempt)


class Greedy(Turns):
    """The fault: an attempt may sit on two seats."""

    def __init__(self, seats: int) -> None:
        super().__init__(seats)
        self._busy = Forgetful()


class Forgetful(set[int]):
    def __contains__(self, attempt: object) -> bool:
        return False


def served(turns: Turns) -> list[int]:
    """In which order five are served that come one after the other while the seat is taken."""
    order: list[int] = []

    def sit(attempt: int) -> None:
        with turns.enter(attempt):
            order.append(attempt)

    with turns.enter(0):
        threads = []
        for n in range(1, 6):
            threads.append(threading.Thread(target=sit, args=(n,)))
            threads[-1].start()
            time.sleep(0.02)
    for thread in threads:
        thread.join()
    return order


def test_first_come_first_served() -> None:
    assert served(Turns(1)) == [1, 2, 3, 4, 5]
    assert served(Rude(1)) != [1, 2, 3, 4, 5], "the check is blind"


def test_one_at_a_time_for_each_attempt() -> None:
    def twice(turns: Turns) -> None:
        with turns.enter(1), turns.enter(2), turns.enter(1):
            pass

    turns = Turns(4)
    with pytest.raises(Refused):
        twice(turns)
    with turns.enter(1):
        pass
    twice(Greedy(4))  # the fault is not refused: the check can fail


def test_the_patient_wait_for_their_own() -> None:
    turns, done = Turns(2), threading.Event()

    def last() -> None:
        with turns.enter(1, patient=True):
            done.set()

    with turns.enter(1):
        thread = threading.Thread(target=last)
        thread.start()
        assert not done.wait(0.05)
    thread.join()
    assert done.is_set()
