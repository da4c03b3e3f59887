"""Profit in a currency whose rate nobody told is no amount of ours: the balance is unknown until the venue tells it."""

import pytest

from interlock.core.codes import AccountKind, PermitState
from interlock.core.engine import Engine
from interlock.core.instrument import Instrument
from interlock.core.messages import (
    SELL,
    AccountOpened,
    EquityMarked,
    Executed,
    InstrumentSet,
    Intent,
    PermitIssued,
    PositionAt,
    PositionsReported,
    Spent,
)
from interlock.testing.builders import START_NS


@pytest.mark.parametrize(("sold_at", "known"), [(101.0, False), (100.0, True)])
def test_a_profit_without_a_rate_makes_the_balance_unknown(sold_at: float, known: bool) -> None:
    engine = Engine()
    engine.step(AccountOpened("test", AccountKind.PAPER, "USDT", 10_000.0), START_NS)
    engine.step(InstrumentSet(Instrument("SAP", "v", "EUR", step=1.0, tick=0.01, min_notional=0.0)), START_NS)
    engine.step(PositionsReported((PositionAt("SAP", 10, 100.0),), START_NS), START_NS)
    close = Intent("x", "operator", "", "SAP", SELL, quantity=10.0, reduce_only=True)
    (permit,) = [each for each in engine.step(close, START_NS).outputs if isinstance(each, PermitIssued)]
    engine.step(Spent(permit.id, 1), START_NS)
    engine.step(Executed(permit.id, PermitState.FILLED, 10, 10 * sold_at, 0.0, START_NS), START_NS)
    a = engine.state.account
    assert engine.state.symbols[0].position == 0
    assert (a.balance_known == 1.0) == known
    assert a.realised == 0
    engine.step(EquityMarked(10_011.0, 10_011.0, START_NS), START_NS)
    assert a.balance_known == 1.0
