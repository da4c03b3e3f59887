"""The journal tells every change of every order, whoever made it, and what follows from them."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from interlock.adapters.paper_exchange import PaperExchange
from interlock.adapters.venue import VenueOrder
from interlock.core.messages import Quote
from interlock.testing import journal, make_instrument
from interlock.testing.auditor import Fill, Glance

AT_NS = 1_800_000_000_000_000_000


def quote(mark: float) -> tuple[Quote, ...]:
    return (Quote("BTC", mark - 0.01, mark + 0.01, mark, AT_NS),)


def played(place: Path, play: Callable[[PaperExchange], Awaitable[None]]) -> Path:
    path = place / "paper.sqlite"
    PaperExchange.create(
        path, account="main", balance=1e6, currency="USDT", instruments=[make_instrument("BTC")], fee_bps=4.0
    )
    journal.install(path)

    async def run() -> None:
        exchange = PaperExchange.open(path, clock=lambda: AT_NS)
        await exchange.feed(quote(100.0))
        await play(exchange)
        await exchange.close()

    asyncio.run(run())
    return path


async def a_life(exchange: PaperExchange) -> None:
    """A position with a stop that fires, and a close that comes too late."""
    await exchange.place(VenueOrder("a", "BTC", 1, 10_000, limit_price=101.0))
    await exchange.place(VenueOrder("s", "BTC", -1, 10_000, trigger_price=95.0, reduce_only=True, immediate=False))
    await exchange.place(VenueOrder("b", "BTC", -1, 4_000, reduce_only=True))
    await exchange.feed(quote(94.0))


def test_fills_come_in_their_order(tmp_path: Path) -> None:
    path = played(tmp_path, a_life)
    assert list(journal.fills(journal.read(path))) == [
        Fill("a", "BTC", 1, 10_000, reduce_only=False),
        Fill("b", "BTC", -1, 4_000, reduce_only=True),
        Fill("s", "BTC", -1, 6_000, reduce_only=True),
    ]
    assert journal.positions(path) == {}
    assert journal.marks(path) == {"BTC": 9_400}


def test_a_glance_follows_every_change(tmp_path: Path) -> None:
    lines = journal.read(played(tmp_path, a_life))
    seen = [*journal.glances(lines, AT_NS + 1)]
    assert Glance(AT_NS, {"BTC": 10_000}, {}) in seen
    assert Glance(AT_NS, {"BTC": 10_000}, {"BTC": -10_000}) in seen
    assert Glance(AT_NS, {"BTC": 6_000}, {"BTC": -10_000}) in seen
    assert seen[-1] == Glance(AT_NS + 1, {"BTC": 0}, {})
    assert [*journal.glances((), AT_NS)] == []


def test_stops_of_both_sides_do_not_offset_each_other(tmp_path: Path) -> None:
    async def play(exchange: PaperExchange) -> None:
        await exchange.place(VenueOrder("a", "BTC", 1, 10_000, limit_price=101.0))
        await exchange.place(VenueOrder("s", "BTC", -1, 10_000, trigger_price=95.0, reduce_only=True, immediate=False))
        await exchange.place(VenueOrder("c", "BTC", -1, 30_000))
        await exchange.place(VenueOrder("t", "BTC", 1, 20_000, trigger_price=105.0, reduce_only=True, immediate=False))

    *_, last = journal.glances(journal.read(played(tmp_path, play)), AT_NS)
    assert last == Glance(AT_NS, {"BTC": -20_000}, {"BTC": 20_000})


def test_orders_are_all_that_there_ever_were(tmp_path: Path) -> None:
    path = played(tmp_path, a_life)
    assert {each.client_id: each.filled_steps for each in journal.orders(path)} == {"a": 10_000, "b": 4_000, "s": 6_000}


def test_a_second_process_is_in_the_journal(tmp_path: Path) -> None:
    path = played(tmp_path, a_life)

    async def panic() -> None:
        other = PaperExchange.open(path)
        await other.place(VenueOrder("p", "BTC", 1, 700))
        await other.close()

    asyncio.run(panic())
    assert journal.read(path)[-1].client_id == "p"
    assert journal.positions(path) == {"BTC": 700}
