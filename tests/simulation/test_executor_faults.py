"""Permits of all kinds at a venue that fails at random: in the end what was told is what the venue holds."""

import asyncio
import random
from math import nan
from pathlib import Path
from typing import Any

import pytest

from interlock.adapters.venue import VenueRejected, VenueUnreachable
from interlock.core.codes import Code, PermitState
from interlock.core.messages import CancelOrders, Executed, PermitIssued
from interlock.core.permit import ENDED
from unit.service.rig import HASTY, Rig, permit_of
from unit.service.scripted import AnswerLost, Hang, Mishap

CALLS = (
    "place",
    "place",
    "place",
    "order",
    "cancel",
    "open_orders",
    "fills_since",
    "leverage",
    "set_leverage",
    "positions",
)
SYMBOLS = ("BTC", "ETH", "SOL")


def mishap(chance: random.Random) -> Mishap | None:
    kinds: tuple[Mishap | None, ...] = (
        VenueUnreachable("down"),
        AnswerLost(),
        KeyError("x"),
        VenueRejected("no"),
        Hang(),
        None,
    )
    return chance.choices(kinds, (4, 4, 1, 1, 0.3, 6))[0]


def a_permit(number: int, chance: random.Random) -> PermitIssued:
    kind = chance.choice(("opening", "opening", "close", "exit at a price", "stop"))
    symbol = chance.choice(SYMBOLS)
    steps = chance.randrange(1, 30)
    if kind == "opening":
        return permit_of(number, symbol=symbol, steps=steps, margin_leverage=chance.choice((10.0, 10.0, nan)))
    changes: dict[str, Any] = {"exit at a price": {"limit_price": 120.0}, "stop": {"trigger_price": 80.0}}.get(kind, {})
    return permit_of(number, reduce_only=True, symbol=symbol, steps=steps, **changes)


async def settle(rig: Rig, permits: list[PermitIssued]) -> None:
    """Nothing fails any more, what rests is cancelled, and time passes until every order is over."""
    rig.venue.mishaps.clear()
    rig.venue.fills = True
    rig.issue(CancelOrders(tuple(permit.id for permit in permits), Code.KILL_SWITCH))
    while rig.executor.flights or rig.executor._sending or rig.store.alive():
        await asyncio.sleep(0.01)
        rig.clock.advance(1.0)


async def history(path: Path, chance: random.Random) -> None:
    permits = [a_permit(number, chance) for number in range(40)]
    async with Rig(path, HASTY).running() as rig:
        rig.venue.held |= {"BTC": 15, "ETH": 5}
        for permit in permits:
            for call in CALLS:
                if chance.random() < 0.3:
                    rig.venue.mishaps[call].append(mishap(chance))
            rig.venue.fills = chance.random() < 0.8
            if chance.random() < 0.1:
                rig.venue.stream.put_nowait(VenueUnreachable("stream lost"))
            rig.issue(permit)
            if chance.random() < 0.2:
                rig.issue(chance.choice(permits[: permit.id % 1000 + 1]))
            await asyncio.sleep(chance.choice((0.0, 0.0, 0.01)))
            rig.clock.advance(chance.random())
        await settle(rig, permits)
        while not rig.bus._queue("result").empty():
            await rig.hear()
        compare(rig, permits)


def compare(rig: Rig, permits: list[PermitIssued]) -> None:
    """No order went twice, and the last word on every permit is the venue's."""
    names = [order.client_id for order in rig.venue.placed]
    assert len(names) == len(set(names))
    assert set(rig.authorized) >= {rig.ids.permit_in(name) for name in names}
    for permit in permits:
        told = [each for each in rig.told if isinstance(each, Executed) and each.permit == permit.id]
        held = rig.venue.orders.get(rig.ids.of(permit.id))
        if not told:
            assert held is None
            continue
        last = told[-1]
        assert last.state in ENDED
        if held is None:
            assert (last.state, last.filled_steps) == (PermitState.REJECTED, 0)
        else:
            assert (last.filled_steps, last.filled_value) == (held.filled_steps, held.filled_value)
            assert held.state in ENDED


@pytest.mark.parametrize("seed", [*range(8), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(8, 60))])
def test_the_last_word_is_the_venues(seed: int, tmp_path: Path) -> None:
    asyncio.run(history(tmp_path / "spent", random.Random(seed)))
