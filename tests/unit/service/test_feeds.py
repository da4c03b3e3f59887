"""What the venue tells: whatever it says or does not say, asking goes on, is counted, and ends when it is to end."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from interlock.adapters.venue import PositionsReport
from interlock.core.messages import Input, Quote, VenueError
from interlock.service.execution.budget import Budget, RateLimits
from interlock.service.execution.line import Line
from interlock.service.feeds import Feeds, Rhythm
from unit.service.gateways import HASTY, Premises, bought, until, way_out
from unit.service.scripted import ScriptedVenue


class Slow(ScriptedVenue):
    """A venue whose clock is told when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.time_ns: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def server_time_ns(self) -> int:
        return await self.time_ns


class Garbled(ScriptedVenue):
    """A venue whose answers cannot be understood."""

    async def positions(self) -> PositionsReport:
        raise KeyError("positions")

    async def quotes(self) -> AsyncIterator[tuple[Quote, ...]]:
        yield ()
        raise ValueError("no quote")


def feeds_of(venue: ScriptedVenue, told: list[Input], budget: Budget | None = None) -> Feeds:
    budget = budget or Budget(RateLimits(), lambda: 0)
    line = Line(venue, budget, HASTY)
    return Feeds(line, told.append, lambda quotes: None, lambda name: None, rhythm=Rhythm(0.001, 0.001))


def test_a_question_that_is_given_up_when_its_answer_comes_is_given_up() -> None:
    async def story() -> None:
        venue = Slow()
        task = asyncio.create_task(feeds_of(venue, []).reconcile())
        await asyncio.sleep(0)
        venue.time_ns.set_result(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(story())


def test_answers_that_cannot_be_understood_are_failures_of_the_venue_and_asking_goes_on() -> None:
    async def story() -> None:
        told: list[Input] = []
        feeds = feeds_of(Garbled(), told)
        task = asyncio.create_task(feeds.run())
        await until(lambda: {"positions", "prices"} <= {each.what for each in told if isinstance(each, VenueError)})
        assert "KeyError" in feeds.troubles["positions"]
        assert "ValueError" in feeds.troubles["prices"]
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(story())


def test_questions_count_against_the_venues_limits() -> None:
    async def story() -> None:
        budget = Budget(RateLimits(), lambda: 0)
        await feeds_of(ScriptedVenue(), [], budget).reconcile()
        assert budget.weight_used == 1 + 40 + 5 + 5

    asyncio.run(story())


def test_a_venue_that_talks_nonsense_does_not_end_the_gateway_nor_stop_an_exit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nonsense() -> PositionsReport:
        raise KeyError("positions")

    async def story() -> None:
        async with premises.open() as gateway:
            await bought(gateway)
            with monkeypatch.context() as patch:
                patch.setattr(premises.venue, "positions", nonsense)
                await until(lambda: any("KeyError" in each for each in gateway.status().troubles))
                assert (await gateway.submit(way_out(), hand_over=False)).allowed
                await until(lambda: not gateway.status().positions)

    premises = Premises(tmp_path)
    asyncio.run(story())
