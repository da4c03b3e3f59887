"""Somebody who looks on is never waited for."""

import asyncio

from interlock.core.messages import Step, Tick
from interlock.service.shell.watch import Missed, Watcher
from shellkit import go


def step(seq: int) -> Step:
    return Step(seq, 0, 0, Tick(), ())


async def read(watcher: Watcher, count: int) -> list[Step | Missed]:
    return [await anext(watcher) for _ in range(count)]


def test_steps_come_in_order_and_end_with_the_close() -> None:
    async def story() -> None:
        watcher = Watcher()
        reader = asyncio.create_task(read(watcher, 2))
        await asyncio.sleep(0)
        watcher.offer(step(1))
        watcher.offer(step(2))
        assert await reader == [step(1), step(2)]
        watcher.offer(step(3))
        watcher.close()
        assert [each async for each in watcher] == [step(3)]

    go(story())


def test_who_is_slow_is_told_how_many_were_missed() -> None:
    async def story() -> None:
        watcher = Watcher(waiting_max=2)
        for seq in range(1, 6):
            watcher.offer(step(seq))
        assert await read(watcher, 3) == [Missed(3), step(4), step(5)]
        watcher.offer(step(6))
        assert await read(watcher, 1) == [step(6)]

    go(story())
