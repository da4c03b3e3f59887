"""
What waits for the engine, the most urgent first.

Acts of operators and what the venue told are never refused and never dropped. An order that can only reduce is never
refused either: past a bound, one that waits already is sent for both. Prices give way to newer ones. Everything else is
bounded, and past the bound the asker is told so at once: nothing of it is kept or recorded.
"""

import asyncio
from collections import OrderedDict
from enum import IntEnum
from typing import Final

import msgspec

from interlock.core.authority import IMPATIENT
from interlock.core.codes import Action
from interlock.core.errors import InterlockError
from interlock.core.messages import (
    AccountOpened,
    Adopted,
    Amend,
    BarClosed,
    BlackoutSet,
    CalendarSet,
    Cancel,
    CashFlow,
    ClockChecked,
    EquityMarked,
    Executed,
    FlattenSet,
    Heartbeat,
    Input,
    InstrumentSet,
    Intent,
    KillReset,
    KillSet,
    LockReleased,
    LockSet,
    MarketBatch,
    MarketState,
    ModeSet,
    OrdersReported,
    OwnerSet,
    PermitIssued,
    PolicySet,
    PositionsReported,
    Quarantined,
    Rebalance,
    Rebased,
    Spent,
    Tick,
    VenueError,
)
from interlock.core.state import RUNGS
from interlock.service.shell.gate import Handed

OTHERS_MAX: Final = 10_000
REDUCING_MAX: Final = 1_000
MARKS_MAX: Final = 1_000


class Busy(InterlockError):
    """There is no time for the input now, and nothing of it was recorded; one that only reduces says `reduce_only`."""


class Priority(IntEnum):
    """Who goes first."""

    OPERATOR = 0
    RESULT = 1
    REDUCING = 2
    MARK = 3
    OTHER = 4


_PRIORITIES: Final[dict[type, Priority]] = {
    AccountOpened: Priority.OPERATOR,
    CalendarSet: Priority.OPERATOR,
    BlackoutSet: Priority.OPERATOR,
    FlattenSet: Priority.OPERATOR,
    InstrumentSet: Priority.OPERATOR,
    KillReset: Priority.OPERATOR,
    KillSet: Priority.OPERATOR,
    LockReleased: Priority.OPERATOR,
    LockSet: Priority.OPERATOR,
    ModeSet: Priority.OPERATOR,
    OwnerSet: Priority.OPERATOR,
    Adopted: Priority.OPERATOR,
    PolicySet: Priority.OPERATOR,
    Rebased: Priority.OPERATOR,
    CashFlow: Priority.RESULT,
    ClockChecked: Priority.RESULT,
    Executed: Priority.RESULT,
    OrdersReported: Priority.RESULT,
    PositionsReported: Priority.RESULT,
    Quarantined: Priority.RESULT,
    Spent: Priority.RESULT,
    VenueError: Priority.RESULT,
    Cancel: Priority.REDUCING,
    BarClosed: Priority.MARK,
    EquityMarked: Priority.MARK,
    Heartbeat: Priority.MARK,
    MarketBatch: Priority.MARK,
    MarketState: Priority.MARK,
    Tick: Priority.MARK,
    Amend: Priority.OTHER,
}


def priority_of(event: Input) -> Priority:
    """How urgent the input is by its kind; of intents and rebalances, whether only reducing legs can come of it."""
    if type(event) is Intent:
        if not event.reduce_only:
            return Priority.OTHER
        return Priority.OPERATOR if event.source in IMPATIENT else Priority.REDUCING
    if type(event) is Rebalance:
        closes = all(each.action in (Action.CLOSE, Action.VETO) for each in event.instructions)
        return Priority.REDUCING if closes else Priority.OTHER
    return _PRIORITIES[type(event)]


class Entry:
    """
    An input that waits, those who wait for what comes of it, and what came of it.

    `taker` is the source and intent whose permits are for whoever asked and for nobody else, None where there is none.
    """

    __slots__ = ("answers", "event", "handed", "priority", "taker")

    def __init__(
        self,
        event: Input,
        priority: Priority,
        answer: asyncio.Future[Handed] | None = None,
        taker: tuple[str, str] | None = None,
    ) -> None:
        self.event = event
        self.priority = priority
        self.answers = [] if answer is None else [answer]
        self.handed: Handed | None = None
        self.taker = taker

    def keeps(self, permit: PermitIssued) -> bool:
        """Whether the permit is for whoever asked, who is still there to take it."""
        mine = self.taker == (permit.source, permit.intent_id)
        return mine and not all(answer.done() for answer in self.answers)

    def settle(self, handed: Handed) -> None:
        """Whoever still waits has the answer."""
        for answer in self.answers:
            if not answer.done():
                answer.set_result(handed)

    def refuse(self, error: Exception) -> None:
        """Whoever still waits has the error."""
        for answer in self.answers:
            if not answer.done():
                answer.set_exception(error)


Kind = tuple[object, ...]


class Inbox:
    """Entries by priority, first in first out within one; use it from one thread."""

    def __init__(
        self, *, others_max: int = OTHERS_MAX, reducing_max: int = REDUCING_MAX, marks_max: int = MARKS_MAX
    ) -> None:
        self._lines: tuple[OrderedDict[Entry, None], ...] = tuple(OrderedDict() for _ in Priority)
        self._newest: dict[Kind, Entry] = {}
        self._others_max = others_max
        self._reducing_max = reducing_max
        self._marks_max = marks_max

    def __len__(self) -> int:
        return sum(map(len, self._lines))

    def waiting(self, priority: Priority) -> int:
        """How many entries wait in this line."""
        return len(self._lines[priority])

    def put(
        self,
        event: Input,
        priority: Priority,
        answer: asyncio.Future[Handed] | None = None,
        taker: tuple[str, str] | None = None,
    ) -> Entry:
        """
        The input waits for its turn; returns the entry as which it does.

        Raises:
            Busy: too many inputs that may open wait already.
        """
        line = self._lines[priority]
        entry = Entry(event, priority, answer, taker)
        if priority is Priority.REDUCING and taker is None:
            return self._put_reducing(line, entry)
        if priority is Priority.OTHER and len(line) >= self._others_max:
            raise Busy(f"{len(line)} inputs wait: try again later; one that only reduces says reduce_only")
        if priority is Priority.MARK and len(line) >= self._marks_max:
            oldest, _ = line.popitem(last=False)
            oldest.refuse(Busy("newer figures took its place: tell the present ones"))
        line[entry] = None
        return entry

    def take(self, least: Priority = Priority.OTHER) -> Entry | None:
        """The most urgent entry, which waits no longer; None where nothing is at least that urgent."""
        for line in self._lines[: least + 1]:
            if line:
                entry, _ = line.popitem(last=False)
                if entry.priority is Priority.REDUCING:
                    self._forget(entry)
                return entry
        return None

    def withdraw(self, entry: Entry) -> bool:
        """Whether the entry was still waiting and may be taken out, which it then is; only what may open may."""
        line = self._lines[Priority.OTHER]
        if entry not in line:
            return False
        del line[entry]
        return True

    def withdraw_others(self) -> tuple[Entry, ...]:
        """What may open waits no longer; returns it."""
        line = self._lines[Priority.OTHER]
        entries = tuple(line)
        line.clear()
        return entries

    def _put_reducing(self, line: OrderedDict[Entry, None], entry: Entry) -> Entry:
        kind = kind_of(entry.event)
        if len(line) >= self._reducing_max and (waiting := self._newest.get(kind)) is not None:
            waiting.event = larger(waiting.event, entry.event)
            waiting.answers += entry.answers
            return waiting
        line[entry] = None
        self._newest[kind] = entry
        return entry

    def _forget(self, entry: Entry) -> None:
        kind = kind_of(entry.event)
        if self._newest.get(kind) is entry:
            del self._newest[kind]


def kind_of(event: Input) -> Kind:
    """What makes two inputs that only reduce say the same, but for how much."""
    if type(event) is Intent:
        if event.rung:
            return (event.source, event.symbol, event.side, event.rung if event.rung in RUNGS else "another rung")
        sized = (event.quantity == event.quantity, event.notional == event.notional, event.limit_price == event.limit_price)
        return (event.source, event.strategy, event.symbol, event.side, *sized)
    if type(event) is Cancel:
        return (event.source, event.permit)
    return (id(event),)


def larger(waiting: Input, newer: Input) -> Input:
    """Of two inputs of one kind the one that closes more, of equal ones the newer; of two exit proposals what both want."""
    if type(waiting) is Intent and type(newer) is Intent:
        if newer.rung:
            stop = newer.stop_price if newer.stop_price == newer.stop_price else waiting.stop_price
            return msgspec.structs.replace(newer, close=max(waiting.close, newer.close), stop_price=stop)
        less = newer.quantity < waiting.quantity or newer.notional < waiting.notional
        return waiting if less else newer
    return newer
