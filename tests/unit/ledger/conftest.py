"""Ledgers to test."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from unit.ledger.shelf import DAY_NS, START_NS, Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """An empty place for a ledger."""
    with ExitStack() as stack:
        yield Shelf(tmp_path, stack)


@pytest.fixture
def filled(shelf: Shelf) -> Shelf:
    """A sound, closed ledger of three days with ten records each."""
    shelf.fill()
    return shelf


@pytest.fixture
def sound(shelf: Shelf) -> Shelf:
    """Three closed days with snapshots."""
    with shelf.open() as ledger:
        for day in range(3):
            for i in range(6):
                ledger.append(START_NS + day * DAY_NS + i, i, b"%d" % i)
            ledger.snapshot(b"state %d" % day)
    return shelf
