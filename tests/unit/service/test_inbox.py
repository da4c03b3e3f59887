"""Who goes first, and what gives way when too much waits."""

import asyncio
from math import nan
from typing import get_args

import pytest

from interlock.core.codes import Action, CloseAction, KillMode, Scope
from interlock.core.messages import (
    Cancel,
    EquityMarked,
    Heartbeat,
    Input,
    Instruction,
    Intent,
    KillSet,
    Rebalance,
    Tick,
    VenueError,
)
from interlock.service.shell.inbox import _PRIORITIES, Busy, Inbox, Priority, kind_of, larger, priority_of
from shellkit import go

KILL = KillSet(KillMode.REDUCE_ONLY, Scope.ACCOUNT, "", "", "alice")


def intent(
    number: int = 1, *, reduce_only: bool = True, source: str = "exit", symbol: str = "BTC", **fields: object
) -> Intent:
    return Intent(f"i{number}", source, "trend", symbol, -1, reduce_only=reduce_only, **fields)  # type: ignore[arg-type]


def put(inbox: Inbox, *events: Input) -> None:
    for event in events:
        inbox.put(event, priority_of(event))


def taken(inbox: Inbox) -> list[Input]:
    events = []
    while (entry := inbox.take()) is not None:
        events.append(entry.event)
    return events


def test_every_kind_of_input_has_a_priority() -> None:
    by_content = {Intent, Rebalance}
    assert set(get_args(Input)) == set(_PRIORITIES) | by_content


@pytest.mark.parametrize(
    ("event", "priority"),
    [
        (intent(reduce_only=False), Priority.OTHER),
        (intent(reduce_only=False, source="operator"), Priority.OTHER),
        (intent(), Priority.REDUCING),
        (intent(source="operator"), Priority.OPERATOR),
        (intent(source="emergency"), Priority.OPERATOR),
        (Rebalance("r", "bot", "trend", (Instruction("BTC", Action.CLOSE),)), Priority.REDUCING),
        (
            Rebalance("r", "bot", "trend", (Instruction("BTC", Action.CLOSE), Instruction("ETH", Action.OPEN))),
            Priority.OTHER,
        ),
        (Cancel("c", "bot", 1), Priority.REDUCING),
        (KILL, Priority.OPERATOR),
        (VenueError("account"), Priority.RESULT),
        (Heartbeat("exit"), Priority.MARK),
    ],
)
def test_priority(event: Input, priority: Priority) -> None:
    assert priority_of(event) is priority


def test_the_most_urgent_goes_first_and_of_equals_the_first() -> None:
    inbox = Inbox()
    opening = [intent(number, reduce_only=False) for number in (1, 2)]
    closing = [intent(number, symbol=symbol) for number, symbol in ((3, "BTC"), (4, "ETH"))]
    put(inbox, opening[0], Tick(), closing[0], opening[1], VenueError("x"), KILL, closing[1])
    assert len(inbox) == 7
    assert taken(inbox) == [KILL, VenueError("x"), *closing, Tick(), *opening]
    assert len(inbox) == 0


def test_only_what_is_urgent_enough_is_taken() -> None:
    inbox = Inbox()
    put(inbox, intent(reduce_only=False), Tick())
    assert inbox.take(Priority.REDUCING) is None
    entry = inbox.take(Priority.MARK)
    assert entry is not None
    assert entry.event == Tick()


def test_what_may_open_is_bounded_and_nothing_of_the_rest_is_kept() -> None:
    inbox = Inbox(others_max=2)
    put(inbox, intent(1, reduce_only=False), intent(2, reduce_only=False))
    with pytest.raises(Busy, match="reduce_only"):
        put(inbox, intent(3, reduce_only=False))
    put(inbox, intent(4), KILL, VenueError("x"))
    assert [type(event) for event in taken(inbox)] == [KillSet, VenueError, Intent, Intent, Intent]


def test_what_reduces_is_never_refused_and_keeps_its_place_and_the_larger_amount() -> None:
    inbox = Inbox(reducing_max=2)
    put(inbox, intent(1, quantity=3.0), intent(2, symbol="ETH", quantity=1.0))
    put(
        inbox,
        intent(3, quantity=1.0),
        intent(4, quantity=4.0),
        intent(5, quantity=2.0),
        intent(6, symbol="SOL", quantity=1.0),
    )
    ids = [(event.id, event.quantity) for event in taken(inbox) if isinstance(event, Intent)]
    assert ids == [("i4", 4.0), ("i2", 1.0), ("i6", 1.0)]
    put(inbox, intent(7, quantity=1.0))
    assert len(taken(inbox)) == 1


def test_below_the_bound_every_exit_has_its_own_turn() -> None:
    inbox = Inbox(reducing_max=3)
    put(inbox, intent(1), intent(2), intent(3))
    assert len(taken(inbox)) == 3


def test_what_is_coalesced_answers_everybody() -> None:
    async def story() -> None:
        inbox = Inbox(reducing_max=1)
        answers = [asyncio.get_running_loop().create_future() for _ in range(2)]
        first = inbox.put(intent(1), Priority.REDUCING, answers[0])
        assert inbox.put(intent(2), Priority.REDUCING, answers[1]) is first
        first.refuse(Busy("x"))
        first.refuse(Busy("again does no harm"))
        assert [str(answer.exception()) for answer in answers] == ["x", "x"]

    go(story())


@pytest.mark.parametrize(
    "other",
    [
        intent(source="rival"),
        intent(symbol="ETH"),
        intent(limit_price=3.0),
        intent(quantity=1.0),
        intent(notional=1.0),
        Cancel("c", "exit", 1),
        Tick(),
    ],
)
def test_exits_that_differ_in_more_than_the_amount_are_not_coalesced(other: Input) -> None:
    assert kind_of(intent()) != kind_of(other)


def test_an_exit_that_its_asker_carries_out_stands_for_nobody_elses() -> None:
    inbox = Inbox(reducing_max=1)
    exits = [intent(number, quantity=1.0) for number in range(4)]
    for number, each in enumerate(exits):
        inbox.put(each, Priority.REDUCING, taker=(each.source, each.id) if number % 2 else None)
    assert taken(inbox) == [exits[2], exits[1], exits[3]]


def test_a_repeated_cancel_is_the_same() -> None:
    first, second = Cancel("c1", "bot", 7), Cancel("c2", "bot", 7)
    assert kind_of(first) == kind_of(second)
    assert larger(first, second) is second


@pytest.mark.parametrize(
    ("waiting", "newer", "which"),
    [
        (intent(1, quantity=2.0), intent(2, quantity=1.0), 1),
        (intent(1, quantity=1.0), intent(2, quantity=1.0), 2),
        (intent(1, notional=2.0), intent(2, notional=1.0), 1),
        (intent(1, quantity=nan), intent(2, quantity=nan), 2),
    ],
)
def test_the_larger_close_stays(waiting: Intent, newer: Intent, which: int) -> None:
    assert larger(waiting, newer) is (waiting, newer)[which - 1]


def test_old_figures_give_way_to_new_ones() -> None:
    inbox = Inbox(marks_max=2)
    put(inbox, *(EquityMarked(float(number), 0.0, number) for number in range(5)))
    assert [event.at_ns for event in taken(inbox) if isinstance(event, EquityMarked)] == [3, 4]


def test_only_what_may_open_and_waits_can_be_withdrawn() -> None:
    inbox = Inbox()
    opening = inbox.put(intent(1, reduce_only=False), Priority.OTHER)
    closing = inbox.put(intent(2), Priority.REDUCING)
    assert inbox.withdraw(opening)
    assert not inbox.withdraw(opening)
    assert not inbox.withdraw(closing)
    assert taken(inbox) == [closing.event]
    left = inbox.put(intent(3, reduce_only=False), Priority.OTHER)
    assert inbox.withdraw_others() == (left,)
    assert len(inbox) == 0


def proposal(number: int, rung: str, close: CloseAction, stop: float = nan) -> Intent:
    return intent(number, rung=rung, close=close, stop_price=stop)


def test_exit_proposals_past_the_bound_become_one_that_wants_what_both_want() -> None:
    inbox = Inbox(reducing_max=1)
    put(
        inbox,
        proposal(1, "tp1", CloseAction.PARTIAL_50, 99.0),
        proposal(2, "tp1", CloseAction.PARTIAL_25),
        proposal(3, "kill", CloseAction.FULL_CLOSE),
        proposal(4, "own", CloseAction.NONE, 98.0),
        proposal(5, "mine", CloseAction.PARTIAL_25, 97.0),
    )
    first, kill, own = taken(inbox)
    assert isinstance(first, Intent)
    assert (first.id, first.close, first.stop_price) == ("i2", CloseAction.PARTIAL_50, 99.0)
    assert isinstance(kill, Intent)
    assert kill.close is CloseAction.FULL_CLOSE
    assert isinstance(own, Intent)
    assert (own.close, own.stop_price) == (CloseAction.PARTIAL_25, 97.0)


def test_a_proposal_never_becomes_one_with_a_plain_close() -> None:
    assert kind_of(proposal(1, "tp1", CloseAction.PARTIAL_25)) != kind_of(intent(2))
