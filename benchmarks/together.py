"""
What it costs to decide about many symbols that move together: correlations with what is open, clusters, rebalances.

A correlation is asked for once an order comes and something has changed since: a position came or went, a bar ended. That
cost grows with the open positions and is stated; what is remembered until the next change is not to grow with them.
"""

import itertools
import sys
from collections.abc import Callable, Iterator
from math import nan
from statistics import median
from time import process_time

import msgspec

from benchmarks.engine import (
    PRESET,
    START_NS,
    best_s,
    decide_once,
    engine_with,
    first_of,
    preset_limits,
    tell_bar,
    times_s,
    wide_limits,
)
from benchmarks.measure import Measure
from interlock.core.codes import Action, Code, Partial
from interlock.core.decide import decide
from interlock.core.engine import Engine
from interlock.core.limits import BITS, Limits, is_on
from interlock.core.messages import Instruction, Rebalance
from interlock.core.snapshot import encode

POSITIONS = (1, 10, 100)
SYMBOLS = 500
CLUSTERS = 10
ROUNDS = 100
ROUNDS_OF_MANY = 20
"""Of those that compare hundreds of symbols, which take long and have no bound."""


def afresh(engine: Engine, symbol: str) -> Callable[[], None]:
    """A decision right after something has changed: all returns are known, what moves with what is to be found."""
    act, state = decide_once(engine, symbol), engine.state

    def again() -> None:
        state.company = {}
        act()

    return again


def growth() -> Iterator[Measure]:
    """What a decision costs with more open positions, remembered and afresh."""
    known, found = {}, {}
    for count in POSITIONS:
        engine, symbol = first_of(engine_with(100, count))
        known[count] = best_s(decide_once(engine, symbol), 50, 200)
        found[count] = best_s(afresh(engine, symbol), 10, 100)
    yield Measure("decide, 100 positions", "decide, 10 positions", known[100], known[10], 1.2)
    for count in POSITIONS:
        what = f"decide after a change, {count} positions compared"
        yield Measure(what, "decide, 10 positions", found[count], known[10])


def rebalance_of(engine: Engine, names: list[str], weight: float) -> Callable[[], tuple[object, ...]]:
    """A rebalance with one instruction for each symbol is decided, each time under a new name."""
    instructions = tuple(Instruction(name, Action.SCALE, weight, sl_price=90.0) for name in names)
    numbers = itertools.count()

    def act() -> tuple[object, ...]:
        wish = Rebalance(f"r{next(numbers)}", "bot", "trend", instructions, Partial.SCALE, START_NS)
        return decide(engine.state, START_NS + 2, START_NS + 2, wish)

    return act


def new_bars(engine: Engine, names: list[str]) -> Callable[[], None]:
    """Each time every symbol has another bar, a moment after its last one, for the engine's time stands still."""
    numbers = itertools.count()

    def tell() -> None:
        number = next(numbers)
        for place, name in enumerate(names):
            tell_bar(engine, name, number * 1e-6, 100.0 + (place * number) % 7)

    return tell


def rebalances(what: str, limits: Limits, positions: int, ratio_max: float | None = 1.0) -> Iterator[Measure]:
    """
    A rebalance of 500 against what it may take, in the middle and at the slow end, and right after new bars.

    It is processor time: whatever else a busy machine does is not the engine's.
    """
    rounds, slow = (ROUNDS, "p99") if ratio_max is not None else (ROUNDS_OF_MANY, "slowest")
    engine, names = engine_with(SYMBOLS, positions, limits, CLUSTERS)
    act = rebalance_of(engine, names, 0.002)
    assert len(act()) >= SYMBOLS
    quiet = times_s(act, rounds, clock=process_time)
    taken = {"p50": median(quiet), slow: quiet[int(rounds * 0.98)]}
    if is_on(engine.state.account_limits(), Code.CORRELATION_VETO):
        fresh = times_s(act, rounds, new_bars(engine, names), process_time)
        taken[f"{slow} after new bars"] = fresh[int(rounds * 0.98)]
    for when, seconds in taken.items():
        yield Measure(f"rebalance of 500, {what}, {when}", "50 ms", seconds, 0.05, ratio_max)


def uncompared() -> Limits:
    """Every guard on but the one that compares: as many positions as symbols are possible only without it."""
    wide = wide_limits()
    return msgspec.structs.replace(wide, active=wide.active & ~BITS[Code.CORRELATION_VETO], correlation_max=nan)


def memory() -> Iterator[Measure]:
    """Bytes that correlations take for each symbol of the universe and for each open position beyond that."""
    engine, symbol = first_of(engine_with(SYMBOLS, 100))
    state = engine.state
    afresh(engine, symbol)()
    ring = sum(sys.getsizeof(each) for r in state.symbols for each in (r.bar_logs, *r.bar_logs))
    grids = {id(r.bar_ns): r.bar_ns for r in state.symbols}
    ring += sum(sys.getsizeof(each) for bar_ns in grids.values() for each in (bar_ns, *bar_ns))
    weighed = sum(sys.getsizeof(each) for w in state.weighed.values() for each in (w, w.returns, w.among, *w.returns))
    share = len(encode(state)) / SYMBOLS
    yield Measure("bars of a symbol, in memory", "a symbol's share of a snapshot", ring / SYMBOLS, share, unit="B")
    yield Measure("returns of an open position", "bars of a symbol", weighed / len(state.weighed), ring / SYMBOLS, unit="B")


def measures() -> Iterator[Measure]:
    yield from growth()
    yield from rebalances(f"every guard of {PRESET}", preset_limits(PRESET), 0)
    yield from rebalances(f"every guard of {PRESET}, 8 positions", preset_limits(PRESET), 8)
    yield from rebalances("all clustered, none compared, all pass", uncompared(), 0)
    yield from rebalances("all clustered, none compared, 500 positions", uncompared(), SYMBOLS)
    yield from rebalances("each compared with all before it, all pass", wide_limits(), 0, None)
    yield from rebalances("each compared with 500 positions", wide_limits(), SYMBOLS, None)
    yield from memory()
