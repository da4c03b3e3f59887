"""
What a decision costs, against a loop over twenty trivial guard objects in the same run.

The loop is the least that any pre-trade check does: twenty objects, each asked by a method call whether an order's
notional fits, each ready to answer with a reason. It keeps no books, proves nothing and records nothing.
"""

import gc
import itertools
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import exp, nan
from random import Random
from statistics import median
from typing import Any

from benchmarks.measure import Measure
from interlock.core.absorb import absorb
from interlock.core.codes import AccountKind, CalendarKind, Code
from interlock.core.constants import CORRELATION_RETURNS
from interlock.core.decide import decide
from interlock.core.engine import Engine
from interlock.core.instrument import Instrument
from interlock.core.limits import BITS, EXIT_RULES, LIMIT_FIELDS, SWITCHABLE, Limits, is_on
from interlock.core.messages import (
    AccountOpened,
    Adopted,
    BarClosed,
    BlackoutSet,
    CalendarSet,
    ClockChecked,
    EquityMarked,
    InstrumentSet,
    Intent,
    MarketBatch,
    MarketState,
    PolicySet,
    PositionAt,
    PositionsReported,
    Quote,
    SourceRight,
    SymbolPolicy,
    Tick,
)
from interlock.policy import load_policy

S = 1_000_000_000
START_NS = 1_767_225_600 * S
DAY_NS = 86_400 * S
PRESET = "balanced@1"
COMPARED = 500
RUNS = 5
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
    "correlation_bar_s": 3600.0,
    "correlation_decay": 0.97,
    "correlation_age_s_max": 1e5,
    "cluster_exposure_frac_max": 90.0,
    "correlated_exposure_frac_max": 90.0,
    "quota_order_slice_count_max": 1e6,
    "quota_day_entry_count_max": 1e6,
    "quota_day_slice_count_max": 1e6,
    "quota_campaign_slice_count_max": 1e6,
    "kelly_window_count_max": 60.0,
    "flat_lead_s": 600.0,
    "kelly_scale": 0.0,
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


def preset_limits(preset: str) -> Limits:
    """The account's limits under the preset, which leaves to a policy only how large one order may be."""
    document = {
        "policy_version": "bench",
        "extends": preset,
        "created_at": datetime.fromtimestamp(START_NS // S, UTC).isoformat().replace("+00:00", "Z"),
        "valid_for": "90 d",
        "generator": {"name": "benchmarks"},
        "account": {"currency": "USD"},
        "universe": {"S0": {"margin_leverage": "5 x", "cluster": "C0"}},
        "sources": {"bot": {"trend": ["open", "close"]}},
        "rules": {"ORDER_NOTIONAL": {"notional": "100000 USD"}},
    }
    return load_policy(json.dumps(document)).compile(START_NS).limits[0]


def engine_with(
    symbols: int, positions: int, limits: Limits | None = None, clusters: int = 1, *, stops_at_venue: bool = False
) -> tuple[Engine, list[str]]:
    """
    An engine at START_NS with so many symbols in its universe and so many open positions, every guard on and satisfied.

    Symbols are in so many clusters by turns; the first ones have all the bars that a correlation looks back on. With
    `stops_at_venue` every position has its stop on the way there.
    """
    engine = Engine()
    names = [f"S{number}" for number in range(symbols)]
    at = START_NS
    engine.step(AccountOpened("bench", AccountKind.PAPER, "USD", 1e6, stops_at_venue=stops_at_venue), at)
    for name in names:
        engine.step(InstrumentSet(Instrument(name, "paper", "USD", 0.001, 0.01, 10.0)), at)
    set_policy(engine, names, wide_limits() if limits is None else limits, clusters)
    for name, kind, days in (("day", CalendarKind.DAY, 1), ("week", CalendarKind.WEEK, 7)):
        engine.step(CalendarSet(name, kind, tuple(at + DAY_NS * days * number for number in range(-1, 400))), at)
    for name in names:
        windows = tuple((at + DAY_NS * number, at + DAY_NS * number + 3600 * S) for number in range(1, 30))
        engine.step(BlackoutSet(name, (), windows, windows, at + 400 * DAY_NS), at)
    engine.step(ClockChecked(), at)
    engine.step(MarketBatch(tuple(Quote(name, 100.0, 100.01, 100.005, at) for name in names)), at)
    if is_on(engine.state.account_limits(), Code.CORRELATION_VETO):
        tell_bars(engine, names[:COMPARED])
    for name in names:
        engine.step(MarketState(name, at, atr=1.0, sigma=0.01, trend_strength=0.2, score=0.7), at)
    held = tuple(PositionAt(name, 10_000, 100.0) for name in names[:positions])
    engine.step(PositionsReported(held, at), at)
    engine.step(EquityMarked(1e6, 1e6, at), at)
    for name in names[:positions]:
        engine.step(Adopted(name, "trend", 90.0, "bench"), at)
    engine.step(Tick(), at + 1)
    return engine, names


def set_policy(engine: Engine, names: list[str], limits: Limits, clusters: int) -> None:
    """Every symbol is under the limits, and in so many clusters by turns."""
    universe = tuple(SymbolPolicy(name, 0, 5.0, f"C{number % clusters}") for number, name in enumerate(names))
    rights = (SourceRight("bot", "trend", may_open=True, may_close=True),)
    until_ns = START_NS + 90 * DAY_NS
    engine.step(
        PolicySet("bench", "-", until_ns, verified=True, limits=(limits,), universe=universe, rights=rights), START_NS
    )


def tell_bars(engine: Engine, names: list[str]) -> None:
    """The symbols have as many bars as a correlation looks back on, and move apart: nothing is vetoed."""
    chance = Random(7)
    for number in range(CORRELATION_RETURNS + 1):
        for name in names:
            tell_bar(engine, name, number - CORRELATION_RETURNS - 1, 100.0 * exp(chance.gauss(0.0, 0.01)))


def tell_bar(engine: Engine, name: str, number: float, close: float) -> None:
    """The symbol's bar of that number before (< 0) or after START_NS is over; nothing is decided because of it."""
    length_s = engine.state.account_limits().correlation_bar_s
    opened_ns = START_NS + int(number * length_s * S)
    absorb(engine.state, BarClosed(name, opened_ns, length_s, close, close, close, close))


def intents(symbol: str) -> Iterator[Intent]:
    for number in itertools.count():
        yield Intent(f"i{number}", "bot", "trend", symbol, 1, quantity=0.2, stop_price=90.0, created_at_ns=START_NS)


def times_s(
    act: Callable[[], object],
    count: int,
    before: Callable[[], object] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Seconds of each call by that clock, sorted, `before` not counted."""
    return sorted(times_in_turn_s(act, count, before, clock))


def times_in_turn_s(
    act: Callable[[], object],
    count: int,
    before: Callable[[], object] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """
    Seconds of each call by that clock, in turn, `before` not counted.

    The collector does not look at what was there before, as in a service that froze its start-up objects.
    """
    taken = []
    gc.collect()
    gc.freeze()
    for _ in range(count):
        before()
        start = clock()
        act()
        taken.append(clock() - start)
    gc.unfreeze()
    return taken


def quickest_s(acts: Iterable[Callable[[], object]], count: int) -> list[float]:
    """
    Processor seconds of each of so many calls, sorted, each in the quickest of several runs of the same history.

    What is slow in all of them is the engine's; what is slow in one is what else the machine did then.
    """
    return sorted(map(min, zip(*(times_in_turn_s(act, count, clock=time.process_time) for act in acts), strict=True)))


def best_s(act: Callable[[], object], count: int, repeats: int = 400) -> float:
    """Processor seconds of one call in the quietest of many runs; a busy machine interrupts some, and short ones least."""
    return best_in_turns_s([act], count, repeats)[0]


def best_in_turns_s(acts: Sequence[Callable[[], object]], count: int, repeats: int = 400) -> list[float]:
    """The same of each, run in turns: a machine that is slower for a while is so for all of them."""

    def run(act: Callable[[], object]) -> float:
        start = time.process_time()
        for _ in range(count):
            act()
        return (time.process_time() - start) / count

    return [min(runs) for runs in zip(*([run(act) for act in acts] for _ in range(repeats)), strict=True)]


def first_of(made: tuple[Engine, list[str]]) -> tuple[Engine, str]:
    """The engine and its first symbol."""
    engine, names = made
    return engine, names[0]


def decide_once(engine: Engine, symbol: str) -> Callable[[], object]:
    intent = next(intents(symbol))
    outputs = decide(engine.state, START_NS + 2, START_NS + 2, intent)
    assert outputs[0].granted_steps > 0, outputs  # type: ignore[union-attr]
    return lambda: decide(engine.state, START_NS + 2, START_NS + 2, intent)


def step_once(engine: Engine, symbol: str) -> Callable[[], object]:
    stream = intents(symbol)
    return lambda: engine.step(next(stream), START_NS + 2)


def measures() -> Iterator[Measure]:
    balanced = decide_once(*first_of(engine_with(10, 10, preset_limits(PRESET))))
    everything = decide_once(*first_of(engine_with(10, 10)))
    loop_s, balanced_s, decide_s = best_in_turns_s([trivial_loop(), balanced, everything], 50)
    yield Measure(f"decide, every guard of {PRESET}, 10 positions", "20 trivial guard objects", balanced_s, loop_s, 6.0)
    yield Measure("decide, every guard there is, 10 positions", "20 trivial guard objects", decide_s, loop_s, 6.0)
    taken = quickest_s((step_once(*first_of(engine_with(10, 10))) for _ in range(RUNS)), 4000)
    step_p50, step_p99 = median(taken), taken[int(len(taken) * 0.99)]
    yield Measure("step, p50", "20 trivial guard objects", step_p50, loop_s, 20.0)
    yield Measure("step, p99", "step, p50", step_p99, step_p50, 2.5)
    small = median(times_s(step_once(engine_with(10, 10)[0], "S0"), 2000, clock=time.process_time))
    large = median(times_s(step_once(engine_with(10_000, 10)[0], "S0"), 2000, clock=time.process_time))
    yield Measure("step, 10 000 symbols", "step, 10 symbols", large, small, 1.2)
