"""Secrets out of what is written, however they are spelt. Pure; refuses to guess what is a secret."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain

from kernelfactory.model import BadInput

SHORTEST = 8
"""Characters. What is shorter stands in ordinary text too; so many of a secret that was cut off are hidden as well."""

LONGEST = 8192

_BREAKS = (b"", b"\n", b"\r\n", b"\\n", b"\\r\\n", b"\\\\n", b"%0A")
"""What may stand between the characters of long codes."""

_PIECE = 32
"""Half of the shortest line into which tools break codes: one of two such pieces is whole, wherever the break is."""

_COMMON = b"etaoinsrlcdpumhgfyb0_12w-.vk/:5x346978TASCEIRPLNDOMFUBGHVWXKJqjYzQZ"
_RANK = {byte: rank for rank, byte in enumerate(_COMMON)}
_HINT = 6
_START = 4
"""Letters of a form that are looked for before all of it is."""

Ways = tuple[bytes, ...]
"""How one character may be written, longest first."""


@dataclass(frozen=True)
class _Form:
    """One spelling of the secret `name`: `ways` of each character, and `pieces`: plain spellings of parts of it, at
    least one of which is in a text that has all of it, unless a character of it is escaped there."""

    name: str
    ways: tuple[Ways, ...]
    pieces: tuple[bytes, ...]

    @property
    def longest(self) -> int:
        return sum(len(way[0]) for way in self.ways)

    @cached_property
    def pattern(self) -> re.Pattern[bytes]:
        return re.compile(_any(self.ways))

    def begins(self, byte: int) -> bool:
        return any(way[0] == byte for way in self.ways[0])

    def open(self, tail: bytes, start: int) -> int | None:
        """How many characters of it `tail` has when it ends in the middle of this, begun at `start`; None: it does
        not."""
        places = {start}
        for passed, ways in enumerate(self.ways):
            after = set()
            for place in places:
                rest = tail[place : place + len(ways[0])]
                if any(len(way) > len(rest) and way.startswith(rest) for way in ways):
                    return passed
                after |= {place + len(way) for way in ways if rest.startswith(way)}
            if not after:
                return None
            places = after
        return None


class Mask:
    """Replaces known secrets (name -> value) by `[redacted:NAME]`: plain; base64 at any place in what was encoded, of
    both alphabets and broken into lines; hex; with any of their characters URL-encoded or JSON-escaped. Shows no
    value in its repr. Raises BadInput for a value under 8 characters (or above 8192)."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        forms = [form for name, value in secrets.items() for form in _forms(name, value.strip())]
        self._forms = sorted(forms, key=lambda form: -len(form.ways))
        self._names = tuple(secrets)
        self._hint = _hint(self._forms) if forms else None
        self._span = max((form.longest for form in forms), default=0)
        self._alphabet = bytes(sorted(set(chain.from_iterable(chain.from_iterable(_ways(forms))))))

    def __repr__(self) -> str:
        return f"Mask({', '.join(self._names)})"

    def text(self, text: str) -> str:
        return self.data(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def data(self, data: bytes) -> bytes:
        out, done = [], 0
        for start, end, name in self.matches(data):
            out += [data[done:start], mark(name)]
            done = end
        return b"".join([*out, data[done:]]) if done else data

    def cut(self, data: bytes) -> bytes:
        """As `data`, for what may have been cut off at its end, in the middle of a secret."""
        stream = self.stream()
        return stream.feed(data) + stream.end()

    def holds(self, data: bytes) -> str | None:
        """The name of the first secret in `data`."""
        return next((name for _, _, name in self.matches(data)), None)

    def stream(self) -> Stream:
        """For text that comes in parts."""
        return Stream(self)

    def matches(self, data: bytes) -> Iterator[tuple[int, int, str]]:
        """Start, end and name of each secret in `data`."""
        if self._hint is None or not self._hint.search(data):
            return
        place = 0
        while found := self._starts.search(data, place):
            place = found.start() + 1
            for form in self._by[data[found.start()]]:
                if whole := form.pattern.match(data, found.start()):
                    place = whole.end()
                    yield whole.start(), place, form.name
                    break

    def begun(self, data: bytes) -> list[tuple[int, str, int]]:
        """Where secrets begin that `data` may end in the middle of: place, name, characters that are there."""
        tail = data[-self._span :]
        first = len(data) - len(tail)
        clean = len(tail.rstrip(self._alphabet))
        ends = ((at, form.name, form.open(tail, at)) for at in range(clean, len(tail)) for form in self._by[tail[at]])
        return [(first + at, name, passed) for at, name, passed in ends if passed is not None]

    @cached_property
    def _by(self) -> Sequence[Sequence[_Form]]:
        """The forms by the byte they begin with, longest first."""
        return [[form for form in self._forms if form.begins(byte)] for byte in range(256)]

    @cached_property
    def _starts(self) -> re.Pattern[bytes]:
        """Matches one byte, where one of the forms may begin."""
        starts = [(way, _any(form.ways[1:_START])) for form in self._forms for way in form.ways[0]]
        return _grouped((way[:1], b"(?=" + re.escape(way[1:]) + rest + b")") for way, rest in starts)


class Stream:
    """Masks what is fed to it in parts, however it was cut. What may be the beginning of a secret is kept back, and
    nothing else is."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._kept = b""

    def feed(self, data: bytes) -> bytes:
        data = self._kept + data
        begun = [place for place, _, _ in self._mask.begun(data)]
        out, done = [], 0
        for start, end, name in self._mask.matches(data):
            if any(done <= place <= start for place in begun):
                break
            out += [data[done:start], mark(name)]
            done = end
        keep = min((place for place in begun if place >= done), default=len(data))
        self._kept = data[keep:]
        return b"".join([*out, data[done:keep]])

    def end(self) -> bytes:
        """The rest. A secret that was cut off is masked too, if there is much of it."""
        kept, self._kept = self._mask.data(self._kept), b""
        for place, name, passed in self._mask.begun(kept):
            if passed >= SHORTEST:
                return kept[:place] + mark(name)
        return kept


def mark(name: str) -> bytes:
    return f"[redacted:{name}]".encode()


# ── spellings ────────────────────────────────────────────────────────────────────────────────────


def _forms(name: str, value: str) -> list[_Form]:
    if len(value) < SHORTEST:
        raise BadInput(
            f"{name} has fewer than {SHORTEST} characters: too short to be masked, so not a secret; take it out"
        )
    if len(value) > LONGEST:
        raise BadInput(f"{name} has more than {LONGEST} characters: too long to be masked; name the secret part of it")
    try:
        raw = [char.encode("utf-8", "surrogateescape") for char in value]
    except UnicodeEncodeError as error:
        raise BadInput(f"{name} is not text") from error
    ways = tuple(_written(char, code) for char, code in zip(value, raw, strict=True))
    plain = b"".join(code if _plain(way) else b"\n" for code, way in zip(raw, ways, strict=True))
    forms = [_Form(name, ways, (max(plain.split(b"\n"), key=len),))]
    data = b"".join(raw)
    codes = [data.hex(), data.hex().upper(), *(_sextets(data, before) for before in range(3))]
    return forms + [_coded(name, code) for code in codes]


def _sextets(data: bytes, before: int) -> str:
    """The characters of base64 that are of `data` alone when `before` bytes stand before it."""
    code = base64.b64encode(b"\0" * before + data).decode()
    return code[-(before * 8 // -6) : (before + len(data)) * 8 // 6]


def _coded(name: str, code: str) -> _Form:
    half = min(_PIECE, len(code) // 2)
    halves = (code[:half], code[half : 2 * half])
    pieces = tuple(max(re.split("[+/]", piece), key=len).encode() for piece in halves)
    return _Form(name, (_letter(code[0]), *map(_later, code[1:])), pieces)


@lru_cache(256)
def _later(char: str) -> Ways:
    return _longest_first(gap + way for gap in _BREAKS for way in _letter(char))


def _letter(char: str) -> Ways:
    if char in "+/":
        return _longest_first((*_written(char, char.encode()), {"+": b"-", "/": b"_"}[char]))
    return (char.encode(),)


@lru_cache(256)
def _written(char: str, raw: bytes) -> Ways:
    """A character as it is, URL-encoded, and escaped in JSON, also in JSON that is a text in JSON."""
    per = "".join(f"%{byte:02x}" for byte in raw)
    wide = char.encode("utf-16-be", "surrogatepass").hex()
    units = [wide[at : at + 4] for at in range(0, len(wide), 4)]
    short = "\\/" if char == "/" else json.dumps(char)[1:-1]
    escaped = {short, *("".join(f"\\u{unit}" for unit in case) for case in (units, [u.upper() for u in units]))} - {
        char
    }
    deeper = {json.dumps(each)[1:-1] for each in escaped}
    deepest = {json.dumps(each)[1:-1] for each in deeper}
    ways = {per, per.upper(), *escaped, *deeper, *deepest, *("+" * (char == " "))}
    return _longest_first((raw, *(way.encode() for way in ways)))


def _longest_first(ways: Iterable[bytes]) -> Ways:
    return tuple(sorted(set(ways), key=lambda way: (-len(way), way)))


def _plain(ways: Ways) -> bool:
    """Is each way but one an escape that is searched for?"""
    return sum(_ESCAPE.search(way) is None for way in ways) == 1


_ESCAPE = re.compile(rb"%..|\\u....", re.DOTALL)


# ── a first look, which is fast ──────────────────────────────────────────────────────────────────


def _hint(forms: Sequence[_Form]) -> re.Pattern[bytes]:
    """Matches in everything that one of the forms is in, and in little else: a few rare letters of each, or one of
    their characters escaped."""
    marks = {_rarest(piece) for form in forms for piece in form.pieces}
    marks |= {found for way in chain.from_iterable(_ways(forms)) for found in _ESCAPE.findall(way)} - {b"%0A"}
    return _grouped((each[:1], re.escape(each[1:])) for each in marks)


def _grouped(parts: Iterable[tuple[bytes, bytes]]) -> re.Pattern[bytes]:
    """Any of the parts, each a first byte and a pattern of the rest: fast where few first bytes are in the text."""
    rests: dict[bytes, list[bytes]] = {}
    for head, rest in sorted(set(parts)):
        rests.setdefault(head, []).append(rest)
    return re.compile(b"|".join(re.escape(head) + b"(?:" + b"|".join(rest) + b")" for head, rest in rests.items()))


def _any(ways: Iterable[Ways]) -> bytes:
    return b"".join(b"(?:" + b"|".join(map(re.escape, each)) + b")" for each in ways)


def _rarest(piece: bytes) -> bytes:
    """Some bytes of `piece`, the first of which is as rare as can be: few places of a text are looked at twice."""
    at = max(range(max(1, len(piece) - _HINT + 1)), key=lambda at: _RANK.get(piece[at], 99) if piece else 0)
    return piece[at : at + _HINT]


def _ways(forms: Sequence[_Form]) -> Iterator[Ways]:
    return chain.from_iterable(form.ways for form in forms)
