"""The line protocol through real sockets: garbage, silence, floods, long paths."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kernelfactory.model import BadInput, LostClaim, Refused
from kernelfactory.wire import REQUEST_BYTES, Listener, ask


def handler(request: Mapping[str, Any]) -> Mapping[str, Any]:
    verb = request.get("verb")
    if verb == "lost":
        raise LostClaim("over")
    if verb == "refused":
        raise Refused("no")
    if verb == "bad":
        raise BadInput("what")
    if verb == "slow":
        time.sleep(0.3)
    return {"verb": verb}


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "desk.sock"
    listener = Listener(path, handler)
    yield path
    listener.close()


def raw(path: Path, data: bytes) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(5)
        line.connect(str(path))
        line.sendall(data)
        answer: dict[str, Any] = json.loads(line.makefile("rb").readline())
        return answer


def test_one_line_there_and_one_back(door: Path) -> None:
    assert ask(door, {"verb": "measure"}) == {"verb": "measure"}


@pytest.mark.parametrize(("verb", "kind"), [("lost", LostClaim), ("refused", Refused), ("bad", BadInput)])
def test_errors_come_back_as_what_they_were(door: Path, verb: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        ask(door, {"verb": verb})


@pytest.mark.parametrize(
    "data",
    [b"\n", b"no json\n", b"[1]\n", b"\xff\xfe\n", b"[" * 5000 + b"\n", b'{"verb": ' + b"1" * 5000 + b"}\n"],
)
def test_garbage_is_refused_and_the_door_stays_open(door: Path, data: bytes) -> None:
    assert raw(door, data)["ok"] is False
    assert ask(door, {"verb": "measure"}) == {"verb": "measure"}


def test_a_line_too_long_is_refused(door: Path) -> None:
    assert raw(door, b'{"verb": "' + b"x" * (REQUEST_BYTES + 70_000))["ok"] is False


def test_silent_callers_do_not_stop_others(door: Path) -> None:
    silent = [socket.socket(socket.AF_UNIX) for _ in range(8)]
    for line in silent:
        line.connect(str(door))
    assert ask(door, {"verb": "measure"}) == {"verb": "measure"}
    for line in silent:
        line.close()


def test_callers_are_served_at_once(door: Path) -> None:
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(ask(door, {"verb": "slow"}))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8


def test_a_closed_door_says_so(tmp_path: Path) -> None:
    listener = Listener(tmp_path / "desk.sock", handler)
    listener.close()
    with pytest.raises(BadInput, match="nobody answers"):
        ask(tmp_path / "desk.sock", {"verb": "measure"})


def test_a_path_longer_than_a_socket_name_works(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    listener = Listener(deep / "desk.sock", handler)
    assert ask(deep / "desk.sock", {"verb": "x"}) == {"verb": "x"}
    listener.close()
