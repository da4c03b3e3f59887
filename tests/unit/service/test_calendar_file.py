"""A running gateway knows the windows of the calendar file beside its policy, and what is wrong with that file."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from interlock.core.codes import Code
from interlock.service.gateway import Gateway
from interlock.service.home.calendar_file import AHEAD_NS, DAY_NS, CalendarFile
from interlock.service.private import write_private
from unit.service.gateways import GOLD, Premises, bought, until, wish

HEAD = "kind,from,until,zone,symbols,what\n"


def premises_with_news(tmp_path: Path) -> Premises:
    """A home whose policy wants a calendar file."""
    premises = Premises(tmp_path)
    policy = premises.home.policy.read_text().replace('STOP_EXIT = "on"\n', 'STOP_EXIT = "on"\nNEWS_WINDOW = "on"\n')
    premises.home.policy.write_text(policy)
    return premises


def written(premises: Premises, *rows: str) -> None:
    premises.home.calendar.unlink(missing_ok=True)
    write_private(premises.home.calendar, (HEAD + "\n".join(rows)).encode())


def a_window_around_now(symbol: str = GOLD) -> str:
    now = datetime.now(UTC)
    return f"no-open,{now - timedelta(hours=1):%H:%M},{now + timedelta(hours=1):%H:%M},UTC,{symbol},the news"


async def objections(gateway: Gateway, symbol: str = GOLD) -> list[Code]:
    answer = await gateway.dry_run(msgspec.structs.replace(wish(), symbol=symbol))
    return [each.code for decision in answer.decisions for each in decision.objections]


async def denied(gateway: Gateway) -> None:
    """Gold cannot be opened because of the news."""
    while Code.NEWS_WINDOW not in await objections(gateway):  # noqa: ASYNC110 (it asks)
        await asyncio.sleep(0.05)


def test_the_gateway_follows_its_calendar_file(tmp_path: Path) -> None:
    async def story() -> None:
        async with premises.open() as gateway:
            await until(lambda: gateway.status().troubles == ())
            assert Code.NEWS_WINDOW in await objections(gateway)  # no file: nothing is known
            written(premises)
            await bought(gateway)
            written(premises, a_window_around_now())
            await denied(gateway)
            assert Code.NEWS_WINDOW not in await objections(gateway, "EURUSD")
            written(premises, "no-open,nonsense,10:00,UTC,*,")
            await until(lambda: any("line 2, column from" in each for each in gateway.status().troubles))
            assert Code.NEWS_WINDOW in await objections(gateway)  # what was told stands
            written(premises, a_window_around_now("EURUSD"), "flat,Fri 10:00,11:00,UTC,XAGUSD,")
            await bought(gateway)
            assert any("names XAGUSD, which nobody here knows" in each for each in gateway.status().troubles)
            premises.home.calendar.unlink()
            await denied(gateway)

    premises = premises_with_news(tmp_path)
    asyncio.run(story())


def test_a_file_that_is_there_at_the_start_counts_from_the_start(tmp_path: Path) -> None:
    async def story() -> None:
        async with premises.open() as gateway:
            await bought(gateway)

    premises = premises_with_news(tmp_path)
    written(premises, "no-open,2020-01-01 10:00,11:00,UTC,*,", "end,2190-01-01 00:00,,UTC,,")
    asyncio.run(story())


def test_what_is_to_be_told_is_told_once_and_again_where_it_may_not_have_been_heard(tmp_path: Path) -> None:
    path = tmp_path / "calendar.csv"
    path.write_text(HEAD + "flat,Fri 16:00,18:00,UTC,A,\n")
    file = CalendarFile(path)
    (told,) = file.to_tell(("A",), 0)
    assert (told.symbol, len(told.flat) > 5, told.until_ns) == ("A", True, AHEAD_NS)
    assert file.to_tell(("A",), DAY_NS - 1) == ()
    assert [each.symbol for each in file.to_tell(("A", "B"), 1)] == ["A", "B"]
    assert file.to_tell(("A", "B"), 1) == ()
    file.forget()
    assert len(file.to_tell(("A", "B"), 1)) == 2
    assert [each.until_ns for each in file.to_tell(("A", "B"), DAY_NS)] == [DAY_NS + AHEAD_NS] * 2


def test_a_file_that_cannot_be_read_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "calendar.csv"
    path.mkdir()
    file = CalendarFile(path)
    assert file.to_tell(("A",), 0) == ()
    assert "cannot be read, windows stay as they were told" in file.problem
    path.rmdir()
    assert [each.until_ns for each in file.to_tell(("A",), 0)] == [0]
    assert file.problem == ""
