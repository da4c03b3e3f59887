"""Answers for NautilusTrader: what its fixed-risk sizer makes of an entry, a stop and a risk."""

import json
import sys
from decimal import Decimal
from typing import Any

from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.identifiers import InstrumentId, Symbol
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.risk.sizing import FixedRiskSizer


def instrument(step: str, tick: str, multiplier: str) -> CryptoPerpetual:
    """A linear perpetual in USDT."""
    size, price = Quantity.from_str(step), Price.from_str(tick)
    return CryptoPerpetual(
        instrument_id=InstrumentId.from_str("X.PAPER"),
        raw_symbol=Symbol("X"),
        base_currency=BTC,
        quote_currency=USDT,
        settlement_currency=USDT,
        is_inverse=False,
        price_precision=price.precision,
        size_precision=size.precision,
        price_increment=price,
        size_increment=size,
        max_quantity=Quantity.from_str("1000000000"),
        multiplier=Quantity.from_str(multiplier),
        ts_event=0,
        ts_init=0,
    )


def answer(asked: dict[str, Any]) -> str:
    """The quantity, as text."""
    sized = FixedRiskSizer(instrument(asked["step"], asked["tick"], asked["multiplier"])).calculate(
        entry=Price.from_str(asked["entry"]),
        stop_loss=Price.from_str(asked["stop"]),
        equity=Money(Decimal(asked["equity"]), USDT),
        risk=Decimal(asked["risk"]),
        commission_rate=Decimal(asked["commission"]),
        exchange_rate=Decimal(asked["rate"]),
        unit_batch_size=Decimal(asked["batch"]),
    )
    return str(sized)


json.dump([answer(each) for each in json.load(sys.stdin)], sys.stdout)
