"""How a market state is told, believed, forgotten, and what sizes and liquidations follow from it."""

from math import inf, isnan, nan

import msgspec
import pytest

from interlock.core.codes import Code
from interlock.core.constants import BASE
from interlock.core.instrument import Instrument
from interlock.core.messages import Decision, InstrumentSet, MarketState, PermitIssued, Quarantined
from interlock.core.sizing import cost_per_unit, model_target, quantity_at_risk
from interlock.core.state import SymbolRow
from interlock.testing import Bench, make_instrument, make_policy, open_bench
from lawkit import decision, permits
from rulekit import limits


def bench(**changes: object) -> Bench:
    return open_bench(policy=make_policy(changes=changes))


def row(of: Bench, symbol: str = "BTC") -> SymbolRow:
    state = of.engine.state
    return state.symbols[state.names.symbol_index[symbol]]


def told(of: Bench, **changes: object) -> MarketState:
    base = MarketState("BTC", of.clock.true_ns, atr=2.0, p_trend=0.1, p_base=0.8, p_chop=0.1, label="BASE")
    return msgspec.structs.replace(base, **changes)


def ask(of: Bench) -> Decision:
    return decision(of.send(of.intent("BTC", 1, notional=1_000.0)))


def test_the_newest_state_counts_whatever_order_they_come_in() -> None:
    one = bench()
    one.send(told(one, atr=3.0))
    one.send(told(one, atr=4.0, at_ns=one.clock.true_ns - 1))
    assert (row(one).atr, row(one).regime, row(one).regime_p) == (3.0, BASE, 0.8)


def test_a_state_of_the_future_or_of_no_symbol_is_not_believed() -> None:
    one = bench()
    before = row(one).market_at_ns
    one.send(told(one, at_ns=one.clock.true_ns + 6_000_000_000))
    one.send(told(one, symbol="DOGE"))
    assert row(one).market_at_ns == before


@pytest.mark.parametrize(("symbol", "denied"), [("BTC", True), ("", False), ("DOGE", False)])
def test_a_state_that_could_not_be_read_is_unknown(symbol: str, denied: bool) -> None:
    one = bench()
    one.send(Quarantined("MarketState", "damaged", b"", symbol))
    assert (ask(one).headline == Code.ATR_SPIKE) == denied


def test_an_unknown_regime_is_recorded_as_what_it_counts_as() -> None:
    one = bench(**{"market.unknown": "BASE"})
    one.send(told(one, label="", p_trend=nan))
    facts = ask(one).facts
    assert facts is not None
    assert (facts.regime, facts.regime_p) == (BASE, 0.5)


def test_the_models_stop_and_target_are_the_permits() -> None:
    one = bench(**{"sizing": {"stop": "1.8 x", "target": "1.2 x"}, "rules.TRADE_RISK": RISKS})
    one.send(told(one))
    (permit,) = permits(one.send(one.intent("BTC", -1, stop_price=nan, limit_price=100.0)))
    assert (permit.stop_price, permit.target_price) == (100.0 + 1.8 * 2.0, 100.0 - 1.2 * 2.0)
    (own,) = permits(one.send(one.intent("BTC", -1, stop_price=nan, limit_price=100.0, target_price=95.0)))
    assert (own.stop_price, own.target_price) == (100.0 + 1.8 * 2.0, 95.0)


RISKS = {"chop": "0.3 %", "base": "0.5 %", "trend": "0.7 %"}


def test_an_order_with_its_own_stop_is_sized_by_that() -> None:
    one = bench(**{"sizing": {"stop": "1.8 x"}, "rules.TRADE_RISK": RISKS, "account.cost": "0 %"})
    one.mark("BTC", 100.0, bid=100.0, ask=100.0)
    (permit,) = permits(one.send(one.intent("BTC", 1, stop_price=98.0, limit_price=100.0)))
    assert permit.steps == 250_000  # 50 at risk over a distance of 2
    assert isnan(permit.target_price)


def test_the_models_size_reduces_first_and_needs_a_known_range() -> None:
    one = bench(**{"sizing": {"stop": "1.8 x"}, "rules.TRADE_RISK": RISKS, "exits.owner": "any"})
    (permit,) = permits(one.send(one.intent("BTC", 1, notional=500.0)))
    one.fill(permit.id)
    (close,) = permits(one.send(one.intent("BTC", -1, stop_price=nan, reduce_only=True)))
    assert close.reduce_only
    one.send(told(one, atr=nan))
    assert decision(one.send(one.intent("BTC", -1, stop_price=nan, reduce_only=True))).headline == Code.MALFORMED


def test_a_range_that_is_too_old_places_no_stop() -> None:
    one = bench(**{"sizing": {"stop": "1.8 x"}, "rules.TRADE_RISK": RISKS, "market.age": "60 s"})
    one.send(told(one))
    wish = {"stop_price": nan, "notional": 500.0}
    assert permits(one.send(one.intent("BTC", 1, **wish)))
    one.clock.advance(61.0)
    one.mark("BTC", 100.0)
    stale = decision(one.send(one.intent("BTC", 1, **wish)))
    assert Code.STOP_REQUIRED in {objection.code for objection in stale.objections}


def test_the_worked_size() -> None:
    cost = cost_per_unit(50_000.0, 0.0011, 10.0)
    assert cost == pytest.approx(80.0, rel=1e-15)
    quantity = quantity_at_risk(10_000.0 * 0.005, 1.8 * 1_000.0, cost)
    assert quantity == pytest.approx(0.0265957446808511, abs=5e-17)
    assert quantity * (1_800.0 + 80.0) == pytest.approx(50.0, rel=1e-15)


@pytest.mark.parametrize(
    ("risk", "distance", "cost"),
    [
        (nan, 1.0, 1.0),
        (0.0, 1.0, 1.0),
        (1.0, 0.0, 1.0),
        (1.0, nan, 1.0),
        (1.0, 1.0, nan),
        (1.0, inf, 0.0),
        (inf, 1.0, 1.0),
        (1.0, 1.0, -0.1),
    ],
)
def test_a_size_of_something_unknown_is_none(risk: float, distance: float, cost: float) -> None:
    assert quantity_at_risk(risk, distance, cost) == 0.0


def test_there_is_no_target_where_the_order_could_be_filled_beyond_it() -> None:
    model = limits(size_target_atr=1.2)
    assert model_target(1, 100.0, 100.0, 1.0, model) == 101.2
    assert isnan(model_target(1, 100.0, 102.0, 1.0, model))
    assert isnan(model_target(1, 100.0, 100.0, nan, model))
    assert isnan(model_target(1, 100.0, 100.0, 1.0, limits()))


# ---------------------------------------------------------------- liquidation


def perpetual(**changes: object) -> Instrument:
    return msgspec.structs.replace(make_instrument("BTC", step=1.0), **changes)


@pytest.mark.parametrize(
    ("side", "leverage", "kept", "expected"),
    [
        (1, 10.0, 0.0, 90.0),
        (-1, 10.0, 0.0, 110.0),
        (1, 10.0, 0.01, 90.0 / 0.99),
        (-1, 10.0, 0.01, 110.0 / 1.01),
        (1, 1.0, 0.01, 0.0),
        (1, 0.5, 0.0, 0.0),
        (-1, 1.0, 0.0, 200.0),
    ],
)
def test_what_is_left_of_the_margin_is_the_maintenance_margin(
    side: int, leverage: float, kept: float, expected: float
) -> None:
    found = perpetual(maintenance_frac=kept).liquidation_price(side, 100.0, leverage, 3, 0, 0.0)
    assert found == pytest.approx(expected)
    if expected > 0.0:
        left = 100.0 / leverage + side * (found - 100.0)
        assert left == pytest.approx(kept * found)


@pytest.mark.parametrize(("side", "leverage"), [(1, 10.0), (-1, 10.0), (1, 0.5)])
def test_an_inverse_contract_is_liquidated_in_its_base_currency(side: int, leverage: float) -> None:
    inverse = perpetual(inverse=True, maintenance_frac=0.005)
    found = inverse.liquidation_price(side, 100.0, leverage, 3, 0, 0.0)
    margin, gained = 1.0 / 100.0 / leverage, side * (1.0 / 100.0 - 1.0 / found)
    assert margin + gained == pytest.approx(0.005 / found)


def test_an_inverse_contract_sold_without_leverage_is_never_liquidated() -> None:
    assert perpetual(inverse=True).liquidation_price(-1, 100.0, 1.0, 3, 0, 0.0) == inf


@pytest.mark.parametrize("inverse", [False, True])
def test_what_is_held_counts_at_its_average_entry(inverse: bool) -> None:
    instrument = perpetual(inverse=inverse, multiplier=10.0)
    cost = abs(instrument.value(120.0)) * 2.0
    units, value = 5.0, cost + abs(instrument.value(100.0)) * 3.0
    entry = units * 10.0 / value if inverse else value / units / 10.0
    together = instrument.liquidation_price(1, 100.0, 10.0, 3, 2, cost)
    assert together == pytest.approx(instrument.liquidation_price(1, entry, 10.0, 5, 0, 0.0))


def test_larger_positions_keep_a_larger_share() -> None:
    tiered = perpetual(maintenance_frac=0.01, maintenance_tiers=((1_000.0, 0.02), (10_000.0, 0.05)))
    shares = [1.0 - 90.0 / tiered.liquidation_price(1, 100.0, 10.0, steps, 0, 0.0) for steps in (9, 10, 99, 100)]
    assert shares == pytest.approx([0.01, 0.02, 0.02, 0.05])


@pytest.mark.parametrize(
    ("kept", "leverage", "price"),
    [(nan, 10.0, 100.0), (0.01, nan, 100.0), (0.01, 0.0, 100.0), (0.01, 10.0, nan), (0.01, 10.0, 0.0)],
)
def test_a_liquidation_of_something_unknown_is_unknown(kept: float, leverage: float, price: float) -> None:
    assert isnan(perpetual(maintenance_frac=kept).liquidation_price(1, price, leverage, 1, 0, 0.0))


def test_unknown_maintenance_vetoes() -> None:
    one = open_bench(policy=make_policy(), instruments=[make_instrument("BTC", maintenance_frac=nan)])
    assert ask(one).headline == Code.LIQUIDATION_DISTANCE


def test_adding_to_a_loser_is_judged_with_what_is_held() -> None:
    one = bench()
    (permit,) = permits(one.send(one.intent("BTC", 1, notional=10_000.0, limit_price=100.0)))
    one.fill(permit.id)
    one.send(InstrumentSet(make_instrument("BTC")))
    step = one.send(one.intent("BTC", 1, notional=1_000.0, limit_price=98.0, stop_price=90.5))
    assert decision(step).headline == Code.LIQUIDATION_DISTANCE  # alone it would be liquidated at 88.2
    assert not [each for each in step.outputs if isinstance(each, PermitIssued)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"maintenance_frac": -0.1},
        {"maintenance_frac": 1.0},
        {"maintenance_tiers": ((0.0, 0.1),)},
        {"maintenance_tiers": ((10.0, 0.2), (5.0, 0.3))},
        {"maintenance_frac": 0.1, "maintenance_tiers": ((10.0, 0.05),)},
        {"maintenance_tiers": ((10.0, 1.0),)},
    ],
)
def test_maintenance_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    assert perpetual(**wrong).problems()


def test_maintenance_may_be_unknown_or_rise() -> None:
    assert perpetual(maintenance_frac=nan).problems() == ()
    assert perpetual(maintenance_frac=0.01, maintenance_tiers=((10.0, 0.01), (20.0, 0.5))).problems() == ()
