"""The equity under which each loss rule is broken; guard, trigger, warning and report read it from here."""

from collections.abc import Callable
from math import nan
from typing import Final

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
    return _FLOORS[code](state, limits)


def is_broken(code: Code, equity: float, floor: float) -> bool:
    """Whether equity is proven to have broken the floor; exactly at it only EQUITY_GUARD is."""
    return at_least(floor, equity) if code is Code.EQUITY_GUARD else above(floor, equity)


def _day(state: State, limits: Limits) -> tuple[float, float]:
    reference = day_open_equity(state)
    return reference, loss_floor(reference, limits.day_loss_frac_max)


def _week(state: State, limits: Limits) -> tuple[float, float]:
    reference = week_open_equity(state)
    return reference, loss_floor(reference, limits.week_loss_frac_max)


def _drawdown(state: State, limits: Limits) -> tuple[float, float]:
    reference = state.account.drawdown_ref
    return reference, loss_floor(reference, limits.drawdown_frac_max)


def _total_drawdown(state: State, limits: Limits) -> tuple[float, float]:
    reference = state.account.equity_peak
    return reference, loss_floor(reference, limits.total_drawdown_frac_max)


def _emergency(state: State, limits: Limits) -> tuple[float, float]:
    reference = state.account.drawdown_ref
    return reference, loss_floor(reference, limits.emergency_drawdown_frac_max)


def _equity_guard(state: State, limits: Limits) -> tuple[float, float]:
    reference = state.account.initial_balance
    return reference, reference * limits.equity_floor_frac_min


_FLOORS: Final[dict[Code, Callable[[State, Limits], tuple[float, float]]]] = {
    Code.DAILY_LOSS: _day,
    Code.WEEKLY_LOSS: _week,
    Code.DRAWDOWN: _drawdown,
    Code.TOTAL_DRAWDOWN: _total_drawdown,
    Code.EMERGENCY_FLATTEN: _emergency,
    Code.EQUITY_GUARD: _equity_guard,
}
