"""Guards on the order itself: its price, its size, its rate, its stop."""

from math import exp, inf

from interlock.core.facts import Facts
from interlock.core.guard import guard
from interlock.core.limits import Limits
from interlock.core.numbers import at_least, by_regime, larger, open_if, smaller, within


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


@guard("ATR_SPIKE", remedy="wait until the market calms down; is its market state told with every bar?")
def atr_spike(f: Facts, p: Limits) -> float:
    """The average true range is known, fresh, and a small share of the price."""
    return open_if(
        0.0 < f.atr <= p.atr_frac_max * f.mark and f.mark < inf and within(f.market_state_age_s, p.market_state_age_s_max)
    )


@guard("TRADE_RISK", remedy="send a smaller order or set its stop closer; is the symbol's market state told?")
def trade_risk(f: Facts, p: Limits) -> float:
    """What the order loses at its stop, costs included, is within the regime's share of equity."""
    lost_frac = f.stop_frac + p.cost_frac
    given = p.chop_risk_frac_max + p.base_risk_frac_max + p.trend_risk_frac_max >= 0.0
    known = given and f.stop_frac > 0.0 and lost_frac > 0.0 and 0.0 < f.equity < inf
    risk_frac = by_regime(f.regime, p.chop_risk_frac_max, p.base_risk_frac_max, p.trend_risk_frac_max)
    return risk_frac * f.equity / lost_frac if known else 0.0


@guard("LIQUIDATION_DISTANCE", remedy="set the stop closer, or use less margin leverage")
def liquidation_distance(f: Facts, p: Limits) -> float:
    """The stop is reached well before the venue would liquidate the position."""
    return open_if(
        f.side * f.side == 1.0
        and 0.0 < f.stop_price < inf
        and 0.0 < f.worst_price < inf
        and f.liquidation_price >= 0.0
        and f.side * (f.stop_price - f.liquidation_price) >= p.liquidation_buffer_frac * f.worst_price
    )


@guard("KILL_SCORE", remedy="wait until the market calms down; is its market state told with every bar?")
def kill_score(f: Facts, p: Limits) -> float:
    """The market's kill score is known and not critical; from its threshold on openings shrink with it."""
    over = p.kill_score_decay * (f.kill_score - p.kill_score_min)
    least = exp(-over) if over >= 0.0 else 1.0
    shared = larger(least, p.kill_score_share_min)
    kept = smaller(shared, 1.0)
    given = p.kill_score_decay >= 0.0 and p.kill_score_share_min >= 0.0 and p.kill_score_min >= 0.0
    known = given and 0.0 < f.requested_notional < inf and 0.5 <= f.kill_score < p.kill_score_critical
    shrunk = f.requested_notional * kept if known else 0.0
    return inf if known and f.kill_score < p.kill_score_min else shrunk


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
