"""
The port through which orders leave: what every venue must be able to do, paper or real.

A call either gives the venue's answer or raises one of two errors, and the difference matters: `VenueRejected` is an
answer (nothing rests, nothing fills), `VenueUnreachable` is none (the order may be there, fill, or never have arrived).
Quantities are whole steps, prices plain numbers on the venue's tick; amounts of an order are cumulative, so that repeats
and reordering change nothing. Nothing here decides: what may be sent was decided before.
"""

from collections.abc import AsyncIterator
from math import nan
from typing import Protocol

import msgspec

from interlock.core.codes import PermitState
from interlock.core.errors import InterlockError
from interlock.core.instrument import Instrument
from interlock.core.messages import PositionAt, Quote


class VenueUnreachable(InterlockError):
    """The venue gave no answer in time: what was asked may have happened or not; ask it what it knows."""


class VenueRejected(InterlockError):
    """The venue said no, and nothing came of the call; `benign` where that says nothing about anybody's health."""

    def __init__(self, reason: str, *, benign: bool = False) -> None:
        self.reason = reason
        self.benign = benign
        super().__init__(reason)


class VenueOrder(msgspec.Struct, frozen=True):
    """
    An order as it reaches the venue, under the name that we gave it (at most 36 characters).

    `limit_price` NaN is a market order. `trigger_price` not NaN makes it a stop that rests until the mark reaches it and
    then goes to the market. `immediate` cancels at once what does not fill at once; a stop or a resting limit has it off.
    """

    client_id: str
    symbol: str
    side: int
    steps: int
    limit_price: float = nan
    trigger_price: float = nan
    reduce_only: bool = False
    immediate: bool = True


class OrderReport(msgspec.Struct, frozen=True):
    """
    What the venue knows of one order; `state` is WORKING, PARTIAL, FILLED, CANCELLED or REJECTED.

    `filled_value` is the sum over fills of quantity times the instrument's value at the fill price, in settlement
    currency; `fees` in account currency, positive for a cost. `client_id` is empty for an order that is not ours.
    """

    client_id: str
    symbol: str
    side: int
    steps: int
    state: PermitState
    filled_steps: int
    filled_value: float
    fees: float
    at_ns: int
    reduce_only: bool = False
    trigger_price: float = nan
    limit_price: float = nan
    reason: str = ""
    benign: bool = False


class AccountReport(msgspec.Struct, frozen=True):
    """
    Money as the venue tells it, in account currency, as of `at_ns`.

    A hedged account (long and short in one symbol at once) and one whose margin is shared between currencies are not
    supported: whoever starts on one is told so.
    """

    equity: float
    balance: float
    currency: str
    at_ns: int
    hedged: bool = False
    multi_asset: bool = False


class PositionsReport(msgspec.Struct, frozen=True):
    """All positions that are not flat, as of `at_ns`."""

    positions: tuple[PositionAt, ...]
    at_ns: int


class OrdersReport(msgspec.Struct, frozen=True):
    """All open orders, ours and others', as of `at_ns`."""

    orders: tuple[OrderReport, ...]
    at_ns: int


class Venue(Protocol):
    """
    One account at one venue.

    Every call may raise `VenueUnreachable`; only what changes something raises `VenueRejected`.
    """

    name: str
    environment: str
    """`testnet` or `mainnet`, as the venue itself says."""

    async def server_time_ns(self) -> int:
        """The venue's clock, UTC epoch."""
        ...

    async def instruments(self) -> tuple[Instrument, ...]:
        """Everything that can be traded."""
        ...

    async def account(self) -> AccountReport:
        """Equity and balance."""
        ...

    async def positions(self) -> PositionsReport:
        """All positions."""
        ...

    async def open_orders(self) -> OrdersReport:
        """All open orders, stops included."""
        ...

    async def order(self, symbol: str, client_id: str) -> OrderReport | None:
        """One order, open or over; None where the venue knows none of that name."""
        ...

    async def fills_since(self, at_ns: int) -> tuple[OrderReport, ...]:
        """Orders with a fill at or after the instant, as they stand now."""
        ...

    async def place(self, order: VenueOrder) -> OrderReport:
        """The order has arrived; a name that the venue has seen before among its open orders is rejected."""
        ...

    async def cancel(self, symbol: str, client_id: str) -> OrderReport | None:
        """The order is over, as reported; None where the venue knows none of that name."""
        ...

    async def set_leverage(self, symbol: str, leverage: float) -> None:
        """Margin leverage of the symbol from now on."""
        ...

    async def leverage(self, symbol: str) -> float:
        """Margin leverage of the symbol as the venue has it."""
        ...

    def quotes(self) -> AsyncIterator[tuple[Quote, ...]]:
        """Quotes as they come; ends when the venue is closed, raises `VenueUnreachable` when the stream is lost."""
        ...

    def reports(self) -> AsyncIterator[OrderReport]:
        """Orders of this account as they change; the same errors as `quotes`."""
        ...

    async def close(self) -> None:
        """Connections are closed; orders stay where they are."""
        ...
