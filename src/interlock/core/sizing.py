"""
How large an intent asks to be, and where its stop is if it names none; what it gets is for the guards to say.

The policy's models: a fixed quantity, a fixed share of equity, or, where it gives only a stop distance in ATR, as much
as loses the regime's share of equity at the stop, costs included.
"""

from math import inf, nan

from interlock.core.instrument import Instrument
from interlock.core.limits import Limits
from interlock.core.messages import Intent


def requested_steps(intent: Intent, instrument: Instrument, unit_notional: float, equity: float, limits: Limits) -> int:
    """
    Whole steps that the intent asks for, rounded down; 0 when its size is unknown.

    In this order: its own quantity, its own notional at `unit_notional` (account currency a step at the worst price),
    the policy's fixed quantity, the policy's fixed fraction of equity.
    """
    if intent.quantity == intent.quantity:
        return instrument.steps_down(intent.quantity)
    if intent.notional == intent.notional:
        return _steps_for(intent.notional, unit_notional, instrument)
    if limits.size_quantity > 0.0:
        return instrument.steps_down(limits.size_quantity)
    return _steps_for(limits.size_frac * equity, unit_notional, instrument)


def _steps_for(notional: float, unit_notional: float, instrument: Instrument) -> int:
    if not (0.0 < notional < inf and 0.0 < unit_notional < inf):
        return 0
    return instrument.steps_down(notional / unit_notional * instrument.step)


def is_sized_by_risk(intent: Intent, limits: Limits) -> bool:
    """Whether the intent names no size and the policy's model for it is risk at the stop."""
    named = intent.quantity == intent.quantity or intent.notional == intent.notional
    return not named and limits.size_stop_atr > 0.0 and not (limits.size_quantity > 0.0 or limits.size_frac > 0.0)


def model_stop(side: int, entry: float, atr: float, limits: Limits) -> float:
    """The model's stop for an order around `entry`; NaN where the policy has no model or the ATR is not known."""
    return entry - side * limits.size_stop_atr * atr if atr > 0.0 and limits.size_stop_atr > 0.0 else nan


def model_target(side: int, entry: float, worst: float, atr: float, limits: Limits) -> float:
    """
    The model's target for such an order; NaN where there is none.

    There is none where the order might be filled beyond it, as a market order may that is far from its collar.
    """
    target = entry + side * limits.size_target_atr * atr
    return target if atr > 0.0 and side * (target - worst) > 0.0 else nan


def quantity_at_risk(risk: float, stop_distance: float, cost: float) -> float:
    """
    Base units that lose `risk` at the stop, with `stop_distance` and `cost` lost on each; 0.0 where anything is unknown.

    The loss includes the cost, so both stand under the line: dividing by one plus the cost share, as is often seen, lets
    the loss reach nearly half as much again.
    """
    lost = stop_distance + cost
    return risk / lost if 0.0 < risk < inf and stop_distance > 0.0 and cost >= 0.0 and lost < inf else 0.0


def cost_per_unit(unit_notional: float, cost_frac: float, spread_bps: float) -> float:
    """What getting in and out of one unit costs, in account currency: fees and slippage, and half the spread."""
    return unit_notional * (cost_frac + 0.5 * spread_bps / 1e4)


def asks_nonsense(intent: Intent) -> str:
    """Why the intent's own numbers cannot be meant, or nothing."""
    if intent.side != 1 and intent.side != -1:
        return f"side must be 1 (buy) or -1 (sell), found {intent.side!r}"
    quantity, notional = intent.quantity, intent.notional
    if quantity == quantity and not 0.0 < quantity < inf:
        return f"quantity must be a finite number > 0, found {quantity!r}"
    if notional == notional and not 0.0 < notional < inf:
        return f"notional must be a finite number > 0, found {notional!r}"
    return ""
