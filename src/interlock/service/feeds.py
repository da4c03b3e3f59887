"""
What the venue tells, as inputs: its clock, money, positions, open orders, prices.

It asks at regular intervals, and follows the stream of prices. A question that stays unanswered is told as a
`VenueError`, so that an outage trips the breaker even when nobody trades; what was known simply grows old. Nothing
is made up in place of an answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from interlock.adapters.venue import (
    AccountReport,
    OrdersReport,
    PositionsReport,
    VenueUnreachable,
)
from interlock.core.errors import InterlockError
from interlock.core.instrument import Instrument
from interlock.core.messages import (
    ClockChecked,
    EquityMarked,
    Input,
    InstrumentSet,
    OrderAt,
    OrdersReported,
    PositionsReported,
    Quote,
    VenueError,
)
from interlock.core.permit import ENDED
from interlock.service.execution.budget import WEIGHT_ACCOUNT, WEIGHT_OPEN_ORDERS, WEIGHT_POSITIONS, WEIGHT_QUERY
from interlock.service.execution.line import Line

RETRY_S_MIN: Final = 0.5
RETRY_S_MAX: Final = 30.0
"""Pauses before a lost stream is followed again, doubling between these."""


class AccountUnfit(InterlockError):
    """The venue's account cannot be guarded as it is set up; the message says what to change there."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often the venue is asked, in seconds."""

    book_s: float = 5.0
    """Positions, open orders and money."""
    clock_s: float = 15.0


class Feeds:
    """Questions to one venue, and what comes of them told to the engine."""

    def __init__(
        self,
        line: Line,
        tell: Callable[[Input], None],
        quotes: Callable[[Iterable[Quote]], None],
        permit_of: Callable[[str], int | None],
        *,
        rhythm: Rhythm | None = None,
    ) -> None:
        """
        Ready to ask.

        Args:
            line: to the venue that is asked.
            tell: takes an input for the engine.
            quotes: takes prices, to be conflated.
            permit_of: the permit behind a client order id, None where the order is not ours.
            rhythm: how often to ask.
        """
        self._line = line
        self._venue = line.venue
        self._tell = tell
        self._quotes = quotes
        self._permit_of = permit_of
        self._rhythm = rhythm or Rhythm()
        self.troubles: dict[str, str] = {}
        """What the venue does not answer now, by question."""

    # ------------------------------------------------------------ at the start

    async def check_account(self, currency: str, environment: str) -> AccountReport:
        """
        The venue's account is one that can be guarded; returns what it says of its money.

        Raises:
            AccountUnfit: it is another environment's or another currency's, hedged, or shares margin.
            VenueUnreachable: it gave no answer.
        """
        if self._venue.environment != environment:
            raise AccountUnfit(
                f"{self._venue.name} is on {self._venue.environment}, runtime.toml says {environment}: correct one of them"
            )
        account = await self._line.ask(self._venue.account(), WEIGHT_ACCOUNT)
        if account.currency != currency:
            raise AccountUnfit(f"the account is in {account.currency}, the policy in {currency}: correct the policy")
        if account.hedged:
            raise AccountUnfit("the account holds long and short at once (hedge mode): switch it to one-way positions")
        if account.multi_asset:
            raise AccountUnfit("the account's margin is shared between currencies: switch it to single-asset margin")
        return account

    async def instruments(self, symbols: Iterable[str]) -> tuple[Instrument, ...]:
        """What the venue says of these symbols; those that it does not trade are missing."""
        wanted = set(symbols)
        return tuple(
            each for each in await self._line.ask(self._venue.instruments(), WEIGHT_QUERY) if each.symbol in wanted
        )

    async def reconcile(self) -> None:
        """Clock, open orders, positions and money are told as the venue has them now. Raises VenueUnreachable."""
        for question in (self._clock, self._orders, self._positions, self._account):
            for event in await question():
                self._tell(event)

    # ------------------------------------------------------------ while it runs

    async def run(self) -> None:
        """Asks and follows until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ask_for_ever("clock", self._clock, self._rhythm.clock_s))
            group.create_task(self._ask_for_ever("open orders", self._orders, self._rhythm.book_s))
            group.create_task(self._ask_for_ever("positions", self._positions, self._rhythm.book_s))
            group.create_task(self._ask_for_ever("account", self._account, self._rhythm.book_s))
            group.create_task(self._follow_quotes())

    async def _ask_for_ever(self, what: str, question: Callable[[], Awaitable[Iterable[Input]]], pause_s: float) -> None:
        while True:
            await asyncio.sleep(pause_s)
            try:
                events = await question()
            except VenueUnreachable as error:
                self.troubles[what] = f"the venue does not tell its {what}: {error}"
                self._tell(VenueError(what))
                continue
            self.troubles.pop(what, None)
            for event in events:
                self._tell(event)

    async def _follow_quotes(self) -> None:
        pause_s = RETRY_S_MIN
        while True:
            try:
                async with aclosing(self._line.quotes()) as stream:
                    async for quotes in stream:
                        self._quotes(quotes)
                        self.troubles.pop("prices", None)
                        pause_s = RETRY_S_MIN
                what = "the stream ended"
            except VenueUnreachable as error:
                what = str(error)
                self._tell(VenueError("prices"))
            self.troubles["prices"] = f"the venue tells no prices: {what}"
            await asyncio.sleep(pause_s)
            pause_s = min(2.0 * pause_s, RETRY_S_MAX)

    # ------------------------------------------------------------ questions

    async def _clock(self) -> tuple[Input, ...]:
        return (ClockChecked(await self._line.ask(self._venue.server_time_ns(), WEIGHT_QUERY)),)

    async def _positions(self) -> tuple[Input, ...]:
        report: PositionsReport = await self._line.ask(self._venue.positions(), WEIGHT_POSITIONS)
        return (PositionsReported(report.positions, report.at_ns),)

    async def _orders(self) -> tuple[Input, ...]:
        report: OrdersReport = await self._line.ask(self._venue.open_orders(), WEIGHT_OPEN_ORDERS)
        return (OrdersReported(tuple(self._ours(report)), report.at_ns),)

    async def _account(self) -> tuple[Input, ...]:
        report = await self._line.ask(self._venue.account(), WEIGHT_ACCOUNT)
        return (EquityMarked(report.equity, report.balance, report.at_ns),)

    def _ours(self, report: OrdersReport) -> Iterator[OrderAt]:
        for order in report.orders:
            permit = self._permit_of(order.client_id)
            if permit is not None and order.state not in ENDED:
                yield OrderAt(permit, order.symbol, order.side, order.steps, order.filled_steps, order.reduce_only)


def instruments_set(instruments: Iterable[Instrument]) -> Iterator[InstrumentSet]:
    """The definitions as inputs."""
    return (InstrumentSet(instrument) for instrument in instruments)
