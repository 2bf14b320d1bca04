"""What an agent reads: facts, notes and template texts, all given as values, made into one text. Refuses to let
anything that an agent wrote be template text, an instruction or larger than its cap."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from jinja2 import DictLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from kernelfactory.model import Candidate, Limits, Metric, Move, Note

TEMPLATE = "brief.md"
"""The template that is rendered; it includes `<move>.md` and `notes.md`."""

CUT = " […]"
"""Where a text was cut."""

_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # cursor and colour
    r"|(?:\x1b[P\]X^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"  # titles, links, device strings
    r"|\x1b[ -/]*[0-~]?"
)
_NEWLINES = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SELECTORS = ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF))


@dataclass(frozen=True, slots=True)
class Sizes:
    """Caps in characters: one `line`, one `note`, all notes of a kind together (`notes`), the instruments."""

    line: int = 400
    note: int = 6_000
    notes: int = 24_000
    instruments: int = 6_000


SIZES = Sizes()


@dataclass(frozen=True, slots=True)
class Facts:
    """What a brief says. `lineage`: notes from the parent upwards; `failed`: notes of attempts on the same parent that
    did not improve on it; `inspirations`: candidates whose files lie in `.kf/inspirations/`. `measures` and
    `instruments` are the parent's. `quick`: may `kf measure --quick` be used? `web`: may the open web?"""

    task: str
    metric: Metric
    editable: tuple[str, ...]
    limits: Limits
    move: Move
    parent: int
    parent_score: float
    best_score: float
    baseline: float
    measures: Mapping[str, float] = field(default_factory=dict)
    instruments: Mapping[str, Any] = field(default_factory=dict)
    lineage: Sequence[Note] = ()
    failed: Sequence[Note] = ()
    inspirations: Sequence[Candidate] = ()
    quick: bool = True
    web: bool = True


def compose(facts: Facts, templates: Mapping[str, str], fence_word: str, sizes: Sizes = SIZES) -> str:
    """The brief. The same arguments give the same text; `fence_word` is a fresh random word for each brief (8 or more
    letters and digits) and marks what other agents wrote. Raises ValueError for another fence word, jinja2's
    TemplateError for a faulty template."""
    if not re.fullmatch(r"[A-Za-z0-9]{8,64}", fence_word):
        raise ValueError("the fence word must be 8 to 64 letters and digits")
    text = (
        _world(tuple(sorted(templates.items())))
        .get_template(TEMPLATE)
        .render(
            score=lambda value: figure(value, facts.metric),
            facts=facts,
            fence=fence_word,
            editable=[clean(glob, sizes.line) for glob in facts.editable],
            instruments=_instruments(facts.instruments, sizes.instruments),
            lineage=_quoted(_newest_first(facts.lineage), fence_word, facts.metric, sizes),
            failed=_quoted(_newest_first(facts.failed), fence_word, facts.metric, sizes),
        )
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


@lru_cache(maxsize=8)
def _world(templates: tuple[tuple[str, str], ...]) -> SandboxedEnvironment:
    """Templates compiled once: a claim must not pay for that."""
    return SandboxedEnvironment(
        loader=DictLoader(dict(templates)),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def digest(text: str | Mapping[str, str]) -> str:
    """ "sha256:…" of a brief, or of template texts by name."""
    if isinstance(text, str):
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    return digest(json.dumps(sorted(text.items()), ensure_ascii=True))


def figure(score: float, metric: Metric) -> str:
    """A score for reading: `147,734 cycles`."""
    number = f"{score:,.0f}" if float(score).is_integer() else f"{score:,.6g}"
    return f"{number} {metric.unit}".strip()


# ── hostile text ─────────────────────────────────────────────────────────────────────────────────


def clean(text: str, limit: int, line: int | None = None) -> str:
    """`text` as plain lines: no escape sequences, no control, bidi, invisible or private characters; lines cut to
    `line` and all to `limit` characters, each cut marked. Looks at no more than a few times `limit` characters."""
    seen = _ESCAPES.sub("", _NEWLINES.sub("\n", text[: 4 * limit]))
    seen = seen.translate({ord(c): None for c in set(seen) - {"\n", "\t"} if _unseen(c)})
    if line is not None:
        seen = "\n".join(_cut(part, line) for part in seen.split("\n"))
    whole = len(text) <= 4 * limit or len(seen) > limit
    return _cut(seen, limit) if whole else seen + CUT


def _unseen(character: str) -> bool:
    at = ord(character)
    return unicodedata.category(character) in _DROPPED or any(low <= at <= high for low, high in _SELECTORS)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[:limit] + CUT


def quote(text: str, fence_word: str, sizes: Sizes = SIZES) -> str:
    """`text` cleaned and made unable to end its fence: each line is marked, the fence word is taken out of it."""
    plain = clean(text, sizes.note, sizes.line).strip("\n")
    word = re.compile(re.escape(fence_word), re.IGNORECASE)
    while word.search(plain):
        plain = word.sub("", plain)
    return "\n".join(f"| {part}".rstrip() for part in plain.split("\n"))


@dataclass(frozen=True, slots=True)
class Quoted:
    """A note ready for a template."""

    attempt: int
    head: str
    text: str


def _newest_first(notes: Sequence[Note]) -> list[Note]:
    """By attempt, each once."""
    return [note for _, note in sorted({note.attempt: note for note in notes}.items(), reverse=True)]


def _quoted(notes: Iterable[Note], fence_word: str, metric: Metric, sizes: Sizes) -> list[Quoted]:
    """As many notes, from the first on, as fit under the cap."""
    kept: list[Quoted] = []
    left = sizes.notes
    for note in notes:
        quoted = quote(note.text, fence_word, sizes)
        left -= len(quoted)
        if left < 0:
            break
        kept.append(Quoted(note.attempt, _head(note, fence_word, metric), quoted))
    return kept


def _head(note: Note, fence_word: str, metric: Metric) -> str:
    score = "no valid program" if note.score is None else figure(note.score, metric)
    agent = quote(note.agent.replace("\n", " "), fence_word, Sizes(note=60)).removeprefix("|").strip()
    return f"attempt {note.attempt} ({note.outcome}, {score}{', by ' + agent if agent else ''})"


def _instruments(instruments: Mapping[str, Any], limit: int) -> str:
    """As JSON, printable ASCII only; "" for none."""
    if not instruments:
        return ""
    return _cut(json.dumps(instruments, indent=1, sort_keys=True, default=str), limit)
