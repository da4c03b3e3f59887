"""
A journal of the paper venue that nobody who trades there writes: the file itself keeps it, by triggers.

`install` once after the account was made. From then on every change of every order, by whichever process, stands in it in
the order of the transactions, and outlives whoever is killed. Everything here is read from the file, past the venue's code
and past the gateway's.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from interlock.adapters.paper_file import PaperFile
from interlock.adapters.venue import OrderReport
from interlock.core.codes import PermitState
from interlock.testing.auditor import Fill, Glance

_TABLE = """
CREATE TABLE journal (id INTEGER PRIMARY KEY, number INTEGER NOT NULL, client_id TEXT NOT NULL, symbol TEXT NOT NULL,
    side INTEGER NOT NULL, steps INTEGER NOT NULL, is_stop INTEGER NOT NULL, reduce_only INTEGER NOT NULL,
    filled INTEGER NOT NULL, is_open INTEGER NOT NULL, at_ns INTEGER NOT NULL) STRICT
"""
_TRIGGER = f"""
CREATE TRIGGER journal_keeps AFTER INSERT ON orders BEGIN
    INSERT INTO journal (number, client_id, symbol, side, steps, is_stop, reduce_only, filled, is_open, at_ns)
    VALUES (NEW.number, NEW.client_id, NEW.symbol, NEW.side, NEW.steps, NEW.trigger_ticks IS NOT NULL, NEW.reduce_only,
        NEW.filled, NEW.state IN ({PermitState.WORKING:d}, {PermitState.PARTIAL:d}), NEW.at_ns);
END
"""


class Line(NamedTuple):
    """One change of one order; amounts are cumulative, in steps."""

    id: int
    number: int
    client_id: str
    symbol: str
    side: int
    steps: int
    is_stop: bool
    reduce_only: bool
    filled: int
    is_open: bool
    at_ns: int


def install(path: Path) -> None:
    """The account's file keeps a journal from now on."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(_TABLE)
        connection.execute(_TRIGGER)


def read(path: Path) -> tuple[Line, ...]:
    """Every line, oldest first."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        rows = connection.execute("SELECT * FROM journal ORDER BY id").fetchall()
    return tuple(map(Line._make, rows))


def orders(path: Path) -> tuple[OrderReport, ...]:
    """Every order that the venue ever took, as it stands now."""
    file = PaperFile.open(path)
    try:
        with file.reading() as market:
            return tuple(order.report(market.books[order.symbol]) for order in file.changed_since(-1))
    finally:
        file.close()


def positions(path: Path) -> dict[str, int]:
    """What is held at the venue, in signed steps; flat symbols are left out."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return dict(connection.execute("SELECT symbol, position FROM books WHERE position != 0").fetchall())


def marks(path: Path) -> dict[str, int]:
    """Where the market is at the venue, in ticks; symbols without a quote are left out."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return dict(connection.execute("SELECT symbol, mark FROM books WHERE quoted").fetchall())


def fills(lines: Iterable[Line]) -> Iterator[Fill]:
    """Every fill, in order."""
    filled: Counter[int] = Counter()
    for line in lines:
        fresh = line.filled - filled[line.number]
        filled[line.number] = line.filled
        if fresh:
            yield Fill(line.client_id, line.symbol, line.side, fresh, bool(line.reduce_only))


def glances(lines: Iterable[Line], now_ns: int) -> Iterator[Glance]:
    """Positions and resting stops after every change, and as they are still at `now_ns`."""
    held: Counter[str] = Counter()
    filled: Counter[int] = Counter()
    stops: dict[int, Line] = {}
    glance: Glance | None = None
    for line in lines:
        held[line.symbol] += line.side * (line.filled - filled[line.number])
        filled[line.number] = line.filled
        if line.is_stop and line.is_open:
            stops[line.number] = line
        else:
            stops.pop(line.number, None)
        glance = Glance(line.at_ns, dict(held), _resting(stops.values()))
        yield glance
    if glance is not None:
        yield Glance(now_ns, glance.positions, glance.stops)


def _resting(stops: Iterable[Line]) -> dict[str, int]:
    """Steps that the stops close, signed by their side; sides do not offset each other, the larger one counts."""
    sides: dict[str, list[int]] = {}
    for stop in stops:
        sides.setdefault(stop.symbol, [0, 0])[stop.side > 0] += stop.steps - stop.filled
    return {symbol: buy if buy > sell else -sell for symbol, (sell, buy) in sides.items()}
