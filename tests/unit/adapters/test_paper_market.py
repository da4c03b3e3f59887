"""How orders live at the paper venue; all money computed by hand."""

from math import inf, nan

import msgspec
import pytest

from interlock.adapters.paper_book import InstrumentUnusable
from interlock.adapters.paper_market import Order, PaperMarket, PaperTerms
from interlock.adapters.venue import VenueOrder, VenueRejected
from interlock.core.codes import PermitState
from interlock.core.instrument import Instrument
from interlock.core.messages import Quote

BTC = Instrument("BTC", "paper", "USDT", step=0.001, tick=0.1, min_notional=5.0, bracket_leverage=125.0)
TERMS = PaperTerms(
    account="test",
    currency="USDT",
    balance=10_000.0,
    environment="testnet",
    fee_bps=4.0,
    latency_s=0.0,
    partial_frac=0.0,
    seed=0,
    instruments=(BTC,),
)


def market(**changes: object) -> PaperMarket:
    made = PaperMarket(msgspec.structs.replace(TERMS, **changes))
    at(made, 50_000.0)
    return made


def at(made: PaperMarket, mark: float, high: float = nan, low: float = nan) -> None:
    made.quote(Quote("BTC", mark - 0.5, mark + 0.5, mark, 1, high, low), 1)


def wish(side: int, steps: int, **more: object) -> VenueOrder:
    return VenueOrder(**{"client_id": "c", "symbol": "BTC", "side": side, "steps": steps} | more)  # type: ignore[arg-type]


def rest(made: PaperMarket, side: int, steps: int, client_id: str, **more: object) -> Order:
    return made.place(wish(side, steps, client_id=client_id, immediate=False, **more), 1)


def test_a_market_order_pays_the_touch_and_the_fee() -> None:
    m = market()
    order = m.place(wish(1, 100), 7)
    assert (order.state, order.filled, order.value) == (PermitState.FILLED, 100, 5_000_050_000)  # 0.1 at 50 000.5
    assert order.fees == 2_000_020
    assert m.account.balance == 10_000_000_000 - 2_000_020
    assert m.account.equity_at_mark == m.account.balance - 50_000  # half the spread of 1, on 0.1
    report = order.report(m.books["BTC"])
    assert (report.filled_value, report.fees, report.at_ns) == (5_000.05, 2.00002, 7)
    assert m.open == {}


def test_a_limit_fills_at_the_touch_when_it_comes_and_at_its_price_when_it_rested() -> None:
    m = market()
    assert m.place(wish(1, 10, limit_price=50_010.0), 1).value == 500_005_000  # at the ask, 50 000.5
    resting = rest(m, -1, 10, "r", limit_price=50_100.0, reduce_only=True)
    assert (resting.state, m.open) == (PermitState.WORKING, {2: resting})
    at(m, 50_100.4)  # the bid is 50 099.9
    assert resting.state.name == "WORKING"
    at(m, 50_200.0)
    assert (resting.state, resting.value) == (PermitState.FILLED, 501_000_000)
    assert m.account.balance == 10_000_000_000 + 995_000 - 200_002 - 200_400


def test_an_extreme_between_quotes_fills_a_resting_limit() -> None:
    m = market()
    bid_for = rest(m, 1, 10, "b", limit_price=49_900.0)
    at(m, 50_000.0, low=49_899.6)  # the ask came down to 49 900.1
    assert bid_for.state.name == "WORKING"
    at(m, 50_000.0, low=49_899.5)
    assert (bid_for.state, bid_for.value) == (PermitState.FILLED, 499_000_000)
    offer = rest(m, -1, 10, "o", limit_price=50_100.0)
    at(m, 50_000.0, high=50_100.4)
    assert offer.state.name == "WORKING"
    at(m, 50_000.0, high=50_100.5)
    assert offer.state.name == "FILLED"


def test_what_does_not_fill_at_once_of_an_immediate_order_is_cancelled() -> None:
    order = market().place(wish(1, 10, limit_price=50_000.4), 1)
    assert (order.state, order.filled) == (PermitState.CANCELLED, 0)
    assert not order.report(market().books["BTC"]).benign


def test_a_stop_waits_for_the_mark_and_goes_to_the_market() -> None:
    m = market()
    m.place(wish(1, 100), 1)
    stop = rest(m, -1, 100, "s", trigger_price=49_000.0, reduce_only=True)
    at(m, 49_000.1)
    assert stop.state.name == "WORKING"
    at(m, 48_900.0)  # it gapped: the bid, not the trigger
    assert (stop.state, stop.value) == (PermitState.FILLED, 4_889_950_000)
    assert m.books["BTC"].position == 0


@pytest.mark.parametrize(
    ("side", "trigger", "extreme", "price"),
    [(-1, 49_000.0, {"low": 48_900.0}, 48_999_500), (1, 51_000.0, {"high": 51_100.0}, 51_000_500)],
)
def test_a_stop_that_an_extreme_reached_gains_nothing_from_the_recovery(
    side: int, trigger: float, extreme: dict[str, float], price: int
) -> None:
    m = market()
    m.place(wish(-side, 1), 1)
    stop = rest(m, side, 1, "s", trigger_price=trigger, reduce_only=True)
    assert m.books["BTC"].position == -side
    at(m, 50_000.0, **extreme)
    assert (stop.state, stop.value) == (PermitState.FILLED, price)


def test_a_stop_for_a_short_triggers_when_the_mark_rises() -> None:
    m = market()
    m.place(wish(-1, 10), 1)
    stop = rest(m, 1, 10, "s", trigger_price=50_500.0, reduce_only=True)
    at(m, 50_499.9)
    assert stop.state.name == "WORKING"
    at(m, 50_500.0)
    assert (stop.state, stop.value) == (PermitState.FILLED, 505_005_000)


def test_a_stop_is_cut_to_the_position_and_ends_cancelled_when_there_is_none() -> None:
    m = market()
    m.place(wish(1, 100), 1)
    first = rest(m, -1, 150, "a", trigger_price=49_000.0, reduce_only=True)
    second = rest(m, -1, 100, "b", trigger_price=48_000.0, reduce_only=True)
    at(m, 49_000.0)
    assert (first.state, first.filled) == (PermitState.CANCELLED, 100)
    assert first.report(m.books["BTC"]).benign
    assert second.state == PermitState.WORKING  # it outlives the position, as stops at venues do
    at(m, 47_000.0)
    assert (second.state, second.filled, m.books["BTC"].position) == (PermitState.CANCELLED, 0, 0)


def test_a_resting_reduce_only_limit_ends_with_the_position() -> None:
    m = market()
    m.place(wish(1, 100), 1)
    target = rest(m, -1, 100, "t", limit_price=51_000.0, reduce_only=True)
    m.place(wish(-1, 40), 1)
    assert target.state.name == "WORKING"
    m.place(wish(-1, 60), 1)
    assert (target.state, target.filled) == (PermitState.CANCELLED, 0)


def test_reduce_only_orders_never_flip_and_say_so_when_nothing_is_left() -> None:
    m = market()
    m.place(wish(1, 100), 1)
    with pytest.raises(VenueRejected, match="nothing is left") as told:
        m.place(wish(1, 1, reduce_only=True), 1)
    assert told.value.benign
    cut = m.place(wish(-1, 130, reduce_only=True), 1)
    assert (cut.state, cut.filled, m.books["BTC"].position) == (PermitState.CANCELLED, 100, 0)
    with pytest.raises(VenueRejected, match="nothing is left"):
        rest(m, -1, 1, "s", trigger_price=49_000.0, reduce_only=True)


def test_the_stop_comes_before_the_target_where_both_were_reached() -> None:
    m = market()
    m.place(wish(1, 100), 1)
    target = rest(m, -1, 100, "t", limit_price=51_000.0, reduce_only=True)
    stop = rest(m, -1, 100, "s", trigger_price=49_000.0, reduce_only=True)
    at(m, 50_000.0, high=52_000.0, low=48_000.0)
    assert (stop.state, target.state) == (PermitState.FILLED, PermitState.CANCELLED)


REFUSED: dict[str, dict[str, object]] = {
    "not traded": {"symbol": "ETH"},
    "1 to 36": {"client_id": "x" * 37},
    "found 0$": {"client_id": ""},
    "side": {"side": 0},
    "steps": {"steps": 0},
    "2147483647 steps": {"steps": 2**31},
    "notional of 5": {"steps": 1, "limit_price": 4_999.9},
    "not on a tick": {"limit_price": 50_000.05},
    "a number > 0": {"limit_price": -1.0},
    "found inf": {"limit_price": inf},
    "margin at leverage 20": {"steps": 4_000},
    "not immediate": {"trigger_price": 51_000.0},
    "no limit price": {"trigger_price": 51_000.0, "limit_price": 51_000.0, "immediate": False},
    "trigger at once": {"trigger_price": 50_000.0, "immediate": False},
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_a_venue_refuses_changes_nothing(reason: str) -> None:
    m = market()
    with pytest.raises(VenueRejected, match=reason) as told:
        m.place(msgspec.structs.replace(wish(1, 100), **REFUSED[reason]), 1)
    assert not told.value.benign
    assert (m.open, m.changed, m.last_number, m.account.balance) == ({}, {}, 0, 10_000_000_000)


def test_a_small_order_may_reduce() -> None:
    m = market()
    m.place(wish(1, 2, limit_price=60_000.0), 1)
    at(m, 2_000.0)
    assert m.place(wish(-1, 1), 1).value == 1_999_500
    assert m.place(wish(-1, 1, reduce_only=True), 1).state == PermitState.FILLED


def test_a_name_is_refused_only_while_an_open_order_has_it() -> None:
    m = market()
    resting = rest(m, 1, 10, "n", limit_price=40_000.0)
    with pytest.raises(VenueRejected, match="named 'n'"):
        m.place(wish(1, 10, client_id="n"), 1)
    m.cancel(resting, 5)
    assert (resting.state, resting.at_ns, m.open) == (PermitState.CANCELLED, 5, {})
    assert m.place(wish(1, 10, client_id="n"), 1).state == PermitState.FILLED


def test_a_price_with_the_noise_of_floats_is_on_its_tick() -> None:
    assert rest(market(), 1, 10, "f", limit_price=3 * 0.1 * 100_000.0).limit_ticks == 300_000


def test_nothing_trades_before_the_first_quote_or_at_a_quote_that_is_none() -> None:
    m = PaperMarket(TERMS)
    with pytest.raises(VenueRejected, match="no quote yet"):
        m.place(wish(1, 10), 1)
    for bid, ask, mark in [(2.0, 1.0, 1.5), (nan, 1.0, 1.0), (1.0, 2.0, nan), (1.0, 2.0, inf), (0.01, 1.0, 1.0)]:
        m.quote(Quote("BTC", bid, ask, mark, 1), 1)
    m.quote(Quote("ETH", 1.0, 2.0, 1.5, 1), 1)
    assert not m.books["BTC"].quoted


def test_margin_is_held_by_positions_and_by_resting_openings_and_not_by_exits() -> None:
    m = market()
    m.set_leverage("BTC", 5.0)
    at(m, 50_000.0)
    m.place(wish(1, 500), 1)  # 25 000 of notional: 5 000 of margin
    resting = rest(m, 1, 400, "r", limit_price=40_000.0)  # 16 000: 3 200
    with pytest.raises(VenueRejected, match="margin at leverage 5"):
        m.place(wish(1, 180), 1)  # 9 000: 1 800, and less than that is free: fees and the spread are gone
    assert m.place(wish(-1, 500), 1).state == PermitState.FILLED
    m.cancel(resting, 1)
    assert rest(m, 1, 990, "t", limit_price=50_000.0).state == PermitState.WORKING


@pytest.mark.parametrize(("balance", "accepted"), [(10.000033, False), (10.000034, True)])
def test_margin_is_rounded_up_to_a_micro(balance: float, *, accepted: bool) -> None:
    m = market(balance=balance)
    m.set_leverage("BTC", 3.0)
    try:
        rest(m, 1, 1, "m", limit_price=30_000.1)  # 30.0001 of notional: 10.0000333... of margin
    except VenueRejected:
        assert not accepted
    else:
        assert accepted


def test_leverage_stays_while_a_position_is_open() -> None:
    m = market()
    assert m.leverages == {"BTC": 20.0}
    m.set_leverage("BTC", 3.0)
    m.place(wish(1, 10), 1)
    m.set_leverage("BTC", 3.0)
    with pytest.raises(VenueRejected, match="while a position"):
        m.set_leverage("BTC", 2.0)
    m.place(wish(-1, 10), 1)
    for wrong in (0.5, 126.0, nan, inf):
        with pytest.raises(VenueRejected, match="between 1 and 125"):
            m.set_leverage("BTC", wrong)
    with pytest.raises(VenueRejected, match="not traded"):
        m.set_leverage("ETH", 2.0)


def test_parts_fill_in_turn_and_the_same_ones_every_time() -> None:
    def story() -> list[tuple[int, PermitState]]:
        m = market(partial_frac=0.8, seed=11)
        told: list[tuple[int, PermitState]] = []
        entry = rest(m, 1, 100, "e", limit_price=50_010.0)
        while entry.state != PermitState.FILLED:
            told.append((entry.filled, entry.state))
            at(m, 50_000.0)
        stop = rest(m, -1, 100, "s", trigger_price=49_000.0, reduce_only=True)
        while stop.state != PermitState.FILLED:
            at(m, 49_000.0)
            told.append((stop.filled, stop.state))
        assert m.books["BTC"].position == 0
        return told

    told = story()
    assert {state for _, state in told} == {PermitState.PARTIAL, PermitState.FILLED}
    assert story() == told


def test_a_part_of_a_market_order_is_all_that_fills_of_it() -> None:
    m = market(partial_frac=1.0)
    order = m.place(wish(1, 100), 1)
    assert order.state.name == "CANCELLED"
    assert 0 < order.filled < 100
    assert m.books["BTC"].position == order.filled
    assert m.place(wish(1, 1, limit_price=50_001.0), 1).state == PermitState.FILLED  # one step has no parts


def test_an_instrument_of_another_currency_is_refused() -> None:
    with pytest.raises(InstrumentUnusable, match="leave the symbol out"):
        PaperMarket(msgspec.structs.replace(TERMS, currency="EUR"))
