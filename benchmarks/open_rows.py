"""
What one step costs while much is open: what concerns one symbol is not to pay for all others.

Every rule is on, those of the way out too, and every position has its stop at the venue. A step with 500 positions is
compared with the same one with 10. Only a tick, and a batch that tells all prices, have something to do everywhere: of
those each position's share is compared. So is an opening of a large rebalance with one of a small.
"""

import itertools
from collections.abc import Callable, Iterator
from functools import cache
from time import process_time

import msgspec

from benchmarks.engine import START_NS, best_s, engine_with, wide_limits
from benchmarks.exits import exit_limits
from benchmarks.measure import Measure
from interlock.core.codes import Action, Partial, PermitState
from interlock.core.engine import Engine
from interlock.core.limits import Limits
from interlock.core.messages import (
    CashFlow,
    EquityMarked,
    Executed,
    Input,
    Instruction,
    Intent,
    MarketBatch,
    MarketState,
    PermitIssued,
    Quote,
    Rebalance,
    Spent,
    Step,
    Tick,
)
from interlock.core.snapshot import decode, encode

FEW, MANY = 10, 500
CALLS = 5
REPEATS = 60
AT_NS = START_NS + 2


def every_limit() -> Limits:
    """Every rule on, what opens among them: the kill score of an opening is known, too."""
    wide = wide_limits()
    known = {name: getattr(wide, name) for name in ("sigma_ref", "trend_ref", "flip_trend_min")}
    return msgspec.structs.replace(exit_limits(), **known)


def permits(step: Step) -> list[PermitIssued]:
    return [output for output in step.outputs if type(output) is PermitIssued]


@cache
def held(positions: int) -> bytes:
    """The state of an engine with so many positions, each with its stop at the venue."""
    engine, _ = engine_with(MANY, positions, every_limit(), stops_at_venue=True)
    for p in engine.state.permits.alive():
        engine.step(Executed(p.id, PermitState.WORKING, 0, 0.0, 0.0, AT_NS), AT_NS)
    return encode(engine.state)


class Book:
    """An engine with so many positions, and one order that opens and is being filled."""

    def __init__(self, positions: int) -> None:
        self.engine = Engine(decode(held(positions)))
        self.names = self.engine.state.names.symbols[:positions]
        self.numbers = itertools.count(1)
        (self.order,) = permits(self.step(self.intent(1, 1_000.0)))

    def step(self, event: Input) -> Step:
        return self.engine.step(event, AT_NS)

    def intent(self, side: int, quantity: float) -> Intent:
        name = f"i{next(self.numbers)}"
        return Intent(name, "bot", "trend", self.names[1], side, quantity=quantity, stop_price=90.0, created_at_ns=AT_NS)

    def batch(self, names: list[str]) -> MarketBatch:
        return MarketBatch(tuple(Quote(name, 100.0, 100.01, 100.005, AT_NS) for name in names))

    def filled(self) -> None:
        steps = next(self.numbers)
        self.step(Executed(self.order.id, PermitState.PARTIAL, steps, steps * 0.1, 0.0, AT_NS))

    def quoted(self) -> None:
        self.step(self.batch(self.names[2:3]))

    def quoted_all(self) -> None:
        self.step(self.batch(self.names))

    def market_told(self) -> None:
        self.step(MarketState(self.names[2], AT_NS, atr=1.0, sigma=0.01, trend_strength=0.2, score=0.7))

    def equity_marked(self) -> None:
        self.step(EquityMarked(1e6, 1e6, AT_NS))

    def funded(self) -> None:
        self.step(CashFlow("funding", -0.01, self.names[2]))

    def ticked(self) -> None:
        self.step(Tick())

    def opened(self) -> None:
        self.step(self.intent(1, 0.2))

    def opened_late(self) -> None:
        """Something was due, so the intent is decided on a draft."""
        self.engine.state.account.wake_ns = AT_NS
        self.opened()

    def reduced(self) -> None:
        self.step(self.intent(-1, 0.001))


OF_ONE: tuple[tuple[str, Callable[[Book], None], float], ...] = (
    ("Executed, a fill", Book.filled, 3.5),
    ("MarketBatch, one quote", Book.quoted, 4.0),
    ("MarketState", Book.market_told, 2.0),
    ("EquityMarked", Book.equity_marked, 2.5),
    ("CashFlow, funding", Book.funded, 4.0),
    ("Intent, opening", Book.opened, 1.3),
    ("Intent, opening, something was due", Book.opened_late, 3.5),
    ("Intent, reducing", Book.reduced, 1.4),
)
"""Steps that concern one symbol, or the account's sums alone, and how much dearer they may be while more is open."""

OF_ALL: tuple[tuple[str, Callable[[Book], None]], ...] = (
    ("Tick", Book.ticked),
    ("MarketBatch, all quotes", Book.quoted_all),
)
"""Steps in which every position is asked."""

OF_ALL_MAX = 1.6
OPENING_MAX = 3.0


def step_s(act: Callable[[Book], None], positions: int, repeats: int = REPEATS) -> float:
    """Processor seconds of one such step with so many positions."""
    book = Book(positions)
    return best_s(lambda: act(book), CALLS, repeats)


def opening_s(count: int, rounds: int) -> float:
    """
    Processor seconds of each opening of a rebalance into so many symbols, until its stop rests at the venue.

    Those are five steps: order and stop are spent and worked on, and between that the order is filled.
    """
    engine, names = engine_with(count, 0, every_limit(), stops_at_venue=True)
    wanted = tuple(Instruction(name, Action.SCALE, 0.9 / count, sl_price=90.0) for name in names)
    orders = permits(engine.step(Rebalance("r", "bot", "trend", wanted, Partial.SCALE, AT_NS), AT_NS))
    assert len(orders) == count
    begun, taken = encode(engine.state), []
    for _ in range(rounds):
        engine = Engine(decode(begun))
        start_s = process_time()
        for order in orders:
            work(engine, order)
            (stop,) = permits(fill(engine, order))
            work(engine, stop)
        taken.append(process_time() - start_s)
    return min(taken) / count


def work(engine: Engine, order: PermitIssued) -> None:
    """The order is at the venue."""
    engine.step(Spent(order.id, order.epoch), AT_NS)
    engine.step(Executed(order.id, PermitState.WORKING, 0, 0.0, 0.0, AT_NS), AT_NS)


def fill(engine: Engine, order: PermitIssued) -> Step:
    """The order is filled at once."""
    return engine.step(Executed(order.id, PermitState.FILLED, order.steps, order.steps * 0.1, 0.0, AT_NS), AT_NS)


def measures() -> Iterator[Measure]:
    for what, act, ratio_max in OF_ONE:
        yield Measure(f"step, {what}, {MANY} open", f"{FEW} open", step_s(act, MANY), step_s(act, FEW), ratio_max)
    for what, act in OF_ALL:
        few_s, many_s = step_s(act, FEW) / FEW, step_s(act, MANY, REPEATS // CALLS) / MANY
        yield Measure(f"step, {what}, each of {MANY} open", f"each of {FEW} open", many_s, few_s, OF_ALL_MAX)
    many_s, few_s = opening_s(MANY, 3), opening_s(FEW, 3 * MANY // FEW)
    yield Measure(f"an opening of a rebalance of {MANY}, filled", f"of one of {FEW}", many_s, few_s, OPENING_MAX)
