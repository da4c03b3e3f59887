"""
What one step costs while much is open: what concerns one symbol is not to pay for all others.

Every rule is on, those of the way out too, and every position has its stop at the venue. A step with 500 positions is
compared with the same one with 10. Only a tick, and a batch that tells all prices, have something to do everywhere: of
those each position's share is compared.
"""

import itertools
from collections.abc import Callable
from statistics import median
from time import process_time

import msgspec

from benchmarks.engine import START_NS, engine_with, times_s, wide_limits
from benchmarks.exits import exit_limits
from benchmarks.measure import Measure
from interlock.core.codes import PermitState
from interlock.core.limits import Limits
from interlock.core.messages import (
    EquityMarked,
    Executed,
    Input,
    Intent,
    MarketBatch,
    MarketState,
    PermitIssued,
    Quote,
    Step,
    Tick,
)

FEW, MANY = 10, 500
ROUNDS = 200
ROUNDS_OF_ALL = 40
AT_NS = START_NS + 2


def every_limit() -> Limits:
    """Every rule on, what opens among them: the kill score of an opening is known, too."""
    wide = wide_limits()
    known = {name: getattr(wide, name) for name in ("sigma_ref", "trend_ref", "flip_trend_min")}
    return msgspec.structs.replace(exit_limits(), **known)


class Held:
    """An engine with so many positions, each with its stop at the venue, and one order that opens and is being filled."""

    def __init__(self, positions: int) -> None:
        self.engine, names = engine_with(MANY, positions, every_limit(), stops_at_venue=True)
        self.names = names[:positions]
        self.numbers = itertools.count(1)
        for p in self.engine.state.permits.alive():
            self.step(Executed(p.id, PermitState.WORKING, 0, 0.0, 0.0, AT_NS))
        outputs = self.step(self.intent(1, 1_000.0)).outputs
        self.order = next(output for output in outputs if type(output) is PermitIssued).id

    def step(self, event: Input) -> Step:
        return self.engine.step(event, AT_NS)

    def intent(self, side: int, quantity: float) -> Intent:
        name = f"i{next(self.numbers)}"
        return Intent(name, "bot", "trend", self.names[1], side, quantity=quantity, stop_price=90.0, created_at_ns=AT_NS)

    def batch(self, names: list[str]) -> MarketBatch:
        return MarketBatch(tuple(Quote(name, 100.0, 100.01, 100.005, AT_NS) for name in names))

    def executed(self) -> Step:
        filled = next(self.numbers)
        return self.step(Executed(self.order, PermitState.PARTIAL, filled, filled * 0.1, 0.0, AT_NS))

    def quoted(self) -> Step:
        return self.step(self.batch(self.names[2:3]))

    def quoted_all(self) -> Step:
        return self.step(self.batch(self.names))

    def market_told(self) -> Step:
        return self.step(MarketState(self.names[2], AT_NS, atr=1.0, sigma=0.01, trend_strength=0.2, score=0.7))

    def equity_marked(self) -> Step:
        return self.step(EquityMarked(1e6, 1e6, AT_NS))

    def ticked(self) -> Step:
        return self.step(Tick())

    def opened(self) -> Step:
        return self.step(self.intent(1, 0.2))

    def opened_late(self) -> Step:
        """Something was due, so the intent is decided on a draft."""
        self.engine.state.account.wake_ns = AT_NS
        return self.opened()

    def reduced(self) -> Step:
        return self.step(self.intent(-1, 0.001))


OF_ONE: tuple[tuple[str, Callable[[Held], Step]], ...] = (
    ("Executed, a fill", Held.executed),
    ("MarketBatch, one quote", Held.quoted),
    ("MarketState", Held.market_told),
    ("EquityMarked", Held.equity_marked),
    ("Intent, opening", Held.opened),
    ("Intent, opening, on a draft", Held.opened_late),
    ("Intent, reducing", Held.reduced),
)
"""Steps that concern one symbol, or the account's sums alone."""

OF_ALL: tuple[tuple[str, Callable[[Held], Step]], ...] = (
    ("Tick", Held.ticked),
    ("MarketBatch, all quotes", Held.quoted_all),
)
"""Steps in which every position is asked."""


def step_s(act: Callable[[Held], Step], positions: int, rounds: int) -> float:
    """Processor seconds of one such step with so many positions."""
    held = Held(positions)
    return median(times_s(lambda: act(held), rounds, clock=process_time))


def measures() -> list[Measure]:
    found = []
    for what, act in OF_ONE:
        few_s, many_s = step_s(act, FEW, ROUNDS), step_s(act, MANY, ROUNDS)
        found.append(Measure(f"step {what}, {MANY} positions", f"{FEW} positions", many_s, few_s, 1000))
    for what, act in OF_ALL:
        few_s, many_s = step_s(act, FEW, ROUNDS) / FEW, step_s(act, MANY, ROUNDS_OF_ALL) / MANY
        found.append(Measure(f"step {what}, each of {MANY} positions", f"each of {FEW}", many_s, few_s, 1000))
    return found
