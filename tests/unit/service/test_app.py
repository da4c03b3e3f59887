"""Starting and stopping a whole gateway: what is asked first, and what is left behind when it fails."""

import asyncio
import threading
from pathlib import Path

import msgspec
import pytest

from interlock.adapters.paper_exchange import PaperExchange
from interlock.adapters.venue import AccountReport, VenueUnreachable
from interlock.core.codes import Code
from interlock.core.instrument import Instrument
from interlock.core.messages import SCHEMA
from interlock.ledger import Ledger, LedgerUnwritable
from interlock.service.desk.local_socket import SocketInUse, listen
from interlock.service.execution.spent import SpentStore
from interlock.testing.unruly import Mischief
from unit.service.gateways import SOON_S, Premises, bought, until, way_out, wish


def free(premises: Premises) -> None:
    """Another process can have everything that the gateway held."""
    with premises.home.claimed(), Ledger.open(premises.home.ledger, account="main", schema=SCHEMA) as ledger:
        assert ledger.problem is None
    store = SpentStore(premises.home.spent)
    store.open_epoch(0)
    store.close()
    for thread in set(threading.enumerate()) - premises.threads:
        if thread.name.startswith(("ledger", "interlock-")):
            thread.join(SOON_S)
            assert not thread.is_alive(), thread.name


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


def test_after_a_restart_nothing_opens_before_the_venue_has_told_positions(tmp_path: Path) -> None:
    async def story() -> None:
        async with premises.open() as gateway:
            await bought(gateway)
        premises.again()
        premises.venue.begin(Mischief.HANGS)
        async with premises.open() as gateway:
            answer = await gateway.submit(wish(), hand_over=False)
            assert Code.POSITION_UNRECONCILED in [each.code for each in answer.decisions[0].objections]
            premises.venue.end()
            await until(lambda: gateway.status().troubles == ())
            await bought(gateway)

    premises = Premises(tmp_path)
    asyncio.run(story())


def test_an_account_that_could_not_be_looked_at_at_the_start_is_looked_at_before_anything_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = PaperExchange.account

    async def hedged(exchange: PaperExchange) -> AccountReport:
        return msgspec.structs.replace(await account(exchange), hedged=True)

    async def story() -> None:
        async with premises.open() as gateway:
            await bought(gateway)
        premises.again()
        premises.venue.begin(Mischief.DOWN)
        async with premises.open() as gateway:
            monkeypatch.setattr(PaperExchange, "account", hedged)
            premises.venue.end()
            await until(lambda: any("hedge mode" in each for each in gateway.status().troubles))
            assert not (await gateway.submit(wish(), hand_over=False)).allowed
            assert (await gateway.submit(way_out(), hand_over=False)).allowed
            monkeypatch.setattr(PaperExchange, "account", account)
            await until(lambda: not any("hedge mode" in each for each in gateway.status().troubles))
            await bought(gateway)

    premises = Premises(tmp_path)
    asyncio.run(story())


def test_an_instrument_that_has_changed_under_a_position_is_no_reason_not_to_look_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instruments = PaperExchange.instruments

    async def changed(exchange: PaperExchange) -> tuple[Instrument, ...]:
        return tuple(msgspec.structs.replace(each, step=each.step / 10) for each in await instruments(exchange))

    async def story() -> None:
        async with premises.open() as gateway:
            await bought(gateway)
        premises.again()
        monkeypatch.setattr(PaperExchange, "instruments", changed)
        async with premises.open() as gateway:
            assert any("cannot change until it is flat" in each for each in gateway.status().troubles)
            assert (await gateway.submit(way_out(), hand_over=False)).allowed

    premises = Premises(tmp_path)
    asyncio.run(story())


def test_an_order_that_was_to_be_cancelled_when_the_process_ended_is_cancelled_by_the_next(tmp_path: Path) -> None:
    async def story() -> None:
        async with premises.open() as gateway:
            await bought(gateway)
            premises.venue.begin(Mischief.CANCELS_REJECTED)
            assert (await gateway.submit(way_out(), hand_over=False)).allowed
            await until(lambda: not gateway.status().positions)
            [stop] = (await premises.venue.truth.open_orders()).orders
        premises.again()
        async with premises.open():
            while (await premises.venue.truth.open_orders()).orders:  # noqa: ASYNC110 (the venue knows nothing of tests)
                await asyncio.sleep(0.01)
            assert await premises.venue.truth.order(stop.symbol, stop.client_id) is not None

    premises = Premises(tmp_path)
    asyncio.run(story())


def test_a_ledger_without_room_ends_no_gateway_and_stops_no_exit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise LedgerUnwritable("too much waits", "check the disk")

    async def story() -> None:
        async with premises.open() as gateway:
            await bought(gateway)
            with monkeypatch.context() as patch:
                patch.setattr("interlock.service.shell.gate.BACKLOG_MAX", 0)
                patch.setattr(Ledger, "append", full)
                text = premises.home.runtime.read_text()
                premises.home.runtime.write_text(text.replace("rollout_percent = 0 ", "rollout_percent = 100 "))
                await until(lambda: any("check the disk" in each for each in gateway.status().troubles))
                assert (await gateway.submit(wish(), hand_over=False)).headline == Code.UNANSWERED
                assert (await gateway.submit(way_out(), hand_over=False)).allowed
                await until(lambda: not gateway.status().positions)
            await bought(gateway)

    premises = Premises(tmp_path)
    asyncio.run(story())
