"""
What the way out of held positions costs: one position's full evaluation against the loop over twenty trivial guards.

Every rule of the way out is on, and asked: the mark is fresh, the market state known, no rung has fired. Many positions
are marked in one batch, each at its own price; what one of them costs must not grow with their number.
"""

from collections.abc import Callable, Iterator

import msgspec

from benchmarks.engine import DAY_NS, START_NS, best_s, engine_with, trivial_loop, wide_limits
from benchmarks.measure import Measure
from interlock.core.absorb import absorb
from interlock.core.agenda import Agenda
from interlock.core.codes import Rung
from interlock.core.decide import decide
from interlock.core.engine import Engine
from interlock.core.exits.watch import watch
from interlock.core.limits import BITS, EXIT_RULES, Limits
from interlock.core.messages import MarketBatch, PolicySet, Quote, SourceRight, SymbolPolicy
from interlock.core.state import RUNGS

FEW, MANY = 10, (100, 1_000)


def exit_limits() -> Limits:
    """Every rule on; lines so far away that each is asked and none fires."""
    wide = wide_limits()
    far = {
        "exit_cost_bps": 10.0, "rung_1_r_min": 2.0, "rung_2_r_min": 4.0, "rung_3_r_min": 6.0, "lock_r_min": 1.5,
        "lock_frac": 0.002, "kill_exit_score_min": 0.9, "chop_loss_frac_max": 0.5, "margin_loss_frac_max": 0.9,
        "take_profit_trend_min": 0.0, "trail_atr": 30.0, "sigma_ref": 0.0, "trend_ref": 0.0, "flip_trend_min": 0.0,
    }  # fmt: skip
    active = wide.active | sum(BITS[code] for code in EXIT_RULES)
    return msgspec.structs.replace(wide, active=active, **far)


def engine_holding(positions: int) -> tuple[Engine, list[str]]:
    """An engine that holds so many positions under every rule, their stops trailing."""
    engine, names = engine_with(positions, positions)
    universe = tuple(SymbolPolicy(name, 0, 5.0) for name in names)
    rights = (SourceRight("bot", "trend", may_open=True, may_close=True),)
    limits = (exit_limits(),)
    engine.step(
        PolicySet("exits", "-", START_NS + 90 * DAY_NS, verified=True, limits=limits, universe=universe, rights=rights),
        START_NS + 1,
    )
    for row in engine.state.symbols:
        row.rungs = 1 << RUNGS.index(Rung.LOCK)
    return engine, names


def marks(names: list[str]) -> MarketBatch:
    """Each symbol at its own price, some way into profit."""
    prices = (101.0 + number * 1e-4 for number in range(len(names)))
    return MarketBatch(
        tuple(
            Quote(name, price - 0.005, price + 0.005, price, START_NS + 2)
            for name, price in zip(names, prices, strict=True)
        )
    )


def evaluate(engine: Engine, names: list[str]) -> Callable[[], object]:
    """All exits of the positions are judged, on a state that has their marks; nothing comes of it."""
    batch = marks(names)
    state = engine.state
    absorb(state, batch)
    agenda = Agenda(state, START_NS + 2, 1.0, state.account.next_id, draft=False)

    def act() -> None:
        watch(agenda, batch)

    act()
    assert not agenda.outputs, agenda.outputs[0]
    return act


def mark(engine: Engine, names: list[str]) -> Callable[[], object]:
    """The positions' marks go the whole way of an input that decides nothing: draft, absorbed, triggers, exits."""
    batch = marks(names)
    outputs = decide(engine.state, START_NS + 2, START_NS + 2, batch)
    assert not outputs, outputs[0]
    return lambda: decide(engine.state, START_NS + 2, START_NS + 2, batch)


def measures() -> Iterator[Measure]:
    loop_s = best_s(trivial_loop(), 200)
    evaluated_s = best_s(evaluate(*engine_holding(1)), 50)
    yield Measure("exits of a position, every rule", "20 trivial guard objects", evaluated_s, loop_s, 12.0)
    few_s = mark_s(FEW)
    for count in MANY:
        yield Measure(f"a mark of one of {count} positions", f"the same of {FEW}", mark_s(count), few_s, 1.2)


def mark_s(count: int) -> float:
    """Processor seconds of one mark of so many that come together."""
    engine, names = engine_holding(count)
    return best_s(mark(engine, names), 1, 4000 // count + 60) / count
