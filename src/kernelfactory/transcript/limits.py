"""What agents' error texts mean: which trouble it is, and when it is over. Never for what a model says."""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping

from kernelfactory.model import Trouble
from kernelfactory.transcript.form import Clock, Reset

_CAP = 4000

_TROUBLES: tuple[tuple[Trouble, str], ...] = (
    # what looks like something else further down
    ("rate_limit", r"not your usage limit|ai\.google\.dev/gemini-api/docs/rate-limits"),
    (
        "usage_limit",
        r"\byou(?:'ve| have) (?:hit|reached) your\b(?! (?:maximum|max)\b)|\byou're out of (?:usage credits|extra usage)"
        r"|\byour org(?:ani[sz]ation)? is out of usage|\byour seat type doesn't include"
        r"|\busage allocation has been disabled"
        r"|\bgroup's usage limit is set to|\brequires usage credits|\busage limit (?:has been )?reached"
        r"|\b(?:5-hour|session|weekly|opus|sonnet) (?:\w+ )?limit reached|\bwith your ChatGPT plan, upgrade"
        r"|\bexhausted your (?:daily quota|capacity)|\bquota will reset after|TerminalQuotaError"
        r"|usage_?limit_?(?:reached|exceeded)|usage_not_included",
    ),
    (
        "billing",
        r"credit balance is too low|insufficient[_ ](?:quota|credits|balance|funds)|quota exceeded\. check your plan"
        r"|check your plan and billing|billing_(?:error|hard_limit)|payment required|\bstatus 402\b",
    ),
    (
        "auth",
        r"\bstatus 40[13]\b|\b40[13] (?:unauthorized|forbidden)|invalid api key|incorrect api key|invalid x-api-key"
        r"|api[_ ]key[_ ](?:not valid|invalid)|not logged in|please run /login|failed to authenticate"
        r"|authentication[_ ](?:failed|error|required)"
        r"|oauth token has (?:expired|been revoked)|permission_denied|must specify the \w+ environment"
        r"|missing environment variable|refresh token|\b(?:log ?|sign )in again|invalid auth method|\bunauthorized\b"
        r"|missing api key|no api key",
    ),
    (
        "config",
        r"not (?:inside|running in) a trusted directory|no rollout found|finding codex home|with root/sudo privileges"
        r"|session id \S+ is already in use|no conversation found|unknown (?:option|argument)|unexpected argument"
        r"|invalid value '",
    ),
    (
        "model",
        r"does not exist or you do not have access|issue with the selected model|model[_ ]?not[_ ]?found"
        r"|is not found for api version|is not supported when using codex|\bunknown model\b",
    ),
    (
        "context",
        r"prompt is too long|ran out of room in the model|context[_ ]?(?:window|length)[_ ]?exceeded"
        r"|maximum context length|contextoverflow|input is too long|exceeds? the context window",
    ),
    ("turns", r"max(?:imum number of|_| session)? ?turns"),
    ("budget", r"maximum budget|max_budget|session ?budget ?exceeded"),
    ("overloaded", r"overloaded|\bat capacity\b|high demand|\bstatus (?:503|529)\b|\bUNAVAILABLE\b"),
    (
        "rate_limit",
        r"rate[_ ]?limit|\b429\b|too many requests|RESOURCE_EXHAUSTED|resource has been exhausted"
        r"|exceeded your current quota",
    ),
    (
        "network",
        r"stream (?:disconnected|closed|idle)|connection (?:failed|refused|reset|error|lost|closed)|waiting for network"
        r"|idle timeout|fetch failed|\bterminated\b|\bECONN\w+|\bETIMEDOUT\b|\bENOTFOUND\b|\bEAI_AGAIN\b|socket hang up"
        r"|other side closed|error sending request|network error|timed out|lookup address",
    ),
    ("server", r"internal (?:server )?error|internal_?server_?error|\b50[0247]\b|api_error|server_error|bad gateway"),
)
_PATTERNS = tuple((trouble, re.compile(pattern, re.IGNORECASE)) for trouble, pattern in _TROUBLES)
_STATUS: Mapping[int, Trouble] = {
    401: "auth",
    402: "billing",
    403: "auth",
    404: "model",
    408: "network",
    413: "context",
    429: "rate_limit",
    503: "overloaded",
    529: "overloaded",
}

_UNITS: Mapping[str, float] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_UNIT = r"(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)(?![a-z])"
_PART = rf"\d{{1,9}}(?:\.\d{{1,6}})?[ ]{{0,2}}{_UNIT}"
_AMOUNT = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)[ ]{0,2}([a-z]+)", re.IGNORECASE)
_AGAIN = r"(?:resets?|try(?:ing)? again|retry(?:ing)?|available(?: again)?|wait)"
_AFTER = re.compile(
    rf"{_AGAIN}[ ](?:(?:after|in|for)[ ]{{1,2}})?((?:{_PART}[ ,]{{0,2}}(?:and )?){{1,6}})", re.IGNORECASE
)
_EPOCH = re.compile(r"(?:\||resets?[_ ]?(?:at)?\W{1,6}|\bnext\W{1,4})(\d{10})(\d{3})?\b", re.IGNORECASE)
_SECONDS = re.compile(r"(?:resets?_in_seconds|retry[-_]after)\W{1,6}(\d{1,9})\b", re.IGNORECASE)
_STAMP = re.compile(
    r"\b(20\d\d)-(\d\d)-(\d\d)(?:[T ]| at )(\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,9})?)?(?:[ ]?(Z|UTC|GMT|[+-]\d\d:?\d\d))?",
    re.IGNORECASE,
)
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = rf"\b(?P<month>{'|'.join(_MONTHS)})[a-z]{{0,6}}\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_TIME = r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?(?::\d\d)?(?:[ ]{0,2}(?P<half>[ap]\.?m\b))?"
_CLOCK = re.compile(
    rf"(?:\b{_AGAIN}|\buntil)[ ]{{1,2}}(?:on[ ]|at[ ])?"
    rf"(?:{_MONTH}[ ]{{1,2}}{_DAY}(?:,?[ ]{{1,2}}(?P<year>20\d\d))?(?:,|[ ]at)?[ ]{{1,2}}(?:at[ ])?)?{_TIME}"
    r"(?:[ ]{0,2}\((?P<zone>[A-Za-z][A-Za-z0-9_+/-]{1,60})\)|[ ](?P<utc>UTC|GMT)\b)?",
    re.IGNORECASE,
)
_MIDNIGHT = Reset(clock=Clock(0, 0, zone="America/Los_Angeles"))
"""When Gemini's daily quota begins anew, by Google's documentation; its programs do not say."""


def trouble(text: str, status: float | None = None) -> Trouble | None:
    """What an error text is about, with the HTTP status that came with it; None when nothing tells."""
    text = text[:_CAP].replace("\u2019", "'")
    for found, pattern in _PATTERNS:
        if pattern.search(text):
            return found
    return of_status(status)


def of_status(status: float | None) -> Trouble | None:
    if status is None:
        return None
    return _STATUS.get(int(status)) or ("server" if 500 <= status < 600 else None)


def waits(trouble: Trouble | None, text: str) -> Reset | None:
    """When a trouble that passes by itself is over, as its text says."""
    return reset(text) if trouble in ("usage_limit", "rate_limit", "overloaded") else None


def reset(text: str) -> Reset | None:
    """When it can be tried again, as a text says: seconds since 1970, a time from now, or a clock's time."""
    text = text[:_CAP].replace("\u202f", " ").replace("\u00a0", " ")
    if (found := _EPOCH.search(text)) is not None:
        return Reset(epoch=float(found[1]))
    if (found := _SECONDS.search(text)) is not None:
        return Reset(after=float(found[1]))
    if (found := _AFTER.search(text)) is not None:
        return Reset(after=_seconds(found[1]))
    return _stamp(text) or _clock(text) or (_MIDNIGHT if "exhausted your daily quota" in text else None)


def _seconds(text: str) -> float:
    total = 0.0
    for amount, unit in _AMOUNT.findall(text):
        short = unit.lower()
        key = "ms" if short in ("ms", "millisecond", "milliseconds") else short[0]
        total += float(amount) * _UNITS[key]
    return total


def _stamp(text: str) -> Reset | None:
    """An ISO time; without a zone it is somebody's local time."""
    found = _STAMP.search(text)
    if found is None:
        return None
    year, month, day, hour, minute = (int(found[i]) for i in range(1, 6))
    zone = (found[7] or "").upper()
    if not (1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1] and hour < 24 and minute < 60):
        return None
    if not zone:
        return Reset(clock=Clock(hour, minute, day, month, year))
    ahead = 0
    if zone[0] in "+-":
        ahead = int(zone[0] + "1") * (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60)
    return Reset(epoch=float(calendar.timegm((year, month, day, hour, minute, int(found[6] or 0))) - ahead))


def _clock(text: str) -> Reset | None:
    for found in _CLOCK.finditer(text):
        if found["half"] or found["minute"]:
            clock = _read(found)
            if clock.hour < 24 and clock.minute < 60:
                return Reset(clock=clock)
    return None


def _read(found: re.Match[str]) -> Clock:
    hour, half = int(found["hour"]), (found["half"] or "").lower()
    if half:
        hour = hour % 12 + (12 if half[0] == "p" else 0)
    month = _MONTHS.index(found["month"].lower()) + 1 if found["month"] else None
    day, year = (int(found[key]) if found[key] else None for key in ("day", "year"))
    zone = found["zone"] or ("UTC" if found["utc"] else None)
    return Clock(hour, int(found["minute"] or 0), day, month, year, zone)
