"""How large an intent asks to be; what it gets is for the guards to say."""

from math import inf

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


def asks_nonsense(intent: Intent) -> str:
    """Why the intent's own numbers cannot be meant, or nothing."""
    if intent.side != 1 and intent.side != -1:
        return f"side must be 1 (buy) or -1 (sell), found {intent.side!r}"
    if not (0.0 < intent.quantity < inf or intent.quantity != intent.quantity):
        return f"quantity must be a finite number > 0, found {intent.quantity!r}"
    if not (0.0 < intent.notional < inf or intent.notional != intent.notional):
        return f"notional must be a finite number > 0, found {intent.notional!r}"
    return ""
