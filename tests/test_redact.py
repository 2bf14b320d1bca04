"""No spelling of a secret gets through, however the text is cut, and nothing else is touched."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelfactory.model import BadInput
from kernelfactory.redact import LONGEST, Mask

KEY = "sk-ant-api03-Zq7/x+9_kV~TbW?3nUe>JYw5LhSg2Rd8FmAo0PcXi4vEyGtHuIjKl-NaQfBz6C1MDsr=="
OTHER = "pässwörd \"with\" 'odd' \\ chars\n/and\ttwo lines 𝔘"
SECRETS = {"API_KEY": KEY, "OTHER": OTHER, "SHORT": "hunter22"}
MASK = Mask(SECRETS)


def every(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def some(text: str) -> str:
    return "".join(every(char) if number % 3 else char for number, char in enumerate(text))


def escaped(text: str) -> str:
    return "".join(f"\\u{int.from_bytes(char.encode('utf-16-be')):04x}" if ord(char) < 65536 else char for char in text)


def coded(text: str, before: bytes = b"") -> str:
    return base64.b64encode(before + text.encode()).decode()


def wrapped(text: str, width: int, gap: str) -> str:
    return gap.join(text[at : at + width] for at in range(0, len(text), width))


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "URL-encoded": lambda text: quote(text, safe=""),
    "URL-encoded, lower case": lambda text: re.sub("%..", lambda found: found[0].lower(), quote(text, safe="")),
    "URL-encoded, slashes left": quote,
    "URL-encoded, as in a form": quote_plus,
    "URL-encoded, every character": every,
    "URL-encoded, every character, lower case": lambda text: every(text).lower(),
    "URL-encoded in part": some,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON, as Unicode": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON, slashes escaped": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON, every character": escaped,
    "JSON in JSON": lambda text: json.dumps(json.dumps(text))[1:-1],
    "JSON in JSON in JSON": lambda text: json.dumps(json.dumps(json.dumps(text)))[1:-1],
    "base64": coded,
    "base64, no padding": lambda text: coded(text).rstrip("="),
    "base64, second alignment": lambda text: coded(text, b"x"),
    "base64, third alignment": lambda text: coded(text, b"xy"),
    "Basic authorization": lambda text: coded(text, b"user:"),
    "base64, URL-safe": lambda text: coded(text, b"x").translate(str.maketrans("+/", "-_")),
    "base64, URL-encoded": lambda text: quote(coded(text, b"x"), safe=""),
    "base64 in lines": lambda text: wrapped(coded(text, b"PATH=/bin\nKEY="), 76, "\n"),
    "base64 in lines, in JSON": lambda text: wrapped(coded(text, b"A=B\nKEY="), 64, "\\n"),
    "base64 in lines, of mail": lambda text: wrapped(coded(text, b"ab"), 76, "\r\n"),
    "hex": lambda text: text.encode().hex(),
    "hex, upper case": lambda text: text.encode().hex().upper(),
    "hex in lines": lambda text: wrapped(text.encode().hex(), 60, "\n"),
}


def leaks(masked: Callable[[str], str], secrets: dict[str, str]) -> list[str]:
    """The spellings that `masked` lets through."""
    found = []
    for name, secret in secrets.items():
        for way, spell in SPELLINGS.items():
            out = masked(f'{{"text": "before {spell(secret)} after"}}')
            if f"[redacted:{name}]" not in out or not out.startswith('{"text": "before ') or " after" not in out:
                found.append(f"{way} of {name}")
    return found


def test_no_spelling_gets_through() -> None:
    assert leaks(MASK.text, SECRETS) == []


@pytest.mark.parametrize("spelling", [way for way in SPELLINGS if way != "plain"])
def test_a_mask_that_knows_only_the_plain_one_is_found_out(spelling: str) -> None:
    """Injected fault."""

    def plain(text: str) -> str:
        for name, secret in SECRETS.items():
            text = text.replace(secret, f"[redacted:{name}]")
        return text

    assert f"{spelling} of OTHER" in leaks(plain, SECRETS) or f"{spelling} of API_KEY" in leaks(plain, SECRETS)


def test_little_of_a_code_is_left() -> None:
    """What is left beside the mark says at most a few bits of the first and last character."""
    for before in (b"", b"u", b"us", b"user:"):
        left = re.fullmatch(r"(.*)\[redacted:API_KEY\](.*)", MASK.text(coded(KEY, before)))
        assert left is not None and len(left[1]) <= len(before) * 8 // 6 + 1 and len(left[2].rstrip("=")) <= 1


def test_what_is_no_secret_is_not_touched() -> None:
    for text in (
        "",
        "plain",
        KEY[:-1],
        KEY[1:],
        coded(KEY)[9:40],
        "%41%42\\u0073",
        "\ud800 lone",
        "[redacted:API_KEY]",
    ):
        assert MASK.text(text) == text
    assert Mask({}).text(KEY) == KEY and Mask({}).data(b"\xff") == b"\xff"
    stream = Mask({}).stream()
    assert stream.feed(KEY.encode()) + stream.end() == KEY.encode()


def test_bytes_that_are_no_text() -> None:
    mask = Mask({"RAW": "caf\udce9-latin"})
    assert mask.data(b"\xff caf\xe9-latin \xfe") == b"\xff [redacted:RAW] \xfe"
    assert mask.data(b"caf%E9-latin") == b"[redacted:RAW]"


def test_secrets_within_secrets_and_beside_each_other() -> None:
    mask = Mask({"PART": "abcdefgh", "WHOLE": "abcdefgh-ijkl"})
    assert mask.text("abcdefgh-ijkl abcdefgh-ijk abcdefghabcdefgh") == (
        "[redacted:WHOLE] [redacted:PART]-ijk [redacted:PART][redacted:PART]"
    )
    stream = mask.stream()
    parts = [stream.feed(part) for part in (b"abcdefgh", b"-ij", b"k ", b"abcdefgh")]
    assert b"".join([*parts, stream.end()]) == b"[redacted:PART]-ijk [redacted:PART]"
    assert parts[0] == b"", "it may be the longer one"


def test_files_tell_which_secret_they_hold() -> None:
    assert MASK.holds(b"x" * 999 + coded(KEY, b"u:").encode()) == "API_KEY"
    assert MASK.holds(b"hunter22 " + KEY.encode()) == "SHORT"
    assert MASK.holds(KEY[:-1].encode()) is None and MASK.holds(b"") is None and Mask({}).holds(b"x") is None


def test_the_space_around_a_value_is_not_of_it() -> None:
    assert Mask({"K": " abcdefgh\n"}).text("<abcdefgh>") == "<[redacted:K]>"


@pytest.mark.parametrize("value", ["", "sesam", "  sesam    ", "x" * (LONGEST + 1), "sesam, lone \ud800 half"])
def test_values_that_cannot_be_masked_are_refused_without_being_shown(value: str) -> None:
    with pytest.raises(BadInput, match=r"^THE_NAME ") as refused:
        Mask({"THE_NAME": value})
    assert "sesam" not in str(refused.value) and "\n" not in str(refused.value)


def test_a_mask_shows_no_value() -> None:
    assert repr(MASK) == "Mask(API_KEY, OTHER, SHORT)"


# ── in parts ─────────────────────────────────────────────────────────────────────────────────────


def streamed(data: bytes, cuts: Iterable[int]) -> bytes:
    stream = MASK.stream()
    places = [0, *sorted(cuts), len(data)]
    return b"".join([*(stream.feed(data[start:end]) for start, end in pairwise(places)), stream.end()])


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_cut_lets_a_secret_through(spelling: str) -> None:
    for secret in (KEY, OTHER):
        data = f"before {SPELLINGS[spelling](secret)} after".encode()
        for cut in range(3, len(data), 7):
            assert streamed(data, [cut]) == MASK.data(data)
        assert streamed(data, range(len(data))) == MASK.data(data)


def test_a_mask_of_each_part_alone_is_found_out() -> None:
    """Injected fault."""
    data = f"before {KEY} after".encode()
    assert MASK.data(data[:50]) + MASK.data(data[50:]) != MASK.data(data)


def test_nothing_is_kept_back_without_need() -> None:
    stream = MASK.stream()
    event = f'data: {{"delta": "{KEY[1:]} and more"}}\n\n'.encode()
    assert stream.feed(event) == event
    assert stream.feed(b"so sk-an") == b"so "
    assert stream.feed(b"d so on") == b"sk-and so on"
    assert stream.feed(b"hun") == b"" and stream.end() == b"hun"


@pytest.mark.parametrize(
    "spelling", ["plain", "JSON, every character", "base64", "hex", "URL-encoded, every character"]
)
def test_what_was_cut_off_is_masked_too(spelling: str) -> None:
    """A cap on a line's length is no way to get most of a secret through."""
    whole = SPELLINGS[spelling](KEY).encode()
    for length in range(60, len(whole) - 3, 5):
        assert streamed(b"so: " + whole[:length], [7]) == b"so: [redacted:API_KEY]"
        assert MASK.cut(b"so: " + whole[:length]) == b"so: [redacted:API_KEY]"
    assert streamed(b"so: " + whole[:4], []) == b"so: " + whole[:4]


letters = st.sampled_from('aA/+"\\%u07 \né-')
words = st.text(letters, min_size=8, max_size=14).filter(lambda word: len(word.strip()) >= 8)


@settings(max_examples=60, deadline=None)
@given(words, words, st.lists(st.tuples(st.text(letters, max_size=6), st.sampled_from(list(SPELLINGS)))), st.randoms())
def test_any_secret_any_spelling_any_cut(
    first: str, second: str, parts: list[tuple[str, str]], dice: random.Random
) -> None:
    """The strangest secrets there are, of few letters that are all escapes of each other."""
    secrets = {"A": first.strip(), "B": second.strip()}
    mask = Mask(secrets)
    text = "".join(f"{before}{SPELLINGS[way](secrets[dice.choice('AB')])}" for before, way in parts).encode()
    masked = mask.data(text)
    assert (masked != text) == bool(parts) and (mask.holds(text) is not None) == bool(parts)
    stream, out = mask.stream(), b""
    while text:
        size = dice.randint(1, 40)
        out, text = out + stream.feed(text[:size]), text[size:]
    kept = stream.end()
    assert out + kept == masked or kept.endswith((b"[redacted:A]", b"[redacted:B]"))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=300))
def test_hostile_bytes_around_a_secret(before: bytes, after: bytes) -> None:
    masked = MASK.data(before + KEY.encode() + after)
    assert masked.startswith(before[:-1]) and b"[redacted:API_KEY]" in masked and KEY.encode() not in masked
