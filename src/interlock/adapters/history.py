"""
An account's own trading history: a file of fills, or of closed trades, and optionally what its equity was.

Like price bars, a file is read whole or refused with every problem at once. What the reader found out by itself (which
columns, which zone, how numbers are written, that rows were not in order) is in ``notes``, for the user to check.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from interlock.adapters.columns import SEPARATORS, Grid, Meaning, Numbers, instant_ns, instant_text
from interlock.adapters.problems import FileInvalid
from interlock.core.errors import InterlockError

BUY: Final = 1
SELL: Final = -1
ZERO: Final = Decimal(0)
NOTHING: Final = frozenset("0.,+- ")
DEFAULT_CURRENCY: Final = "USD"
"""What an account's currency is taken to be where neither the file nor its reader says."""

_TIMES: Final = ("time", "date", "datetime", "date time", "timestamp", "ts", "executed at", "execution time", "exec time")
_SYMBOLS: Final = ("symbol", "pair", "market", "instrument", "ticker", "item", "contract", "coin", "product")
_SIDES: Final = ("side", "direction", "type", "action", "buy sell", "b s", "dir")
_QUANTITIES: Final = ("quantity", "qty", "filled qty", "exec qty", "filled", "executed", "volume", "vol", "lots", "size")
_FEES: Final = ("fee", "fees", "commission", "commissions", "trading fee", "exec fee", "transaction fee")
_SHARED: Final = (
    Meaning("symbol", "the symbol", _SYMBOLS),
    Meaning("side", "buy or sell", _SIDES),
    Meaning("quantity", "the quantity", (*_QUANTITIES, "units", "shares", "contracts", "amount", "sz"), is_number=True),
    Meaning("stop", "the stop", ("stop", "stop loss", "sl", "s l", "stop price", "stoploss"), is_number=True),
    Meaning("fee", "the fee", _FEES, is_number=True),
    Meaning("fee_currency", "the fee's currency", ("fee currency", "fee coin", "fee asset", "commission asset")),
    Meaning("currency", "the account's currency", ("currency", "account currency", "settlement currency")),
    Meaning(
        "id", "what is different in every row", ("trade id", "fill id", "exec id", "execid", "deal", "ticket", "txid", "id")
    ),
)
FILL_COLUMNS: Final = (
    Meaning("time", "when it was filled", (*_TIMES, "filled at", "trade time", "created at", "transaction time")),
    Meaning(
        "price", "the price", ("price", "fill price", "exec price", "avg price", "average price", "px"), is_number=True
    ),
    Meaning(
        "order", "the order's number", ("order id", "orderid", "order", "order no", "ordertxid", "client order id", "oid")
    ),
    *_SHARED,
)
TRADE_COLUMNS: Final = (
    Meaning(
        "exit_time",
        "when it was closed",
        ("exit time", "close time", "closed at", "closed", "exit date", "close date", "time 2"),
    ),
    Meaning(
        "exit_price",
        "the price of the exit",
        ("exit price", "close price", "avg exit price", "exit", "price 2"),
        is_number=True,
    ),
    Meaning(
        "entry_time",
        "when it was opened",
        ("entry time", "open time", "opened at", "opened", "entry date", "open date", *_TIMES),
    ),
    Meaning(
        "entry_price",
        "the price of the entry",
        ("entry price", "open price", "avg entry price", "entry", "price"),
        is_number=True,
    ),
    Meaning(
        "swap", "what holding overnight brought", ("swap", "swaps", "funding", "funding fee", "rollover"), is_number=True
    ),
    Meaning(
        "pnl",
        "the profit",
        ("pnl", "p l", "profit", "profit loss", "realized pnl", "realised pnl", "closed pnl", "net pnl", "net profit"),
        is_number=True,
    ),
    *_SHARED,
)
MARK_COLUMNS: Final = (
    Meaning("time", "when the equity was told", _TIMES),
    Meaning("equity", "the equity", ("equity", "account equity", "net liquidation", "account value"), is_number=True),
    Meaning("balance", "the balance", ("balance", "account balance", "wallet balance", "cash"), is_number=True),
)
KEYS: Final = tuple(dict.fromkeys(meaning.key for meaning in (*FILL_COLUMNS, *TRADE_COLUMNS)))
"""Everything that a column of a history may mean."""

SIDES: Final = {
    **dict.fromkeys(("buy", "b", "long", "bid", "1", "bot", "buy to open", "open long", "buy to cover"), BUY),
    **dict.fromkeys(("sell", "s", "short", "ask", "-1", "sld", "sell short", "open short", "sell to open"), SELL),
    **dict.fromkeys(("close short", "buy to close"), BUY),
    **dict.fromkeys(("close long", "sell to close"), SELL),
}
CLOSING: Final = {"close short", "close long", "buy to close", "sell to close", "buy to cover"}
SIDE_EXPECTED: Final = "buy or sell, or long or short (a row that is no fill does not belong in the file)"

T = TypeVar("T")


class HistoryInvalid(FileInvalid):
    """The history was not read; correct ``problems`` in the file, or say with ``--map`` what its columns mean."""


class ColumnUnknown(InterlockError):
    """A column of a history was mapped to a meaning that there is not; the message lists all there are."""


@dataclass(frozen=True, slots=True)
class HistoryFill:
    """An execution; ``fee`` > 0 is a cost, ``closes`` says that the file calls it a closing one, ``order`` may be ""."""

    line: int
    at_ns: int
    symbol: str
    side: int
    quantity: Decimal
    price: Decimal
    fee: Decimal
    stop: Decimal | None
    order: str
    closes: bool


@dataclass(frozen=True, slots=True)
class HistoryTrade:
    """A closed trade; ``fee`` > 0 is a cost and ``swap`` > 0 a gain, ``pnl`` is None where the file does not say."""

    line: int
    symbol: str
    side: int
    quantity: Decimal
    entry_ns: int
    entry_price: Decimal
    exit_ns: int
    exit_price: Decimal
    fee: Decimal
    swap: Decimal
    pnl: Decimal | None
    stop: Decimal | None


@dataclass(frozen=True, slots=True)
class History:
    """
    Fills, or closed trades, in order of time.

    ``columns`` pairs each meaning with the header's own name of its column; ``notes`` says what was detected;
    ``currency`` is the one currency that the file names for the account, "" where it names none.
    """

    path: Path
    fills: tuple[HistoryFill, ...]
    trades: tuple[HistoryTrade, ...]
    columns: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    currency: str

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every symbol once, in the order in which they came."""
        return tuple(dict.fromkeys([fill.symbol for fill in self.fills] + [trade.symbol for trade in self.trades]))

    @property
    def has_stops(self) -> bool:
        """Whether at least one row has a stop."""
        return any(fill.stop for fill in self.fills) or any(trade.stop for trade in self.trades)


@dataclass(frozen=True, slots=True)
class Marks:
    """What the account's equity was, ascending in time; ``balance`` is NaN where the file does not say."""

    at_ns: tuple[int, ...]
    equity: tuple[float, ...]
    balance: tuple[float, ...]
    notes: tuple[str, ...]


def read_history(
    path: Path,
    *,
    zone: ZoneInfo,
    currency: str = "",
    columns: Mapping[str, str] | None = None,
    decimal: str = "",
) -> History:
    """
    Every row of a ``.csv`` or ``.csv.gz`` file of fills or of closed trades.

    Args:
        path: the file.
        zone: of instants that name none.
        currency: of the account; "" takes the one that the file names.
        columns: names of columns by meaning (`KEYS`) where the header does not say it; "" leaves one out.
        decimal: "point" or "comma" where the file leaves it open.

    Raises:
        ColumnUnknown: a key of ``columns`` is no meaning.
        HistoryInvalid: with all problems of the file (the first twenty, and their number).
    """
    given = dict(columns or {})
    unknown = [key for key in given if key not in KEYS]
    if unknown:
        raise ColumnUnknown(f"a column has no meaning {', '.join(unknown)}: the meanings are {', '.join(KEYS)}")
    return _Reading(path, zone, given, decimal, currency).history()


def read_marks(path: Path, *, zone: ZoneInfo, decimal: str = "") -> Marks:
    """
    Every equity mark of a ``.csv`` or ``.csv.gz`` file.

    Raises:
        HistoryInvalid: with all problems of the file (the first twenty, and their number).
    """
    grid = Grid(path)
    grid.place(MARK_COLUMNS, {})
    grid.need(MARK_COLUMNS, ("time", "equity"))
    cells = _Cells(grid, zone, grid.numbers(MARK_COLUMNS, decimal)) if grid.rows else None
    found: list[tuple[int, float, float]] = []
    if cells is not None and not grid.problems.count:
        for row in range(len(grid.rows)):
            at_ns, equity, balance = cells.instant("time", row), cells.known("equity", row), cells.number("balance", row)
            if at_ns is not None and equity is not None:
                found.append((at_ns, float(equity), float("nan") if balance is None else float(balance)))
    if grid.problems.count:
        raise HistoryInvalid(path, grid.problems.found, grid.problems.count)
    ordered = sorted(found, key=lambda mark: mark[0])
    notes = [] if ordered == found else ["equity marks were not in order of time: sorted"]
    at, equities, balances = zip(*ordered, strict=True)
    return Marks(at, equities, balances, tuple(notes))


class _Cells:
    """The grid's cells as values; what cannot be read is reported."""

    def __init__(self, grid: Grid, zone: ZoneInfo, numbers: Numbers) -> None:
        self._grid = grid
        self._zone = zone
        self._numbers = numbers
        self._columns = {key: grid.column(key) for key in (*KEYS, "equity", "balance")}

    def text(self, key: str, row: int) -> str:
        return self._columns[key][row]

    def report(self, key: str, row: int, found: str, expected: str) -> None:
        self._grid.problems.report(self._grid.lines[row], self._grid.title(key), found, expected)

    def name(self, key: str, row: int) -> str:
        cell = self.text(key, row)
        if not cell:
            self.report(key, row, "nothing", "the symbol")
        return cell

    def instant(self, key: str, row: int) -> int | None:
        try:
            return instant_ns(self.text(key, row), self._zone)
        except ValueError as error:
            self.report(key, row, self._found(key, row), str(error))
            return None

    def number(self, key: str, row: int) -> Decimal | None:
        """The number in the cell, None where it is empty; anything else is reported."""
        cell = self.text(key, row)
        if not cell:
            return None
        number = self._numbers.read(cell)
        if number is None:
            self.report(key, row, repr(cell), f"a number with a decimal {self._numbers.name}, at most 18 digits each side")
        return number

    def known(self, key: str, row: int) -> Decimal | None:
        """The number in the cell; an empty one is reported too."""
        if not self.text(key, row):
            self.report(key, row, "nothing", "a number")
        return self.number(key, row)

    def positive(self, key: str, row: int, example: str) -> Decimal | None:
        cell = self.text(key, row)
        number = self._numbers.read(cell) if cell else None
        if number is None or number <= 0:
            told = f"a number above 0 with a decimal {self._numbers.name}, such as {example}"
            self.report(key, row, self._found(key, row), told)
            return None
        return number

    def stop(self, row: int) -> Decimal | None:
        """The stop, None where there is none; terminals write 0 for none."""
        number = self.number("stop", row)
        if number is not None and number < 0:
            self.report("stop", row, self._found("stop", row), "a price, or nothing")
        return number or None

    def _found(self, key: str, row: int) -> str:
        cell = self.text(key, row)
        return repr(cell) if cell else "nothing"


class _Reading:
    """One history being read."""

    def __init__(self, path: Path, zone: ZoneInfo, given: dict[str, str], decimal: str, currency: str) -> None:
        self._grid = Grid(path)
        self._zone = zone
        self._given = given
        self._decimal = decimal
        self._currency = currency
        self._notes: list[str] = []

    def history(self) -> History:
        grid, problems = self._grid, self._grid.problems
        is_trades = grid.header != [] and self._is_of_trades()
        meanings = TRADE_COLUMNS if is_trades else FILL_COLUMNS
        fills: tuple[HistoryFill, ...] = ()
        trades: tuple[HistoryTrade, ...] = ()
        if grid.rows:
            self._place(meanings, is_trades=is_trades)
        if grid.rows and not problems.count:
            self._cells = _Cells(grid, self._zone, grid.numbers(meanings, self._decimal))
            self._check_currencies()
            self._check_ids()
            self._signed = "side" not in grid.places
            self._fee_sign = self._sign_of_fees()
            if is_trades:
                trades = self._ordered([*self._each(self._trade)], lambda trade: trade.exit_ns)
            else:
                fills = self._ordered([*self._each(self._fill)], lambda fill: fill.at_ns)
        if problems.count:
            raise HistoryInvalid(grid.path, problems.found, problems.count)
        columns = tuple((meaning.key, grid.title(meaning.key)) for meaning in meanings if meaning.key in grid.places)
        return History(grid.path, fills, trades, columns, self._told(fills, trades), self._currency)

    def _is_of_trades(self) -> bool:
        """Whether each row is a closed trade: it has a second time and a second price."""
        if {"exit_time", "exit_price", "entry_time", "entry_price"} & self._given.keys():
            return True
        if {"time", "price"} & self._given.keys():
            return False
        names = self._grid.names()
        return all(any(name in names for name in meaning.names) for meaning in TRADE_COLUMNS[:2])

    def _place(self, meanings: Sequence[Meaning], *, is_trades: bool) -> None:
        known = {meaning.key for meaning in meanings}
        wrong = [key for key in self._given if key not in known]
        if wrong:
            what = "closed trades" if is_trades else "fills"
            self._grid.problems.report(1, ", ".join(wrong), f"a mapping in a file of {what}", f"one of {', '.join(known)}")
        self._grid.place(meanings, {key: column for key, column in self._given.items() if key in known})
        needed = ("entry_time", "entry_price", "exit_time", "exit_price") if is_trades else ("time", "price")
        self._grid.need(meanings, (*needed, "symbol", "quantity"))
        if "side" not in self._grid.places and not any(cell.startswith("-") for cell in self._grid.column("quantity")):
            self._grid.need(meanings, ("side",))

    # ---------------------------------------------------------------- rows

    def _each(self, make: Callable[[int], T | None]) -> Iterator[T]:
        for row in range(len(self._grid.rows)):
            made = make(row)
            if made is not None:
                yield made

    def _fill(self, row: int) -> HistoryFill | None:
        cells = self._cells
        at_ns = cells.instant("time", row)
        symbol = cells.name("symbol", row)
        side, closes, quantity = self._size(row)
        price = cells.positive("price", row, "1234.5")
        fee, stop = self._fee(row), cells.stop(row)
        if at_ns is None or quantity is None or price is None or not (symbol and side):
            return None
        order = cells.text("order", row)
        return HistoryFill(self._grid.lines[row], at_ns, symbol, side, quantity, price, fee, stop, order, closes)

    def _trade(self, row: int) -> HistoryTrade | None:
        cells = self._cells
        entry_ns, exit_ns = cells.instant("entry_time", row), cells.instant("exit_time", row)
        symbol = cells.name("symbol", row)
        side, _, quantity = self._size(row)
        entry, exit_ = cells.positive("entry_price", row, "1234.5"), cells.positive("exit_price", row, "1234.5")
        fee, stop = self._fee(row), cells.stop(row)
        swap, pnl = cells.number("swap", row), cells.number("pnl", row)
        if entry_ns is None or exit_ns is None:
            return None
        if exit_ns < entry_ns:
            told = f"{instant_text(exit_ns)}, before the entry"
            cells.report("exit_time", row, told, f"an instant not before {instant_text(entry_ns)}")
        if quantity is None or entry is None or exit_ is None or not (symbol and side):
            return None
        line = self._grid.lines[row]
        return HistoryTrade(line, symbol, side, quantity, entry_ns, entry, exit_ns, exit_, fee, swap or ZERO, pnl, stop)

    def _size(self, row: int) -> tuple[int, bool, Decimal | None]:
        """Side, whether it is called a closing one, and quantity."""
        if self._signed:
            number = self._cells.number("quantity", row)
            if not number:
                self._cells.report("quantity", row, "no signed quantity", "a number, negative for a sale, or a column side")
                return 0, False, None
            return (BUY if number > 0 else SELL), False, abs(number)
        word = " ".join(self._cells.text("side", row).lower().replace("_", " ").split())
        side = SIDES.get(word, 0)
        if not side:
            self._cells.report("side", row, repr(word) if word else "nothing", SIDE_EXPECTED)
        return side, word in CLOSING, self._cells.positive("quantity", row, "0.25")

    def _fee(self, row: int) -> Decimal:
        return (self._cells.number("fee", row) or ZERO) * self._fee_sign

    def _sign_of_fees(self) -> int:
        """What turns the file's fees into costs above 0: -1 where most of them are written as negative numbers."""
        fees = self._grid.column("fee")
        negative = sum(fee.startswith("-") for fee in fees)
        positive = sum(not NOTHING.issuperset(fee) for fee in fees) - negative
        if negative > positive:
            self._notes.append("negative fees are taken as costs, as most of them are negative")
            return -1
        return 1

    # ---------------------------------------------------------------- the file as a whole

    def _check_currencies(self) -> None:
        found = Counter(cell.upper() for cell in self._grid.column("currency") if cell)
        if len(found) > 1:
            told = ", ".join(f"{name} in {count} rows" for name, count in found.most_common())
            self._grid.problems.report(
                0, self._grid.title("currency"), told, "one currency: give each account its own file"
            )
        self._currency = self._currency or next(iter(found), "")
        if found and self._currency.upper() not in found:
            told = f"{next(iter(found))}"
            self._grid.problems.report(0, self._grid.title("currency"), told, f"{self._currency}, as --currency says")
        account = self._currency or DEFAULT_CURRENCY
        for row, (cell, fee) in enumerate(zip(self._grid.column("fee_currency"), self._grid.column("fee"), strict=True)):
            if cell and cell.upper() != account.upper() and not NOTHING.issuperset(fee):
                expected = f"{account}, the account's: give --currency, or leave the fees out with --map fee="
                self._cells.report("fee_currency", row, repr(cell), expected)

    def _check_ids(self) -> None:
        first: dict[str, int] = {}
        for row, cell in enumerate(self._grid.column("id")):
            line = self._grid.lines[row]
            if cell and first.setdefault(cell, line) != line:
                told = f"{cell!r} a second time (first on line {first[cell]})"
                self._cells.report("id", row, told, "each row once: is it exported twice? Else --map id=")

    def _ordered(self, rows: list[T], at: Callable[[T], int]) -> tuple[T, ...]:
        """The rows in order of time; those of one instant as the file has them, or the other way round if it runs back."""
        steps = [(at(later) > at(earlier)) - (at(later) < at(earlier)) for earlier, later in pairwise(rows)]
        back, on = steps.count(-1), steps.count(1)
        if back > on:
            rows.reverse()
            self._notes.append("the newest row came first: put in order of time")
        if back and on:
            self._notes.append(f"{min(back, on)} rows were out of order: sorted by time")
        return tuple(sorted(rows, key=at))

    def _told(self, fills: Sequence[HistoryFill], trades: Sequence[HistoryTrade]) -> tuple[str, ...]:
        grid = self._grid
        count = f"{len(fills)} fills" if fills else f"{len(trades)} closed trades"
        numbers = grid.numbers(TRADE_COLUMNS if trades else FILL_COLUMNS, self._decimal)
        repeated = len(grid.rows) - len({tuple(row) for row in grid.rows})
        notes = [f"{count}, separated by {SEPARATORS[grid.separator]}, decimal {numbers.name}"]
        key = "time" if fills else "entry_time"
        if not grid.column(key)[0].isdigit():
            notes.append(f"instants without a zone are taken as {self._zone.key}")
        if repeated:
            notes.append(f"{repeated} rows are equal to another row: if they were exported twice, remove them")
        return (*notes, *self._notes)
