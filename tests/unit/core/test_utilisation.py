"""How far rules are used: as the engine itself would answer, in every place, and in the numbers that people know."""

from collections import Counter
from math import inf, isnan, nan
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import rulekit
from interlock.core.codes import AccountKind, Code, Scope
from interlock.core.decide import decide
from interlock.core.engine import Engine
from interlock.core.facts import FACT_UNITS
from interlock.core.guards import GUARDS
from interlock.core.headroom import admits, limit_use
from interlock.core.limits import LIMIT_FIELDS
from interlock.core.messages import AccountOpened, Decision, EquityMarked, LockSet
from interlock.core.reasons import TRIGGERS
from interlock.core.utilisation import (
    OF_ORDER,
    OF_SIDE,
    OF_STRATEGY,
    OF_SYMBOL,
    TAKEN,
    Standing,
    Utilisation,
    measure_of,
    utilisation,
)
from interlock.testing import Bench, make_policy, open_bench
from interlock.testing.bench import picture
from lawkit import bench_under, hold, limits_of_everything

NS = 10**9
STOP = 0.05
BY_CODE = {guard.code: guard for guard in GUARDS}


def told(made: Bench, stop_frac: float = STOP) -> Utilisation:
    return utilisation(made.engine.state, made.clock.wall_ns, made.clock.mono_ns, stop_frac=stop_frac)


def standing(made: Bench, code: str, **options: Any) -> Standing:
    return next(each for each in told(made, **options).standings if each.kind == "guard" and each.code == code)


# ---------------------------------------------------------------- the classes


def test_every_rule_is_told_once_in_its_order() -> None:
    standings = told(bench_under()).standings
    assert [each.code for each in standings if each.kind == "guard"] == [guard.code for guard in GUARDS]
    assert [each.code for each in standings if each.kind == "trigger"] == [*TRIGGERS]


def test_facts_are_of_what_they_are_said_to_be() -> None:
    assert FACT_UNITS.keys() >= OF_ORDER | OF_SIDE | OF_STRATEGY | OF_SYMBOL | TAKEN


def test_the_guards_that_bound_each_order_by_itself() -> None:
    assert {guard.code for guard in GUARDS if measure_of(guard) == "order"} == {
        Code.POLICY_MISSING_LEVERAGE,
        Code.POLICY_MISSING_SIZE,
        Code.INTENT_STALE,
        Code.INTENT_CONFLICT,
        Code.PRICE_COLLAR,
        Code.ORDER_NOTIONAL,
        Code.ORDER_QUANTITY,
        Code.STOP_REQUIRED,
        Code.TRADE_RISK,
        Code.LIQUIDATION_DISTANCE,
        Code.KELLY_CAP,
    }


def test_a_guard_without_a_limit_that_is_used_up_has_no_share() -> None:
    conditions = {guard.code for guard in GUARDS if measure_of(guard) == "condition"}
    assert {Code.SYMBOL_OWNED, Code.POLICY_STALE, Code.SESSION_FLAT, Code.FREE_MARGIN} <= conditions
    assert all(isnan(each.share) for each in told(bench_under()).standings if each.measure == "condition")


# ---------------------------------------------------------------- a limit and its use


@settings(max_examples=100)
@given(rulekit.admissible(), st.sampled_from([(g, name) for g in GUARDS for name in g.limits if measure_of(g) == "share"]))
def test_what_is_used_of_a_limit_is_its_strictest_value_that_admits(case: rulekit.Case, pair: Any) -> None:
    guard, name = pair
    used, share = limit_use(guard, case.facts, case.limits, name)
    if isnan(share):
        assert isnan(used)
        return
    assert 0.0 <= share <= 1.0

    def passes(value: float) -> bool:
        return admits(guard, case.facts, msgspec.structs.replace(case.limits, **{name: value}), 0.0)

    further = 1.0 if LIMIT_FIELDS[name].unit == "count" else 0.0
    stricter = -1.0 if LIMIT_FIELDS[name].tighter == "lower" else 1.0
    assert share == 0.0 or passes(used + further)
    assert share == 0.0 or not passes(used + stricter * max(1e-6, 1e-9 * used))


def test_a_loss_is_told_as_a_share_of_the_limit_and_a_profit_uses_nothing() -> None:
    case = rulekit.case()
    lost = case.knowing(equity=9_880.0)
    used, share = limit_use(BY_CODE[Code.DAILY_LOSS], lost.facts, lost.limits, "day_loss_frac_max")
    assert (used, share) == pytest.approx((0.012, 0.48))
    won = case.knowing(equity=10_100.0)
    assert limit_use(BY_CODE[Code.DAILY_LOSS], won.facts, won.limits, "day_loss_frac_max") == (0.0, 0.0)


def test_a_floor_is_used_by_the_distance_below_the_whole() -> None:
    case = rulekit.case().knowing(equity=9_600.0)
    used, share = limit_use(BY_CODE[Code.EQUITY_GUARD], case.facts, case.limits, "equity_floor_frac_min")
    assert (used, share) == pytest.approx((0.96, 0.4))
    whole = rulekit.case().knowing(equity=10_600.0)
    assert limit_use(BY_CODE[Code.EQUITY_GUARD], whole.facts, whole.limits, "equity_floor_frac_min") == (1.0, 0.0)


@pytest.mark.parametrize(
    ("code", "name", "changes", "used", "limit"),
    [
        ("DAILY_RISK_QUOTA", "quota_day_slice_count_max", {"day_slice_count": 3.0}, 3.0, 4.0),
        ("DAILY_RISK_QUOTA", "quota_day_slice_count_max", {"day_slice_count": 4.0}, 4.0, 4.0),
        ("DAILY_RISK_QUOTA", "quota_day_entry_count_max", {"day_entry_count": 2.0}, 2.0, 3.0),
        ("DAILY_RISK_QUOTA", "quota_order_slice_count_max", {}, 0.0, 2.0),
        ("CONCURRENT_POSITIONS", "position_count_max", {"position_count": 3.0}, 3.0, 10.0),
        ("CONCURRENT_POSITIONS", "position_count_max", {"position_count": 11.0}, 11.0, 10.0),
        ("ORDER_RATE", "order_burst_count_max", {"order_ahead_s": 2.0}, 1.0, 5.0),
        ("ORDER_RATE", "order_burst_count_max", {"order_ahead_s": 0.0}, 0.0, 5.0),
    ],
)
def test_of_a_count_the_next_one_is_not_used_yet(
    code: str, name: str, changes: dict[str, float], used: float, limit: float
) -> None:
    case = rulekit.case().knowing(**changes)
    assert limit_use(BY_CODE[Code(code)], case.facts, case.limits, name) == (used, used / limit)


def test_a_number_that_nothing_uses_up_has_no_use() -> None:
    case = rulekit.case()
    risk = BY_CODE[Code.LOSS_HEADROOM]
    for name in ("headroom_buffer_frac", "cost_frac"):
        assert all(map(isnan, limit_use(risk, case.facts, case.limits, name)))
    kelly = BY_CODE[Code.KELLY_CAP]
    assert all(map(isnan, limit_use(kelly, case.facts, case.limits, "kelly_above_floor")))
    off = case.under(day_loss_frac_max=nan)
    assert all(map(isnan, limit_use(BY_CODE[Code.DAILY_LOSS], off.facts, off.limits, "day_loss_frac_max")))


def test_a_limit_of_nothing_is_used_beyond_measure_and_an_unknown_fact_not_at_all() -> None:
    none = rulekit.case().under(symbol_exposure_frac_max=0.0)
    guard = BY_CODE[Code.SYMBOL_EXPOSURE]
    used, share = limit_use(guard, none.facts, none.limits, "symbol_exposure_frac_max")
    assert (used, share) == pytest.approx((0.05, inf))
    unknown = none.knowing(symbol_notional=nan)
    assert all(map(isnan, limit_use(guard, unknown.facts, unknown.limits, "symbol_exposure_frac_max")))


# ---------------------------------------------------------------- an account


def objections(made: Bench) -> Counter[Code]:
    """How often the engine has each objection to the smallest orders that would open."""
    state = made.engine.state
    found: Counter[Code] = Counter()
    for symbol, instrument in made.book.instruments.items():
        row = state.symbols[state.names.symbol_index[symbol]]
        for right in state.rights.values():
            for side in (1, -1):
                if right.may_open and row.position * side >= 0:
                    stop = row.mark * (1.0 - side * STOP)
                    who: dict[str, Any] = {"source": right.source, "strategy": right.strategy, "stop_price": stop}
                    intent = made.intent(symbol, side, quantity=instrument.quantity(1), **who)
                    outputs = decide(state, made.clock.wall_ns, made.clock.mono_ns, intent)
                    decision = next(each for each in outputs if isinstance(each, Decision))
                    found.update(each.code for each in decision.objections)
    return found


@settings(max_examples=25, phases=[Phase.explicit, Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.sampled_from(("BTC", "ETH", "SOL")), st.sampled_from((1, -1)), st.floats(0.1, 20.0)), max_size=3),
    st.floats(0.9, 1.1),
    st.sampled_from((0.0, 90.0, 400.0)),
)
def test_a_guard_objects_where_the_engine_would(held: list[Any], move: float, silence_s: float) -> None:
    made = bench_under(limits_of_everything(position_count_max=2.0, correlation_max=0.5, runaway_count_max=30.0))
    for symbol, side, quantity in held:
        for output in made.send(made.intent(symbol, side, quantity=quantity)).outputs:
            if isinstance(output, Decision) and output.granted_steps and not output.reducing:
                made.fill(output.permit)
    made.mark("ETH", made.book.prices["ETH"].mark * move)
    made.clock.advance(silence_s)
    before = picture(made.engine.state)
    seen = told(made)
    assert picture(made.engine.state) == before
    guards = {each.code: each for each in seen.standings if each.kind == "guard" and each.stand == "objects"}
    assert {code: each.objecting_count for code, each in guards.items()} == objections(made)
    assert all(each.why for each in guards.values())
    for each in seen.standings:
        if each.kind == "guard" and each.stand == "admits" and each.share == each.share:
            assert 0.0 <= each.share <= 1.0


def test_the_worst_symbol_is_named_and_what_is_left_of_it() -> None:
    made = bench_under(limits_of_everything(symbol_exposure_frac_max=0.3))
    hold(made, "ETH", 1, 10.0)
    hold(made, "BTC", 1, 5.0)
    held = made.engine.state.symbols[made.engine.state.names.symbol_index["ETH"]]
    each = standing(made, "SYMBOL_EXPOSURE")
    most = held.position * held.unit_notional
    assert (each.symbol, each.side, each.strategy) == ("ETH", 0, "")
    assert each.used == pytest.approx(most / made.engine.state.account.equity)
    assert each.allowance == pytest.approx(0.3 * made.engine.state.account.equity - most)
    assert (each.limit_name, each.limit, each.unit) == ("symbol_exposure_frac_max", 0.3, "frac")
    assert each.share == pytest.approx(each.used / 0.3)
    assert standing(made, "TOTAL_EXPOSURE").symbol == ""
    assert standing(made, "NET_EXPOSURE").side == 1
    assert standing(made, "STRATEGY_EXPOSURE").strategy == "trend"


def test_a_further_position_is_counted_even_where_every_symbol_is_open() -> None:
    made = bench_under(limits_of_everything(position_count_max=3.0))
    for symbol in made.book.instruments:
        hold(made, symbol, 1, 1.0)
    each = standing(made, "CONCURRENT_POSITIONS")
    assert (each.stand, each.used, each.share, each.symbol) == ("admits", 3.0, 1.0, "")


def test_what_is_unknown_is_named_and_has_no_share() -> None:
    made = bench_under()
    made.send(EquityMarked(nan, nan, 0))
    made.feeds.discard("equity")
    made.clock.advance(1_000.0)
    each = standing(made, "MARKET_STALE")
    assert (each.stand, each.objecting_count, each.share > 1.0) == ("objects", each.place_count, True)
    state = made.engine.state
    state.symbols[state.names.symbol_index["SOL"]].atr = nan
    state.symbols[state.names.symbol_index["SOL"]].market_at_ns = 0
    each = standing(made, "ATR_SPIKE")
    assert each.unknown == ("atr", "market_state_age_s")
    assert (each.symbol, isnan(each.share)) == ("SOL", True)
    assert each.why.startswith("atr is unknown")


def test_what_binds_is_what_allows_least() -> None:
    made = bench_under(limits_of_everything(order_notional_max=700.0))
    each = standing(made, "ORDER_NOTIONAL")
    assert (each.measure, each.allowance, each.symbol, isnan(each.used)) == ("order", 700.0, "", True)
    assert each.binding_count == each.place_count == told(made).place_count
    assert sum(each.binding_count for each in told(made).standings) == told(made).place_count


def test_what_grows_with_the_order_has_no_amount_and_binds_nothing() -> None:
    made = bench_under()
    each = standing(made, "KILL_SCORE")
    assert (each.limit_name, each.allowance, each.binding_count) == ("kill_score_critical", inf, 0)


def test_a_lock_is_met_or_not() -> None:
    made = bench_under()
    assert standing(made, "TRADING_REDUCING").stand == "admits"
    made.send(LockSet(Scope.STRATEGY, "trend", 0, made.clock.wall_ns + 60 * NS, "a look", "alice"))
    each = standing(made, "TRADING_REDUCING")
    assert (each.stand, each.strategy, each.symbol, isnan(each.share)) == ("objects", "trend", "", True)
    assert each.objecting_count < each.place_count


def test_time_that_is_left_is_told_of_the_nearest() -> None:
    made = bench_under()
    made.tell_windows("ETH", flat=[(7_200.0, 9_000.0)])
    made.tell_windows("SOL", flat=[(3_600.0, 9_000.0)])
    each = standing(made, "SESSION_FLAT")
    assert each.symbol == "SOL"
    assert each.room is not None
    assert (each.room.fact, each.room.value, each.room.unit) == ("flat_ahead_s", 3_600.0, "s")
    assert each.room.edge == pytest.approx(each.limits[0].value)


def test_a_rule_that_is_off_is_off() -> None:
    made = open_bench(policy=make_policy(toml='rules.SPREAD_SPIKE = "off: no book"'))
    assert standing(made, "SPREAD_SPIKE").stand == "off"
    assert standing(made, "SPREAD_SPIKE").measure == "share"


def test_a_live_account_wants_stops_whatever_its_policy_says() -> None:
    off = limits_of_everything()
    off = msgspec.structs.replace(off, active=0)
    assert standing(bench_under(off), "STOP_REQUIRED", stop_frac=nan).stand == "off"
    live = bench_under(off, kind=AccountKind.LIVE)
    assert standing(live, "STOP_REQUIRED", stop_frac=nan).stand == "objects"


def test_without_a_policy_every_known_symbol_is_asked_about_for_nobody() -> None:
    made = open_bench()
    seen = told(made)
    assert seen.place_count == 2 * len(made.book.instruments)
    assert standing(made, "POLICY_MISSING").objecting_count == seen.place_count
    assert standing(made, "SOURCE_DENIED").stand == "objects"


def test_a_symbol_that_nobody_defined_is_named_and_nothing_is_asked() -> None:
    made = open_bench(policy=make_policy(symbols=("XRP",)))
    seen = told(made)
    assert (seen.undefined, seen.place_count) == (("XRP",), 0)
    assert {each.stand for each in seen.standings if each.kind == "guard"} == {"unasked", "off"}


def test_an_account_that_knows_nothing_is_told_too() -> None:
    engine = Engine()
    engine.step(AccountOpened("test", AccountKind.PAPER, "USDT", 10_000.0), NS, NS)
    seen = utilisation(engine.state, NS, NS)
    assert (seen.place_count, seen.currency, isnan(seen.stop_frac)) == (0, "USDT", True)


def test_a_side_on_which_an_order_would_only_close_is_not_asked() -> None:
    made = bench_under()
    whole = told(made).place_count
    hold(made, "BTC", 1, 1.0)
    openers = {right.strategy for right in made.engine.state.rights.values() if right.may_open}
    assert told(made).place_count == whole - len(openers)
