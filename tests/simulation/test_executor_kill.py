"""The executor's process is killed around the moment of sending: no permit is placed twice, every placed one is spent."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from interlock.service.execution.orderids import OrderIds
from interlock.service.execution.spent import SpentStore
from unit.service.rig import REALM, permit_of

PERMITS = 120
"""So many permits lie on a bus that delivers them anew to every executor."""

EXECUTOR = """
import asyncio, os, signal, sys
from pathlib import Path
from interlock.adapters.venue import VenueOrder
from unit.service.rig import Rig, permit_of
from unit.service.scripted import ScriptedVenue

path, when, after, permits = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
log = os.open(path / "venue.log", os.O_APPEND | os.O_CREAT | os.O_RDWR)
count = 0

def die() -> None:
    global count
    count += 1
    if count == after:
        os.kill(os.getpid(), signal.SIGKILL)

class Venue(ScriptedVenue):
    async def place(self, order):
        await asyncio.sleep(0)
        os.write(log, f"{order.client_id}\\n".encode())
        if when == "after placing":
            die()
        return await super().place(order)

async def story() -> None:
    rig = Rig(path / "spent")
    rig.line.venue = venue = Venue()
    venue.held["BTC"] = 10**6
    venue.leverages["BTC"] = 10.0
    for name in (path / "venue.log").read_text().split():
        await ScriptedVenue.place(venue, VenueOrder(name, "BTC", 1, 10))
    if when == "before placing":
        rig.authorize = lambda permit: die()
    rig.issue(*(permit_of(number, reduce_only=number % 3 == 0) for number in range(permits)))
    async with rig.running():
        await rig.see(lambda: all(rig.store.is_spent(permit_of(number).id) for number in range(permits)))
        while rig.store.alive():
            await asyncio.sleep(0.001)
            rig.clock.advance(1.0)

asyncio.run(story())
"""


IDS = OrderIds(REALM)


def run(place: Path, when: str, after: int) -> int:
    command = [sys.executable, "-c", EXECUTOR, str(place), when, str(after), str(PERMITS)]
    return subprocess.run(command, check=False, cwd=Path(__file__).parents[1], timeout=110).returncode


def placed(place: Path) -> list[int]:
    """Permits whose orders reached the venue, in order, as often as they did."""
    log = place / "venue.log"
    permits = [IDS.permit_in(name) for name in log.read_text().split()] if log.exists() else []
    return [permit for permit in permits if permit is not None]


def spent(place: Path) -> set[int]:
    """Permits that are spent on the disk."""
    store = SpentStore(place / "spent")
    permits = {permit_of(number).id for number in range(PERMITS)}
    found = {permit for permit in permits if store.is_spent(permit)}
    store.close()
    return found


@pytest.mark.parametrize("kills", [6, pytest.param(30, marks=pytest.mark.long)])
@pytest.mark.timeout(900)
def test_no_permit_is_placed_twice_across_kills(kills: int, tmp_path: Path) -> None:
    moments = ("before placing", "after placing")
    for number in range(kills):
        assert run(tmp_path, moments[number % 2], 1 + number % 2) == -signal.SIGKILL
        sent = placed(tmp_path)
        assert len(sent) == len(set(sent))
        assert set(sent) <= spent(tmp_path)
    assert run(tmp_path, "never", 0) == 0
    sent = placed(tmp_path)
    assert len(sent) == len(set(sent)) >= kills // 2
    assert len(spent(tmp_path)) == PERMITS
