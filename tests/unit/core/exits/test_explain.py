"""What is said of a position's way out is what the rules then do, and where their numbers say that they will."""

from math import isnan, nan
from typing import Any

import msgspec
import pytest

from interlock.core.codes import CloseAction, Code, ExitMode, Rung
from interlock.core.constants import CHOP, NS_PER_S
from interlock.core.exits.explain import exit_owner, explain_exit, explain_exits, next_rung
from interlock.core.exits.views import Condition, ExitView, RuleView
from interlock.core.messages import (
    BarClosed,
    BlackoutSet,
    ExitProposed,
    FlattenSet,
    Heartbeat,
    MarketState,
    PermitIssued,
    Quarantined,
    Tick,
)
from interlock.testing import Bench, make_instrument, make_policy, open_bench
from interlock.testing.wayout import EXITS

STATE = MarketState("BTC", 0, atr=1.0, sigma=0.01, trend_strength=0.3, p_trend=0.2, p_base=0.6, p_chop=0.2, label="BASE")
LEAPS = '[rules.MARKET_STALE]\njump = "50 %"\n'
"""Marks may move as they like."""

OWNED = '[exits]\nowner = "exit"\nmode = "advisory"\n'


def bench(toml: str = "", **options: Any) -> Bench:
    return open_bench(policy=make_policy("layered@1", toml=(EXITS["A"], LEAPS, toml)), **options)


def opened(made: Bench, side: int = 1, **changes: Any) -> Bench:
    """BTC is held from its present mark on, with a stop 2 % away and no order of the way out."""
    made.tell_market(STATE)
    mark = made.book.prices["BTC"].mark
    step = made.send(made.intent("BTC", side, notional=500.0, **{"stop_price": mark * (1.0 - 0.02 * side), **changes}))
    made.fill(next(each for each in step.outputs if isinstance(each, PermitIssued)).id)
    return made


def seen(made: Bench) -> ExitView:
    state = made.engine.state
    return explain_exit(state, state.names.symbol_index["BTC"], made.clock.wall_ns)


def rule(made: Bench, rung: Rung) -> RuleView:
    return next(each for each in seen(made).rules if each.rung is rung)


def first(made: Bench, rung: Rung) -> Condition:
    return rule(made, rung).conditions[0]


def proposed(made: Bench, at: float) -> set[str]:
    """What the engine proposes on the first look at the new mark."""
    return {each.rung for each in made.mark("BTC", at).outputs if isinstance(each, ExitProposed)}


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    "rung", [Rung.STOP, Rung.TARGET, Rung.LOSS, Rung.PARTIAL_25, Rung.PARTIAL_50, Rung.PARTIAL_75, Rung.LOCK]
)
def test_a_rule_fires_at_the_price_that_is_named_and_not_before(rung: Rung, side: int) -> None:
    target = 100.0 * (1.0 + 0.2 * side)
    made = opened(bench(), side, target_price=target, margin_leverage=10.0 if rung is Rung.LOSS else 1.0)
    if rung is Rung.LOSS:
        made.engine.state.symbols[0].stop_price = nan
    price = first(made, rung).price
    assert price > 0.0
    step, away = 0.01, -1 if rung in (Rung.STOP, Rung.LOSS) else 1
    assert rung not in proposed(made, price - 2.0 * step * away * side)
    assert not rule(made, rung).met
    after = price + 2.0 * step * away * side
    assert rung in proposed(made, after)


def test_the_next_rung_is_the_nearest_that_closes_something() -> None:
    made = opened(bench(), target_price=200.0)
    ahead = next_rung(seen(made))
    assert ahead is not None
    assert ahead.rung is Rung.TAKE_PROFIT
    made.mark("BTC", first(made, Rung.PARTIAL_25).price + 0.1)
    ahead = next_rung(seen(made))
    assert ahead is not None
    assert ahead.rung is Rung.PARTIAL_50
    assert rule(made, Rung.PARTIAL_25).fired
    assert not rule(made, Rung.PARTIAL_25).met or seen(made).pursued is not None


def test_without_a_rule_that_closes_there_is_no_next_rung() -> None:
    made = opened(open_bench(policy=make_policy("layered@1")))
    assert next_rung(seen(made)) is None
    assert seen(made).problem == "the policy has no exit rule switched on"


def test_the_first_profit_needs_a_trend_too() -> None:
    made = opened(bench())
    distance, trend = rule(made, Rung.TAKE_PROFIT).conditions
    assert distance.price == pytest.approx(seen(made).entry + 1.2)
    assert (trend.value, trend.threshold) == (0.2, 0.6)
    made.mark("BTC", distance.price + 0.1)
    assert not rule(made, Rung.TAKE_PROFIT).met
    assert first(made, Rung.TAKE_PROFIT).distance < 0.0


def test_trailing_says_what_it_waits_for_and_where_its_stop_goes() -> None:
    made = opened(bench())
    made.mark("BTC", seen(made).mark)
    trailing = rule(made, Rung.TRAILING)
    assert not trailing.met
    assert trailing.note == "begins after tp1 or profit_lock"
    assert trailing.conditions[0].threshold == pytest.approx(seen(made).mark - 1.0)
    made.mark("BTC", first(made, Rung.LOCK).price + 0.1)
    stop = made.engine.state.symbols[0].stop_price
    best = seen(made).mark + 0.5
    made.mark("BTC", best)
    assert made.engine.state.symbols[0].stop_price == pytest.approx(best - 1.0, abs=0.011)
    assert made.engine.state.symbols[0].stop_price > stop
    assert rule(made, Rung.TRAILING).note == ""


def test_a_trailing_stop_beyond_the_market_is_said_to_close() -> None:
    made = opened(bench())
    made.mark("BTC", first(made, Rung.LOCK).price + 0.1)
    row = made.engine.state.symbols[0]
    row.best = row.mark + 2.0
    trailing = rule(made, Rung.TRAILING)
    assert trailing.met
    assert isnan(trailing.stop)
    assert "all is closed" in trailing.note


def test_bars_are_counted_for_young_and_for_old_positions() -> None:
    made = opened(bench())
    time = rule(made, Rung.TIME)
    assert (time.conditions[0].value, time.conditions[0].threshold) == (0.0, 12.0)
    row = made.engine.state.symbols[0]
    row.bar_count = row.idle_bar_count = 12
    assert rule(made, Rung.TIME).met
    row.bar_count, row.idle_bar_count = 25, 23
    time = rule(made, Rung.TIME)
    assert time.conditions[0].distance == 1.0
    assert time.note == "25 bars old, bars of 900 s"
    row.idle_bar_count = 24
    assert Rung.TIME in {each.rung for each in made.send(Tick()).outputs if isinstance(each, ExitProposed)}


def test_a_bar_of_another_length_does_not_count() -> None:
    made = opened(bench())
    made.clock.advance(3_600.0)
    made.mark("BTC", seen(made).mark)
    made.send(BarClosed("BTC", made.engine.state.symbols[0].episode_ns + 1, 3_600.0, 1.0, 1.0, 1.0, 1.0))
    assert rule(made, Rung.TIME).note.startswith("0 bars old")


def test_a_regime_and_a_score_that_close_are_said_to() -> None:
    made = opened(bench())
    assert seen(made).harvest.score == 0.5
    assert rule(made, Rung.KILL).conditions[0].distance == pytest.approx(0.1)
    made.mark("BTC", first(made, Rung.REGIME).price - 0.1)
    assert not rule(made, Rung.REGIME).met
    made.engine.state.symbols[0].regime = CHOP
    assert rule(made, Rung.REGIME).met
    assert rule(made, Rung.KILL).met
    assert seen(made).harvest.flip == 1.0
    fired = {each.rung for each in made.send(Tick()).outputs if isinstance(each, ExitProposed)}
    assert fired == {Rung.REGIME, Rung.KILL}


def test_a_stale_mark_leaves_thresholds_and_proves_nothing() -> None:
    made = opened(bench())
    made.feeds.discard("marks")
    made.clock.advance(600.0)
    told = seen(made)
    assert told.problem.startswith("its mark is not proven (600 s old, limit ")
    assert not any(each.met for each in told.rules)
    assert isnan(told.harvest.r)
    assert isnan(told.harvest.score)
    assert first(made, Rung.STOP).threshold == told.stop > 0.0


def test_a_position_in_doubt_has_no_quantity() -> None:
    made = opened(bench())
    made.send(Quarantined("Executed", "it does not decode", b"", "BTC"))
    (told,) = explain_exits(made.engine.state, made.clock.wall_ns)
    assert told.problem == "the position is in doubt until the venue has told it"
    assert isnan(told.quantity)


def test_a_position_opened_by_hand_names_the_command_that_adopts_it() -> None:
    made = bench(holdings={"BTC": (5.0, 100.0)})
    told = seen(made)
    assert not told.managed
    assert "interlock adopt BTC --stop PRICE" in told.problem
    assert told.strategy == ""
    made.engine.state.symbols[0].entry_leverage = nan
    assert isnan(first(made, Rung.LOSS).threshold)


def test_what_is_pursued_is_said_with_its_orders() -> None:
    made = opened(bench())
    assert seen(made).pursued is None
    made.mark("BTC", first(made, Rung.PARTIAL_25).price + 0.1)
    pursued = seen(made).pursued
    assert pursued is not None
    assert (pursued.rung, pursued.orders, pursued.attempts, pursued.flatten) == ("partial_25", 1, 1, "")
    assert pursued.left == pytest.approx(0.75 * seen(made).largest, rel=0.05)
    made.mark("BTC", first(made, Rung.STOP).price - 0.1)
    assert seen(made).problem == "all of it is being closed (stop)"


def test_while_the_firm_forbids_closing_what_can_wait_is_said_to() -> None:
    made = opened(bench())
    until_ns = made.clock.wall_ns + 60 * NS_PER_S
    made.send(BlackoutSet("BTC", ((made.clock.wall_ns, until_ns),)))
    made.mark("BTC", first(made, Rung.PARTIAL_25).price + 0.1)
    told = seen(made)
    assert told.forbidden_until_ns == until_ns
    assert (rule(made, Rung.PARTIAL_25).met, rule(made, Rung.PARTIAL_25).waits) == (True, True)
    assert not rule(made, Rung.STOP).waits
    assert told.pursued is None
    made.clock.advance(61.0)
    assert seen(made).forbidden_until_ns == 0
    assert not rule(made, Rung.PARTIAL_25).waits


def test_a_flatten_goes_before_everything() -> None:
    made = opened(bench())
    made.send(FlattenSet("BTC", "leaving", "alice"))
    told = seen(made)
    assert told.pursued is not None
    assert told.pursued.flatten == Code.OPERATOR_FLATTEN
    assert told.problem == f"it is being flattened ({Code.OPERATOR_FLATTEN})"


def test_advice_that_was_given_counts_as_fired_until_the_rules_act() -> None:
    made = opened(bench(OWNED))
    made.mark("BTC", first(made, Rung.PARTIAL_25).price + 0.1)
    assert rule(made, Rung.PARTIAL_25).fired
    assert seen(made).pursued is None
    assert made.engine.state.symbols[0].rungs == 0


def test_an_owner_is_alive_then_silent_then_succeeded() -> None:
    made = opened(bench(OWNED))
    made.send(Heartbeat("exit"))
    owner = exit_owner(made.engine.state, made.clock.wall_ns)
    assert (owner.owner, owner.mode, owner.builtin_acts, owner.alive) == ("exit", ExitMode.ADVISORY, False, True)
    made.feeds.discard("heartbeat")
    made.clock.advance(3.0 * owner.silent_s_max)
    made.send(Tick())
    owner = exit_owner(made.engine.state, made.clock.wall_ns)
    assert (owner.builtin_acts, owner.succeeded, owner.alive) == (True, True, False)
    assert owner.silent_s == pytest.approx(3.0 * owner.silent_s_max)


def test_nobody_named_means_that_the_rules_act() -> None:
    made = bench('[exits]\nowner = "any"\n')
    owner = exit_owner(made.engine.state, made.clock.wall_ns)
    assert (owner.owner, owner.builtin_acts, owner.succeeded) == ("any", True, False)
    assert isnan(owner.silent_s)


def test_a_venue_that_forgot_the_symbol_leaves_it_unknown() -> None:
    made = opened(bench())
    made.engine.state.instruments[0] = None
    told = seen(made)
    assert isnan(told.quantity)
    assert isnan(first(made, Rung.PARTIAL_25).price)
    assert "its entry is not known" in told.problem


def test_an_inverse_contract_is_met_where_its_value_is() -> None:
    made = opened(bench())
    made.engine.state.instruments[0] = msgspec.structs.replace(make_instrument("BTC"), inverse=True)
    made.engine.state.symbols[0].cost = -made.engine.state.symbols[0].position
    assert not any(rule.met for rule in seen(made).rules if rule.close is CloseAction.NONE and isnan(rule.stop))
    assert all(isnan(each.price) or each.price > 0.0 for rule in seen(made).rules for each in rule.conditions)
