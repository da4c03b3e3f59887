"""What the harvest kernel makes of one position: how much to close, which stop, and every number that led there."""

from math import nan
from typing import Final

import msgspec

from interlock.core.codes import CloseAction, Code
from interlock.core.constants import AGE_TOLD, DROP_TOLD, SPIKE_TOLD
from interlock.core.exits.kernel import (
    age_penalty,
    exit_cost,
    kill_score,
    locked_stop,
    r_net,
    regime_flip,
    risk_at_stop,
    rungs_reached,
    sigma_spike,
    trend_drop,
)
from interlock.core.limits import Limits, is_on

LADDER: Final = (CloseAction.NONE, CloseAction.PARTIAL_25, CloseAction.PARTIAL_50, CloseAction.PARTIAL_75)
"""What each number of reached rungs wants closed in all."""


class Market(msgspec.Struct, frozen=True, gc=False):
    """A symbol's market state at one instant; NaN where it is unknown or too old."""

    atr: float = nan
    sigma: float = nan
    trend_strength: float = nan
    p_trend: float = nan
    p_base: float = nan
    p_chop: float = nan
    regime: float = nan


UNKNOWN_MARKET: Final = Market()


class Held(msgspec.Struct, frozen=True, gc=False):
    """
    A position in the numbers that the rules read; NaN where one is unknown.

    `entry` and `mark` are prices, `unit_value` is what one base unit was worth at the entry in settlement currency (the
    price, for a linear instrument), `pnl` is in settlement currency, `stop_frac` the share of the entry between it and
    the stop that it was opened with.
    """

    side: float
    entry: float
    unit_value: float
    quantity: float
    pnl: float
    mark: float
    stop: float
    stop_frac: float
    age_s: float


class Harvest(msgspec.Struct, frozen=True, gc=False):
    """What the kernel says: `stop` NaN leaves the stop where it is, `score` NaN is not known."""

    action: CloseAction
    stop: float
    r: float
    risk: float
    cost: float
    score: float
    flip: float
    spike: float
    drop: float
    age: float
    reasons: tuple[str, ...]


def harvest(held: Held, now: Market, at_entry: Market, p: Limits) -> Harvest:
    """What profit, age and market say about the position, by the rules that the policy has switched on."""
    risk = risk_at_stop(held.unit_value, held.quantity, held.stop_frac)
    cost = exit_cost(held.unit_value, held.quantity, p.exit_cost_bps)
    r = r_net(held.pnl, cost, risk)
    flip, spike, drop, age = components(held.age_s, now, at_entry, p)
    score = kill_score(flip, spike, drop, age, p)
    action = LADDER[rungs_reached(r, p)] if is_on(p, Code.HARVEST) else CloseAction.NONE
    reasons = [f"harvest_{action.name.lower()}"] if action else []
    stop = locked_stop(held.side, held.entry, held.mark, held.stop, r, p) if is_on(p, Code.PROFIT_LOCK) else nan
    if stop == stop:
        reasons.append("profit_lock")
    if is_on(p, Code.KILL_EXIT) and score >= p.kill_exit_score_min:
        action = CloseAction.FULL_CLOSE
        reasons.append("kill_score_triggered")
    told = (
        ("regime_flip", flip == 1.0),
        ("sigma_spike", spike > SPIKE_TOLD),
        ("ts_drop", drop > DROP_TOLD),
        ("age_penalty", age > AGE_TOLD),
    )
    reasons += [name for name, beyond in told if beyond]
    return Harvest(action, stop, r, risk, cost, score, flip, spike, drop, age, tuple(reasons))


def components(age_s: float, now: Market, at_entry: Market, p: Limits) -> tuple[float, float, float, float]:
    """The kill score's components: flip, volatility spike, lost trend strength, age; NaN where one is not known."""
    sigma_ref = p.sigma_ref if p.sigma_ref > 0.0 else at_entry.sigma
    trend_ref = p.trend_ref if p.trend_ref > 0.0 else at_entry.trend_strength
    return (
        regime_flip(at_entry.regime, now.regime, now.p_trend, now.p_base, now.p_chop, p.flip_trend_min),
        sigma_spike(now.sigma, sigma_ref, p.sigma_cap),
        trend_drop(now.trend_strength, trend_ref, p.trend_cap),
        age_penalty(age_s, p.score_age_s_max),
    )
