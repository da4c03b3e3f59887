"""
The running gateway is killed at random moments, in the middle of traffic and of its own start.

After every death an auditor looks at what is left in the files, and at the end the account comes to rest and is audited
whole: no opening without a durable permit, none twice, none lost, no position naked while a gateway ran.
"""

import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drillkit import Rig

CHILD = """
import asyncio, sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from drillkit import Rig
from interlock.core.messages import Intent
from interlock.testing.unruly import Mischief
from traffic import Traffic

rig = Rig(Path(sys.argv[2]), seed=int(sys.argv[3]))
print("begins", flush=True)


async def main():
    async with rig.running():
        print("runs", flush=True)
        rig.venue.odds = {Mischief.ANSWER_LOST: 0.03, Mischief.SLOW: 0.1, Mischief.REPORTS_LOST: 0.05}
        for sent in Traffic(rig.chance.randrange(1 << 30), rig.prices.__getitem__, rig.held, rig.clock.wall_ns):
            if isinstance(sent, Intent):
                answer = await rig.gateway.submit(sent, hand_over=False)
                print(answer.headline, flush=True)
                await asyncio.sleep(0.005)


asyncio.run(main())
"""
TESTS = Path(__file__).parents[1]


def lived_and_died(place: Path, chance: random.Random, seed: int) -> tuple[list[str], int, int]:
    """What a gateway said until it was killed at a random moment, and when it ran, UTC epoch in ns."""
    said: list[str] = []
    ran_ns = 0
    command: list[str | Path] = [sys.executable, "-c", CHILD, TESTS, place, str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(chance.choice((1, 2, chance.randrange(2, 30), chance.randrange(2, 300)))):
            said.append(process.stdout.readline().strip())
            if said[-1] == "runs":
                ran_ns = time.time_ns()
        time.sleep(chance.uniform(0.0, 0.3 if said[-1] == "begins" else 0.01))
        process.kill()
        died_ns = time.time_ns()
        said += process.stdout.read().split("\n")[:-1]
    return said, ran_ns or died_ns, died_ns


ALLOWED_MIN = 3
LIVES_PER_KILL_MAX = 5
"""How far a machine comes before it is killed depends on its speed: there are more lives until some of them traded."""


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("kills", [6, pytest.param(100, marks=pytest.mark.long)])
def test_a_killed_gateway_leaves_nothing_for_the_auditor(kills: int, tmp_path: Path) -> None:
    chance = random.Random(kills)
    rig = Rig(tmp_path)
    said: list[str] = []
    died_ns = time.time_ns()
    for number in range(LIVES_PER_KILL_MAX * kills):
        words, ran_ns, next_died_ns = lived_and_died(tmp_path, chance, number)
        rig.away.append((died_ns, ran_ns))
        died_ns = next_died_ns
        said += words
        assert words[0] == "begins", words
        if (rig.home.ledger).exists() and rig.home.spent.exists():
            assert rig.audited(at_rest=False) == ()
        if number + 1 >= kills and said.count("ALLOWED") >= ALLOWED_MIN:
            break
    assert said.count("ALLOWED") >= ALLOWED_MIN
    asyncio.run(comes_to_rest(rig, died_ns))
    assert rig.audited() == ()


async def comes_to_rest(rig: Rig, died_ns: int) -> None:
    async with rig.running():
        rig.away.append((died_ns, time.time_ns()))
        await rig.rest()
