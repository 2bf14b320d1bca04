"""What is a program and what is not: the recorded checks, and what they leave open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kernelfactory import core
from kernelfactory.core import vliw
from kernelfactory.model import Rejected


def accepted(backend: core.Backend, text: bytes) -> bool:
    try:
        backend.parse(text)
    except Rejected as rejected:
        assert rejected.code in ("malformed", "over_limit")
        return False
    return True


def static_deviations(backend: core.Backend, golden: Path) -> list[str]:
    checks = json.loads((golden / "static" / "static_checks.json").read_text())
    texts = [(one["text"], kind == "accept") for kind in ("refuse", "accept") for one in checks[kind]]
    assert len(texts) == 208
    return [text for text, wanted in texts if accepted(backend, text.encode()) != wanted]


def test_recorded_checks(backend: core.Backend, golden: Path) -> None:
    assert static_deviations(backend, golden) == []


class Lax(core.Plain):
    """Python's own reader instead of a strict one."""

    def parse(self, data: bytes) -> Any:
        try:
            return super().parse(json.dumps(json.loads(data)).encode())
        except (ValueError, RecursionError) as error:
            raise Rejected("malformed", "bundle 0: no JSON") from error


def test_a_lax_reader_is_noticed(golden: Path) -> None:
    assert '[{"alu":[["+",0,0,0]],"alu":[["-",0,0,0]]}]' in static_deviations(Lax(), golden)


DEEP = vliw.MAX_DEPTH - 1  # the debug engine's own array is one
REFUSE = {
    "NUL after the program": b"[]\0",
    "NUL inside": b'[{"alu":\0[]}]',
    "byte order mark": b"\xef\xbb\xbf[]",
    "UTF-16": "[]".encode("utf-16"),
    "not ASCII in debug": '[{"debug":["ä"]}]'.encode(),
    "control character in debug": b'[{"debug":["\n"]}]',
    "lone backslash in debug": b'[{"debug":["\\"]}]',
    "bad escape in debug": b'[{"debug":["\\x41"]}]',
    "short escape in debug": b'[{"debug":["\\u12"]}]',
    "debug is no array": b'[{"debug":null}]',
    "debug named twice": b'[{"debug":[],"debug":[]}]',
    "broken number in debug": b'[{"debug":[1.]}]',
    "leading zero in debug": b'[{"debug":[01]}]',
    "NaN in debug": b'[{"debug":[NaN]}]',
    "key without a string in debug": b'[{"debug":[{1:1}]}]',
    "debug too deep": b'[{"debug":[' + b"[" * (DEEP + 1) + b"]" * (DEEP + 1) + b"]}]",
    "debug very deep": b'[{"debug":' + b"[" * 200_000,
    "objects very deep": b'[{"debug":[' + b'{"a":' * 200_000,
    "arrays very deep": b"[" * 200_000,
    "engine written with an escape": b'[{"\\u0061lu":[]}]',
    "operation written with an escape": b'[{"flow":[["h\\u0061lt"]]}]',
    "engine in single quotes": b"[{'alu':[]}]",
    "comma at the end of a bundle": b'[{"alu":[],}]',
    "comma at the end of the program": b"[{},]",
    "comma at the end of slots": b'[{"alu":[["+",0,0,0],]}]',
    "comma first": b"[,{}]",
    "form feed as blank": b"[\x0c]",
    "comment": b"[]//",
    "minus minus": b'[{"load":[["const",0,--1]]}]',
    "too many digits": b'[{"load":[["const",0,1' + b"0" * vliw.MAX_DIGITS + b"]]}]",
    "negative load_offset address": b'[{"load":[["load_offset",-1,0,1]]}]',
    "load_offset sums that would cancel": b'[{"load":[["load_offset",1%b,0,-1%b]]}]' % (b"0" * 20, b"0" * 20),
    "huge negative target": b'[{"flow":[["jump",-100000000000000000000]]}]',
    "relative target before the start": b'[{},{"flow":[["cond_jump_rel",0,-3]]}]',
    "six operands": b'[{"alu":[["+",0,0,0,0,0,0]]}]',
    "an unknown engine that is never reached": b'[{"flow":[["halt"]]},{"fpu":[]}]',
    "a good start": b'[{"alu":[["+",0,0,0]]},{"alu":[["+",0,0,0',
}
ACCEPT = {
    "minus zero": b'[{"alu":[["+",-0,0,0]],"load":[["const",0,-0]]}]',
    "as many digits as allowed": b'[{"load":[["const",0,1' + b"0" * (vliw.MAX_DIGITS - 1) + b"]]}]",
    "debug as deep as allowed": b'[{"debug":[' + b"[" * DEEP + b"]" * DEEP + b"]}]",
    "debug with everything": b'[{"debug":[{"a":[1e5,-0.5E-3,true,false,null,"\\u00e4\\n\\"\\\\\\/"],"a":{}},[],{}]}]',
    "more digits in debug": b'[{"debug":[' + b"1" * 2000 + b"]}]",
    "target far beyond the end": b'[{"flow":[["jump",1' + b"0" * 50 + b"]]}]",
    "relative target: the first bundle": b'[{},{"flow":[["cond_jump_rel",0,-2]]}]',
    "every engine": b'[{"debug":[],"flow":[],"store":[],"load":[],"valu":[],"alu":[]}]',
    "blanks of all kinds": b"\r\n\t [ \r\n\t {\r\n\t } \r\n\t ] \r\n\t ",
}


@pytest.mark.parametrize("name", REFUSE)
def test_refused(name: str, backend: core.Backend) -> None:
    assert not accepted(backend, REFUSE[name])


@pytest.mark.parametrize("name", ACCEPT)
def test_accepted(name: str, backend: core.Backend) -> None:
    assert accepted(backend, ACCEPT[name])


def test_every_cut_text_is_refused(backend: core.Backend) -> None:
    text = b'[{"alu":[["+",12,-0,3]],"debug":[{"a":[1.5e3,"\\u0041"]}]},{"flow":[["cond_jump_rel",0,0]]}]'
    assert accepted(backend, text)
    assert not any(accepted(backend, text[:end]) for end in range(len(text)))


@pytest.mark.parametrize("size", ["text", "bundles"])
def test_limits_of_size(size: str, c_core: core.Core) -> None:
    at, over = {
        "text": (b"[]" + b" " * (vliw.MAX_TEXT - 2), b"[]" + b" " * (vliw.MAX_TEXT - 1)),
        "bundles": (b"[" + b"{}," * (vliw.MAX_BUNDLES - 1) + b"{}]", b"[" + b"{}," * vliw.MAX_BUNDLES + b"{}]"),
    }[size]
    for backend in (c_core, core.Plain()) if size == "text" else (c_core,):
        assert accepted(backend, at)
        with pytest.raises(Rejected) as rejected:
            backend.parse(over)
        assert rejected.value.code == "over_limit"


def test_a_reason_names_the_bundle_and_no_more(backend: core.Backend) -> None:
    with pytest.raises(Rejected) as rejected:
        backend.parse(b'[{},{"alu":[["+",4711,0,0]]}]')
    assert rejected.value.reason == "bundle 1: a scratch address lies in 0..1535, with all lanes of a vector"


def test_immediates_are_taken_modulo_the_word(backend: core.Backend) -> None:
    values = [2**32, 2**32 + 5, -1, -(2**32), 10**17 + 3, -(10**17) - 3, 10**40 + 7, -(10**40) - 7]
    bundles = [
        {"load": [["const", i, value]], "flow": [["add_imm", 100 + i, 1500, value]]} for i, value in enumerate(values)
    ]
    ran = backend.parse(json.dumps(bundles).encode()).run([[0]], 100)[0]
    assert list(ran.scratch[: len(values)]) == list(ran.scratch[100 : 100 + len(values)]) == [v % 2**32 for v in values]


def test_free_bundles_cost_nothing_and_jumps_pass_them(backend: core.Backend) -> None:
    bundles: list[Any] = [{}, {"debug": []}, {"flow": [["jump", 4]]}, {"alu": []}, {}, {"load": [["const", 0, 7]]}, {}]
    ran = backend.parse(json.dumps(bundles).encode()).run([[0]], 100)[0]
    assert (ran.cycles, ran.scratch[0], ran.pc, ran.used) == (2, 7, 7, (0, 0, 1, 0, 1, 0))


def test_an_endless_program_ends_at_the_cap(backend: core.Backend) -> None:
    ran = backend.parse(b'[{"flow":[["jump",0]]}]').run([[0]] * 9, 1000)
    assert [(one.error, one.cycles, one.bundle) for one in ran] == [("cycles", 1000, 0)] * 9
