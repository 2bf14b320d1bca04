"""Turns at the judge: seats, order, one at a time for each attempt."""

from __future__ import annotations

import threading
import time

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


def test_first_come_first_served() -> None:
    turns, order = Turns(1), []

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
    assert order == [1, 2, 3, 4, 5]


def test_one_at_a_time_for_each_attempt() -> None:
    turns = Turns(4)
    with turns.enter(1), turns.enter(2), pytest.raises(Refused), turns.enter(1):
        raise AssertionError("unreachable")
    with turns.enter(1):
        pass


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
