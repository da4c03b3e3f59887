"""Starting and stopping a whole gateway: what is asked first, and what is left behind when it fails."""

import asyncio
import threading
from pathlib import Path

import pytest

from interlock.adapters.venue import VenueUnreachable
from interlock.core.messages import SCHEMA
from interlock.ledger import Ledger
from interlock.service.local_socket import SocketInUse, listen
from interlock.service.spent import SpentStore
from interlock.testing.unruly import Mischief
from unit.service.gateways import Premises


def free(premises: Premises) -> None:
    """Another process can have everything that the gateway held."""
    with premises.home.claimed(), Ledger.open(premises.home.ledger, account="main", schema=SCHEMA) as ledger:
        assert ledger.problem is None
    store = SpentStore(premises.home.spent)
    store.open_epoch(0)
    store.close()
    held = [each.name for each in threading.enumerate() if each.name.startswith(("ledger", "interlock-"))]
    assert held == []


def test_a_new_account_whose_venue_is_silent_is_not_opened_and_nothing_stays_open(tmp_path: Path) -> None:
    async def story() -> None:
        premises.venue.begin(Mischief.DOWN)
        with pytest.raises(VenueUnreachable, match="the venue is down"):
            async with premises.open():
                raise AssertionError("it started")

    premises = Premises(tmp_path)
    asyncio.run(story())
    free(premises)


def test_what_refuses_the_start_is_raised_as_it_is(tmp_path: Path) -> None:
    async def story() -> None:
        with listen(premises.home.socket), pytest.raises(SocketInUse):
            async with premises.open():
                raise AssertionError("it started")

    premises = Premises(tmp_path)
    asyncio.run(story())
    free(premises)


def test_an_error_beside_the_gateway_stops_it_in_order_and_is_raised_as_it_is(tmp_path: Path) -> None:
    async def story() -> None:
        with pytest.raises(ZeroDivisionError):
            async with premises.open():
                raise ZeroDivisionError

    premises = Premises(tmp_path)
    asyncio.run(story())
    free(premises)
