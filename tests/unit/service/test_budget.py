import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.service.execution.budget import RESERVED_FRAC, Budget, BudgetExhausted, RateLimits
from unit.service.rig import HandClock

TIGHT = RateLimits(weight_per_minute=10, orders_per_minute=100, orders_per_ten_s=100)


async def admitted(budget: Budget, weight: int, orders: int = 1) -> bool:
    try:
        await budget.wait(weight, orders, 0.0)
    except BudgetExhausted:
        return False
    return True


def test_openings_leave_the_reserve_alone() -> None:
    async def story() -> None:
        budget = Budget(TIGHT, HandClock().mono_ns)
        assert [await admitted(budget, 1) for _ in range(8)] == [True] * 6 + [False] * 2
        assert budget.weight_used == 6

    asyncio.run(story())


@pytest.mark.parametrize(
    ("limits", "after_s"),
    [
        (TIGHT, 60.0),
        (RateLimits(weight_per_minute=1000, orders_per_minute=10, orders_per_ten_s=100), 60.0),
        (RateLimits(weight_per_minute=1000, orders_per_minute=100, orders_per_ten_s=10), 10.0),
    ],
)
def test_each_window_binds_and_slides(limits: RateLimits, after_s: float) -> None:
    async def story() -> None:
        clock = HandClock()
        budget = Budget(limits, clock.mono_ns)
        assert [await admitted(budget, 1) for _ in range(7)] == [True] * 6 + [False]
        clock.advance(after_s - 1e-6)
        assert not await admitted(budget, 1)
        clock.advance(2e-6)
        assert await admitted(budget, 1)

    asyncio.run(story())


def test_what_reduces_never_waits_and_is_counted_against_openings() -> None:
    async def story() -> None:
        budget = Budget(TIGHT, HandClock().mono_ns)
        for _ in range(20):
            budget.count(1, 1)
        assert budget.weight_used == 20
        assert not await admitted(budget, 1)

    asyncio.run(story())


def test_readings_up_to_the_reserve_take_nothing_from_openings() -> None:
    async def story() -> None:
        budget = Budget(TIGHT, HandClock().mono_ns)
        budget.count(4)
        assert [await admitted(budget, 1) for _ in range(7)] == [True] * 6 + [False]

    asyncio.run(story())


def test_an_opening_waits_for_room() -> None:
    async def story() -> None:
        clock = HandClock()
        budget = Budget(TIGHT, clock.mono_ns)
        await budget.wait(6, 1, 0.0)
        waiting = asyncio.create_task(budget.wait(6, 1, 70.0))
        await asyncio.sleep(0)
        clock.advance(61.0)
        await waiting
        assert budget.weight_used == 6

    asyncio.run(story())


@given(st.lists(st.tuples(st.floats(0.0, 20.0), st.booleans(), st.integers(1, 4)), max_size=60))
def test_no_minute_holds_more_openings_than_their_share(calls: list[tuple[float, bool, int]]) -> None:
    async def story() -> None:
        clock = HandClock()
        budget = Budget(TIGHT, clock.mono_ns)
        taken: list[tuple[int, int]] = []
        for pause_s, opening, weight in calls:
            clock.advance(pause_s)
            if not opening:
                budget.count(weight)
            elif await admitted(budget, weight):
                taken.append((clock.mono, weight))
        for start, _ in taken:
            within = sum(weight for at, weight in taken if start <= at < start + 60 * 10**9)
            assert within <= TIGHT.weight_per_minute * (1.0 - RESERVED_FRAC)

    asyncio.run(story())
