"""What the envelope tells passes, one step more does not, and asking changes nothing: on the path that intents take."""

from math import isnan, nan
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlock.core.codes import Code, KillMode, PermitState, Scope
from interlock.core.constants import OPERATOR_NS
from interlock.core.decide import decide
from interlock.core.envelope import Envelope, Room, envelope
from interlock.core.messages import BarClosed, CashFlow, Decision, KillSet, LockReleased, LockSet, PermitIssued
from interlock.testing import Bench, make_instrument, make_policy, open_bench
from interlock.testing.bench import picture
from lawkit import bench_under, hold

NS = 10**9
STOP = 0.05


def rooms(made: Bench, source: str = "bot", **options: Any) -> Envelope:
    options = {"stop_frac": STOP, **options}
    return envelope(made.engine.state, made.clock.wall_ns, made.clock.mono_ns, source, **options)


def room(made: Bench, symbol: str = "BTC", side: int = 1, source: str = "bot", **options: Any) -> Room:
    (found,) = [each for each in rooms(made, source, symbol=symbol, **options).rooms if each.side == side]
    return found


def decided(made: Bench, told: Room, steps: int, source: str = "bot") -> Decision:
    """What the engine would say to an intent of so many steps as the room assumes it."""
    quantity = made.book.instruments[told.symbol].quantity(steps)
    intent = made.intent(
        told.symbol, told.side, quantity=quantity, stop_price=told.stop_price, source=source, strategy=told.strategy
    )
    outputs = decide(made.engine.state, made.clock.wall_ns, made.clock.mono_ns, intent)
    return next(each for each in outputs if isinstance(each, Decision))


def hold_true(made: Bench, source: str = "bot") -> None:
    """Every room is as large as told, and no larger."""
    before = picture(made.engine.state)
    told = rooms(made, source)
    assert picture(made.engine.state) == before
    for each in told.rooms:
        if each.closes or each.binds is Code.NOT_EXIT_OWNER:
            answer = decided(made, each, 1, source)
            assert answer.reducing
            assert answer.headline in (each.binds, Code.NOTHING_TO_REDUCE)
            continue
        if each.steps:
            fits = decided(made, each, each.steps, source)
            assert (fits.granted_steps, fits.headline) == (each.steps, Code.ALLOWED)
            assert each.quantity == pytest.approx(made.book.instruments[each.symbol].quantity(each.steps))
        more = decided(made, each, each.steps + 1, source)
        assert more.granted_steps == 0
        assert each.steps == 0 or more.headline == each.binds


# ---------------------------------------------------------------- the law


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(("open", "pend", "mark", "time", "lock", "close", "scale")),
        st.sampled_from(("BTC", "ETH", "SOL")),
        st.sampled_from((1, -1)),
        st.floats(0.01, 1.0),
    ),
    max_size=6,
)


def act(made: Bench, kind: str, symbol: str, side: int, share: float) -> None:
    """Something has happened to the account."""
    if kind in ("open", "pend", "close", "scale"):
        quantity = share * 3_000.0 / made.book.prices[symbol].mark
        step = made.send(made.intent(symbol, side, quantity=quantity, reduce_only=kind == "close"))
        for permit in [each for each in step.outputs if isinstance(each, PermitIssued)]:
            if kind == "pend":
                made.result(permit.id, PermitState.WORKING)
            else:
                made.fill(permit.id)
    elif kind == "mark":
        made.mark(symbol, made.book.prices[symbol].mark * (1.0 + side * 0.01 * share))
    elif kind == "lock":
        until_ns = made.clock.true_ns + round(share * 100 * NS)
        made.send(LockSet(Scope.SYMBOL, symbol, side, until_ns, "test", "alice"))
    else:
        made.clock.advance(share * 20.0)


@given(actions=ACTIONS, policy=st.sampled_from(("layered@1", "crypto-futures@1", "everything")), rest=st.floats(0.0, 30.0))
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_told_passes_and_one_step_more_does_not(
    actions: list[tuple[str, str, int, float]], policy: str, rest: float
) -> None:
    made = bench_under() if policy == "everything" else open_bench(policy=make_policy(policy))
    for kind, symbol, side, share in actions:
        act(made, kind, symbol, side, share)
    made.clock.advance(rest)
    hold_true(made)
    hold_true(made, "rival")


@given(actions=ACTIONS, everything=st.booleans(), rest=st.floats(0.0, 30.0), data=st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_told_holds_until_the_instant_told_where_nothing_but_time_passes(
    actions: list[tuple[str, str, int, float]], everything: bool, rest: float, data: st.DataObject
) -> None:
    made = bench_under() if everything else open_bench(policy=make_policy("layered@1"))
    for index, symbol in enumerate(made.book.instruments if everything else ()):
        for count in range(40):
            opened_ns = made.clock.true_ns - (41 - count) * 3 * NS
            close = 100.0 + (count * (7 + index)) % 11
            length_s = made.engine.state.account_limits().correlation_bar_s
            made.send(BarClosed(symbol, opened_ns, length_s, close, close, close, close))
    for kind, symbol, side, share in actions:
        act(made, kind, symbol, side, share)
    made.clock.advance(rest)
    told = data.draw(st.sampled_from(rooms(made).rooms))
    if told.until_ns == OPERATOR_NS:
        made.clock.advance(data.draw(st.floats(0.0, 100_000.0)))
    else:
        made.clock.advance_to(told.until_ns - 1)
    later = next(
        each
        for each in rooms(made).rooms
        if (each.symbol, each.side, each.strategy) == (told.symbol, told.side, told.strategy)
    )
    assert later.steps <= told.steps if told.until_ns == OPERATOR_NS else later.steps == told.steps


# ---------------------------------------------------------------- what binds


def test_a_fresh_account_is_bound_by_its_nearest_cap() -> None:
    made = open_bench(policy=make_policy("layered@1"))
    told = room(made)
    assert told.binds is Code.SYMBOL_EXPOSURE
    assert told.notional == pytest.approx(3_000.0, rel=1e-4)
    assert told.notional <= 3_000.0
    assert told.stop_price == 95.0


def test_ten_thousand_cap_of_thirty_percent_two_thousand_held_leaves_one_thousand() -> None:
    policy = make_policy("layered@1", toml='rules.PRICE_COLLAR.collar = "0.0001 %"')
    made = open_bench(policy=policy)
    hold(made, "BTC", 1, 20.0)
    told = room(made)
    assert told.binds is Code.SYMBOL_EXPOSURE
    assert told.notional == pytest.approx(1_000.0, abs=0.02)


def test_a_hedge_has_more_room_than_more_of_the_same() -> None:
    toml = (
        'rules.PRICE_COLLAR.collar = "0.0001 %"\nrules.NET_EXPOSURE.exposure = "60 %"\n'
        'rules.SYMBOL_EXPOSURE.exposure = "200 %"\nrules.STRATEGY_EXPOSURE.exposure = "300 %"\n'
        'rules.TOTAL_EXPOSURE.exposure = "300 %"\n'
    )
    made = open_bench(policy=make_policy("layered@1", toml=toml))
    hold(made, "BTC", 1, 50.0)
    assert room(made, "ETH", 1).notional == pytest.approx(1_000.0, abs=0.02)
    assert room(made, "ETH", -1).notional == pytest.approx(11_000.0, abs=0.02)
    assert room(made, "ETH", -1).binds is Code.NET_EXPOSURE


def test_without_a_stop_the_rule_that_wants_one_binds_and_a_model_gives_one() -> None:
    made = open_bench(policy=make_policy("layered@1"))
    told = room(made, stop_frac=nan)
    assert (told.steps, told.binds) == (0, Code.STOP_REQUIRED)
    toml = (
        'sizing.stop = "1.8 x"\nmarket.unknown = "veto"\nmarket.age = "3 h"\nmarket.trend = "90 %"\nmarket.chop = "65 %"\n'
        'rules.TRADE_RISK = { chop = "1 %", base = "1 %", trend = "1 %" }\n'
    )
    model = open_bench(policy=make_policy("crypto-futures@1", toml=toml))
    assert room(model, stop_frac=nan).steps > 0


def test_the_venues_smallest_order_is_the_least_that_is_told() -> None:
    made = open_bench(policy=make_policy("layered@1"), instruments=[make_instrument("BTC", min_notional=3_500.0)])
    told = room(made)
    assert (told.steps, told.binds) == (0, Code.SYMBOL_EXPOSURE)
    hold_true(open_bench(policy=make_policy("layered@1"), instruments=[make_instrument("BTC", min_notional=2_900.0)]))


def test_against_a_position_there_is_only_a_close() -> None:
    made = open_bench(policy=make_policy("layered@1"))
    hold(made, "BTC", 1, 5.0)
    told = room(made, side=-1)
    assert (told.steps, told.binds) == (0, Code.ALLOWED)
    assert told.closes == pytest.approx(5.0)


def test_a_symbol_of_another_strategy_has_no_room() -> None:
    made = open_bench(policy=make_policy("layered@1"))
    hold(made, "BTC", 1, 5.0)
    told = room(made, source="rival")
    assert (told.strategy, told.steps, told.binds) == ("mean", 0, Code.SYMBOL_OWNED)
    assert room(made, "ETH", source="rival").steps > 0


def test_a_source_without_rights_has_no_rooms() -> None:
    made = open_bench(policy=make_policy("layered@1"))
    assert rooms(made, "exit").rooms == ()
    assert rooms(made, "nobody").rooms == ()
    assert rooms(open_bench()).rooms == ()


def test_a_symbol_without_a_definition_has_no_room() -> None:
    made = open_bench(policy=make_policy("layered@1"), prices={"ETH": 50.0})
    told = room(made)
    assert (told.steps, told.binds, told.until_ns) == (0, Code.MALFORMED, OPERATOR_NS)


def test_nothing_known_of_a_price_leaves_no_room() -> None:
    made = open_bench(policy=make_policy("layered@1"), feeds=frozenset({"clock", "positions", "equity", "heartbeat"}))
    told = room(made)
    assert told.steps == 0
    assert isnan(told.stop_price)
    hold_true(made)


# ---------------------------------------------------------------- until when


def over(made: Bench, told: Room) -> tuple[Code, Code]:
    """What binds just before that instant and at it, everything else being told anew."""
    made.pass_until(told.until_ns - 1)
    before = room(made, told.symbol, told.side).binds
    made.pass_until(told.until_ns)
    return before, room(made, told.symbol, told.side).binds


def test_a_lock_binds_until_its_end() -> None:
    made = open_bench(policy=make_policy("layered@1"))
    until_ns = made.clock.true_ns + 90 * NS
    made.send(LockSet(Scope.SYMBOL, "BTC", 1, until_ns, "test", "alice"))
    told = room(made)
    assert (told.binds, told.until_ns) == (Code.SYMBOL_VETO, until_ns + 1)
    assert room(made, side=-1).steps > 0
    assert over(made, told) == (Code.SYMBOL_VETO, Code.SYMBOL_EXPOSURE)


def test_a_kill_binds_until_an_operator_ends_it() -> None:
    made = open_bench(policy=make_policy("layered@1"))
    made.send(KillSet(KillMode.REDUCE_ONLY, Scope.ACCOUNT, "", "test", "alice"))
    told = room(made)
    assert (told.binds, told.until_ns) == (Code.TRADING_REDUCING, OPERATOR_NS)


ON = 'rules.NEWS_WINDOW = "on"\nrules.SESSION_FLAT.lead = "300 s"\n'


def test_a_window_binds_until_its_end_and_room_lasts_until_the_next() -> None:
    made = open_bench(policy=make_policy("layered@1", toml=ON))
    start_ns = made.clock.true_ns
    made.tell_windows("BTC", opening=[(0.0, 30.0), (35.0, 40.0)], flat=[(900.0, 1_000.0)])
    told = room(made)
    assert (told.binds, told.until_ns) == (Code.NEWS_WINDOW, start_ns + 30 * NS)
    assert over(made, told) == (Code.NEWS_WINDOW, Code.SYMBOL_EXPOSURE)
    assert room(made).until_ns == start_ns + 35 * NS
    made.pass_until(start_ns + 700 * NS)
    told = room(made)
    assert (told.binds, told.until_ns) == (Code.SESSION_FLAT, start_ns + 1_000 * NS)
    assert over(made, told) == (Code.SESSION_FLAT, Code.SYMBOL_EXPOSURE)


def test_where_windows_are_not_known_no_time_ends_it() -> None:
    made = open_bench(policy=make_policy("layered@1", toml=ON))
    made.engine.state.symbols[0].windows_until_ns = 0
    told = room(made)
    assert (told.binds, told.until_ns) == (Code.NEWS_WINDOW, OPERATOR_NS)


def test_a_closed_venue_binds_until_it_opens() -> None:
    start_ns = open_bench().clock.true_ns
    sessions = ((start_ns - 100 * NS, start_ns + 10 * NS), (start_ns + 60 * NS, start_ns + 900 * NS))
    made = open_bench(policy=make_policy("layered@1"), instruments=[make_instrument("BTC", sessions=sessions)])
    assert room(made).until_ns == start_ns + 10 * NS
    made.pass_until(start_ns + 10 * NS)
    told = room(made)
    assert (told.binds, told.until_ns) == (Code.SESSION_CLOSED, start_ns + 60 * NS)


def test_a_rate_binds_until_the_next_order_may_leave() -> None:
    made = open_bench(policy=make_policy("layered@1", toml='rules.ORDER_RATE = { interval = "60 s", burst = 2 }'))
    start_ns = made.clock.true_ns
    for _ in range(2):
        made.send(made.intent("ETH", 1, quantity=0.1))
    told = room(made)
    assert (told.binds, told.until_ns) == (Code.ORDER_RATE, start_ns + 60 * NS)
    made.pass_until(told.until_ns - 10_000)
    assert room(made).binds is Code.ORDER_RATE
    made.pass_until(told.until_ns)
    assert room(made).binds is Code.SYMBOL_EXPOSURE


def test_a_loss_binds_until_the_next_day_or_week() -> None:
    made = open_bench(policy=make_policy("layered@1"))
    hold(made, "BTC", 1, 25.0)
    for mark in (92.0, 85.0, 79.0):
        made.mark("BTC", mark)
    told = room(made, "ETH")
    a = made.engine.state.account
    day = made.engine.state.calendars[a.day_calendar]
    assert (told.binds, told.until_ns) == (Code.TRADING_REDUCING, day.instants_ns[day.next] + 1)
    made.send(LockReleased(Scope.ACCOUNT, "", Code.DAILY_LOSS, "alice"))
    told = room(made, "ETH")
    assert (told.binds, told.until_ns) == (Code.DAILY_LOSS, day.instants_ns[day.next])


def test_room_lasts_no_longer_than_what_it_rests_on() -> None:
    made = open_bench(policy=make_policy("layered@1"))
    told = room(made)
    assert told.until_ns == min(made.engine.state.account.wake_ns, made.engine.state.account.reconciled_at_ns + 60 * NS + 1)
    made.clock.advance_to(told.until_ns - 1)
    assert room(made).steps == told.steps
    made.clock.advance_to(told.until_ns)
    assert room(made).binds is Code.POSITION_UNRECONCILED


def test_a_rule_about_quantities_is_found_as_exactly_as_one_about_money() -> None:
    made = open_bench(policy=make_policy("layered@1", toml='rules.ORDER_QUANTITY.quantity = "7.1234"'))
    told = room(made)
    assert (told.steps, told.binds) == (71_234, Code.ORDER_QUANTITY)
    hold_true(made)


def test_a_rule_that_turns_at_a_size_is_found_as_exactly_as_a_cap() -> None:
    tiers = make_instrument("BTC", maintenance_frac=0.005, maintenance_tiers=((1_000.0, 0.05),))
    policy = make_policy("layered@1", toml='rules.LIQUIDATION_DISTANCE.buffer = "1 %"')
    made = open_bench(policy=policy, instruments=[tiers])
    told = room(made)
    assert told.binds is Code.LIQUIDATION_DISTANCE
    assert 990.0 < told.notional < 1_000.0
    hold_true(made)


def test_room_beside_what_moves_apart_lasts_until_their_bars_are_too_old() -> None:
    rule = {"correlation": "70 %", "exposure": "veto", "bar": "1 h", "decay": "97 %", "age": "24 h"}
    made = open_bench(policy=make_policy("layered@1", changes={"rules.CORRELATION_VETO": rule}))
    start_ns = made.clock.true_ns
    for symbol, sign in (("BTC", 1.0), ("ETH", -1.0)):
        for count in range(40):
            opened_ns = start_ns - (24 * 3600 - 3) * NS - (39 - count) * 3600 * NS
            close = 100.0 * 1.01 ** (sign * (count % 2))
            made.send(BarClosed(symbol, opened_ns, 3600.0, close, close, close, close))
    hold(made, "BTC", 1, 5.0)
    told = room(made, "ETH")
    assert told.steps > 0
    assert told.until_ns == start_ns + 3 * NS + 1
    made.clock.advance_to(told.until_ns - 1)
    assert room(made, "ETH").steps == told.steps
    made.clock.advance_to(told.until_ns)
    assert room(made, "ETH").binds is Code.CORRELATION_VETO


def test_a_spent_day_ends_with_the_day_and_a_reserved_one_when_its_order_expires() -> None:
    quota = {"slice": "0.5 %", "order_slices": 2, "day_entries": 1, "day_slices": 2, "campaign_slices": 9}
    made = open_bench(policy=make_policy("layered@1", changes={"account.cost": "0 %", "rules.DAILY_RISK_QUOTA": quota}))
    step = made.send(made.intent("ETH", 1, quantity=1.0))
    (permit,) = [each for each in step.outputs if isinstance(each, PermitIssued)]
    told = room(made)
    assert (told.binds, told.until_ns) == (Code.DAILY_RISK_QUOTA, permit.expires_ns + 1)
    assert over(made, told) == (Code.DAILY_RISK_QUOTA, Code.DAILY_RISK_QUOTA)
    assert room(made).steps > 0
    hold(made, "ETH", 1, 1.0)
    told = room(made)
    a = made.engine.state.account
    day = made.engine.state.calendars[a.day_calendar]
    assert (told.steps, told.binds, told.until_ns) == (0, Code.DAILY_RISK_QUOTA, day.instants_ns[day.next])
    made.pass_until(told.until_ns)
    assert room(made).steps > 0


def test_a_spent_campaign_ends_with_an_operator_alone() -> None:
    quota = {"slice": "0.5 %", "order_slices": 2, "day_entries": 5, "day_slices": 2, "campaign_slices": 2}
    made = open_bench(policy=make_policy("layered@1", changes={"account.cost": "0 %", "rules.DAILY_RISK_QUOTA": quota}))
    hold(made, "ETH", 1, 20.0)
    told = room(made)
    assert (told.steps, told.binds, told.until_ns) == (0, Code.DAILY_RISK_QUOTA, OPERATOR_NS)
    made.pass_until(made.clock.true_ns + 50 * 3600 * NS)
    assert room(made).binds is Code.DAILY_RISK_QUOTA
    made.send(LockReleased(Scope.ACCOUNT, "", Code.DAILY_RISK_QUOTA, "alice"))
    assert room(made).steps > 0


@pytest.mark.parametrize(
    ("daily", "weekly", "days"), [("5 %", "off: a test", 1), ("off: a test", "5 %", 3), ("off: a test", "off: a test", 0)]
)
def test_headroom_under_a_day_s_or_a_week_s_floor_comes_back_with_the_next(daily: str, weekly: str, days: int) -> None:
    rules: dict[str, Any] = {"LOSS_HEADROOM": {"buffer": "0 %", "no_stop_gap": "10 %"}, "TOTAL_DRAWDOWN": {"loss": "5 %"}}
    if days:
        rules["TOTAL_DRAWDOWN"] = {"loss": "50 %"}
    for code, loss in (("DAILY_LOSS", daily), ("WEEKLY_LOSS", weekly)):
        rules[code] = loss if loss.startswith("off") else {"loss": loss}
    changes: dict[str, Any] = {f"rules.{code}": rule for code, rule in rules.items()}
    made = open_bench(policy=make_policy("layered@1", changes={"account.cost": "0 %", **changes}))
    made.book.balance -= 500.0
    made.send(CashFlow("fee", -500.0))
    made.refresh()
    told = room(made)
    assert (told.steps, told.binds) == (0, Code.LOSS_HEADROOM)
    a = made.engine.state.account
    period = made.engine.state.calendars[a.day_calendar if days == 1 else a.week_calendar]
    assert told.until_ns == (period.instants_ns[period.next] if days else OPERATOR_NS)
    made.pass_until(told.until_ns if days else made.clock.true_ns + 10 * 24 * 3600 * NS)
    assert (room(made).steps > 0) == (days > 0)


def test_who_may_not_close_is_told_so() -> None:
    made = open_bench(policy=make_policy("layered@1"))
    hold(made, "BTC", 1, 5.0)
    told = room(made, side=-1, source="rival")
    assert (told.steps, told.closes, told.binds) == (0, 0.0, Code.NOT_EXIT_OWNER)
