"""The equity under which each loss rule is broken; guard, trigger, warning and report read it from here."""

from math import nan

from interlock.core.codes import Code
from interlock.core.limits import Limits
from interlock.core.numbers import above, at_least, loss_floor
from interlock.core.state import State


def day_open_equity(state: State) -> float:
    """Equity at the start of the risk day; NaN while it is not proven."""
    index = state.account.day_calendar
    return state.calendars[index].open_equity if index >= 0 else nan


def week_open_equity(state: State) -> float:
    """Equity at the start of the week; NaN while it is not proven."""
    index = state.account.week_calendar
    return state.calendars[index].open_equity if index >= 0 else nan


def floor_of(state: State, code: Code, limits: Limits) -> tuple[float, float]:
    """A loss rule's reference and floor, in account currency; NaN where unknown."""
    a = state.account
    if code == Code.DAILY_LOSS:
        reference = day_open_equity(state)
        return reference, loss_floor(reference, limits.day_loss_frac_max)
    if code == Code.WEEKLY_LOSS:
        reference = week_open_equity(state)
        return reference, loss_floor(reference, limits.week_loss_frac_max)
    if code == Code.DRAWDOWN:
        return a.drawdown_ref, loss_floor(a.drawdown_ref, limits.drawdown_frac_max)
    if code == Code.TOTAL_DRAWDOWN:
        return a.equity_peak, loss_floor(a.equity_peak, limits.total_drawdown_frac_max)
    if code == Code.EMERGENCY_FLATTEN:
        return a.drawdown_ref, loss_floor(a.drawdown_ref, limits.emergency_drawdown_frac_max)
    return a.initial_balance, a.initial_balance * limits.equity_floor_frac_min


def is_broken(code: Code, equity: float, floor: float) -> bool:
    """Whether equity is proven to have broken the floor; exactly at it only EQUITY_GUARD is."""
    if code == Code.EQUITY_GUARD:
        return at_least(floor, equity)
    return above(floor, equity)
