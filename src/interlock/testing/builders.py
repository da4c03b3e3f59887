"""A policy, an instrument, and a healthy engine on a bench, each in one call."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import nan
from types import MappingProxyType
from typing import Any, Final

from interlock.core.codes import AccountKind, Code
from interlock.core.constants import NS_PER_S
from interlock.core.instrument import Instrument
from interlock.core.limits import EXIT_RULES, is_on
from interlock.core.messages import AccountOpened, CalendarSet, InstrumentSet
from interlock.policy import Policy, load_policy
from interlock.policy.calendar import day_calendar, week_calendar
from interlock.testing.bench import FEEDS, Bench
from interlock.testing.book import Book, Price
from interlock.testing.clock import FakeClock

START_NS: Final = 1_800_000_000 * NS_PER_S
"""2027-01-15 08:00 UTC, a Friday: when a bench opens unless told otherwise."""

PRICES: Final = {"BTC": 100.0, "ETH": 50.0, "SOL": 20.0}
"""Symbols of a bench and their first marks unless told otherwise: round numbers, so that notionals are."""

SOURCES: Final = {
    "bot": {"trend": ["open", "close"]},
    "exit": {"trend": ["close"]},
    "rival": {"mean": ["open", "close"]},
}
"""Who may do what on a bench: two strategies, and an exit service for the first."""

ROUND_NUMBERS: Final = "off: orders on a bench have round notionals, whatever they lose at their stops"
"""Why a bench's policy leaves TRADE_RISK off, unless it is laid over."""

HELD_STILL: Final = "off: positions on a bench are left by those who say so"
"""Why a bench's policy leaves the rules of the way out off, unless they are laid over."""

WINDOW_RULES: Final = (Code.NEWS_WINDOW, Code.SESSION_FLAT)
"""Rules that need a calendar file: a bench has an empty one where one of them is on."""

SPREAD_FRAC: Final = 0.0004
CALENDAR_DAYS: Final = 420
_DAY_NS: Final = 86_400 * NS_PER_S


def make_instrument(symbol: str, **changes: Any) -> Instrument:
    """A linear perpetual in USDT with steps of 0.0001, changed as named."""
    fields = {"venue": "paper", "quote_currency": "USDT", "step": 0.0001, "tick": 0.01, "min_notional": 1.0}
    return Instrument(symbol, **{**fields, **changes})


def make_policy(
    preset: str = "crypto-futures@1",
    *,
    at_ns: int = START_NS,
    symbols: Sequence[str] = tuple(PRICES),
    toml: str | Sequence[str] = "",
    changes: Mapping[str, Any] = MappingProxyType({}),
) -> Policy:
    """
    The preset as a policy made at `at_ns`, valid for 90 days, for the symbols at 10x and the sources of a bench.

    It differs from the preset in that TRADE_RISK and every rule of the way out are off, and these act where they are on.

    `toml`, one text or several, is laid over it, and then `changes`, values at dotted paths.

    Raises:
        PolicyInvalid: something laid over it is wrong; it lists everything.
    """
    made = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_ns // 1000)
    document: dict[str, Any] = {
        "policy_version": "test",
        "extends": preset,
        "created_at": made.isoformat().replace("+00:00", "Z"),
        "valid_for": "90 d",
        "generator": {"name": "interlock.testing"},
        "account": {"currency": "USDT"},
        "universe": {symbol: {"margin_leverage": "10 x"} for symbol in symbols},
        "sources": SOURCES,
        "exits": {"mode": "builtin"},
        "rules": {
            "ORDER_NOTIONAL": {"notional": "1000000 USDT"},
            "TRADE_RISK": ROUND_NUMBERS,
            **dict.fromkeys(EXIT_RULES, HELD_STILL),
        },
    }
    texts = [toml] if isinstance(toml, str) else toml
    for layer in (*map(tomllib.loads, texts), _nested(changes)):
        document = _laid_over(document, layer)
    return load_policy(json.dumps(document))


def open_bench(
    *,
    balance: float = 10_000.0,
    start_ns: int = START_NS,
    policy: Policy | None = None,
    prices: Mapping[str, float] = PRICES,
    instruments: Sequence[Instrument] = (),
    kind: AccountKind = AccountKind.PAPER,
    nominal_base: float = 0.0,
    day: tuple[str, str] = ("00:00", "UTC"),
    week: tuple[str, str, str] = ("Mon", "00:00", "UTC"),
    feeds: frozenset[str] = FEEDS,
    rates: Mapping[str, float] = MappingProxyType({}),
    holdings: Mapping[str, tuple[float, float]] = MappingProxyType({}),
    stops_at_venue: bool = False,
) -> Bench:
    """
    An engine that has been told everything it needs: opening is possible at once.

    Symbols without an instrument in `instruments` get `make_instrument`'s. Without `policy` it has none; what is not in
    `feeds` is not told. `holdings` are positions that the venue holds already: signed base units and their entry.
    """
    own = {instrument.symbol: instrument for instrument in instruments}
    defined = {symbol: own.get(symbol) or make_instrument(symbol) for symbol in prices}
    book = Book(balance, defined, {symbol: around(mark, rates.get(symbol, nan)) for symbol, mark in prices.items()})
    for symbol, (units, entry) in holdings.items():
        book.place(symbol, round(units / defined[symbol].step), entry)
    bench = Bench(FakeClock(start_ns), book, set(feeds))
    bench.send(AccountOpened("test", kind, "USDT", balance, nominal_base=nominal_base, stops_at_venue=stops_at_venue))
    for instrument in defined.values():
        bench.send(InstrumentSet(instrument))
    if policy is not None:
        bench.send(policy.compile(start_ns))
    for calendar in _calendars(day, week, start_ns):
        bench.send(calendar)
    told = bench.engine.state.policy
    if told is not None and any(is_on(each, code) for each in told.limits for code in WINDOW_RULES):
        for symbol in defined:
            bench.tell_windows(symbol)
    bench.refresh()
    return bench


def around(mark: float, rate: float = nan) -> Price:
    """Prices with the mark in the middle of a narrow spread."""
    half = mark * SPREAD_FRAC / 2
    return Price(mark - half, mark + half, mark, rate=rate)


def _calendars(day: tuple[str, str], week: tuple[str, str, str], start_ns: int) -> tuple[CalendarSet, CalendarSet]:
    first, last = start_ns - 8 * _DAY_NS, start_ns + CALENDAR_DAYS * _DAY_NS
    return (
        day_calendar("day", day[1], day[0], first, last),
        week_calendar("week", week[2], week[1], week[0], first, last),
    )


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *parents, key = path.split(".")
        table = tree
        for part in parents:
            table = table.setdefault(part, {})
        table[key] = value
    return tree


def _laid_over(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The base with the changes in it, tables merged key by key."""
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = _laid_over(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
