"""
The protective rules: each a condition on one position, proven by numbers; unknown numbers prove nothing.

`side` is 1.0 for a bought position and -1.0 for a sold one. Prices are those of accepted marks.
"""

from math import inf, nan

from interlock.core.constants import CHOP
from interlock.core.limits import Limits

__all__ = [
    "chops",
    "is_beyond",
    "is_idle",
    "loses_margin",
    "stop_reached",
    "takes_profit",
    "target_reached",
    "trailed_stop",
    "trails",
]


def is_beyond(side: float, price: float, line: float) -> bool:
    """Whether the price has reached the line on the winning side."""
    return 0.0 < price < inf and 0.0 < line < inf and side * (price - line) >= 0.0


def stop_reached(side: float, worst: float, stop: float) -> bool:
    """Whether the worst price since the last look was at the stop or past it."""
    return is_beyond(-side, worst, stop)


def target_reached(side: float, best: float, target: float) -> bool:
    """Whether the best price since the last look was at the target or past it."""
    return is_beyond(side, best, target)


def takes_profit(side: float, mark: float, entry: float, entry_atr: float, p_trend: float, p: Limits) -> bool:
    """Whether the first profit is there and the market is sure enough of its trend."""
    line = entry + side * p.take_profit_atr * entry_atr
    return entry_atr > 0.0 and p_trend >= p.take_profit_trend_min and is_beyond(side, mark, line)


def trails(rungs: int, starters: int) -> bool:
    """Whether one of the rungs that start trailing has fired."""
    return rungs & starters != 0


def trailed_stop(side: float, best: float, atr: float, tick: float, p: Limits) -> float:
    """The stop that follows the best price, on the tick away from the market; NaN where the range is not known."""
    wanted = best - side * p.trail_atr * atr
    if not (0.0 < atr < inf and 0.0 < wanted < inf):
        return nan
    return side * (side * wanted / tick // 1.0) * tick if tick > 0.0 else wanted


def is_idle(bar_count: int, idle_bar_count: int, p: Limits) -> bool:
    """Whether the position has made no new best price for as many bars as its age allows."""
    bars, idle = float(bar_count), float(idle_bar_count)
    if bars <= p.young_bar_count_max:
        return idle >= p.young_idle_bar_count_max
    return bars > p.young_bar_count_max and idle >= p.old_idle_bar_count_max


def chops(regime: float, pnl: float, notional: float, p: Limits) -> bool:
    """Whether the market is choppy and the position has lost more of its notional at entry than it may then."""
    return regime == CHOP and notional > 0.0 and pnl < -p.chop_loss_frac_max * notional


def loses_margin(pnl: float, notional: float, leverage: float, p: Limits) -> bool:
    """Whether the position has lost that share of the margin it was opened with, or more."""
    return notional > 0.0 and leverage > 0.0 and pnl * leverage <= -p.margin_loss_frac_max * notional
