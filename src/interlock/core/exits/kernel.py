"""
The harvest kernel: what profit, age and market say about leaving a position. Functions over numbers, and nothing else.

Every parameter is the policy's. Unknown in is unknown out: a number that is not proven never closes anything.
"""

from math import exp, inf, nan

from interlock.core.constants import CHOP
from interlock.core.limits import Limits
from interlock.core.numbers import clip

__all__ = [
    "age_penalty",
    "exit_cost",
    "kill_score",
    "locked_stop",
    "logistic",
    "opening_score",
    "r_net",
    "regime_flip",
    "risk_at_stop",
    "rungs_reached",
    "score_max",
    "sigma_spike",
    "tightened",
    "trend_drop",
]


# ---------------------------------------------------------------- profit


def risk_at_stop(entry: float, quantity: float, stop_frac: float) -> float:
    """What the position loses between its entry and its first stop; NaN without a stop on the losing side."""
    risk = entry * stop_frac * quantity
    return risk if entry > 0.0 and stop_frac > 0.0 and 0.0 < risk < inf else nan


def exit_cost(entry: float, quantity: float, cost_bps: float) -> float:
    """What getting in and out of the position costs, in the currency of its prices."""
    return entry * quantity * cost_bps / 1e4


def r_net(pnl: float, cost: float, risk: float) -> float:
    """Open profit after costs, in units of the risk that was taken; NaN where the risk is not known."""
    return (pnl - cost) / risk if risk > 0.0 and -inf < pnl < inf else nan


def rungs_reached(r: float, p: Limits) -> int:
    """How many rungs of the ladder a profit of `r` has reached, each inclusive; 0 where it is not known."""
    return int(r >= p.rung_1_r_min) + int(r >= p.rung_2_r_min) + int(r >= p.rung_3_r_min)


def tightened(side: float, stop: float, wanted: float) -> float:
    """The wanted stop where it is nearer to the market than the one in force, or where none is; else NaN."""
    nearer = stop != stop or side * (wanted - stop) > 0.0
    return wanted if nearer and 0.0 < wanted < inf else nan


def locked_stop(side: float, entry: float, mark: float, stop: float, r: float, p: Limits) -> float:
    """The stop that locks a profit in, from `lock_r_min` on: never looser, never beyond the market; else NaN."""
    wanted = entry * (1.0 + side * p.lock_frac)
    return tightened(side, stop, wanted) if r >= p.lock_r_min and side * (mark - wanted) > 0.0 else nan


# ---------------------------------------------------------------- the kill score


def regime_flip(
    entry_regime: float, regime: float, p_trend: float, p_base: float, p_chop: float, flip_trend_min: float
) -> float:
    """
    Whether the market has turned choppy, as 1.0 or 0.0; NaN where that is not known.

    With `flip_trend_min` 0.0 by the labels at entry and now, else by the probabilities now.
    """
    if flip_trend_min > 0.0:
        told = 0.0 <= p_trend <= 1.0 and 0.0 <= p_base <= 1.0 and 0.0 <= p_chop <= 1.0
        turned = p_trend < flip_trend_min and p_chop + p_base > 0.5
    else:
        told = entry_regime > 0.0 and regime > 0.0
        turned = entry_regime != CHOP and regime == CHOP
    if not told:
        return nan
    return 1.0 if turned else 0.0


def sigma_spike(sigma: float, reference: float, cap: float) -> float:
    """By how much volatility exceeds its reference, as a share of that, up to `cap`; NaN where it is not known."""
    return clip(sigma / reference - 1.0, 0.0, cap) if reference > 0.0 and 0.0 <= sigma < inf else nan


def trend_drop(trend_strength: float, reference: float, cap: float) -> float:
    """How far trend strength lies under its reference, up to `cap`; NaN where it is not known."""
    return clip(reference - trend_strength, 0.0, cap) if 0.0 <= trend_strength < inf and 0.0 <= reference < inf else nan


def age_penalty(age_s: float, age_s_max: float) -> float:
    """The position's age as a share of `age_s_max`, up to 1; NaN where it is not known."""
    return clip(age_s / age_s_max, 0.0, 1.0) if age_s_max > 0.0 and -inf < age_s < inf else nan


def logistic(z: float) -> float:
    """1 / (1 + e^-z) for z >= 0, in [0.5, 1]; NaN for everything else."""
    whole = 1.0 + exp(-z) if z >= 0.0 else nan
    return 1.0 / whole if whole > 0.0 else nan


def kill_score(flip: float, spike: float, drop: float, age: float, p: Limits) -> float:
    """
    How urgent it is to leave, in [0.5, 1); 0.5 is not at all. NaN where any component is not known.

    It can only ever hasten an exit, or stop an entry.
    """
    return logistic(p.flip_weight * flip + p.sigma_weight * spike + p.trend_weight * drop + p.age_weight * age)


def opening_score(flip: float, spike: float, drop: float, p: Limits) -> float:
    """The kill score of a position that does not exist yet; NaN where any component is not known."""
    return logistic(p.flip_weight * flip + p.sigma_weight * spike + p.trend_weight * drop)


def score_max(
    flip_weight: float,
    sigma_weight: float,
    sigma_cap: float,
    trend_weight: float,
    trend_cap: float,
    trend_reference: float,
    age_weight: float,
) -> float:
    """The largest kill score that these weights and caps can give: a threshold above it would never be reached."""
    cap = trend_reference if trend_reference < trend_cap else trend_cap
    return logistic(flip_weight + sigma_weight * sigma_cap + trend_weight * cap + age_weight)
