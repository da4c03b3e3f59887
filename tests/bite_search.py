"""
Looks for the inputs at which a policy's limits bite: neighbours, one tick apart, that the engine answers differently.

A push moves one fact by ticks on the production path, from the policy's file through `Engine.step`. Halving finds every
place where the effect changes, and a limit bites there when the effect changes again with that limit alone a little
tighter or looser. No limit is named by a push, and none is looked for but those that the compiled policy gives.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import pairwise
from math import isinf, isnan
from typing import Any, Final, NamedTuple

import msgspec

from interlock.core import snapshot
from interlock.core.codes import Code
from interlock.core.constants import OPERATOR_NS
from interlock.core.engine import Engine
from interlock.core.limits import EXIT_RULES, LIMIT_FIELDS, Limits
from interlock.core.messages import (
    CancelOrders,
    Decision,
    ExitProposed,
    FlattenGoal,
    Intent,
    LockChanged,
    MarketState,
    PermitRevoked,
    PolicySet,
    RiskEvent,
)
from interlock.policy.layout import SLOTS
from interlock.testing import Bench, FakeClock, open_bench
from interlock.testing.bench import FEEDS
from interlock.testing.book import Book, Holding, Price
from interlock.testing.builders import START_NS

BALANCE: Final = 100_000.0
"""What the account starts with: much less than the largest order that a policy here allows."""

PRICES: Final = {"BTC": 100.0, "ETH": 50.0, "SOL": 20.0, "ALT": 10.0}
OTHERS: Final = dict.fromkeys((f"ALT{number}" for number in range(8)), 10.0)
"""Symbols of which prices are told only in stories that need many."""

FINER: Final = 1e-3
"""By which share a limit is moved to see whether it was that one."""

DAY_S: Final = 86_400.0

FEW: Final = 10
"""So many limits may all be suspects at once."""

SILENT: Final = frozenset({Code.POLICY_MISSING_SIZE})
"""The policy's model of a size gives no reason: it only says how much is asked for."""

SLOT_OF: Final = {slot.name: slot for slot in SLOTS}


class Trial(Bench):
    """A bench on which a story is told; what the engine does counts from where it is quiet."""

    counts_from = 0

    def quiet(self) -> None:
        """So far the story has only led up to its question."""
        self.counts_from = len(self.steps)

    def intent(self, symbol: str, side: int, **changes: Any) -> Intent:
        """An intent under an id that the story before did not use."""
        return super().intent(symbol, side, **{"id": f"intent-{self.engine.state.account.seq}", **changes})


Story = Callable[[Trial, int, Any], None]
Beginning = Callable[[Trial], None]
Effect = frozenset[object]


class Push(NamedTuple):
    """
    A fact, the story in which it is so many ticks, the most of them, and the circumstances that it is told in.

    What went before may be long, so each beginning is told once, and every story goes on from how it left the engine.
    """

    fact: str
    story: Story
    most: int
    circumstances: tuple[Any, ...]
    beginnings: tuple[Beginning, ...]


class Limited(NamedTuple):
    """A limit as a policy gives it; `row` is where it stands in the compiled policy, 0 for the account."""

    name: str
    row: int
    value: float


class Told(NamedTuple):
    """One way in which a fact is pushed."""

    push: Push
    beginning: Beginning
    circumstance: Any


class Pair(NamedTuple):
    """Where a limit bites: how it was pushed, and the ticks on this side of the line; one more is beyond it."""

    told: Told
    ticks: int


class Seen(NamedTuple):
    """What the engine did, and every code that it gave as a reason."""

    effect: Effect
    codes: frozenset[str]


# ---------------------------------------------------------------- what the engine did


def reasons(outputs: Iterable[object]) -> Iterator[tuple[object, tuple[str, ...]]]:
    """For each output that does something, what that is, and the codes behind it."""
    for each in outputs:
        match each:
            case Decision():
                whole = each.granted_steps == each.requested_steps
                size = "none" if not each.granted_steps else "all" if whole else "some"
                named = [objection.code for objection in each.objections]
                yield ("decision", each.reducing, size), (each.headline, each.lock, *named)
            case LockChanged():
                forever = each.until_ns == OPERATOR_NS
                yield (each.code, each.scope, each.side, each.severity, forever), (each.code,)
            case RiskEvent():
                yield (each.trigger, each.action), (each.trigger,)
            case PermitRevoked() | CancelOrders():
                yield (type(each).__name__, each.code), (each.code, Code.TRADING_REDUCING)
            case ExitProposed():
                moves = each.stop_price == each.stop_price
                yield (each.rung, each.left_steps, each.acting, moves), EXIT_RULES
            case FlattenGoal():
                yield (each.symbol, each.code, each.active, each.attempts), (each.code, Code.EMERGENCY_FLATTEN)


# ---------------------------------------------------------------- a bench to start from


class Start(NamedTuple):
    """A healthy engine and its surroundings, to be taken up as often as wanted."""

    state: bytes
    book: Book
    markets: Mapping[str, MarketState]
    true_ns: int

    def trial(self) -> Trial:
        """A bench of its own in that state."""
        clock = FakeClock(START_NS)
        clock.advance_to(self.true_ns)
        prices = {name: Price(each.bid, each.ask, each.mark) for name, each in self.book.prices.items()}
        holdings = {name: Holding(each.steps, each.cost) for name, each in self.book.holdings.items()}
        bench = Trial(clock, Book(self.book.balance, self.book.instruments, prices, holdings), set(FEEDS))
        bench.engine = Engine(snapshot.decode(self.state))
        bench.markets.update(self.markets)
        return bench


def stored(bench: Bench) -> Start:
    """Where the bench is."""
    return Start(snapshot.encode(bench.engine.state), bench.book, bench.markets, bench.clock.true_ns)


@cache
def unruled() -> Start:
    """An account without a policy, of which everything else is known."""
    bench = open_bench(balance=BALANCE, prices=PRICES | OTHERS, feeds=frozenset())
    for symbol in PRICES | OTHERS:
        bench.tell_windows(symbol)
    for symbol in OTHERS:
        del bench.book.prices[symbol]
    return stored(bench)


# ---------------------------------------------------------------- limits, and a little more or less of them


def given(compiled: PolicySet) -> Iterator[Limited]:
    """Every limit that the compiled policy gives: the account's, and what symbols and regimes have of their own."""
    account = compiled.limits[0]
    for row, limits in enumerate(compiled.limits):
        for name in LIMIT_FIELDS:
            value = getattr(limits, name)
            if not isnan(value) and (row == 0 or value != getattr(account, name)):
                yield Limited(name, row, value)


def neighbours(limit: Limited) -> Iterator[float]:
    """The limit a little higher and a little lower, as its unit has it; or without it, where it is neither stricter."""
    value, known = limit.value, LIMIT_FIELDS[limit.name]
    if known.unit == "flag":
        yield 1.0 - value
    elif known.unit in ("count", "regime"):
        yield from (value + 1.0, value - 1.0)
    elif isinf(value):
        yield DAY_S
    elif value == 0.0:
        yield 1.0 if known.unit == "s" else FINER
    else:
        yield from (value * (1.0 + FINER), value * (1.0 - FINER))
    if known.tighter == "neither" and SLOT_OF[limit.name].zero:
        yield 0.0


def is_choice(limit: Limited) -> bool:
    """Whether the limit chooses between ways to act, rather than drawing a line: no tick is between its values."""
    return LIMIT_FIELDS[limit.name].unit in ("flag", "regime") or limit.value in SLOT_OF[limit.name].words.values()


def moved(compiled: PolicySet, limit: Limited, value: float) -> PolicySet:
    """The policy with that limit somewhere else, wherever it stands as the account's or in its own row."""

    def change(row: int, limits: Limits) -> Limits:
        same = row == limit.row or (limit.row == 0 and getattr(limits, limit.name) == limit.value)
        return msgspec.structs.replace(limits, **{limit.name: value}) if same else limits

    rows = tuple(change(row, limits) for row, limits in enumerate(compiled.limits))
    return msgspec.structs.replace(compiled, limits=rows)


# ---------------------------------------------------------------- the search


class Search:
    """Which of a compiled policy's limits bite, and where; `wanted` are those looked for, all without it."""

    def __init__(self, compiled: PolicySet, wanted: Iterable[str] | None = None) -> None:
        self.compiled = compiled
        every = list(given(compiled))
        self.idle = [limit for limit in every if wanted is None or limit.name in wanted]
        self.bites: dict[Limited, Pair] = {}
        self._begun: dict[Beginning, Start] = {}
        self._ruled: dict[tuple[Beginning, Limited | None, float], Start] = {}
        self._seen: defaultdict[Told, dict[int, Seen]] = defaultdict(dict)

    def run(self, pushes: Iterable[Push]) -> "Search":
        """Every push was made until each limit had bitten: first for those newly given as a reason, then for all given."""
        told = [each for push in pushes for each in self._ways(push)]
        for widely in (False, True) if len(self.idle) > FEW else (True,):
            for each in told:
                if self.idle:
                    self._push(each, widely=widely)
        return self

    def _ways(self, push: Push) -> Iterator[Told]:
        """In every circumstance after every beginning; those that leave the engine alike are one."""
        alike = {self._after(beginning).state: beginning for beginning in reversed(push.beginnings)}
        for beginning in reversed(alike.values()):
            for circumstance in push.circumstances:
                yield Told(push, beginning, circumstance)

    def _push(self, told: Told, *, widely: bool) -> None:
        seen = self._seen[told]

        def look(ticks: int) -> Seen:
            if ticks not in seen:
                seen[ticks] = happened(self._start(told.beginning), told, ticks)
            return seen[ticks]

        def search(low: int, high: int) -> None:
            one, other = look(low), look(high)
            suspects = self._suspects(one, other, widely=widely) if one.effect != other.effect else []
            if suspects and high - low == 1:
                self._blame(Pair(told, low), (one.effect, other.effect), suspects)
            elif suspects:
                middle = (low + high) // 2
                search(low, middle)
                search(middle, high)

        for low, high in pairwise(samples(told.push.most)):
            search(low, high)

    def _suspects(self, one: Seen, other: Seen, *, widely: bool) -> list[Limited]:
        """Limits still looked for of rules that gave a reason on one side only, or (`widely`) on any, or that give none."""
        codes = one.codes | other.codes | SILENT if widely else one.codes ^ other.codes
        return [limit for limit in self.idle if not codes.isdisjoint(LIMIT_FIELDS[limit.name].rules)]

    def _blame(self, pair: Pair, effects: tuple[Effect, Effect], suspects: list[Limited]) -> None:
        """
        The line is a suspect's where a little more or less of it alone puts one side on the other.

        A choice between ways to act is one's where the other choice acts otherwise.
        """
        for limit in suspects:
            if any(self._is_at(limit, value, pair, effects) for value in neighbours(limit)):
                self.bites[limit] = pair
        self.idle = [limit for limit in self.idle if limit not in self.bites]

    def _is_at(self, limit: Limited, value: float, pair: Pair, effects: tuple[Effect, Effect]) -> bool:
        start = self._start(pair.told.beginning, limit, value)
        found = (happened(start, pair.told, pair.ticks + side).effect for side in (0, 1))
        if is_choice(limit):
            return any(effect != own for effect, own in zip(found, effects, strict=True))
        return any(effect == other for effect, other in zip(found, reversed(effects), strict=True))

    def _after(self, beginning: Beginning) -> Start:
        """Where the beginning ends under the policy."""
        if beginning not in self._begun:
            bench = ruled(self.compiled, unruled())
            beginning(bench)
            self._begun[beginning] = stored(bench)
        return self._begun[beginning]

    def _start(self, beginning: Beginning, limit: Limited | None = None, value: float = 0.0) -> Start:
        """The same, under the policy as it is or with that limit somewhere else."""
        key = (beginning, limit, value)
        if key not in self._ruled:
            policy = self.compiled if limit is None else moved(self.compiled, limit, value)
            self._ruled[key] = stored(ruled(policy, self._after(beginning)))
        return self._ruled[key]


def ruled(compiled: PolicySet, before: Start) -> Trial:
    """The account under that policy, in order and quiet."""
    bench = before.trial()
    bench.send(compiled)
    bench.refresh()
    return bench


def happened(start: Start, told: Told, ticks: int) -> Seen:
    """What the engine does when the fact is so many ticks."""
    bench = start.trial()
    told.push.story(bench, ticks, told.circumstance)
    effects: set[object] = set()
    codes: set[str] = set()
    for number, step in enumerate(bench.steps):
        for effect, behind in reasons(step.outputs):
            codes.update(behind)
            if number >= bench.counts_from:
                effects.add(effect)
    return Seen(frozenset(effects), frozenset(codes))


def samples(most: int) -> list[int]:
    """Ticks to start from: none, the most, and between them ever fewer."""
    between = {most >> shift for shift in range(0, most.bit_length(), 3)}
    return sorted({0, most} | between)
