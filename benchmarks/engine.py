"""
What a decision costs, against a loop over twenty trivial guard objects in the same run.

The loop is the least that any pre-trade check does: twenty objects, each asked by a method call whether an order's
notional fits, each ready to answer with a reason. It keeps no books, proves nothing and records nothing.
"""

import gc
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import nan
from statistics import median
from typing import Any

from benchmarks.measure import Measure
from interlock.core.codes import AccountKind, Action, CalendarKind, Partial, PermitState
from interlock.core.decide import decide
from interlock.core.engine import Engine
from interlock.core.instrument import Instrument
from interlock.core.limits import BITS, EXIT_RULES, LIMIT_FIELDS, SWITCHABLE, Limits
from interlock.core.messages import (
    AccountOpened,
    CalendarSet,
    ClockChecked,
    EquityMarked,
    Executed,
    Instruction,
    InstrumentSet,
    Intent,
    MarketBatch,
    MarketState,
    PolicySet,
    PositionAt,
    PositionsReported,
    Quote,
    Rebalance,
    SourceRight,
    Spent,
    SymbolPolicy,
    Tick,
)

S = 1_000_000_000
START_NS = 1_767_225_600 * S
DAY_NS = 86_400 * S
EVERY_GUARD = (1 << len(SWITCHABLE)) - 1 - sum(BITS[code] for code in EXIT_RULES)

# Wide enough that nothing objects: an order that passes is asked everything.
WIDE = {
    "frac": 0.5,
    "bps": 50.0,
    "s": 120.0,
    "count": 30.0,
    "money": 1e9,
    "quantity": 1e9,
    "x": 15.0,
    "flag": 1.0,
    "regime": 0.0,
}
SPECIAL = {
    "clock_step_s_max": 1.0,
    "order_interval_s": 1e-6,
    "order_burst_count_max": 1e9,
    "permit_ttl_s": 1e6,
    "position_count_max": 1e6,
    "symbol_exposure_frac_max": 90.0,
    "strategy_exposure_frac_max": 90.0,
    "total_exposure_frac_max": 90.0,
    "net_exposure_frac_max": 90.0,
    "headroom_buffer_frac": 0.0,
    "cost_frac": 0.0,
    "trend_score_min": 0.9,
    "chop_score_max": 0.65,
    "gross_leverage_max": 1e6,
    "kill_score_min": 0.98,
    "kill_score_critical": 0.99,
    "flip_trend_min": 0.01,
    "sigma_weight": 1.0,
    "trend_weight": 1.0,
    "liquidation_buffer_frac": 0.0,
    "size_stop_atr": nan,
    "size_target_atr": nan,
    "collar_frac_max": 0.02,
    "resting_review_s": 1e6,
}


@dataclass(slots=True)
class TrivialOrder:
    quantity: float
    price: float


TRIVIAL_GUARD = """
class Rule{number}:
    __slots__ = ("code", "notional_max")

    def __init__(self, code, notional_max):
        self.code = code
        self.notional_max = notional_max

    def check(self, order, exposure):
        notional = order.quantity * order.price
        if notional > self.notional_max - exposure:
            return self.code, notional
        return None
"""


def trivial_loop() -> Callable[[], list[tuple[str, float]]]:
    """Twenty rules are twenty classes: one class twenty times would let the interpreter specialise for it."""
    namespace: dict[str, Any] = {}
    for number in range(20):
        exec(TRIVIAL_GUARD.format(number=number), namespace)
    guards = [namespace[f"Rule{number}"](f"RULE_{number}", 1e9) for number in range(20)]
    order = TrivialOrder(1.0, 100.0)

    def loop() -> list[tuple[str, float]]:
        denied = []
        for guard in guards:
            answer = guard.check(order, 5.0)
            if answer is not None:
                denied.append(answer)
        return denied

    return loop


def wide_limits() -> Limits:
    return Limits(EVERY_GUARD, *(SPECIAL.get(name, WIDE[limit.unit]) for name, limit in LIMIT_FIELDS.items()))


def engine_with(symbols: int, positions: int) -> tuple[Engine, list[str]]:
    """An engine at START_NS with so many symbols in its universe and so many open positions, every guard on."""
    engine = Engine()
    names = [f"S{number}" for number in range(symbols)]
    at = START_NS
    engine.step(AccountOpened("bench", AccountKind.PAPER, "USD", 1e6), at)
    for name in names:
        engine.step(InstrumentSet(Instrument(name, "paper", "USD", 0.001, 0.01, 10.0)), at)
    universe = tuple(SymbolPolicy(name, 0, 5.0) for name in names)
    rights = (SourceRight("bot", "trend", may_open=True, may_close=True),)
    engine.step(
        PolicySet("bench", "-", at + 90 * DAY_NS, verified=True, limits=(wide_limits(),), universe=universe, rights=rights),
        at,
    )
    for name, kind, days in (("day", CalendarKind.DAY, 1), ("week", CalendarKind.WEEK, 7)):
        engine.step(CalendarSet(name, kind, tuple(at + DAY_NS * days * number for number in range(-1, 400))), at)
    engine.step(ClockChecked(), at)
    engine.step(PositionsReported((), at), at)
    engine.step(MarketBatch(tuple(Quote(name, 100.0, 100.01, 100.005, at) for name in names)), at)
    for name in names:
        engine.step(MarketState(name, at, atr=1.0, sigma=0.01, trend_strength=0.2, score=0.7), at)
    engine.step(EquityMarked(1e6, 1e6, at), at)
    for name in names[:positions]:
        permit = engine.step(
            Intent(f"open {name}", "bot", "trend", name, 1, quantity=10.0, stop_price=90.0, created_at_ns=at), at
        ).outputs[-1]
        number = permit.id  # type: ignore[union-attr]
        engine.step(Spent(number, 1), at)
        engine.step(Executed(number, PermitState.FILLED, 10_000, 1000.0, 0.0, at), at)
    held = tuple(PositionAt(name, 10_000, 100.0) for name in names[:positions])
    engine.step(PositionsReported(held, at), at)
    engine.step(EquityMarked(1e6, 1e6, at), at)
    engine.step(Tick(), at + 1)
    return engine, names


def intents(symbol: str) -> Iterator[Intent]:
    for number in itertools.count():
        yield Intent(f"i{number}", "bot", "trend", symbol, 1, quantity=0.2, stop_price=90.0, created_at_ns=START_NS)


def times_s(act: Callable[[], object], count: int) -> list[float]:
    """Seconds of each call, sorted; the collector rests, as it does in a service that froze its start-up objects."""
    clock = time.perf_counter
    taken = []
    gc.collect()
    gc.freeze()
    for _ in range(count):
        start = clock()
        act()
        taken.append(clock() - start)
    gc.unfreeze()
    return sorted(taken)


def best_s(act: Callable[[], object], count: int, repeats: int = 400) -> float:
    """Processor seconds of one call in the quietest of many runs; a busy machine interrupts some, and short ones least."""

    def run() -> float:
        start = time.process_time()
        for _ in range(count):
            act()
        return (time.process_time() - start) / count

    return min(run() for _ in range(repeats))


def decide_once(engine: Engine, symbol: str) -> Callable[[], object]:
    intent = next(intents(symbol))
    outputs = decide(engine.state, START_NS + 2, START_NS + 2, intent)
    assert outputs[0].granted_steps > 0, outputs  # type: ignore[union-attr]
    return lambda: decide(engine.state, START_NS + 2, START_NS + 2, intent)


def step_once(engine: Engine, symbol: str) -> Callable[[], object]:
    stream = intents(symbol)
    return lambda: engine.step(next(stream), START_NS + 2)


def measures() -> list[Measure]:
    loop_s = best_s(trivial_loop(), 200)
    engine, names = engine_with(10, 10)
    decide_s = best_s(decide_once(engine, names[0]), 50)
    taken = times_s(step_once(engine, names[0]), 4000)
    step_p50, step_p99 = median(taken), taken[int(len(taken) * 0.99)]
    small = median(times_s(step_once(engine_with(10, 10)[0], "S0"), 2000))
    large = median(times_s(step_once(engine_with(10_000, 10)[0], "S0"), 2000))
    return [
        Measure("decide, every guard, 10 positions", "20 trivial guard objects", decide_s, loop_s, 6.0),
        Measure("step, p50", "20 trivial guard objects", step_p50, loop_s, 20.0),
        Measure("step, p99", "step, p50", step_p99, step_p50, 2.5),
        Measure("step, 10 000 symbols", "step, 10 symbols", large, small, 1.2),
        Measure("rebalance of 500, p99", "50 ms", rebalance_p99_s(), 0.05, 1.0),
    ]


def rebalance_p99_s() -> float:
    """Seconds of the slowest of a hundred rebalances over 500 symbols, one instruction each."""
    engine, names = engine_with(500, 0)
    instructions = tuple(Instruction(name, Action.OPEN, 0.001, sl_price=90.0) for name in names)

    def act(number: int) -> object:
        return decide(
            engine.state,
            START_NS + 2,
            START_NS + 2,
            Rebalance(f"r{number}", "bot", "trend", instructions, Partial.SCALE, START_NS),
        )

    numbers = itertools.count()
    outputs = act(-1)
    assert len(outputs) == 1000, len(outputs)  # type: ignore[arg-type]
    taken = times_s(lambda: act(next(numbers)), 100)
    return taken[98]
