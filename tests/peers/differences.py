"""Where we mean to differ from a peer: one name for each entry of docs/peers.md, and how a test says it."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

Answer = TypeVar("Answer")


class Intended(StrEnum):
    """A difference that is meant; the reason is in docs/peers.md under this name."""

    EXITS_PASS = "exits-pass"
    REFUSALS_ARE_FREE = "refusals-are-free"
    RATE_REFILLS = "rate-refills"
    MARKET_ORDERS_ARE_MEASURED = "market-orders-are-measured"
    MEASURED_AT_THE_MARK = "measured-at-the-mark"
    WHOLE_STEPS = "whole-steps"
    NOTHING_IS_NO_ORDER = "nothing-is-no-order"
    OPEN_LOSS_COUNTS = "open-loss-counts"
    DAYS_END = "days-end"
    COST_IS_LOST_TOO = "cost-is-lost-too"
    MULTIPLIER_COUNTS = "multiplier-counts"
    ROUNDED_DOWN = "rounded-down"
    TOO_SMALL_FOR_THE_VENUE = "too-small-for-the-venue"
    ENDS_ON_THE_SECOND = "ends-on-the-second"
    STOPS_ARE_LOOKED_AT_ALONE = "stops-are-looked-at-alone"
    WINS_END_A_STREAK = "wins-end-a-streak"
    ANY_LOSS_COUNTS = "any-loss-counts"
    STREAKS_HAVE_NO_WINDOW = "streaks-have-no-window"
    A_LOCK_STARTS_AFRESH = "a-lock-starts-afresh"
    NEW_REFERENCE = "new-reference"


def unexplained(
    ours: Sequence[Answer], theirs: Sequence[Answer], meant: Mapping[Intended, Sequence[int]]
) -> dict[int, tuple[Answer, Answer]]:
    """
    Places at which the answers are not as they should be: they differ without a reason, or agree in spite of one.

    `meant` has the places of each intended difference.
    """
    assert len(ours) == len(theirs)
    places = {place for each in meant.values() for place in each}
    return {
        place: (our, their)
        for place, (our, their) in enumerate(zip(ours, theirs, strict=True))
        if (our != their) != (place in places)
    }
