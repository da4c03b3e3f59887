"""What two hands make of the same positions, worked out by hand."""

from math import isnan
from typing import Any

import pytest

from interlock.core.codes import CloseAction, PermitState
from interlock.core.messages import (
    Adopted,
    FlattenSet,
    Heartbeat,
    Intent,
    MarketState,
    PermitIssued,
    PositionsReported,
    Step,
)
from interlock.study.exits import HELD, OUTSIDE, Exit, ExitsCompared, compare_exits
from interlock.testing import Bench, make_policy, open_bench

ADVISED = """
[exits]
owner = "exit"
mode = "advisory"
heartbeat = "300 s"
cost = "0 bps"
[market]
age = "3 h"
trend = "90 %"
chop = "65 %"
[rules]
STOP_EXIT = "on"
[rules.MARKET_STALE]
jump = "50 %"
[rules.PROFIT_LOCK]
from = "3 x"
beyond = "1 %"
[rules.HARVEST]
first = "1 x"
second = "2 x"
third = "4 x"
"""


def near(number: float) -> Any:
    return pytest.approx(number)


def bench(toml: str = "", **options: Any) -> Bench:
    made = open_bench(policy=make_policy("layered@1", toml=(ADVISED, toml)), **options)
    made.send(Heartbeat("exit"))
    return made


def opened(made: Bench, side: int = 1, quantity: float = 10.0, stop_frac: float = 0.02) -> Bench:
    """BTC is held from 100 on, with a risk of 2 for each unit."""
    filled(made, made.send(made.intent("BTC", side, quantity=quantity, stop_price=100.0 * (1.0 - stop_frac * side))), 100.0)
    return made


def filled(made: Bench, step: Step, price: float) -> None:
    (permit,) = [each for each in step.outputs if isinstance(each, PermitIssued)]
    made.fill(permit.id, price=price)


def owner_closes(made: Bench, close: CloseAction, price: float, rung: str = "own", side: int = -1) -> None:
    intent = Intent(f"x-{rung}", "exit", "trend", "BTC", side, reduce_only=True, rung=rung, close=close)
    filled(made, made.send(intent), price)


def one(made: Bench) -> ExitsCompared:
    (position,) = compare_exits(made.steps).positions
    return position


def short(exits: tuple[Exit, ...]) -> list[tuple[str, float, float, float, float]]:
    return [(e.rung, e.quantity, near(e.price), near(e.r), near(e.money)) for e in exits]


@pytest.mark.parametrize("side", [1, -1])
def test_the_owner_takes_all_where_the_rules_would_have_taken_parts(side: int) -> None:
    made = opened(bench(), side)
    made.mark("BTC", 100.0 + 2.5 * side)
    made.mark("BTC", 100.0 + 4.0 * side)
    owner_closes(made, CloseAction.FULL_CLOSE, 100.0 + 5.0 * side, side=-side)
    told = one(made)
    assert (told.side, told.quantity, told.entry, told.risk) == (side, 10.0, 100.0, near(20.0))
    assert short(told.acting.exits) == [("own", 10.0, 100.0 + 5.0 * side, 2.5, 50.0)]
    assert told.acting.exits[0].by == "exit"
    assert told.builtin is not None
    assert short(told.builtin.exits) == [
        ("partial_25", 2.5, 100.0 + 2.5 * side, 0.3125, 6.25),
        ("partial_50", 2.5, 100.0 + 4.0 * side, 0.5, 10.0),
        (HELD, 5.0, 100.0 + 5.0 * side, 1.25, 25.0),
    ]
    assert (told.builtin.money, told.builtin.r) == (near(41.25), near(2.0625))
    total = compare_exits(made.steps)
    assert (total.compared, total.acting_money, total.builtin_money) == (1, near(50.0), near(41.25))
    assert (total.acting_r, total.builtin_r) == (near(2.5), near(2.0625))


def test_the_rules_close_at_the_stop_that_they_would_have_moved() -> None:
    made = opened(bench())
    made.mark("BTC", 106.5)
    made.mark("BTC", 100.9)
    assert made.engine.state.symbols[0].stop_price == 98.0
    owner_closes(made, CloseAction.FULL_CLOSE, 99.0)
    told = one(made)
    assert told.builtin is not None
    assert short(told.builtin.exits) == [("partial_50", 5.0, 106.5, 1.625, 32.5), ("stop", 5.0, 100.9, 0.225, 4.5)]
    assert told.acting.money == near(-10.0)


def test_the_stop_of_the_rules_trails_on_by_itself() -> None:
    """Advice on a trailing stop is given once; the rules would have gone on moving it."""
    made = opened(bench('[rules.TRAILING_STOP]\ndistance = "1 x"\n'))
    made.mark("BTC", 106.5)
    made.mark("BTC", 108.0)
    made.mark("BTC", 107.5)
    made.mark("BTC", 106.9)
    owner_closes(made, CloseAction.FULL_CLOSE, 103.0)
    told = one(made)
    assert told.builtin is not None
    assert [(e.rung, e.price) for e in told.builtin.exits] == [
        ("partial_50", near(106.5)),
        ("partial_75", near(108.0)),
        ("stop", near(106.9)),
    ]


def test_a_trail_that_would_lie_beyond_the_market_closes() -> None:
    made = opened(bench('[rules.TRAILING_STOP]\ndistance = "1 x"\n'))
    made.mark("BTC", 106.5)
    made.feeds.discard("market")
    made.tell_market(MarketState("BTC", 0, atr=0.2, sigma=0.01, trend_strength=0.3, p_trend=0.2, p_base=0.6, p_chop=0.2))
    made.mark("BTC", 106.0)
    owner_closes(made, CloseAction.FULL_CLOSE, 106.0)
    told = one(made)
    assert told.builtin is not None
    assert [e.rung for e in told.builtin.exits] == ["partial_50", "trailing"]


def test_the_owner_closed_first_and_the_advice_counts_all_the_same() -> None:
    """Advice to close what the owner has closed already is still what the rules would have done."""
    made = opened(bench())
    made.mark("BTC", 101.0)
    owner_closes(made, CloseAction.PARTIAL_50, 101.0, "early")
    made.mark("BTC", 102.5)
    owner_closes(made, CloseAction.FULL_CLOSE, 102.5, "late")
    told = one(made)
    assert [(e.rung, e.quantity) for e in told.acting.exits] == [("early", 5.0), ("late", 5.0)]
    assert told.builtin is not None
    assert [(e.rung, e.quantity) for e in told.builtin.exits] == [("partial_25", 2.5), (HELD, 7.5)]


def test_an_addition_makes_the_position_larger_for_both() -> None:
    made = opened(bench())
    made.mark("BTC", 100.0)
    filled(made, made.send(made.intent("BTC", 1, quantity=10.0, stop_price=98.0)), 104.0)
    owner_closes(made, CloseAction.FULL_CLOSE, 104.0)
    told = one(made)
    assert (told.quantity, told.entry) == (20.0, near(102.0))
    assert told.acting.money == near(40.0)
    assert told.builtin is not None
    assert told.builtin.money == near(40.0)


def test_what_is_added_after_an_exit_of_the_rules_is_theirs_at_its_own_price() -> None:
    """Both hands have paid the same, so that what they came to can be compared."""
    made = opened(bench())
    made.mark("BTC", 108.5)
    filled(made, made.send(made.intent("BTC", 1, quantity=10.0, stop_price=98.0)), 109.0)
    owner_closes(made, CloseAction.FULL_CLOSE, 100.0)
    told = one(made)
    assert told.builtin is not None
    assert [(e.rung, e.quantity, e.money) for e in told.builtin.exits] == [
        ("partial_75", 7.5, near(63.75)),
        (HELD, 12.5, near(-90.0)),
    ]
    assert told.acting.money == near(-90.0)
    assert told.builtin.r == near(told.builtin.money / told.risk)


def test_what_is_closed_outside_the_gate_is_told_at_the_mark() -> None:
    made = opened(bench())
    made.mark("BTC", 101.0)
    made.book.place("BTC", 0, 0.0)
    for _ in range(4):
        made.clock.advance(5.0)
        made.send(PositionsReported((), made.clock.true_ns))
    told = one(made)
    assert short(told.acting.exits) == [(OUTSIDE, 10.0, 101.0, 0.5, 10.0)]


def test_a_stop_at_the_venue_and_a_flatten_are_named() -> None:
    made = bench(stops_at_venue=True)
    intent = made.intent("BTC", 1, quantity=10.0, stop_price=98.0)
    step = made.send(intent)
    made.fill(next(e for e in step.outputs if isinstance(e, PermitIssued)).id, price=100.0)
    stop = next(each for each in made.permits.values() if each.trigger_price == each.trigger_price)
    made.fill(stop.id, 40_000, 98.0)
    made.send(FlattenSet("BTC", "enough", "alice"))
    flatten = max(made.permits)
    made.fill(flatten, price=97.5)
    exits = one(made).acting.exits
    assert [(each.rung, each.by) for each in exits] == [("stop", "emergency"), ("flatten", "operator")]


def test_an_intent_that_closes_without_a_rung_is_a_close() -> None:
    made = opened(bench())
    close = made.intent("BTC", -1, quantity=10.0, reduce_only=True, source="operator")
    filled(made, made.send(close), 101.0)
    assert [each.rung for each in one(made).acting.exits] == ["close"]


def test_without_advice_there_is_nothing_to_compare() -> None:
    made = opened(bench('[exits]\nowner = "any"\nmode = "builtin"\n'))
    step = made.mark("BTC", 102.5)
    filled(made, step, 102.4)
    told = one(made)
    assert told.builtin is None
    assert told.closed_ns == 0
    assert [(each.rung, each.by, each.price) for each in told.acting.exits] == [("partial_25", "exits", near(102.4))]
    assert compare_exits(made.steps).compared == 0


def test_a_position_that_is_still_open_is_shown_and_not_summed() -> None:
    made = opened(bench())
    made.mark("BTC", 102.5)
    told = one(made)
    assert told.builtin is not None
    assert [each.rung for each in told.builtin.exits] == ["partial_25"]
    total = compare_exits(made.steps)
    assert (total.compared, total.builtin_money) == (0, 0)


def test_without_a_stop_r_is_unknown_and_money_is_not() -> None:
    made = opened(bench('[rules]\nSTOP_REQUIRED = "off: a test of trades without one"\n'), stop_frac=float("nan"))
    made.mark("BTC", 101.0)
    owner_closes(made, CloseAction.FULL_CLOSE, 101.0)
    told = one(made)
    assert isnan(told.acting.r)
    assert told.acting.money == near(10.0)


def test_an_adopted_position_has_the_risk_of_its_stop() -> None:
    made = bench(holdings={"BTC": (10.0, 100.0)})
    made.mark("BTC", 100.5)
    made.send(Adopted("BTC", "trend", 98.0, "alice"))
    made.mark("BTC", 101.0)
    owner_closes(made, CloseAction.FULL_CLOSE, 101.0)
    told = one(made)
    assert (told.strategy, told.risk) == ("trend", near(20.0))


def test_one_symbol_is_picked() -> None:
    made = opened(bench())
    assert compare_exits(made.steps, "ETH").positions == ()
    assert len(compare_exits(made.steps, "BTC").positions) == 1


def test_a_result_that_fills_nothing_changes_nothing() -> None:
    made = opened(bench())
    made.mark("BTC", 101.0)
    step = made.send(Intent("x", "exit", "trend", "BTC", -1, reduce_only=True, rung="own", close=CloseAction.FULL_CLOSE))
    (permit,) = [each for each in step.outputs if isinstance(each, PermitIssued)]
    made._spend(permit.id)
    made.result(permit.id, PermitState.REJECTED)
    assert one(made).acting.exits == ()
