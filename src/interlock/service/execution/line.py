"""The line to the venue: every question is answered in time, or is known to be unanswered."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from interlock.adapters.venue import OrderReport, Venue, VenueRejected, VenueUnreachable
from interlock.core.messages import Quote
from interlock.service.execution.budget import Budget

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited for what; every wait has an end."""

    answer_s: float = 5.0
    """For the venue's answer; an order signed for so long is not accepted later."""
    arrival_s: float = 5.0
    """Beyond that, for an order that is under way to be seen at the venue."""
    store_s: float = 1.0
    """For the spent-set on behalf of an opening; it is not sent without it."""
    store_reducing_s: float = 0.3
    """For the spent-set and the kill latch on behalf of a reducing order; it is sent without them."""
    retry_first_s: float = 0.25
    retry_last_s: float = 30.0
    """From the first pause before asking again, doubling, to the longest."""


class Line:
    """Calls to one venue, counted against its limits."""

    def __init__(self, venue: Venue, budget: Budget, patience: Patience) -> None:
        self.venue = venue
        self.budget = budget
        self.patience = patience

    async def ask(self, question: Coroutine[Any, Any, _T], weight: int) -> _T:
        """
        The venue's answer.

        Raises:
            VenueUnreachable: there was none in time, or none that can be understood.
        """
        try:
            return await self.act(question, weight)
        except VenueRejected as error:
            raise VenueUnreachable(f"{self.venue.name} does not say: {error}") from error

    async def act(self, change: Coroutine[Any, Any, _T], weight: int, orders: int = 0) -> _T:
        """
        The change was made, and this is what the venue says of it.

        Raises:
            VenueRejected: nothing came of it.
            VenueUnreachable: there was no answer in time, or none that can be understood: it may have been made.
        """
        self.budget.count(weight, orders)
        try:
            async with asyncio.timeout(self.patience.answer_s):
                return await change
        except (VenueRejected, VenueUnreachable):
            raise
        except TimeoutError:
            raise VenueUnreachable(f"no answer from {self.venue.name} within {self.patience.answer_s:g} s") from None
        except Exception as error:  # whatever went wrong with the call, the order may have arrived
            raise VenueUnreachable(f"no usable answer from {self.venue.name}: {error!r}") from error

    def reports(self) -> AsyncGenerator[OrderReport, None]:
        """Orders as they change; ends when the venue is closed, raises `VenueUnreachable` when the stream is lost."""
        return self._follow(self.venue.reports)

    def quotes(self) -> AsyncGenerator[tuple[Quote, ...], None]:
        """Prices as they come; ends and fails as `reports` does."""
        return self._follow(self.venue.quotes)

    async def _follow(self, stream: Callable[[], AsyncIterator[_T]]) -> AsyncGenerator[_T, None]:
        try:
            async for item in stream():
                yield item
        except VenueUnreachable:
            raise
        except Exception as error:
            raise VenueUnreachable(f"the stream from {self.venue.name} broke: {error!r}") from error
