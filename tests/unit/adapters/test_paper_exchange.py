"""The paper venue behind the port: its file, its second user, its subscribers."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from interlock.adapters import paper_exchange, paper_file
from interlock.adapters.paper_exchange import PaperExchange
from interlock.adapters.paper_file import PaperDamaged, PaperExists, PaperMissing, PaperOfAnother, PaperUnusable
from interlock.adapters.venue import OrderReport, Venue, VenueOrder, VenueRejected, VenueUnreachable
from interlock.core.codes import PermitState
from interlock.core.instrument import Instrument
from interlock.core.messages import PositionAt, Quote

BTC = Instrument("BTC", "paper", "USDT", step=0.001, tick=0.1, min_notional=5.0)
ETH = Instrument("ETH", "paper", "USDT", step=0.01, tick=0.01, min_notional=5.0)
START_NS = 1_700_000_000_000_000_000


def quoted(mark: float, symbol: str = "BTC") -> tuple[Quote, ...]:
    return (Quote(symbol, mark - 0.5, mark + 0.5, mark, START_NS),)


def create(path: Path, *, partial_frac: float = 0.0, latency_s: float = 0.0) -> Path:
    PaperExchange.create(
        path,
        account="test",
        balance=10_000.0,
        currency="USDT",
        instruments=[BTC, ETH],
        fee_bps=4.0,
        partial_frac=partial_frac,
        latency_s=latency_s,
    )
    return path


def opened(path: Path) -> PaperExchange:
    ticks = count(START_NS + 1)
    return PaperExchange.open(path, "test", clock=lambda: next(ticks))


@asynccontextmanager
async def venue_at(path: Path) -> AsyncIterator[PaperExchange]:
    venue = opened(path)
    try:
        yield venue
    finally:
        await venue.close()


def on_venue(path: Path, story: Callable[[PaperExchange], Awaitable[None]]) -> None:
    async def told() -> None:
        async with venue_at(path) as venue:
            await story(venue)

    asyncio.run(told())


def buy(steps: int, client_id: str = "b") -> VenueOrder:
    return VenueOrder(client_id, "BTC", 1, steps)


def test_it_is_a_venue(tmp_path: Path) -> None:
    async def story(exchange: PaperExchange) -> None:
        venue: Venue = exchange
        assert (venue.name, venue.environment) == ("paper", "testnet")
        assert await venue.instruments() == (BTC, ETH)
        first, second = await venue.server_time_ns(), await venue.server_time_ns()
        assert START_NS < first < second

    on_venue(create(tmp_path / "a"), story)


def test_a_trade_from_the_entry_to_the_stop(tmp_path: Path) -> None:
    async def story(venue: PaperExchange) -> None:
        await venue.feed(quoted(50_000.0))
        await venue.set_leverage("BTC", 10.0)
        assert await venue.leverage("BTC") == 10.0
        assert (await venue.place(buy(100))).state == PermitState.FILLED
        stop = VenueOrder("s", "BTC", -1, 100, trigger_price=49_000.0, reduce_only=True, immediate=False)
        assert (await venue.place(stop)).trigger_price == 49_000.0
        account, positions, orders = await venue.account(), await venue.positions(), await venue.open_orders()
        assert (account.balance, account.equity, account.currency) == (9_997.99998, 9_997.94998, "USDT")
        assert positions.positions == (PositionAt("BTC", 100, 50_000.5),)
        assert [each.client_id for each in orders.orders] == ["s"]
        await venue.feed(quoted(49_000.0))
        done = await venue.order("BTC", "s")
        assert done is not None
        assert (done.state, done.filled_value, done.fees) == (PermitState.FILLED, 4_899.95, 1.95998)
        assert (await venue.account()).equity == 10_000.0 - 2.00002 - 100.1 - 1.95998
        assert [each.client_id for each in await venue.fills_since(0)] == ["b", "s"]
        assert [each.client_id for each in await venue.fills_since(done.at_ns)] == ["s"]
        assert await venue.fills_since(done.at_ns + 1) == ()

    on_venue(create(tmp_path / "a"), story)


def test_cancelling_tells_what_the_order_is(tmp_path: Path) -> None:
    async def story(venue: PaperExchange) -> None:
        await venue.feed(quoted(50_000.0))
        await venue.place(VenueOrder("r", "BTC", 1, 10, limit_price=40_000.0, immediate=False))
        await venue.place(buy(10))
        for _ in range(2):
            over = await venue.cancel("BTC", "r")
            assert over is not None
            assert (over.state, over.benign) == (PermitState.CANCELLED, True)
        filled = await venue.cancel("BTC", "b")
        assert filled is not None
        assert filled.state == PermitState.FILLED
        assert await venue.cancel("BTC", "x") is None
        assert await venue.order("ETH", "b") is None
        assert (await venue.open_orders()).orders == ()

    on_venue(create(tmp_path / "a"), story)


def test_of_two_orders_with_one_name_the_newest_is_told(tmp_path: Path) -> None:
    async def story(venue: PaperExchange) -> None:
        await venue.feed(quoted(50_000.0))
        for steps in (10, 20):
            await venue.place(buy(steps))
        newest = await venue.order("BTC", "b")
        assert newest is not None
        assert newest.steps == 20
        assert (await venue.positions()).positions[0].steps == 30

    on_venue(create(tmp_path / "a"), story)


def test_what_was_refused_is_no_order(tmp_path: Path) -> None:
    async def story(venue: PaperExchange) -> None:
        with pytest.raises(VenueRejected, match="no quote"):
            await venue.place(buy(10))
        await venue.feed(quoted(50_000.0))
        with pytest.raises(VenueRejected, match="margin"):
            await venue.place(buy(100_000))
        with pytest.raises(VenueRejected, match="not traded"):
            await venue.leverage("XRP")
        with pytest.raises(VenueRejected, match="between"):
            await venue.set_leverage("BTC", 0.0)
        assert await venue.order("BTC", "b") is None
        assert (await venue.place(buy(10))).state == PermitState.FILLED

    on_venue(create(tmp_path / "a"), story)


def test_the_account_is_as_it_was_when_it_is_opened_again(tmp_path: Path) -> None:
    path = create(tmp_path / "a", partial_frac=0.5)

    async def trade(venue: PaperExchange) -> None:
        await venue.feed(quoted(50_000.0) + quoted(2_000.0, "ETH"), cursor=41)
        await venue.set_leverage("ETH", 7.0)
        await venue.place(buy(100))
        await venue.place(VenueOrder("r", "ETH", 1, 1_000, limit_price=2_000.5, immediate=False))
        await venue.place(VenueOrder("s", "BTC", -1, 50, trigger_price=49_000.0, reduce_only=True, immediate=False))

    async def look(venue: PaperExchange) -> tuple[object, ...]:
        account = await venue.account()
        orders = [await venue.order(symbol, name) for symbol, name in (("BTC", "b"), ("ETH", "r"), ("BTC", "s"))]
        rest = (await venue.positions()).positions, (await venue.open_orders()).orders, await venue.leverage("ETH")
        return account.balance, account.equity, *orders, *rest, await venue.cursor()

    async def compare() -> None:
        async with venue_at(path) as venue:
            assert await venue.cursor() == 0
            await trade(venue)
            before = await look(venue)
        async with venue_at(path) as venue:
            assert await look(venue) == before
            assert before[-1] == 41
            await venue.feed(quoted(48_000.0))
            stopped = await venue.order("BTC", "s")
            assert stopped is not None
            assert stopped.filled_steps > 0

    asyncio.run(compare())


def test_a_second_user_sees_and_changes_the_same_account(tmp_path: Path) -> None:
    path = create(tmp_path / "a")

    async def story() -> None:
        async with venue_at(path) as first, venue_at(path) as second:
            reports = first.reports()
            await first.feed(quoted(50_000.0))
            await first.place(buy(100))
            await first.place(VenueOrder("r", "BTC", 1, 10, limit_price=40_000.0, immediate=False))
            assert (await second.positions()).positions == (PositionAt("BTC", 100, 50_000.5),)
            assert (await second.open_orders()).orders[0].client_id == "r"
            await second.cancel("BTC", "r")
            await second.place(VenueOrder("panic", "BTC", -1, 100, reduce_only=True))
            assert (await first.positions()).positions == ()
            assert (await first.open_orders()).orders == ()
            told = [await anext(reports) for _ in range(4)]
            assert [(each.client_id, each.state.name) for each in told] == [
                ("b", "FILLED"),
                ("r", "WORKING"),
                ("r", "CANCELLED"),
                ("panic", "FILLED"),
            ]
            assert await first.account() != await second.account()  # two clocks, and else the same
            assert (await first.account()).equity == (await second.account()).equity

    asyncio.run(story())


def test_subscribers_are_told_before_the_caller_and_to_the_end(tmp_path: Path) -> None:
    path = create(tmp_path / "a")

    async def story() -> None:
        async with venue_at(path) as venue:
            quotes, others, reports = venue.quotes(), venue.quotes(), venue.reports()
            waiting = asyncio.create_task(collected(reports))
            crossed = (Quote("BTC", 2.0, 1.0, 1.5, START_NS),)
            for batch in (quoted(50_000.0), crossed):
                await venue.feed(batch)
                assert await anext(quotes) == await anext(others) == batch
            placed = await venue.place(buy(10))
            await venue.feed(quoted(50_001.0))
        assert [each async for each in quotes] == [quoted(50_001.0)]
        assert await waiting == [placed]
        assert [each async for each in venue.reports()] == []

    asyncio.run(story())


async def collected(reports: AsyncIterator[OrderReport]) -> list[OrderReport]:
    return [each async for each in reports]


def test_a_caller_who_gave_up_may_still_have_traded_and_subscribers_hear_of_it(tmp_path: Path) -> None:
    path = create(tmp_path / "a")

    entered, released = threading.Event(), threading.Event()

    def clock() -> int:
        entered.set()
        released.wait(60.0)
        return START_NS

    async def story() -> None:
        async with venue_at(path) as venue:
            await venue.feed(quoted(50_000.0))
        venue = PaperExchange.open(path, clock=clock)
        reports = venue.reports()
        placing = asyncio.create_task(venue.place(buy(10)))
        await asyncio.to_thread(entered.wait)
        placing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await placing
        released.set()
        assert (await anext(reports)).state == PermitState.FILLED
        assert (await venue.positions()).positions[0].steps == 10
        await venue.close()

    asyncio.run(story())


def test_a_subscriber_who_falls_behind_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper_exchange, "STREAM_WAITING_MAX", 2)

    async def story(venue: PaperExchange) -> None:
        slow = venue.quotes()
        for number in range(4):
            await venue.feed(quoted(50_000.0 + number))
        for _ in range(2):
            with pytest.raises(VenueUnreachable, match="subscribe again"):
                await anext(slow)

    on_venue(create(tmp_path / "a"), story)


def test_a_call_takes_its_time_to_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def story(venue: PaperExchange) -> None:
        await venue.feed(quoted(50_000.0))
        assert slept == []
        await venue.place(buy(10))
        await venue.server_time_ns()
        assert slept == [0.25, 0.25]

    monkeypatch.setattr(asyncio, "sleep", sleep)
    on_venue(create(tmp_path / "a", latency_s=0.25), story)


def test_a_closed_venue_answers_nothing(tmp_path: Path) -> None:
    path = create(tmp_path / "a")

    async def story() -> None:
        async with venue_at(path) as venue:
            pass
        await venue.close()
        for call in (venue.account(), venue.instruments(), venue.place(buy(1)), venue.feed(quoted(1.0))):
            with pytest.raises(VenueUnreachable, match="closed"):
                await call

    asyncio.run(story())


def test_a_file_that_another_process_keeps_gives_no_answer_and_no_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paper_file, "BUSY_S", 0.01)
    path = create(tmp_path / "a")

    async def story(venue: PaperExchange) -> None:
        await venue.feed(quoted(50_000.0))
        other = paper_file.PaperFile.open(path)
        with other.writing():
            with pytest.raises(VenueUnreachable, match="stop it"):
                await venue.place(buy(10))
            assert (await venue.positions()).positions == ()  # who only reads does not wait
        other.close()
        assert (await venue.place(buy(10))).state == PermitState.FILLED

    on_venue(path, story)


def test_a_commit_that_fails_leaves_nothing_of_the_order(tmp_path: Path) -> None:
    async def story(venue: PaperExchange) -> None:
        await venue.feed(quoted(50_000.0))
        venue._file._connection.execute(
            "CREATE TEMP TRIGGER full BEFORE INSERT ON orders BEGIN SELECT RAISE(FAIL, 'full'); END"
        )
        with pytest.raises(VenueUnreachable, match="full"):
            await venue.place(buy(10))
        assert (await venue.positions()).positions == ()
        venue._file._connection.execute("DROP TRIGGER full")
        assert (await venue.place(buy(10))).filled_steps == 10
        assert (await venue.positions()).positions[0].steps == 10

    on_venue(create(tmp_path / "a"), story)


def test_a_file_that_is_not_this_account_is_refused_by_name(tmp_path: Path) -> None:
    path = create(tmp_path / "a")
    with pytest.raises(PaperExists):
        create(path)
    with pytest.raises(PaperOfAnother, match="'test', not 'main'"):
        PaperExchange.open(path, "main")
    with pytest.raises(PaperMissing, match="does not exist"):
        PaperExchange.open(tmp_path / "b")
    assert not (tmp_path / "b").exists()
    (tmp_path / "empty").touch()
    with pytest.raises(PaperMissing, match="empty"):
        PaperExchange.open(tmp_path / "empty")
    create(tmp_path / "empty")
    (tmp_path / "text").write_text("BTC 1\n" * 1000)
    with pytest.raises(PaperDamaged, match="not an account"):
        PaperExchange.open(tmp_path / "text")
    with pytest.raises(PaperUnusable, match="look at the disk"):
        create(tmp_path / "no" / "a")
    (tmp_path / "folder").mkdir()
    with pytest.raises(PaperUnusable, match="unable to open"):
        PaperExchange.open(tmp_path / "folder")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("DROP TABLE orders", "not an account"),
        ("DELETE FROM account", "not add up"),
        ("DELETE FROM terms", "not add up"),
        ("UPDATE terms SET format = 99", "format 99"),
        ("UPDATE terms SET terms = x'00'", "not add up"),
        ("INSERT INTO books VALUES ('XRP', 1, 1, 1, 1, 1, 1, 1)", "not add up"),
    ],
)
def test_a_file_that_does_not_add_up_is_damaged(harm: str, told: str, tmp_path: Path) -> None:
    path = create(tmp_path / "a")
    connection = sqlite3.connect(path)
    connection.execute(harm)
    connection.commit()
    connection.close()
    with pytest.raises(PaperDamaged, match=told):
        PaperExchange.open(path)
