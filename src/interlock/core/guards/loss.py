"""Guards on losses, realised and not, against references that a restart never forgives."""

from interlock.core.facts import Facts
from interlock.core.guard import guard
from interlock.core.limits import (
    DAILY_LOSS_BIT,
    DRAWDOWN_BIT,
    EQUITY_GUARD_BIT,
    TOTAL_DRAWDOWN_BIT,
    WEEKLY_LOSS_BIT,
    Limits,
)
from interlock.core.numbers import above, at_least, floor_if, larger, loss_floor, open_if


@guard("DAILY_LOSS", remedy="wait for the next risk day")
def daily_loss(f: Facts, p: Limits) -> float:
    """Equity is within `day_loss_frac_max` of the equity at day open."""
    return open_if(at_least(f.equity, loss_floor(f.day_open_equity, p.day_loss_frac_max)))


@guard("WEEKLY_LOSS", remedy="have an operator review the week and release the lock")
def weekly_loss(f: Facts, p: Limits) -> float:
    """Equity is within `week_loss_frac_max` of the equity at week open."""
    return open_if(at_least(f.equity, loss_floor(f.week_open_equity, p.week_loss_frac_max)))


@guard("DRAWDOWN", remedy="wait until the lock has ended and a new reference is taken")
def drawdown(f: Facts, p: Limits) -> float:
    """Equity is within `drawdown_frac_max` of the drawdown reference."""
    return open_if(at_least(f.equity, loss_floor(f.drawdown_ref, p.drawdown_frac_max)))


@guard("TOTAL_DRAWDOWN", remedy="have an operator review the account; only a rebase moves the peak down")
def total_drawdown(f: Facts, p: Limits) -> float:
    """Equity is within `total_drawdown_frac_max` of peak equity."""
    return open_if(at_least(f.equity, loss_floor(f.equity_peak, p.total_drawdown_frac_max)))


@guard("EQUITY_GUARD", remedy="have an operator review the account")
def equity_guard(f: Facts, p: Limits) -> float:
    """Equity is above its floor; exactly at the floor is a breach."""
    return open_if(f.initial_balance > 0.0 and above(f.equity, f.initial_balance * p.equity_floor_frac_min))


@guard(
    "LOSS_HEADROOM",
    remedy="take less risk: the nearest loss floor is closer than this order's stop; or have an operator rebase",
)
def loss_headroom(f: Facts, p: Limits) -> float:
    """All stops, this order's included, can be hit without touching the nearest active loss floor."""
    day = floor_if(p.active, DAILY_LOSS_BIT, loss_floor(f.day_open_equity, p.day_loss_frac_max))
    week = floor_if(p.active, WEEKLY_LOSS_BIT, loss_floor(f.week_open_equity, p.week_loss_frac_max))
    recent = floor_if(p.active, DRAWDOWN_BIT, loss_floor(f.drawdown_ref, p.drawdown_frac_max))
    total = floor_if(p.active, TOTAL_DRAWDOWN_BIT, loss_floor(f.equity_peak, p.total_drawdown_frac_max))
    floor = floor_if(p.active, EQUITY_GUARD_BIT, f.initial_balance * p.equity_floor_frac_min)
    floor = larger(floor, day)
    floor = larger(floor, week)
    floor = larger(floor, recent)
    floor = larger(floor, total)
    lost_frac = f.stop_frac + p.cost_frac
    known = f.stop_frac > 0.0 and lost_frac > 0.0 and f.risk_at_stops >= 0.0 and f.initial_balance > 0.0
    left = f.equity - floor - p.headroom_buffer_frac * f.initial_balance - f.risk_at_stops
    return left / lost_frac if known else 0.0
