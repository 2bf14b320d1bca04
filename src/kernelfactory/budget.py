"""What may be spent, what was, and what running attempts hold in reserve. Refuses to look at a clock or an invoice: all
figures are given to it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, TypeVar

from kernelfactory.model import BadInput, Usage

FEWEST = 5
"""Attempts; a cap that allows fewer is no search."""

Number = TypeVar("Number", int, float)


class BadCaps(BadInput):
    """A cap that is no positive, finite number."""


@dataclass(frozen=True, slots=True)
class Caps:
    """Where an experiment ends, or an agent's part of it; None: no such cap. `seconds` are wall seconds, `dollars` US
    dollars. All are totals of the experiment. Raises BadCaps."""

    attempts: int | None = None
    seconds: float | None = None
    dollars: float | None = None
    tokens: int | None = None

    def __post_init__(self) -> None:
        for name in self.__slots__:
            _above_zero(name, getattr(self, name))

    def __bool__(self) -> bool:
        return any(getattr(self, name) is not None for name in self.__slots__)


@dataclass(frozen=True, slots=True)
class AttemptCaps:
    """Where one attempt ends; None: no such cap. Raises BadCaps."""

    dollars: float | None = None
    tokens: int | None = None

    def __post_init__(self) -> None:
        _above_zero("dollars of an attempt", self.dollars)
        _above_zero("tokens of an attempt", self.tokens)

    def within(self, other: AttemptCaps) -> AttemptCaps:
        """Both at once: of two caps the smaller one holds."""
        return AttemptCaps(_smaller(self.dollars, other.dollars), _smaller(self.tokens, other.tokens))


def _above_zero(name: str, value: float | None) -> None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise BadCaps(f"a cap on {name} must be a number above 0, not {value}; leave it out for no cap")


def _smaller(one: Number | None, other: Number | None) -> Number | None:
    return min((cap for cap in (one, other) if cap is not None), default=None)


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


# ── what was spent ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Typical:
    """What one attempt of an agent that costs money takes when nothing is known yet. A guess, on the dear side of what
    sessions of about half an hour cost."""

    dollars: float = 10.0
    tokens: int = 2_000_000
    seconds: float = 1800.0


TYPICAL = Typical()


class Amount(NamedTuple):
    """Money and tokens."""

    dollars: float = 0.0
    tokens: int = 0


REQUEST = Amount(2.0, 250_000)
"""One big request to a model: 200,000 tokens of context, none cached, and a long answer, at $5 and $25 a million."""
FREE = Amount()


@dataclass(frozen=True, slots=True)
class Spend:
    """What was taken by now, of an experiment or of one agent: sums, and the dearest attempt. `attempts` counts those
    that ended; `dollars` and `tokens` what running ones have taken, too. `seconds` is the experiment's elapsed wall
    time, given by whoever has a clock; `worked` the sum of the attempts' seconds; `unpriced` counts attempts of unknown
    price."""

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

    def dearest(self, typical: Typical = TYPICAL) -> Amount:
        """The dearest attempt, or the typical one before any is known."""
        return Amount(self.top_dollars or typical.dollars, self.top_tokens or typical.tokens)

    def charged(self, typical: Typical = TYPICAL) -> float:
        """Dollars, attempts of unknown price taken for as dear as the dearest known (or the typical one)."""
        return self.dollars + self.unpriced * self.dearest(typical).dollars


@dataclass(frozen=True, slots=True)
class Account:
    """One agent in an experiment: what its attempts took, its caps there, and those of each of its attempts.
    `streams`: its usage is known while it works."""

    spend: Spend = Spend()
    caps: Caps = Caps()
    each: AttemptCaps = AttemptCaps()
    costs_money: bool = True
    streams: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """An attempt that is not over, and what it has taken by now; `dollars` None: it has no known price. `told`: it is
    handed in and being judged, so that is all."""

    attempt: int
    agent: str
    costs_money: bool = True
    dollars: float | None = 0.0
    tokens: int = 0
    streams: bool = False
    told: bool = False


@dataclass(frozen=True, slots=True)
class Ledger:
    """All that is known of money at one moment: the caps of an experiment and what it has spent, its agents by name,
    and the attempts that are running."""

    caps: Caps = Caps()
    spend: Spend = Spend()
    accounts: Mapping[str, Account] = field(default_factory=dict)
    running: Sequence[Running] = ()
    typical: Typical = TYPICAL
    request: Amount = REQUEST

    def account(self, agent: str) -> Account:
        return self.accounts.get(agent, Account())

    def taken(self, running: Running) -> Amount:
        """What a running attempt has taken. One of unknown price is charged by its tokens: as many as the dearest
        attempt of its agent had are taken for as much money."""
        if running.dollars is not None:
            return Amount(running.dollars, running.tokens)
        dearest = self.account(running.agent).spend.dearest(self.typical)
        return Amount(dearest.dollars * running.tokens / dearest.tokens, running.tokens)

    def whole(self, agent: str) -> Amount:
        """What a whole attempt of `agent` is taken for: as dear as its dearest one, or the typical one before any has
        ended, but within the cap of one attempt. Nothing for an agent that costs nothing."""
        account = self.account(agent)
        if not account.costs_money:
            return FREE
        dearest = account.spend.dearest(self.typical)
        return Amount(
            min(dearest.dollars, account.each.dollars or math.inf),
            min(dearest.tokens, account.each.tokens or dearest.tokens),
        )

    def held(self, running: Running) -> Amount:
        """What a running attempt may still take: the rest of a whole one, and never less than one request. All of it
        where what it has taken is not known before it ends."""
        whole = self.whole(running.agent)
        if not running.costs_money or running.told:
            return FREE
        if not running.streams:
            return whole
        taken, dearest = self.taken(running), self.account(running.agent).spend.dearest(self.typical)
        return Amount(
            max(whole.dollars - taken.dollars, min(self.request.dollars, dearest.dollars)),
            max(whole.tokens - taken.tokens, min(self.request.tokens, dearest.tokens)),
        )

    def settled(self, spend: Spend, running: Iterable[Running]) -> Spend:
        """`spend` with running attempts of unknown price charged by what they have taken, not as whole ones."""
        unknown = [self.taken(one).dollars for one in running if one.dollars is None and not one.told]
        return replace(spend, unpriced=max(0, spend.unpriced - len(unknown)), dollars=spend.dollars + sum(unknown))


# ── what is held in reserve, and who may start ───────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Reserved:
    """What `attempts` running attempts, `paying` of them by agents that may still cost money, may take; `next`: what
    the attempt that would start now may take."""

    attempts: int = 0
    paying: int = 0
    dollars: float = 0.0
    tokens: int = 0
    next: Amount = FREE


NOTHING = Reserved()


def reserve(ledger: Ledger, agent: str | None = None, only: str | None = None) -> Reserved:
    """What running attempts hold (those of the agent `only`, or all); next comes one of `agent` (None: as dear a one as
    run now)."""
    running = [one for one in ledger.running if only in (None, one.agent)]
    paying = [one for one in running if one.costs_money and not one.told]
    held = [ledger.held(one) for one in paying]
    coming = [ledger.whole(name) for name in ([agent] if agent is not None else [one.agent for one in paying])]
    return Reserved(
        len(running),
        len(paying),
        math.fsum(amount.dollars for amount in held),
        sum(amount.tokens for amount in held),
        Amount(max((c.dollars for c in coming), default=0.0), max((c.tokens for c in coming), default=0)),
    )


class Stop(NamedTuple):
    """Why no further attempt may start, or a running one must end, and what the command ends with: 0 it reached what
    was asked, 3 cut short. `whose` cap it is: of the experiment, of the agent (others may go on), of the attempt."""

    why: str
    exit_code: int
    whose: Literal["experiment", "agent", "attempt"] = "experiment"


def exhausted(caps: Caps, spend: Spend, reserved: Reserved = NOTHING, typical: Typical = TYPICAL) -> Stop | None:
    """May another attempt start? None: yes.

    With paying attempts running, the reserve and the next one must fit under the money caps, so that N slots cannot
    pass a cap N-fold; what was reserved may come back, so ask again when one ends. With none running, an attempt may
    start while anything is left: `passed` ends it in time, where its usage is known while it works.
    """
    if caps.attempts is not None and spend.attempts + reserved.attempts >= caps.attempts:
        return Stop(_made(spend.attempts, caps.attempts), 0)
    if caps.seconds is not None and spend.seconds >= caps.seconds:
        return Stop(f"the time is up ({spend.seconds:,.0f} of {caps.seconds:,.0f} s)", 0)
    waits = bool(reserved.paying)
    dollars, tokens = spend.charged(typical), spend.tokens
    if _full(caps.dollars, dollars, reserved.dollars * waits, reserved.next.dollars * waits):
        return Stop(_dollars(caps, spend, dollars, reserved.dollars), 3)
    if _full(caps.tokens, tokens, reserved.tokens * waits, reserved.next.tokens * waits):
        return Stop(_tokens(caps, spend, reserved.tokens), 3)
    return None


def full(ledger: Ledger) -> Stop | None:
    """Is a cap of the experiment reached, whoever would start? None: no."""
    spend = ledger.settled(ledger.spend, ledger.running)
    return exhausted(ledger.caps, spend, Reserved(len(ledger.running)), ledger.typical)


def barred(ledger: Ledger, agent: str) -> Stop | None:
    """May an attempt of `agent` start now? None: yes. Asks for the experiment first, then for the agent's own caps."""
    spend = ledger.settled(ledger.spend, ledger.running)
    if stop := exhausted(ledger.caps, spend, reserve(ledger, agent), ledger.typical):
        return stop
    account, own = ledger.account(agent), [one for one in ledger.running if one.agent == agent]
    stop = exhausted(account.caps, ledger.settled(account.spend, own), reserve(ledger, agent, agent), ledger.typical)
    return stop and Stop(f"{agent}: {stop.why}", stop.exit_code, "agent")


def passed(ledger: Ledger, attempt: int) -> Stop | None:
    """Must this running attempt end now, because a cap is reached by what is known: the experiment's, its agent's or
    its own? Asked whenever its usage is known anew, so that it passes a cap by one request at most. What others hold
    who say nothing before they end counts as taken."""
    mine = next((one for one in ledger.running if one.attempt == attempt), None)
    if mine is None:
        return None
    account = ledger.account(mine.agent)
    if stop := _reached(ledger, ledger.caps, ledger.spend, mine, ledger.running):
        return stop
    own = [one for one in ledger.running if one.agent == mine.agent]
    if stop := _reached(ledger, account.caps, account.spend, mine, own):
        return Stop(f"{mine.agent}: {stop.why}", stop.exit_code, "agent")
    taken = ledger.taken(mine)
    guess = "" if mine.dollars is not None else ", its price a guess"
    if account.each.dollars is not None and taken.dollars >= account.each.dollars:
        said = f"${account.each.dollars:,.2f} for one attempt is reached (${taken.dollars:,.2f} spent{guess})"
        return Stop(f"the cap of {said}", 3, "attempt")
    if account.each.tokens is not None and taken.tokens >= account.each.tokens:
        said = f"{account.each.tokens:,} tokens for one attempt is reached ({taken.tokens:,} spent)"
        return Stop(f"the cap of {said}", 3, "attempt")
    return None


def _reached(ledger: Ledger, caps: Caps, spend: Spend, mine: Running, running: Sequence[Running]) -> Stop | None:
    """The cap on money or tokens that is reached, with what silent others hold."""
    if caps.dollars is None and caps.tokens is None:
        return None
    silent = [ledger.held(one) for one in running if one.attempt != mine.attempt and not one.streams]
    dollars, tokens = math.fsum(amount.dollars for amount in silent), sum(amount.tokens for amount in silent)
    spend = ledger.settled(spend, running)
    charged = spend.charged(ledger.typical)
    if caps.dollars is not None and charged + dollars >= caps.dollars:
        return Stop(_dollars(caps, spend, charged, dollars), 3)
    if caps.tokens is not None and spend.tokens + tokens >= caps.tokens:
        return Stop(_tokens(caps, spend, tokens), 3)
    return None


def _full(cap: float | None, spent: float, held: float, coming: float) -> bool:
    """Is there no room for what is coming? Where nothing is, or nothing waits, only what is spent counts."""
    if cap is None:
        return False
    return spent >= cap or (coming > 0 and spent + held + coming > cap)


def _made(attempts: int, cap: int) -> str:
    if attempts > cap:
        return f"{attempts:,} attempts are made, and a cap of {cap:,} is a total of the experiment; give a larger one"
    return f"all {cap:,} attempts are made" if cap > 1 else "the one attempt is made"


def _dollars(caps: Caps, spend: Spend, charged: float, held: float) -> str:
    return f"the cap of ${caps.dollars:,.2f} is reached ({_spent(spend, charged)}{_held(held, '$')})"


def _tokens(caps: Caps, spend: Spend, held: int) -> str:
    return f"the cap of {caps.tokens:,} tokens is reached ({spend.tokens:,} spent{_held(held, '')})"


def _spent(spend: Spend, charged: float) -> str:
    """Known money, and what unknown prices were taken for."""
    if not spend.unpriced:
        return f"${charged:,.2f} spent"
    guess = f"{spend.unpriced:,} attempts of unknown price taken for ${charged - spend.dollars:,.2f}"
    return f"${spend.dollars:,.2f} spent, {guess}"


def _held(amount: float, sign: str) -> str:
    return f", {sign}{amount:,.0f} held for running attempts" if amount else ""


# ── what a person is told ────────────────────────────────────────────────────────────────────────


def overshoot(caps: Caps, spend: Spend) -> str | None:
    """By how much caps on money and tokens were passed; None: by nothing that is known."""
    over = []
    if caps.dollars is not None and spend.dollars > caps.dollars:
        over.append(f"${spend.dollars - caps.dollars:,.2f} over the cap of ${caps.dollars:,.2f}")
    if caps.tokens is not None and spend.tokens > caps.tokens:
        over.append(f"{spend.tokens - caps.tokens:,} tokens over the cap of {caps.tokens:,}")
    if over and spend.unpriced:
        over.append(f"and what {spend.unpriced:,} attempts of unknown price cost")
    return ", ".join(over) or None


def bound(streams: bool, slots: int = 1, ledger: Ledger = Ledger(), agent: str = "") -> str:
    """By how much `slots` attempts of an agent can pass a cap, in words."""
    if streams:
        each, what = ledger.request, "one model request"
    else:
        each, what = ledger.whole(agent), "the reserve of one attempt"
    many = f", so {_amount(each, slots)} on {slots:,} slots" if slots > 1 else ""
    why = "" if streams else ", because it says what it used only when it ends"
    return f"{what} a slot{why}: about {_amount(each, 1)}{many}"


def _amount(each: Amount, times: int) -> str:
    return f"${times * each.dollars:,.2f} or {times * each.tokens:,} tokens"


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
        count = "no cap on attempts" if self.attempts is None else _about(self.attempts)
        count = count if self.attempts != 0 else "not one whole attempt"
        basis = "measured here" if self.measured else "a guess"
        return f"{count}, each about ${self.dollars:,.2f} and {self.tokens:,} tokens ({basis})"


def estimate(
    caps: Caps,
    spend: Spend,
    slots: int = 1,
    costs_money: bool = True,
    account: Account | None = None,
    typical: Typical = TYPICAL,
) -> Estimate:
    """What is left of `caps` after `spend`, in attempts on `slots` slots, at the mean of the recorded attempts: those
    of one agent where its `account` is given, whose own caps then hold as well."""
    own = account or Account(spend)
    n, taken = own.spend.attempts, own.spend
    mean = AttemptCaps(
        (taken.charged(typical) / n if n else typical.dollars * costs_money) or None,
        (taken.tokens // n if n else typical.tokens * costs_money) or None,
    ).within(own.each if costs_money else AttemptCaps())
    dollars, tokens = mean.dollars or 0.0, mean.tokens or 0
    seconds = taken.worked / n if n else typical.seconds * costs_money
    left = [
        _fits(caps.attempts, spend.attempts, 1),
        _fits(caps.seconds, spend.seconds, seconds / slots),
        _fits(caps.dollars, spend.charged(typical), dollars),
        _fits(caps.tokens, spend.tokens, tokens),
        _fits(own.caps.dollars, taken.charged(typical), dollars),
        _fits(own.caps.tokens, taken.tokens, tokens),
    ]
    attempts = min((count for count in left if count is not None), default=None)
    warning = None
    if attempts is not None and attempts < FEWEST:
        warning = f"the caps leave {_about(attempts)}: too few to be a search; {FEWEST} is the least that makes sense"
    return Estimate(attempts, dollars, tokens, n > taken.unpriced, warning)


def _about(attempts: int) -> str:
    return f"about {attempts:,} attempt{'s' * (attempts != 1)}"


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
