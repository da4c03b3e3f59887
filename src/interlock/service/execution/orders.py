"""From a permit to its one order, and from what the venue tells of it to a result."""

import asyncio
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from math import isfinite, nan

import msgspec

from interlock.adapters.venue import OrderReport, VenueOrder
from interlock.core.codes import PermitState
from interlock.core.messages import Executed, PermitIssued


@dataclass(slots=True)
class Flight:
    """
    A permit's order from its spending to its end.

    `spent_ns` is wall clock; absence at the venue proves nothing before `since_ns`, monotonic, is long enough ago. `absent`
    says that it is over because it was proven never to have arrived. `woken` asks for a fresh look.
    """

    permit: int
    client_id: str
    symbol: str
    side: int
    steps: int
    reduce_only: bool
    resting: bool
    spent_ns: int
    since_ns: int
    told: Executed | None = None
    over: bool = False
    absent: bool = False
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def open_steps(self) -> int:
        """Steps that may still fill."""
        return self.steps - (0 if self.told is None else min(self.told.filled_steps, self.steps))


def is_stop(permit: PermitIssued) -> bool:
    """Whether the permit is for a protective stop that rests at the venue."""
    return permit.trigger_price == permit.trigger_price


def rests(permit: PermitIssued) -> bool:
    """
    Whether the order may stay at the venue unfilled: a stop, or an exit with a price of its own.

    An opening's price is the worst that it was permitted at, so what does not fill at once is not waited for.
    """
    return is_stop(permit) or (permit.reduce_only and permit.limit_price == permit.limit_price)


def order_of(permit: PermitIssued, client_id: str, steps: int, tick: float) -> VenueOrder:
    """
    The permit's order for so many steps, its prices on the venue's tick; a tick of NaN leaves them as they are.

    A limit is rounded so that it never gets worse than permitted, a stop away from the market, so that the venue never acts
    before the engine would.
    """
    limit = nan if is_stop(permit) else permit.limit_price
    return VenueOrder(
        client_id,
        permit.symbol,
        permit.side,
        steps,
        on_tick(limit, tick, up=permit.side < 0),
        on_tick(permit.trigger_price, tick, up=permit.side > 0),
        permit.reduce_only,
        immediate=not rests(permit),
    )


def on_tick(price: float, tick: float, *, up: bool) -> float:
    """
    The price as a whole number of ticks.

    >>> on_tick(100.07, 0.1, up=False)
    100.0
    >>> on_tick(100.07, 0.1, up=True)
    100.1
    >>> on_tick(0.3, 0.1, up=False)
    0.3
    """
    if not (isfinite(price) and isfinite(tick) and tick > 0.0):
        return price
    unit = Decimal(repr(tick))
    whole = (Decimal(repr(price)) / unit).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR)
    return float(whole * unit)


def result_of(report: OrderReport, permit: int, steps: int) -> Executed:
    """
    What the venue says of the permit's order.

    An order that is done with less than its permit's steps has ended all the same: the venue's word for that is filled
    where it cut the order itself.
    """
    state = report.state
    if state == PermitState.FILLED and report.filled_steps < steps:
        state = PermitState.CANCELLED
    return Executed(
        permit,
        state,
        report.filled_steps,
        report.filled_value,
        report.fees,
        report.at_ns,
        report.benign,
        report.reason,
    )


def says_the_same(one: Executed | None, other: Executed) -> bool:
    """Whether two results differ in nothing but their time."""
    if one is None:
        return False
    undated = msgspec.structs.replace(one, at_ns=0), msgspec.structs.replace(other, at_ns=0)
    return msgspec.msgpack.encode(undated[0]) == msgspec.msgpack.encode(undated[1])
