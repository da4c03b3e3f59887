"""
The paper venue's truth: one SQLite file, which is the account *at the venue* and outlives whoever uses it.

Several processes may have it open. Every change is one transaction over what the file holds at that moment: what is
kept in memory is only what was read, and is read again when somebody else has written (`PRAGMA data_version`).

The log is not synced at each commit (`synchronous=NORMAL`): a killed process loses nothing, since what it committed is
with the operating system; a power cut may lose the last moments, whole transactions of them, as if they had never
happened. That is enough for money that does not exist, and the ledger is synced on its own.

Writers take a lock file first. SQLite alone would let one of them write while another resets the log, which its
versions before 3.51.3 get wrong.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self, cast

import msgspec

from interlock.adapters.paper_market import OPEN, Order, PaperMarket, PaperTerms
from interlock.core.codes import PermitState
from interlock.core.errors import InterlockError

FORMAT: Final = 1
BUSY_S: Final = 2.0
"""How long one process waits for another's transaction, which takes milliseconds."""

_RETRY_S: Final = 0.001
_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
_RESTORE: Final = "restore a copy, or move it away and create an account"
_LOOK: Final = "look at the disk and at who may write there"
_TABLES: Final = (
    "CREATE TABLE terms (format INTEGER NOT NULL, terms BLOB NOT NULL) STRICT",
    """CREATE TABLE account (one INTEGER PRIMARY KEY CHECK (one = 1), balance INTEGER NOT NULL, fees INTEGER NOT NULL,
       last_number INTEGER NOT NULL, changes INTEGER NOT NULL, cursor INTEGER NOT NULL) STRICT""",
    """CREATE TABLE books (symbol TEXT PRIMARY KEY, bid INTEGER NOT NULL, ask INTEGER NOT NULL, mark INTEGER NOT NULL,
       quoted INTEGER NOT NULL, position INTEGER NOT NULL, cost INTEGER NOT NULL, leverage REAL NOT NULL) STRICT""",
    """CREATE TABLE orders (number INTEGER PRIMARY KEY, client_id TEXT NOT NULL, symbol TEXT NOT NULL,
       side INTEGER NOT NULL, steps INTEGER NOT NULL, limit_ticks INTEGER, trigger_ticks INTEGER,
       reduce_only INTEGER NOT NULL, at_ns INTEGER NOT NULL, state INTEGER NOT NULL, triggered INTEGER NOT NULL,
       fills INTEGER NOT NULL, filled INTEGER NOT NULL, value INTEGER NOT NULL, fees INTEGER NOT NULL,
       filled_ns INTEGER NOT NULL, reason TEXT NOT NULL, change INTEGER NOT NULL) STRICT""",
    "CREATE INDEX orders_by_name ON orders (client_id, symbol)",
    "CREATE INDEX orders_by_fill ON orders (filled_ns)",
    "CREATE UNIQUE INDEX orders_by_change ON orders (change)",
)
_ORDER: Final = (
    "number, client_id, symbol, side, steps, limit_ticks, trigger_ticks, reduce_only, at_ns, state, triggered, fills, "
    "filled, value, fees, filled_ns, reason"
)
_ORDER_PLACES: Final = ", ".join("?" * (_ORDER.count(",") + 2))

BookRow = tuple[str, int, int, int, int, int, int, float]


class PaperMissing(InterlockError):
    """There is no paper account in that file: create one, or correct the path."""


class PaperExists(InterlockError):
    """There is a paper account in that file already: open it, or choose another path."""


class PaperDamaged(InterlockError):
    """The file is not a paper account that this version can read: restore a copy, or move it away and create one."""


class PaperOfAnother(InterlockError):
    """The file is another account's: correct the path or the account."""


class PaperUnusable(InterlockError):
    """The file cannot be read or written now; the message says what is in the way."""


class PaperFile:
    """
    One open account; used by one thread at a time.

    Every method may raise `sqlite3.Error` or `OSError`; then nothing has changed, or, where it was the commit that
    failed, perhaps all of it.
    """

    def __init__(self, path: Path, lock: int, connection: sqlite3.Connection, terms: PaperTerms) -> None:
        self.terms = terms
        self._path = path
        self._lock = lock
        self._connection = connection
        self._market = PaperMarket(terms)
        self._version = -1
        self._books: dict[str, BookRow] = {}
        self._cursor = 0
        self.changes = 0

    @classmethod
    def create(cls, path: Path, terms: PaperTerms) -> None:
        """
        The file holds a new account.

        Raises:
            PaperExists: there is one already.
            PaperUnusable: the file cannot be written.
            InstrumentUnusable: exact books cannot be kept for an instrument.
        """
        market = PaperMarket(terms)
        with _named(path):
            lock, connection = _opened(path, "rwc")
            try:
                with _held(lock, path), _transaction(connection):
                    if connection.execute("SELECT 1 FROM sqlite_schema").fetchall():
                        raise PaperExists(f"{path} holds an account already: open it, or choose another path")
                    for table in _TABLES:
                        connection.execute(table)
                    connection.execute("INSERT INTO terms VALUES (?, ?)", (FORMAT, msgspec.msgpack.encode(terms)))
                    connection.execute("INSERT INTO account VALUES (1, ?, 0, 0, 0, 0)", (market.account.balance,))
            finally:
                _close(lock, connection, path)

    @classmethod
    def open(cls, path: Path, account: str | None = None) -> Self:
        """
        The account in the file, of that name where one is given.

        Raises:
            PaperMissing, PaperDamaged, PaperUnusable: it is not there, is not an account, or cannot be read now.
            PaperOfAnother: it is another account.
        """
        if not path.exists():
            raise PaperMissing(f"{path} does not exist: create the paper account, or correct the path")
        with _named(path):
            lock, connection = _opened(path, "rw")
            try:
                with _held(lock, path):
                    terms = _terms(path, connection)
                if account is not None and terms.account != account:
                    raise PaperOfAnother(f"{path} is the account {terms.account!r}, not {account!r}: correct one of them")
                made = cls(path, lock, connection, terms)
                with made.reading():
                    return made
            except BaseException:
                _close(lock, connection, path)
                raise

    def close(self) -> None:
        """The file is no longer open here."""
        _close(self._lock, self._connection, self._path)

    @contextmanager
    def reading(self) -> Iterator[PaperMarket]:
        """The market as the file holds it now; not to be changed."""
        with _transaction(self._connection, "DEFERRED"):
            yield self._fresh()

    @contextmanager
    def writing(self) -> Iterator[PaperMarket]:
        """The market as the file holds it now; what was changed in it is in the file after the block, or nothing is."""
        try:
            with _held(self._lock, self._path), _transaction(self._connection):
                market = self._fresh()
                yield market
                self._save(market)
        except BaseException:
            self._version = -1
            raise

    @property
    def cursor(self) -> int:
        """How far the feed has come; within `reading` or `writing`."""
        return self._cursor

    @cursor.setter
    def cursor(self, value: int) -> None:
        self._cursor = value

    def find(self, symbol: str, client_id: str) -> Order | None:
        """The newest order of that name, open or over; within `reading` or `writing`."""
        found = self._orders("client_id = ? AND symbol = ? ORDER BY number DESC LIMIT 1", client_id, symbol)
        return self._market.open.get(found[0].number, found[0]) if found else None

    def filled_since(self, at_ns: int) -> list[Order]:
        """Orders with a fill at or after the instant, oldest first; within `reading` or `writing`."""
        return self._orders("filled_ns >= ? ORDER BY number", max(at_ns, 1))

    def changed_since(self, change: int) -> list[Order]:
        """Orders that changed after that change, in the order of their last one; within `reading` or `writing`."""
        return self._orders("change > ? ORDER BY change", change) if change < self.changes else []

    def _fresh(self) -> PaperMarket:
        ((version,),) = self._connection.execute("PRAGMA data_version").fetchall()
        if version != self._version:
            self._load()
            self._version = version
        return self._market

    def _load(self) -> None:
        market = PaperMarket(self.terms)
        ((balance, fees, number, self.changes, self._cursor),) = self._connection.execute(
            "SELECT balance, fees, last_number, changes, cursor FROM account"
        ).fetchall()
        market.account.balance, market.account.fees, market.last_number = balance, fees, number
        self._books = {}
        for row in self._connection.execute("SELECT * FROM books").fetchall():
            symbol, bid, ask, mark, quoted, position, cost, leverage = self._books[row[0]] = row
            book = market.books[symbol]
            book.quote_ticks, book.mark, book.quoted = (bid, ask), mark, bool(quoted)
            book.position, book.cost, market.leverages[symbol] = position, cost, leverage
        states = ", ".join(str(int(state)) for state in OPEN)
        market.open = {order.number: order for order in self._orders(f"state IN ({states}) ORDER BY number")}
        self._market = market

    def _save(self, market: PaperMarket) -> None:
        for symbol, book in market.books.items():
            quote = *book.quote_ticks, book.mark, int(book.quoted)
            row = symbol, *quote, book.position, book.cost, market.leverages[symbol]
            if self._books.get(symbol) != row:
                self._connection.execute("INSERT OR REPLACE INTO books VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
                self._books[symbol] = row
        for order in market.changed.values():
            self.changes += 1
            self._connection.execute(
                f"INSERT OR REPLACE INTO orders VALUES ({_ORDER_PLACES})", (*_row(order), self.changes)
            )
        market.changed.clear()
        self._connection.execute(
            "UPDATE account SET balance = ?, fees = ?, last_number = ?, changes = ?, cursor = ?",
            (market.account.balance, market.account.fees, market.last_number, self.changes, self._cursor),
        )

    def _orders(self, where: str, *values: object) -> list[Order]:
        rows = self._connection.execute(f"SELECT {_ORDER} FROM orders WHERE {where}", values).fetchall()
        return [_order(row) for row in rows]


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """What goes wrong in the block is named for its remedy."""
    try:
        yield
    except (ValueError, KeyError) as error:
        raise PaperDamaged(f"{path} does not add up ({error!r}): {_RESTORE}") from error
    except sqlite3.Error as error:
        if error.sqlite_errorcode & 0xFF in _DAMAGE:
            raise PaperDamaged(f"{path} is not an account ({error}): {_RESTORE}") from error
        raise PaperUnusable(f"{path} cannot be used ({error}): {_LOOK}") from error
    except OSError as error:
        raise PaperUnusable(f"{path} cannot be used ({error}): {_LOOK}") from error


def _opened(path: Path, mode: str) -> tuple[int, sqlite3.Connection]:
    lock = os.open(path.with_name(f"{path.name}-lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        place = f"{path.absolute().as_uri()}?mode={mode}"
        connection = sqlite3.connect(place, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    except BaseException:
        os.close(lock)
        raise
    return lock, connection


def _close(lock: int, connection: sqlite3.Connection, path: Path) -> None:
    """Closes both; the last one to close folds the log into the file, which is a write like others."""
    try:
        with suppress(PaperUnusable), _held(lock, path):
            connection.close()
    finally:
        connection.close()
        os.close(lock)


@contextmanager
def _held(lock: int, path: Path) -> Iterator[None]:
    """No other process writes the file."""
    deadline_s = time.monotonic() + BUSY_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= deadline_s:
                raise PaperUnusable(f"{path} has been kept by another process for {BUSY_S:g} s: stop it") from None
            time.sleep(_RETRY_S)
    try:
        yield
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)


@contextmanager
def _transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """All of the block is in the file, or none."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _terms(path: Path, connection: sqlite3.Connection) -> PaperTerms:
    if not connection.execute("SELECT 1 FROM sqlite_schema").fetchall():
        raise PaperMissing(f"{path} is empty: create the paper account")
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    ((number, encoded),) = connection.execute("SELECT format, terms FROM terms").fetchall()
    if number != FORMAT:
        raise PaperDamaged(f"{path} has format {number}, known is {FORMAT}: use the version that wrote it")
    return msgspec.msgpack.decode(encoded, type=PaperTerms)


def _row(order: Order) -> Sequence[object]:
    return (
        order.number,
        order.client_id,
        order.symbol,
        order.side,
        order.steps,
        order.limit_ticks,
        order.trigger_ticks,
        int(order.reduce_only),
        order.at_ns,
        int(order.state),
        int(order.triggered),
        order.fills,
        order.filled,
        order.value,
        order.fees,
        order.filled_ns,
        order.reason,
    )


def _order(row: tuple[object, ...]) -> Order:
    order = Order(*cast(tuple[int, str, str, int, int, int | None, int | None, bool, int], row[:9]))
    state, triggered, *amounts = cast(tuple[int, int, int, int, int, int, int], row[9:16])
    order.state, order.triggered = PermitState(state), bool(triggered)
    order.reduce_only = bool(order.reduce_only)
    order.fills, order.filled, order.value, order.fees, order.filled_ns = amounts
    order.reason = cast(str, row[16])
    return order
