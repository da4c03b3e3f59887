"""Each mischief does what it says and nothing else; without any, an unruly venue is the venue that it wraps."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest

from interlock.adapters.paper_exchange import PaperExchange
from interlock.adapters.venue import OrderReport, Venue, VenueOrder, VenueRejected, VenueUnreachable
from interlock.core.codes import PermitState
from interlock.core.messages import PositionAt, Quote
from interlock.testing import make_instrument
from interlock.testing.builders import PRICES, START_NS
from interlock.testing.unruly import Mischief, Unruly

T = TypeVar("T")


def buy(client_id: str = "a", steps: int = 10_000) -> VenueOrder:
    return VenueOrder(client_id, "BTC", 1, steps, limit_price=101.0)


def sell(client_id: str = "b", steps: int = 10_000) -> VenueOrder:
    return VenueOrder(client_id, "BTC", -1, steps, reduce_only=True)


def stop(client_id: str = "s") -> VenueOrder:
    return VenueOrder(client_id, "BTC", -1, 10_000, trigger_price=95.0, reduce_only=True, immediate=False)


def with_unruly(place: Path, play: Callable[[Unruly], Awaitable[T]], **options: object) -> T:
    path = place / "paper.sqlite"
    instruments = [make_instrument(symbol) for symbol in PRICES]
    PaperExchange.create(path, account="main", balance=10_000.0, currency="USDT", instruments=instruments, fee_bps=4.0)

    async def run() -> T:
        exchange = PaperExchange.open(path)
        unruly = Unruly(exchange, **options)  # type: ignore[arg-type]
        await exchange.feed(quotes())
        try:
            return await play(unruly)
        finally:
            await unruly.close()

    return asyncio.run(run())


def quotes(mark: float = 100.0) -> tuple[Quote, ...]:
    return tuple(
        Quote(symbol, price * mark / 100.0 * 0.9998, price * mark / 100.0 * 1.0002, price * mark / 100.0, START_NS)
        for symbol, price in PRICES.items()
    )


def is_a_venue(venue: Venue) -> Venue:
    return venue


async def turns() -> None:
    """Everything that can happen without anybody outside has happened."""
    for _ in range(20):
        await asyncio.sleep(0)


async def held(venue: Venue) -> dict[str, int]:
    return {each.symbol: each.steps for each in (await venue.positions()).positions}


def test_without_mischief_it_is_the_venue_it_wraps(tmp_path: Path) -> None:
    async def play(unruly: Unruly) -> None:
        assert is_a_venue(unruly).name == unruly.truth.name
        assert unruly.environment == unruly.truth.environment
        await unruly.set_leverage("BTC", 5.0)
        assert await unruly.leverage("BTC") == 5.0
        report = await unruly.place(buy())
        assert report == await unruly.truth.order("BTC", "a") == await unruly.order("BTC", "a")
        assert report.state == PermitState.FILLED
        await unruly.place(stop())
        for ask in ("account", "positions", "open_orders", "instruments"):
            told, true = await getattr(unruly, ask)(), await getattr(unruly.truth, ask)()
            assert getattr(told, "positions", told) == getattr(true, "positions", true) or ask != "positions"
        assert [each.client_id for each in (await unruly.open_orders()).orders] == ["s"]
        assert [each.client_id for each in await unruly.fills_since(0)] == ["a"]
        over = await unruly.cancel("BTC", "s")
        assert over is not None
        assert over.state == PermitState.CANCELLED
        assert await unruly.order("BTC", "none") is None
        assert await unruly.cancel("BTC", "none") is None
        assert [each.order.client_id for each in unruly.arrivals] == ["a", "s"]
        assert await unruly.server_time_ns() > 0

    with_unruly(tmp_path, play)


def test_nothing_arrives_while_it_is_down(tmp_path: Path) -> None:
    async def play(unruly: Unruly) -> None:
        unruly.begin(Mischief.DOWN)
        with pytest.raises(VenueUnreachable):
            await unruly.place(buy())
        unruly.end()
        assert unruly.arrivals == []
        assert await unruly.order("BTC", "a") is None

    with_unruly(tmp_path, play)


def test_an_order_whose_answer_is_lost_is_there(tmp_path: Path) -> None:
    async def play(unruly: Unruly) -> None:
        unruly.begin(Mischief.ANSWER_LOST)
        with pytest.raises(VenueUnreachable):
            await unruly.place(buy())
        with pytest.raises(VenueUnreachable):
            await unruly.place(VenueOrder("z", "BTC", 1, 0))
        unruly.end(Mischief.ANSWER_LOST)
        assert await held(unruly) == {"BTC": 10_000}

    with_unruly(tmp_path, play)


@pytest.mark.parametrize(("mischief", "arrived"), [(Mischief.HANGS, 0), (Mischief.ANSWER_HANGS, 1)])
def test_a_call_hangs_before_or_after_it_is_carried_out(mischief: Mischief, arrived: int, tmp_path: Path) -> None:
    async def play(unruly: Unruly) -> None:
        unruly.begin(mischief)
        call = asyncio.create_task(unruly.place(buy()))
        while len(unruly.arrivals) < arrived:  # noqa: ASYNC110 (what it waits for is not ours to announce)
            await asyncio.sleep(0)
        await turns()
        assert not call.done()
        assert len(unruly.arrivals) == arrived
        unruly.end()
        assert (await call).state == PermitState.FILLED

    with_unruly(tmp_path, play)


def test_a_slow_venue_answers(tmp_path: Path) -> None:
    async def play(unruly: Unruly) -> None:
        unruly.begin(Mischief.SLOW)
        assert (await unruly.place(buy())).state == PermitState.FILLED

    with_unruly(tmp_path, play, delay_s=0.001)


def test_a_stale_venue_tells_the_past_as_present(tmp_path: Path) -> None:
    async def play(unruly: Unruly) -> None:
        before, money = await unruly.positions(), await unruly.account()
        unruly.begin(Mischief.STALE)
        await unruly.place(buy())
        told = await unruly.positions()
        assert told.positions == before.positions == ()
        assert told.at_ns > before.at_ns
        assert (await unruly.account()).equity == money.equity
        unruly.end()
        assert await held(unruly) == {"BTC": 10_000}

    with_unruly(tmp_path, play)


def test_what_a_lying_venue_says(tmp_path: Path) -> None:
    async def play(unruly: Unruly) -> None:
        await unruly.place(buy())
        await unruly.place(stop())
        equity = (await unruly.account()).equity
        unruly.begin(Mischief.POSITIONS_WRONG, Mischief.EQUITY_TENFOLD, Mischief.ORDERS_MISSING, Mischief.ORDER_UNKNOWN)
        assert await held(unruly) == {"BTC": 10_001}
        assert (await unruly.account()).equity == equity * 10.0
        assert (await unruly.open_orders()).orders == ()
        assert await unruly.order("BTC", "a") is None
        assert await unruly.fills_since(0) == ()
        unruly.begin(Mischief.POSITIONS_EMPTY, Mischief.EQUITY_ZERO)
        assert await held(unruly) == {}
        assert (await unruly.account()).equity == 0.0
        unruly.end()
        (position,) = (await unruly.positions()).positions
        assert isinstance(position, PositionAt)
        assert position.steps == 10_000

    with_unruly(tmp_path, play)


@pytest.mark.parametrize(("mischief", "refused"), [(Mischief.ORDERS_REJECTED, "abs"), (Mischief.STOPS_REJECTED, "s")])
def test_what_it_rejects_has_not_arrived(mischief: Mischief, refused: str, tmp_path: Path) -> None:
    async def play(unruly: Unruly) -> None:
        unruly.begin(mischief)
        for order in (buy(), sell(), stop()):
            if order.client_id in refused:
                with pytest.raises(VenueRejected):
                    await unruly.place(order)
            else:
                await unruly.place(order)
        assert not {each.order.client_id for each in unruly.arrivals} & set(refused)

    with_unruly(tmp_path, play)


def test_a_cancel_is_rejected(tmp_path: Path) -> None:
    async def play(unruly: Unruly) -> None:
        await unruly.place(buy())
        await unruly.place(stop())
        unruly.begin(Mischief.CANCELS_REJECTED)
        with pytest.raises(VenueRejected):
            await unruly.cancel("BTC", "s")
        assert len((await unruly.open_orders()).orders) == 1

    with_unruly(tmp_path, play)


def test_half_of_an_order_fills_and_the_rest_is_silence(tmp_path: Path) -> None:
    async def play(unruly: Unruly) -> None:
        unruly.begin(Mischief.PARTIAL_THEN_SILENT)
        report = await unruly.place(buy())
        assert (report.steps, report.filled_steps, report.state) == (10_000, 5_000, PermitState.PARTIAL)
        assert await held(unruly) == {"BTC": 5_000}
        unruly.end()
        over = await unruly.order("BTC", "a")
        assert over is not None
        assert (over.steps, over.filled_steps, over.state) == (10_000, 5_000, PermitState.CANCELLED)

    with_unruly(tmp_path, play)


# ---------------------------------------------------------------- streams


async def next_reports(unruly: Unruly, act: Callable[[], Awaitable[object]], count: int) -> list[OrderReport]:
    """The first reports after the act."""
    stream = unruly.reports()
    found = []
    following = asyncio.ensure_future(anext(stream))
    await turns()
    await act()
    for _ in range(count):
        found.append(await following)
        following = asyncio.ensure_future(anext(stream))
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following
    return found


def test_reports_come_twice(tmp_path: Path) -> None:
    async def play(unruly: Unruly) -> None:
        unruly.begin(Mischief.REPORTS_TWICE)
        found = await next_reports(unruly, lambda: unruly.place(buy()), 2)
        assert found[0] == found[1]

    with_unruly(tmp_path, play)


def test_reports_are_swapped(tmp_path: Path) -> None:
    async def play(unruly: Unruly) -> None:
        async def act() -> None:
            await unruly.place(buy("a"))
            await unruly.place(buy("b"))

        unruly.begin(Mischief.REPORTS_SWAPPED)
        found = await next_reports(unruly, act, 2)
        assert [each.client_id for each in found] == ["b", "a"]

    with_unruly(tmp_path, play)


def test_reports_are_lost(tmp_path: Path) -> None:
    async def play(unruly: Unruly) -> None:
        async def act() -> None:
            unruly.begin(Mischief.REPORTS_LOST)
            await unruly.place(buy("a"))
            await turns()
            unruly.end()
            await unruly.place(buy("b"))

        found = await next_reports(unruly, act, 1)
        assert [each.client_id for each in found] == ["b"]

    with_unruly(tmp_path, play)


@pytest.mark.parametrize("mischief", [Mischief.STREAMS_DROPPED, Mischief.DOWN])
def test_a_stream_that_is_waited_for_is_dropped(mischief: Mischief, tmp_path: Path) -> None:
    async def play(unruly: Unruly) -> None:
        for stream in (unruly.quotes(), unruly.reports()):
            following = asyncio.ensure_future(anext(stream))
            await turns()
            unruly.begin(Mischief.SLOW)
            unruly.begin(mischief)
            with pytest.raises(VenueUnreachable):
                await following
            with pytest.raises(VenueUnreachable):
                await anext(unruly.quotes())
            unruly.end()

    with_unruly(tmp_path, play)


def test_quotes_come_through(tmp_path: Path) -> None:
    async def play(unruly: Unruly) -> None:
        following = asyncio.ensure_future(anext(unruly.quotes()))
        await turns()
        await unruly.truth.feed(quotes(101.0))  # type: ignore[attr-defined]
        assert {each.symbol for each in await following} == set(PRICES)

    with_unruly(tmp_path, play)


def test_a_stream_ends_with_the_venue(tmp_path: Path) -> None:
    async def play(unruly: Unruly) -> None:
        following = asyncio.ensure_future(anext(unruly.quotes(), None))
        await turns()
        await unruly.truth.close()
        assert await following is None

    with_unruly(tmp_path, play)


# ---------------------------------------------------------------- chance


def test_odds_are_drawn_from_the_seed(tmp_path: Path) -> None:
    def history(name: str, seed: int) -> list[bool]:
        async def play(unruly: Unruly) -> list[bool]:
            answered = []
            for _ in range(40):
                try:
                    await unruly.server_time_ns()
                except VenueUnreachable:
                    answered.append(False)
                else:
                    answered.append(True)
            return answered

        (tmp_path / name).mkdir()
        return with_unruly(tmp_path / name, play, seed=seed, odds={Mischief.DOWN: 0.5})

    one = history("one", 1)
    assert one == history("again", 1)
    assert one != history("other", 2)
    assert 5 < sum(one) < 35
