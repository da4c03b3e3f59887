"""A short day of one account, for tests of what reads a ledger: an opening, a denial, a close, a lock."""

from pathlib import Path

from interlock.core.codes import AccountKind, PermitState, Scope
from interlock.core.constants import NS_PER_S
from interlock.core.engine import Engine
from interlock.core.instrument import Instrument
from interlock.core.messages import (
    AccountOpened,
    ClockChecked,
    EquityMarked,
    Executed,
    Input,
    InstrumentSet,
    Intent,
    LockSet,
    MarketBatch,
    PermitIssued,
    PositionsReported,
    Quote,
)
from interlock.ledger import Ledger
from interlock.policy import load_policy
from interlock.policy.calendar import day_calendar, week_calendar
from interlock.service.shell.gate import Gate

DAY_NS = 86_400 * NS_PER_S
START_NS = 20_600 * DAY_NS + 36_000 * NS_PER_S
POLICY = """
policy_version = "story"
extends = "crypto-futures@1"
created_at = 2026-01-01T00:00:00Z
valid_for = "365 d"
generator = { name = "test" }
account = { currency = "USD" }
universe = { GOLD = { margin_leverage = "5 x" }, EURO = { margin_leverage = "5 x" } }
sources = { bot = { trend = ["open", "close"] } }
exits.owner = "any"
exits.mode = "builtin"
rules.ORDER_NOTIONAL.notional = "5000 USD"
rules.ATR_SPIKE = "off: nobody tells a market state in this story"
rules.GROSS_LEVERAGE = "off: nobody tells a market state in this story"
rules.TRADE_RISK = "off: nobody tells a market state in this story"
"""
SCHEMA = 1


def at_s(seconds: float) -> int:
    """That many seconds after the start."""
    return START_NS + int(seconds * NS_PER_S)


def opening(symbol: str = "GOLD", number: str = "i1", **given: object) -> Intent:
    """A sound order to buy."""
    asked = {"quantity": 0.5, "stop_price": 1900.0 if symbol == "GOLD" else 1.0, "created_at_ns": START_NS} | given
    return Intent(number, "bot", "trend", symbol, 1, **asked)  # type: ignore[arg-type]


def start() -> list[Input]:
    """An ordinary start of a paper account with 10 000 USD."""
    gold = Instrument("GOLD", "paper", "USD", 0.01, 0.01, 1.0)
    euro = Instrument("EURO", "paper", "USD", 1.0, 0.0001, 1.0)
    return [
        AccountOpened("story", AccountKind.PAPER, "USD", 10_000.0),
        InstrumentSet(gold),
        InstrumentSet(euro),
        load_policy(POLICY).compile(START_NS),
        day_calendar("day", "UTC", "00:00", START_NS - 8 * DAY_NS, START_NS + 8 * DAY_NS),
        week_calendar("week", "UTC", "00:00", "Mon", START_NS - 8 * DAY_NS, START_NS + 8 * DAY_NS),
        ClockChecked(),
        PositionsReported((), START_NS),
        MarketBatch((quote("GOLD", 2000.0), quote("EURO", 1.1))),
        EquityMarked(10_000.0, 10_000.0, START_NS),
    ]


def quote(symbol: str, price: float, at_ns: int = START_NS) -> Quote:
    """A narrow quote."""
    return Quote(symbol, price * 0.9999, price * 1.0001, price, at_ns, price, price)


def engine() -> Engine:
    """The engine after the start."""
    fresh = Engine()
    for event in start():
        fresh.step(event, START_NS)
    return fresh


def write(directory: Path) -> None:
    """A ledger of the whole story is in the directory, closed."""
    ledger = Ledger.open(directory, account="story", schema=SCHEMA)
    gate = Gate(Engine(), ledger)
    for event in start():
        gate.submit(event, START_NS)
    (permit,) = gate.submit(opening(), at_s(1), wait_s=10.0).permits
    _fill(gate, permit, 2000.0, 2)
    gate.submit(opening(number="i2", quantity=3.0), at_s(3))
    close = Intent("x1", "bot", "trend", "GOLD", -1, quantity=0.5)
    (permit,) = gate.submit(close, at_s(4)).permits
    _fill(gate, permit, 1990.0, 5)
    gate.submit(Intent("x2", "bot", "trend", "GOLD", -1, quantity=0.5, reduce_only=True), at_s(6))
    gate.submit(LockSet(Scope.ACCOUNT, "", 0, at_s(3600), "lunch", "alice"), at_s(7))
    gate.submit(opening("EURO", "i3", quantity=100.0), at_s(8))
    gate.close()


def _fill(gate: Gate, permit: PermitIssued, price: float, seconds: float) -> None:
    gate.spend(permit, at_s(seconds))
    value = permit.steps * 0.01 * price
    gate.submit(Executed(permit.id, PermitState.FILLED, permit.steps, value, 0.0, at_s(seconds)), at_s(seconds))
