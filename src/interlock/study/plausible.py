"""Whether a history can be in the account's currency at all: a report on the wrong money would be worse than none."""

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from statistics import median
from typing import Final

from interlock.adapters.history import ZERO, HistoryTrade
from interlock.adapters.problems import Problems

DOLLARS: Final = frozenset({"USD", "USDT", "USDC", "BUSD", "FDUSD", "TUSD", "DAI"})
"""Taken as worth the same; the difference is told."""
CURRENCIES: Final = (
    *("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "DAI", "USD", "EUR", "GBP", "JPY", "CHF", "AUD", "CAD", "NZD"),
    *("SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "TRY", "ZAR", "MXN", "SGD", "HKD", "CNH", "BTC", "ETH", "BNB"),
)
BASE_LENGTH_MIN: Final = 3

CENT: Final = Decimal("0.01")
AGREES_FRAC: Final = Decimal("0.01")
"""Profits that differ from quantity and prices by less than this share of all profits are the same ones."""


def quoted_in(symbol: str) -> str:
    """The currency in which a symbol's price seems to be, by its name; "" where the name does not say."""
    parts: list[str] = re.findall(r"[A-Z0-9]+", symbol.upper())
    first, *rest = parts or [""]
    if rest and rest[0] in CURRENCIES:
        return rest[0]
    fits = (code for code in CURRENCIES if first.endswith(code) and len(first) >= len(code) + BASE_LENGTH_MIN)
    return next(fits, "")


def check_currencies(
    symbols: Iterable[str], currency: str, multipliers: Mapping[str, Decimal], problems: Problems
) -> list[str]:
    """Symbols quoted in another currency are reported, unless their worth is given; returns what was taken as equal."""
    equal = set()
    for symbol in symbols:
        quoted = quoted_in(symbol)
        if not quoted or quoted == currency.upper() or symbol in multipliers:
            continue
        if {quoted, currency.upper()} <= DOLLARS:
            equal.add(quoted)
            continue
        expected = (
            f"prices in {currency}, the account's currency: give --currency, or leave the symbol out, or say with "
            f"--multiplier {symbol}=... what one point of its price is worth in {currency}"
        )
        problems.report(0, "symbol", f"{symbol}, which seems to be quoted in {quoted}", expected)
    return [f"one {quoted} is taken as one {currency}" for quoted in sorted(equal)]


def check_profits(trades: Sequence[HistoryTrade], multipliers: Mapping[str, Decimal], problems: Problems) -> list[str]:
    """The file's own profits are what quantity and prices give, by symbol; else it is reported what would make them so."""
    told = []
    for symbol in dict.fromkeys(trade.symbol for trade in trades):
        rows = [trade for trade in trades if trade.symbol == symbol and trade.pnl is not None]
        if not rows:
            continue
        multiplier = multipliers.get(symbol, Decimal(1))
        gross = [multiplier * _points(trade) for trade in rows]
        net = [each - trade.fee + trade.swap for each, trade in zip(gross, rows, strict=True)]
        if _agree(rows, net):
            told.append(f"{symbol}: the profits of the file are those of its quantities, prices and costs")
        elif _agree(rows, gross):
            told.append(f"{symbol}: the profits of the file are those of its quantities and prices, before costs")
        else:
            _report(symbol, rows, gross, net, multiplier, problems)
    return told


def _points(trade: HistoryTrade) -> Decimal:
    return trade.side * trade.quantity * (trade.exit_price - trade.entry_price)


def _agree(rows: Sequence[HistoryTrade], found: Sequence[Decimal]) -> bool:
    said = [trade.pnl or ZERO for trade in rows]
    apart = sum((abs(one - other) for one, other in zip(said, found, strict=True)), ZERO)
    return apart <= AGREES_FRAC * sum(map(abs, said)) + CENT * len(said)


def _report(
    symbol: str,
    rows: Sequence[HistoryTrade],
    gross: Sequence[Decimal],
    net: Sequence[Decimal],
    multiplier: Decimal,
    problems: Problems,
) -> None:
    ratios = [(trade.pnl or ZERO) / each for trade, each in zip(rows, gross, strict=True) if each]
    factor = Decimal(f"{median(ratios):.3g}") if ratios else ZERO
    scaled = [each * factor for each in gross]
    costs = [each - trade.fee + trade.swap for each, trade in zip(scaled, rows, strict=True)]
    if factor > 0 and (_agree(rows, scaled) or _agree(rows, costs)):
        found = f"profits of {symbol} that are {factor.normalize():f} times quantity times difference of prices"
        problems.report(
            0, "pnl", found, f"the worth of a point: give --multiplier {symbol}={(factor * multiplier).normalize():f}"
        )
        return
    worst = max(range(len(rows)), key=lambda row: abs((rows[row].pnl or ZERO) - net[row]))
    trade = rows[worst]
    found = f"a profit of {trade.pnl:f} ({symbol})"
    expected = (
        f"{net[worst]:.2f}, which quantity, prices and costs give: is it quoted in another currency? Leave the column out "
        "with --map pnl="
    )
    problems.report(trade.line, "pnl", found, expected)
