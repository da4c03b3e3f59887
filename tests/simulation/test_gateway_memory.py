"""Many intents leave a gateway as large as it was after the first fifth of them."""

import asyncio
import os
from pathlib import Path

import pytest

from drillkit import Rig, drilled

TOGETHER = 100
ONE_IN = 50
GROWTH_MAX = 1.1


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.parametrize(
    "count", [pytest.param(30_000, marks=pytest.mark.long), pytest.param(1_000_000, marks=pytest.mark.soak)]
)
@pytest.mark.timeout(7_200)
def test_memory_is_flat(count: int, tmp_path: Path) -> None:
    seen: list[float] = []

    async def play(rig: Rig) -> None:
        for first in range(0, count, TOGETHER):
            wishes = [
                rig.intent("BTC", 1, notional=50.0, id=f"i-{number}", source="nobody" if number % ONE_IN else "bot")
                for number in range(first, first + TOGETHER)
            ]
            await asyncio.gather(*(rig.gateway.submit(wish, hand_over=False) for wish in wishes))
            await rig.until(lambda: rig.is_quiet("BTC"), "what was granted is done")
            await rig.gateway.close("BTC", "alice", "")
            await rig.until(lambda: rig.is_quiet("BTC"), "and closed")
            if first % (count // 10) == 0:
                seen.append(resident_mb())

    drilled(tmp_path, play)
    assert seen[-1] < seen[2] * GROWTH_MAX, seen
