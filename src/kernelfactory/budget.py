"""What may be spent, what was, and what running attempts hold in reserve. Refuses to look at a clock or an invoice: all
figures are given to it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

from kernelfactory.model import BadInput, Usage

FEWEST = 5
"""Attempts; a cap that allows fewer is no search."""


class BadCaps(BadInput):
    """A cap that is no positive, finite number."""


@dataclass(frozen=True, slots=True)
class Caps:
    """Where an experiment ends; None: no such cap. `seconds` are wall seconds, `dollars` US dollars. All are totals of
    the experiment. Raises BadCaps."""

    attempts: int | None = None
    seconds: float | None = None
    dollars: float | None = None
    tokens: int | None = None

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise BadCaps(f"a cap on {name} must be a number above 0, not {value}; leave it out for no cap")

    def __bool__(self) -> bool:
        return any(getattr(self, name) is not None for name in self.__slots__)


def renewed(old: Caps, given: Caps) -> Caps:
    """The caps after a resume with `given`: they replace the old ones, but a cap on money or tokens stays until another
    of its kind is given; none given: all stay."""
    if not given:
        return old
    return replace(
        given,
        dollars=old.dollars if given.dollars is None else given.dollars,
        tokens=old.tokens if given.tokens is None else given.tokens,
    )


@dataclass(frozen=True, slots=True)
class Typical:
    """What one attempt of an agent that costs money takes when nothing is known yet. A guess, on the dear side of what
    sessions of about half an hour cost."""

    dollars: float = 10.0
    tokens: int = 2_000_000
    seconds: float = 1800.0


TYPICAL = Typical()


@dataclass(frozen=True, slots=True)
class Spend:
    """What ended attempts took: sums, and the dearest one. `seconds` is the experiment's elapsed wall time, given by
    whoever has a clock; `worked` the sum of the attempts' seconds; `unpriced` counts attempts of unknown price."""

    attempts: int = 0
    seconds: float = 0.0
    dollars: float = 0.0
    tokens: int = 0
    unpriced: int = 0
    worked: float = 0.0
    top_dollars: float = 0.0
    top_tokens: int = 0

    def plus(self, usage: Usage) -> Spend:
        """This, with one more ended attempt."""
        dollars = usage.dollars or 0.0
        return replace(
            self,
            attempts=self.attempts + 1,
            dollars=self.dollars + dollars,
            tokens=self.tokens + usage.tokens,
            unpriced=self.unpriced + (usage.dollars is None),
            worked=self.worked + usage.seconds,
            top_dollars=max(self.top_dollars, dollars),
            top_tokens=max(self.top_tokens, usage.tokens),
        )

    def charged(self, typical: Typical = TYPICAL) -> float:
        """Dollars, attempts of unknown price taken for as dear as the dearest known (or the typical one)."""
        return self.dollars + self.unpriced * (self.top_dollars or typical.dollars)


@dataclass(frozen=True, slots=True)
class Reserved:
    """What `attempts` running attempts, `paying` of them by agents that cost money, may still take."""

    attempts: int = 0
    paying: int = 0
    dollars: float = 0.0
    tokens: int = 0


NOTHING = Reserved()


def reserve(spend: Spend, running: int, paying: int, typical: Typical = TYPICAL) -> Reserved:
    """The reserve for `running` attempts, `paying` of them by agents that cost money: each is taken for as dear as the
    dearest that has ended, or the typical one before any has."""
    dollars = spend.top_dollars or typical.dollars
    tokens = spend.top_tokens or typical.tokens
    return Reserved(running, paying, paying * dollars, paying * tokens)


class Stop(NamedTuple):
    """Why no further attempt may start, and what the command ends with: 0 it reached what was asked, 3 cut short."""

    why: str
    exit_code: int


def exhausted(caps: Caps, spend: Spend, reserved: Reserved = NOTHING, typical: Typical = TYPICAL) -> Stop | None:
    """May another attempt start? None: yes.

    With paying attempts running, the reserve and one more like them must fit under the money caps, so that N slots
    cannot pass a cap N-fold; what was reserved may come back, so ask again when one ends. With none running, an
    attempt may start while anything is left: the last one alone can pass the cap.
    """
    if caps.attempts is not None and spend.attempts + reserved.attempts >= caps.attempts:
        return Stop(_made(spend.attempts, caps.attempts), 0)
    if caps.seconds is not None and spend.seconds >= caps.seconds:
        return Stop(f"the time is up ({spend.seconds:,.0f} of {caps.seconds:,.0f} s)", 0)
    dollars = spend.charged(typical)
    if _full(caps.dollars, dollars, reserved.dollars, reserved.paying):
        return Stop(
            f"the cap of ${caps.dollars:,.2f} is reached ({_spent(spend, dollars)}{_held(reserved.dollars, '$')})", 3
        )
    if _full(caps.tokens, spend.tokens, reserved.tokens, reserved.paying):
        held = _held(reserved.tokens, "")
        return Stop(f"the cap of {caps.tokens:,} tokens is reached ({spend.tokens:,} spent{held})", 3)
    return None


def _made(attempts: int, cap: int) -> str:
    if attempts > cap:
        return f"{attempts:,} attempts are made, and a cap of {cap:,} is a total of the experiment; give a larger one"
    return f"all {cap:,} attempts are made" if cap > 1 else "the one attempt is made"


def _full(cap: float | None, spent: float, held: float, paying: int) -> bool:
    if cap is None:
        return False
    one_more = held / paying if paying else 0.0
    return spent >= cap or spent + held + one_more > cap


def _spent(spend: Spend, charged: float) -> str:
    """Known money, and what unknown prices were taken for."""
    if not spend.unpriced:
        return f"${charged:,.2f} spent"
    guess = f"{spend.unpriced:,} attempts of unknown price taken for ${charged - spend.dollars:,.2f}"
    return f"${spend.dollars:,.2f} spent, {guess}"


def _held(amount: float, sign: str) -> str:
    return f", {sign}{amount:,.0f} held for running attempts" if amount else ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What caps allow: `attempts` (None: no cap bounds them) at `dollars` and `tokens` each; `measured`: from recorded
    attempts, else typical figures. `warning`: why that is too few to be a search."""

    attempts: int | None
    dollars: float
    tokens: int
    measured: bool
    warning: str | None = None

    def line(self) -> str:
        """For a person."""
        count = "no cap on attempts" if self.attempts is None else f"about {self.attempts:,} attempts"
        count = count if self.attempts != 0 else "not one whole attempt"
        basis = "measured here" if self.measured else "a guess"
        return f"{count}, each about ${self.dollars:,.2f} and {self.tokens:,} tokens ({basis})"


def estimate(
    caps: Caps, spend: Spend, slots: int = 1, costs_money: bool = True, typical: Typical = TYPICAL
) -> Estimate:
    """What is left of `caps` after `spend`, in attempts on `slots` slots, at the mean of the recorded attempts."""
    n = spend.attempts
    dollars = spend.charged(typical) / n if n else typical.dollars * costs_money
    tokens = spend.tokens // n if n else typical.tokens * costs_money
    seconds = spend.worked / n if n else typical.seconds * costs_money
    left = [
        _fits(caps.attempts, n, 1),
        _fits(caps.seconds, spend.seconds, seconds / slots),
        _fits(caps.dollars, spend.charged(typical), dollars),
        _fits(caps.tokens, spend.tokens, tokens),
    ]
    attempts = min((count for count in left if count is not None), default=None)
    warning = None
    if attempts is not None and attempts < FEWEST:
        warning = (
            f"the caps leave about {attempts} attempts: too few to be a search; {FEWEST} is the least that makes sense"
        )
    return Estimate(attempts, dollars, tokens, n > 0, warning)


def _fits(cap: float | None, spent: float, each: float) -> int | None:
    return None if cap is None or each <= 0 else max(0, math.floor((cap - spent) / each))


def needs_cap(agent: str, costs_money: bool, caps: Caps, counts_tokens: bool = True) -> str | None:
    """What to tell somebody who would start an agent that costs money without a cap that can end it; None: all is
    well. A cap on tokens alone ends nothing where an agent does not say how many it used."""
    if not costs_money or (caps and (counts_tokens or replace(caps, tokens=None))):
        return None
    if caps:
        return (
            f"{agent} does not say how many tokens it uses, so --tokens alone cannot stop it: add --attempts or --hours"
        )
    return (
        f"{agent} can cost money, so it needs a cap: --attempts, --hours, --dollars or --tokens; "
        f"for example: kf run PROBLEM --agent {agent} --attempts 20 --dollars 50"
    )
