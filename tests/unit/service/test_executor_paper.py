"""The executor at the paper venue: the same orders as at a real one, kept in a file that outlives it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import nan
from pathlib import Path

from interlock.adapters.paper_exchange import PaperExchange
from interlock.core.codes import Code, PermitState
from interlock.core.instrument import Instrument
from interlock.core.messages import CancelOrders, Quote
from unit.service.rig import NOW_NS, Rig, permit_of

FILLED, WORKING, CANCELLED, REJECTED = PermitState.FILLED, PermitState.WORKING, PermitState.CANCELLED, PermitState.REJECTED
BTC = Instrument("BTC", "paper", "USDT", 0.001, 0.1, 0.1)


def quote(bid: float, ask: float) -> Quote:
    return Quote("BTC", bid, ask, bid, NOW_NS)


def account_in(path: Path) -> Path:
    PaperExchange.create(path, account="main", balance=1000.0, currency="USDT", instruments=[BTC], fee_bps=4.0)
    return path


@asynccontextmanager
async def at_paper(tmp_path: Path, rig: Rig, bid: float = 99.9) -> AsyncIterator[PaperExchange]:
    """The rig's executor trades on the account in the file."""
    venue = PaperExchange.open(tmp_path / "paper", clock=rig.clock.wall_ns)
    rig.line.venue = venue
    await venue.feed((quote(bid, 100.0),))
    try:
        async with rig.running():
            yield venue
    finally:
        await venue.close()


def test_in_protected_moved_and_out_again(tmp_path: Path) -> None:
    async def story() -> None:
        account_in(tmp_path / "paper")
        rig = Rig(tmp_path / "spent")
        async with at_paper(tmp_path, rig) as venue:
            rig.issue(entry := permit_of(1))
            result = await rig.until(entry, FILLED)
            assert (result.filled_steps, round(result.filled_value, 9), round(result.fees, 9)) == (10, 1.0, 0.0004)
            assert await venue.leverage("BTC") == 10.0
            rig.issue(wide := permit_of(2, reduce_only=True, trigger_price=90.0))
            await rig.until(wide, WORKING)
            rig.issue(near := permit_of(3, reduce_only=True, trigger_price=95.03))
            await rig.until(near, WORKING)
            rig.issue(CancelOrders((wide.id,), Code.ALLOWED))
            await rig.until(wide, CANCELLED)
            await venue.feed((quote(95.0, 95.1),))
            assert (await rig.until(near, FILLED)).filled_value == 0.95
            assert (await venue.positions()).positions == ()
            rig.issue(late := permit_of(4, reduce_only=True))
            assert (await rig.until(late, REJECTED)).benign

    asyncio.run(story())


def test_what_happens_while_nobody_runs_is_told_at_the_next_start(tmp_path: Path) -> None:
    async def story() -> None:
        account_in(tmp_path / "paper")
        before = Rig(tmp_path / "spent")
        stop = permit_of(2, reduce_only=True, trigger_price=95.0)
        async with at_paper(tmp_path, before):
            before.issue(entry := permit_of(1))
            await before.until(entry, FILLED)
            before.issue(stop)
            await before.until(stop, WORKING)
        alone = PaperExchange.open(tmp_path / "paper", clock=before.clock.wall_ns)
        await alone.feed((quote(94.9, 95.0),))
        await alone.close()
        after = Rig(tmp_path / "spent")
        async with at_paper(tmp_path, after):
            assert (await after.until(stop, FILLED)).filled_steps == 10
            await after.see(lambda: after.store.alive() == ())

    asyncio.run(story())


def test_a_direct_close_while_the_executor_runs_is_no_permits_result(tmp_path: Path) -> None:
    async def story() -> None:
        account_in(tmp_path / "paper")
        rig = Rig(tmp_path / "spent")
        async with at_paper(tmp_path, rig) as venue:
            rig.issue(entry := permit_of(1))
            await rig.until(entry, FILLED)
            result = await rig.executor.close_directly(None, "alice")
            assert result.flat
            assert (await venue.positions()).positions == ()
            assert rig.states(entry) == [FILLED]

    asyncio.run(story())


def test_an_opening_beyond_its_worst_price_comes_to_nothing_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        account_in(tmp_path / "paper")
        rig = Rig(tmp_path / "spent")
        async with at_paper(tmp_path, rig) as venue:
            rig.issue(entry := permit_of(1, limit_price=99.0, margin_leverage=nan))
            assert (await rig.until(entry, CANCELLED)).filled_steps == 0
            assert (await venue.open_orders()).orders == ()

    asyncio.run(story())
