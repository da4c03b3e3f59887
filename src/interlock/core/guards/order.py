"""Guards on the order itself: its price, its size, its rate, its stop."""

from math import inf

from interlock.core.facts import Facts
from interlock.core.guard import guard
from interlock.core.limits import Limits
from interlock.core.numbers import at_least, open_if


@guard("SPREAD_SPIKE", remedy="wait until the spread narrows")
def spread_spike(f: Facts, p: Limits) -> float:
    """The spread is within its limit."""
    return open_if(0.0 <= f.spread_bps <= p.spread_bps_max)


@guard("PRICE_COLLAR", remedy="set the limit price closer to the mark")
def price_collar(f: Facts, p: Limits) -> float:
    """The worst price the order can get is close to the mark."""
    return open_if(f.worst_price > 0.0 and f.mark > 0.0 and abs(f.worst_price - f.mark) <= p.collar_frac_max * f.mark)


@guard("ORDER_NOTIONAL", remedy="send a smaller order")
def order_notional(f: Facts, p: Limits) -> float:
    """One order's notional is within its limit."""
    return p.order_notional_max if 0.0 < f.requested_notional < inf else 0.0


@guard("ORDER_QUANTITY", remedy="send a smaller order")
def order_quantity(f: Facts, p: Limits) -> float:
    """One order's quantity is within its limit."""
    known = 0.0 < f.requested_quantity < inf and 0.0 < f.unit_notional < inf
    return p.order_quantity_max * f.unit_notional if known else 0.0


@guard("ORDER_RATE", remedy="send fewer opening orders")
def order_rate(f: Facts, p: Limits) -> float:
    """Opening orders keep their average distance, beyond the burst that is allowed."""
    return open_if(at_least(p.order_interval_s * (p.order_burst_count_max - 1.0), f.order_ahead_s))


@guard("STOP_REQUIRED", remedy="give the order a stop, and a target if any, on the right side of its price")
def stop_required(f: Facts, p: Limits) -> float:
    """The order carries a stop on the losing side of its price, and no target there."""
    return open_if(
        f.side * f.side == 1.0
        and 0.0 < f.stop_price < inf
        and f.side * (f.worst_price - f.stop_price) > 0.0
        and f.side * (f.mark - f.stop_price) > 0.0
        and f.side * (f.target_price - f.worst_price) > 0.0
    )
