"""Each rule across fields with the pair of numbers that just passes and the pair that just does not."""

from math import inf, isnan, nan
from typing import Any

import msgspec
import pytest

from interlock.core.absorb import is_complete
from interlock.core.limits import SWITCHABLE
from unit.policy.policy_texts import HEAD, changed, compiled, paths_of, problems_of

LOSS = "rules.{}.loss".format

ONLY_DAILY_AND_TOTAL = {f"rules.{rule}": "off: x" for rule in ("WEEKLY_LOSS", "DRAWDOWN", "EMERGENCY_FLATTEN")}

ORDERS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("daily below weekly", {LOSS("DAILY_LOSS"): "4.9 %"}, {LOSS("DAILY_LOSS"): "5 %"}, "DAILY_LOSS.loss"),
    ("weekly below total", {LOSS("WEEKLY_LOSS"): "19.9 %"}, {LOSS("WEEKLY_LOSS"): "20 %"}, "WEEKLY_LOSS.loss"),
    (
        "daily below total with weekly off",
        {**ONLY_DAILY_AND_TOTAL, LOSS("DAILY_LOSS"): "19 %"},
        {**ONLY_DAILY_AND_TOTAL, LOSS("DAILY_LOSS"): "20 %"},
        "DAILY_LOSS.loss",
    ),
    (
        "daily below drawdown",
        {"rules.WEEKLY_LOSS": "off: x", LOSS("DAILY_LOSS"): "7.99 %"},
        {"rules.WEEKLY_LOSS": "off: x", LOSS("DAILY_LOSS"): "8 %"},
        "DAILY_LOSS.loss",
    ),
    ("drawdown below emergency", {LOSS("DRAWDOWN"): "9.99 %"}, {LOSS("DRAWDOWN"): "10 %"}, "DRAWDOWN.loss"),
    (
        "emergency below total",
        {LOSS("EMERGENCY_FLATTEN"): "19 %"},
        {LOSS("EMERGENCY_FLATTEN"): "20 %"},
        "EMERGENCY_FLATTEN.loss",
    ),
    ("rearm below warn", {"rules.WARN.rearm": "69 %"}, {"rules.WARN.rearm": "70 %"}, "WARN.rearm"),
    ("streaks", {"rules.CONSEC_LOSS.losses": 9}, {"rules.CONSEC_LOSS.losses": 10}, "CONSEC_LOSS.losses"),
    (
        "symbol at most strategy",
        {"rules.SYMBOL_EXPOSURE.exposure": "400 %"},
        {"rules.SYMBOL_EXPOSURE.exposure": "400.1 %"},
        "SYMBOL_EXPOSURE.exposure",
    ),
    (
        "strategy at most total",
        {"rules.STRATEGY_EXPOSURE.exposure": "600 %"},
        {"rules.STRATEGY_EXPOSURE.exposure": "600.1 %"},
        "STRATEGY_EXPOSURE.exposure",
    ),
    (
        "symbol at most total with strategy off",
        {"rules.STRATEGY_EXPOSURE": "off: x", "rules.SYMBOL_EXPOSURE.exposure": "600 %"},
        {"rules.STRATEGY_EXPOSURE": "off: x", "rules.SYMBOL_EXPOSURE.exposure": "601 %"},
        "SYMBOL_EXPOSURE.exposure",
    ),
    (
        "net at most total",
        {"rules.NET_EXPOSURE.exposure": "600 %"},
        {"rules.NET_EXPOSURE.exposure": "601 %"},
        "NET_EXPOSURE.exposure",
    ),
    (
        "cluster at most total",
        {"rules.CLUSTER_CAP.exposure": "600 %"},
        {"rules.CLUSTER_CAP.exposure": "601 %"},
        "CLUSTER_CAP.exposure",
    ),
    (
        "leverage in a trend at most the hard cap",
        {"rules.GROSS_LEVERAGE.trend": "6 x"},
        {"rules.GROSS_LEVERAGE.trend": "6.1 x"},
        "GROSS_LEVERAGE.trend",
    ),
    (
        "what moves together at most total",
        {"rules.CORRELATION_VETO.exposure": "600 %"},
        {"rules.CORRELATION_VETO.exposure": "601 %"},
        "CORRELATION_VETO.exposure",
    ),
]


@pytest.mark.parametrize(("sound", "crossed", "where"), [order[1:] for order in ORDERS], ids=[order[0] for order in ORDERS])
def test_limits_stand_in_their_order(sound: dict[str, Any], crossed: dict[str, Any], where: str) -> None:
    assert paths_of(changed(sound)) == []
    assert paths_of(changed(crossed)) == [f"rules.{where}"]


def test_retries_do_not_get_shorter() -> None:
    assert paths_of(changed({"exits.retry_first": "30 s"})) == []
    assert paths_of(changed({"exits.retry_first": "31 s"})) == ["exits.retry_first"]


def test_two_crossed_pairs_are_two_problems() -> None:
    text = changed({LOSS("DAILY_LOSS"): "9 %", "rules.WARN.rearm": "80 %"})
    assert paths_of(text) == ["rules.DAILY_LOSS.loss", "rules.DAILY_LOSS.loss", "rules.WARN.rearm"]
    assert 'less than rules.WEEKLY_LOSS.loss = "5 %"' in str(problems_of(text)[0])


def test_a_rule_that_is_off_crosses_nothing() -> None:
    assert paths_of(changed({"rules.DAILY_LOSS": "off: x", "rules.WEEKLY_LOSS": "off: x"})) == []


def test_rebasing_needs_the_total_limit() -> None:
    off = {"rules.TOTAL_DRAWDOWN": "off: x"}
    assert paths_of(changed(off)) == ["account.rebase_after_drawdown"]
    assert paths_of(changed({**off, "account.rebase_after_drawdown": "no"})) == []


def test_a_symbols_leverage_stays_within_the_accounts() -> None:
    assert paths_of(changed({"account.margin_leverage": "10 x"})) == []
    assert paths_of(changed({"account.margin_leverage": "9 x"})) == ["universe.ETHUSDT.margin_leverage"]
    without = {"account.margin_leverage": None}
    assert paths_of(changed(without)) == ["account.margin_leverage"]


def test_one_symbol_at_most_is_the_benchmark() -> None:
    one = {"universe.ETHUSDT.benchmark": "yes", "universe.BTCUSDT.benchmark": "no"}
    assert paths_of(changed(one)) == []
    both = {"universe.ETHUSDT.benchmark": "yes", "universe.BTCUSDT.benchmark": "yes"}
    assert paths_of(changed(both)) == ["universe.ETHUSDT.benchmark"]


def test_a_symbols_leverage_may_be_missing_only_where_nothing_reads_it() -> None:
    gone: dict[str, Any] = {"universe.ETHUSDT.margin_leverage": None, "universe.ETHUSDT.cluster": "x"}
    assert paths_of(changed(gone)) == ["universe.ETHUSDT.margin_leverage"]
    spot = {**gone, "rules.POLICY_MISSING_LEVERAGE": "off: spot"}
    assert paths_of(changed(spot)) == ["universe.ETHUSDT.margin_leverage"]
    policy = compiled(changed({**spot, "rules.FREE_MARGIN": "off: spot"}))
    eth = policy.universe[1]
    assert eth.symbol == "ETHUSDT"
    assert eth.margin_leverage != eth.margin_leverage, "NaN: nobody reads it"
    assert policy.limits[eth.limits].margin_leverage_max != policy.limits[eth.limits].margin_leverage_max


def test_money_is_in_the_accounts_currency() -> None:
    assert paths_of(changed({"account.currency": "EUR"})) == ["rules.ORDER_NOTIONAL.notional"]
    own = {"universe.BTCUSDT.rules": {"ORDER_NOTIONAL": {"notional": "5000 EUR"}}}
    assert paths_of(changed(own)) == ["universe.BTCUSDT.rules.ORDER_NOTIONAL.notional"]


def test_one_way_to_size_an_order() -> None:
    assert paths_of(changed({"sizing.quantity": "1"})) == ["sizing"]
    assert paths_of(changed({"universe.BTCUSDT.sizing": {"quantity": "1", "fraction": "1 %"}})) == [
        "universe.BTCUSDT.sizing"
    ]
    own = compiled(changed({"universe.BTCUSDT.sizing": {"quantity": "1"}}))
    btc, account = own.limits[own.universe[0].limits], own.limits[0]
    assert (btc.size_quantity, account.size_frac) == (1.0, 0.05)
    assert btc.size_frac != btc.size_frac
    assert account.size_quantity != account.size_quantity


def test_a_symbols_exposure_stays_within_its_strategys() -> None:
    place = "universe.BTCUSDT.rules"
    assert paths_of(changed({place: {"SYMBOL_EXPOSURE": {"exposure": "400 %"}}})) == []
    wide = {place: {"SYMBOL_EXPOSURE": {"exposure": "401 %"}}}
    assert paths_of(changed(wide)) == [f"{place}.SYMBOL_EXPOSURE.exposure"]
    assert paths_of(changed({**wide, "rules.STRATEGY_EXPOSURE": "off: x"})) == []
    wider = {place: {"SYMBOL_EXPOSURE": {"exposure": "601 %"}}, "rules.STRATEGY_EXPOSURE": "off: x"}
    assert paths_of(changed(wider)) == [f"{place}.SYMBOL_EXPOSURE.exposure"]


def test_a_crossed_account_is_not_reported_again_for_its_symbols() -> None:
    own = {"universe.BTCUSDT.rules": {"SYMBOL_EXPOSURE": {"exposure": "300 %"}}}
    assert paths_of(changed({**own, "rules.STRATEGY_EXPOSURE.exposure": "700 %"})) == ["rules.STRATEGY_EXPOSURE.exposure"]


def test_a_symbol_that_switches_a_rule_on_gives_all_its_numbers() -> None:
    off = {"rules.RUNAWAY": "off: x"}
    assert paths_of(changed({**off, "universe.BTCUSDT.rules": {"RUNAWAY": {"orders": 3}}})) == [
        "universe.BTCUSDT.rules.RUNAWAY.window"
    ]
    policy = compiled(changed({**off, "universe.BTCUSDT.rules": {"RUNAWAY": {"orders": 3, "window": "9 s"}}}))
    btc = policy.limits[policy.universe[0].limits]
    assert (btc.runaway_count_max, btc.runaway_window_s) == (3.0, 9.0)
    assert btc.active & ~policy.limits[0].active == 1 << [code.value for code in SWITCHABLE].index("RUNAWAY")


def test_a_symbol_may_switch_a_rule_off() -> None:
    policy = compiled(changed({"universe.BTCUSDT.rules": {"SPREAD_SPIKE": "off: it quotes no book"}}))
    btc = policy.limits[policy.universe[0].limits]
    assert btc.spread_bps_max != btc.spread_bps_max
    assert policy.limits[0].spread_bps_max == 50.0


def test_the_owners_heartbeat_is_read_with_its_guard_off() -> None:
    off = {"rules.CONTROLLER_DEAD": "off: x", "exits.heartbeat": None}
    assert paths_of(changed(off)) == ["exits.heartbeat"]


@pytest.mark.parametrize("part", ["universe", "sources"])
def test_without_symbols_or_sources_nothing_could_be_opened(part: str) -> None:
    assert paths_of(changed({part: None})) == [part]
    assert paths_of(changed({part: {}})) == [part]


@pytest.mark.parametrize(
    "path", ["breaker.lock", "proof.marks", "exits.retry_first", "exits.close_patience", "rules.ORDER_RATE.burst"]
)
def test_a_number_that_is_read_must_be_given(path: str) -> None:
    assert paths_of(changed({path: None})) == [path]


@pytest.mark.parametrize(("lock_s", "complete"), [(900.0, 0.0), (nan, 0.0), (inf, 1.0)])
def test_the_core_asks_for_trips_only_where_a_breaker_closes_by_itself(lock_s: float, complete: float) -> None:
    given = compiled(changed({})).limits[0]
    untold = {"breaker_lock_s": lock_s, "breaker_trip_count_max": nan, "breaker_trip_window_s": nan}
    assert is_complete(given, owned=True) == 1.0
    assert is_complete(msgspec.structs.replace(given, **untold), owned=True) == complete


def test_whether_an_owners_heartbeat_is_given_matters_only_where_there_is_one() -> None:
    limits = msgspec.structs.replace(
        compiled(changed({"rules.CONTROLLER_DEAD": "off: x"})).limits[0], controller_age_s_max=nan
    )
    assert [is_complete(limits, owned=owned) for owned in (True, False)] == [0.0, 1.0]


def test_a_number_that_no_active_rule_reads_may_be_missing() -> None:
    off = {f"rules.{rule}": "off: x" for rule in ("API_ERRORS", "ORDER_FAILURES", "FAILED_TRADES")}
    limits = compiled(changed({**off, "breaker": None})).limits[0]
    assert limits.breaker_lock_s != limits.breaker_lock_s
    with_numbers = compiled(changed(off)).limits[0]
    assert with_numbers.breaker_lock_s != with_numbers.breaker_lock_s, "a number that nothing reads is NaN"


def test_trips_are_counted_only_where_a_breaker_closes_by_itself() -> None:
    uncounted = {"breaker.trips": None, "breaker.trip_window": None}
    assert sorted(paths_of(changed(uncounted))) == ["breaker.trip_window", "breaker.trips"]
    waiting = {"breaker.lock": "until operator"}
    assert paths_of(changed(waiting | uncounted)) == []
    limits = compiled(changed(waiting)).limits[0]
    assert isnan(limits.breaker_trip_count_max)
    assert isnan(limits.breaker_trip_window_s)


def test_a_whole_rule_that_is_missing_is_one_problem() -> None:
    assert paths_of(changed({"rules.API_ERRORS": None})) == ["rules.API_ERRORS"]
    (problem,) = problems_of(changed({"rules.TOTAL_EXPOSURE": None}))
    assert "off" not in problem.expected


def test_it_is_published_after_it_is_made() -> None:
    assert paths_of(changed({"published_at": "2027-01-15T07:59:59.999999Z"})) == ["published_at"]
    assert paths_of(changed({"published_at": "2027-01-15T08:00:00Z"})) == []


def test_nothing_at_all_lists_all_that_is_missing() -> None:
    paths = paths_of("")
    assert len(paths) == len(set(paths)) > 50
    assert paths_of(HEAD) == []


def test_an_order_takes_no_more_slices_than_its_day_and_a_day_no_more_than_its_campaign() -> None:
    place = "rules.DAILY_RISK_QUOTA"
    assert paths_of(changed({f"{place}.order_slices": 4, f"{place}.day_slices": 4})) == []
    assert paths_of(changed({f"{place}.order_slices": 5})) == [f"{place}.order_slices"]
    assert paths_of(changed({f"{place}.day_slices": 11})) == [f"{place}.day_slices"]


def test_a_strategy_without_an_edge_rests_only_where_a_probe_follows() -> None:
    off, why = {"rules.KELLY_CAP": "off: x"}, {"rules.KELLY_ZERO": "off: x"}
    (problem,) = problems_of(changed(off))
    assert (problem.path, problem.found) == (("rules", "KELLY_ZERO", "lock"), '"1 d"')
    assert "switch KELLY_CAP on" in problem.remedy
    assert problems_of(changed(why)) == problems_of(changed({**off, **why})) == ()
    both = {**off, "rules.DAILY_LOSS.loss": "6 %"}
    assert paths_of(changed(both)) == ["rules.DAILY_LOSS.loss", "rules.KELLY_ZERO.lock"]
