"""Rules of the core that no story reaches: what is asked for, counted or looked up at the edge of what there is."""

from math import inf, nan
from typing import Any, cast

import msgspec
import pytest
from msgspec.structs import astuple

from interlock.core.apply import apply_output
from interlock.core.checks import ask_guards, checks_under
from interlock.core.codes import Code, KillMode, RiskAction, Scope
from interlock.core.constants import MAX_STEPS, NS_PER_S, OPERATOR_NS
from interlock.core.facts import Facts
from interlock.core.guards import GUARDS
from interlock.core.instrument import Instrument
from interlock.core.messages import Decision, FlattenGoal, Intent, KillSet, LockChanged, LockSet, PermitIssued, RiskEvent
from interlock.core.sizing import requested_steps
from interlock.core.state import State, SymbolRow
from interlock.core.transitions import on_fill
from interlock.core.triggers import next_day_ns
from interlock.testing import make_policy, open_bench
from rulekit import case

GOLD = Instrument("GOLD", "v", "USD", step=0.1, tick=0.01, min_notional=0.0)


@pytest.mark.parametrize("fact", ["equity", "equity_age_s", "mark", "symbol_notional", "stop_price"])
def test_a_guard_that_raises_vetoes_and_every_other_answers_as_ever(fact: str) -> None:
    order = case().under(symbol_exposure_frac_max=0.01)
    broken = order.knowing(**{fact: cast(Any, None)})
    raising = {guard.code for guard in GUARDS if raises(guard.function, broken.facts, broken.limits)}
    allowance, found = ask_guards(checks_under(broken.limits), astuple(broken.facts), broken.requested)
    told = dict(found)
    assert raising
    assert allowance == 0.0
    assert all(told[code] == 0.0 for code in raising)
    _, others = ask_guards(checks_under(order.limits), astuple(order.facts), order.requested)
    expected = {code: allowed for code, allowed in others if code not in raising}
    assert {code: allowed for code, allowed in found if code not in raising} == expected


def raises(function: Any, facts: Facts, limits: Any) -> bool:
    try:
        function(facts, limits)
    except TypeError:
        return True
    return False


def test_an_order_beyond_what_can_be_counted_is_no_size() -> None:
    bench = open_bench(policy=make_policy("layered@1"))
    step = bench.book.instruments["BTC"].step
    held = bench.send(bench.intent("BTC", 1, quantity=10.0, limit_price=100.0))
    (opened,) = [each for each in held.outputs if isinstance(each, PermitIssued)]
    for steps, countable in ((MAX_STEPS - 2 * opened.steps, True), (MAX_STEPS, False)):
        outputs = bench.send(bench.intent("BTC", 1, quantity=steps * step, limit_price=100.0)).outputs
        (decision,) = [each for each in outputs if isinstance(each, Decision)]
        sizeless = any(each.code == Code.POLICY_MISSING_SIZE for each in decision.objections)
        assert (decision.requested_steps > 0, not sizeless) == (countable, countable)
        assert decision.granted_steps == 0


@pytest.mark.parametrize("side", [0, 2, -3])
def test_an_intent_on_no_side_is_malformed(side: int) -> None:
    bench = open_bench(policy=make_policy("layered@1"))
    outputs = bench.send(bench.intent("BTC", side, quantity=1.0)).outputs
    (decision,) = [each for each in outputs if isinstance(each, Decision)]
    assert (decision.headline, decision.granted_steps) == (Code.MALFORMED, 0)
    assert f"found {side}" in decision.note


def test_a_flatten_after_a_kill_flattens_and_leaves_the_lock_as_it_was() -> None:
    bench = open_bench(policy=make_policy("layered@1"))
    opened = bench.send(bench.intent("BTC", 1, quantity=10.0, limit_price=100.0)).outputs
    bench.fill(next(each.id for each in opened if isinstance(each, PermitIssued)))
    thrown = [
        bench.send(KillSet(mode, Scope.ACCOUNT, "", mode.name, "alice")).outputs
        for mode in (KillMode.REDUCE_ONLY, KillMode.REDUCE_ONLY, KillMode.FLATTEN)
    ]
    reasons = [[each.reason for each in outputs if isinstance(each, LockChanged)] for outputs in thrown]
    assert reasons == [["REDUCE_ONLY"], [], []]
    goals = [[each.symbol for each in outputs if isinstance(each, FlattenGoal)] for outputs in thrown]
    assert goals[:2] == [[], []]
    assert set(goals[2]) == {"BTC"}


def test_a_freeze_thrown_again_says_nothing_new() -> None:
    bench = open_bench(policy=make_policy("layered@1"))
    thrown = [
        bench.send(KillSet(KillMode.FREEZE, Scope.ACCOUNT, "", reason, "alice")).outputs for reason in ("first", "second")
    ]
    reasons = [[each.reason for each in outputs if isinstance(each, LockChanged)] for outputs in thrown]
    assert reasons == [["first"], []]


@pytest.mark.parametrize("side", [1, -1])
def test_a_lock_on_one_side_of_a_symbol_leaves_the_other_alone(side: int) -> None:
    bench = open_bench(policy=make_policy("layered@1"))
    until_ns = bench.clock.true_ns + 60 * NS_PER_S
    bench.send(LockSet(Scope.SYMBOL, "BTC", side, until_ns, "news", "alice"))
    vetoed = []
    for wanted in (side, -side):
        outputs = bench.send(bench.intent("BTC", wanted, quantity=1.0, limit_price=100.0)).outputs
        (decision,) = [each for each in outputs if isinstance(each, Decision)]
        vetoed.append(Code.SYMBOL_VETO in {each.code for each in decision.objections})
    assert vetoed == [True, False]


@pytest.mark.parametrize("unit", [nan, inf, 0.0, -1.0])
def test_money_without_a_usable_price_is_no_size(unit: float) -> None:
    intent = Intent("i", "bot", "s", "GOLD", 1, notional=100.0)
    assert requested_steps(intent, GOLD, unit, nan, case().limits) == 0
    assert requested_steps(intent, GOLD, 7.0, nan, case().limits) == 14


@pytest.mark.parametrize("equity", [nan, inf, 0.0, -1.0])
def test_a_share_of_an_equity_that_nobody_knows_is_no_size(equity: float) -> None:
    intent = Intent("i", "bot", "s", "GOLD", 1)
    limits = msgspec.structs.replace(case().limits, size_quantity=nan, size_frac=0.1)
    assert requested_steps(intent, GOLD, 7.0, equity, limits) == 0
    assert requested_steps(intent, GOLD, 7.0, 1_000.0, limits) == 14


def test_without_a_calendar_the_next_day_is_an_operators() -> None:
    assert next_day_ns(State()) == OPERATOR_NS


@pytest.mark.parametrize(
    ("steps", "value", "told", "position", "cost"),
    [
        (0, 0, (0, 0), 10, 1_000),
        (5, 600, (0, 0), 15, 1_600),
        (-10, 1_200, (200, 10), 0, 0),
        (-15, 1_800, (200, 10), -5, -600),
    ],
)
def test_a_fill_grows_closes_or_crosses(steps: int, value: int, told: tuple[int, int], position: int, cost: int) -> None:
    row = SymbolRow(position=10, cost=1_000)
    assert on_fill(row, steps, value) == told
    assert (row.position, row.cost) == (position, cost)


@pytest.mark.parametrize(("trigger", "left"), [(Code.STOP_HIT, (4, 2)), (Code.RUNAWAY, (0, 0))])
def test_only_a_runaway_lock_counts_executed_openings_afresh(trigger: Code, left: tuple[int, int]) -> None:
    state = open_bench().engine.state
    row = state.symbols[0]
    row.run_buy_count, row.run_sell_count = 4, 2
    event = RiskEvent(1, trigger, state.names.symbols[0], RiskAction.VETO, 1.0, 1.0)
    apply_output(state, event)
    assert (row.run_buy_count, row.run_sell_count) == left


@pytest.mark.parametrize("quantity", [nan, inf, -inf, 0.0, -1.0])
def test_a_quantity_that_is_no_number_above_nothing_is_no_step(quantity: float) -> None:
    assert GOLD.steps_down(quantity) == 0
    assert GOLD.steps_down(0.3) == 3


@pytest.mark.parametrize("steps", [1_000_000, 100_000_000, 2_000_000_000])
def test_a_part_of_a_step_is_never_rounded_up(steps: int) -> None:
    assert GOLD.steps_down((steps + 0.99) * GOLD.step) == steps
    assert GOLD.steps_down(steps * GOLD.step) == steps
