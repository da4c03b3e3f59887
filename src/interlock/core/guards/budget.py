"""Guards on how much risk is taken over time: what a day and a campaign may spend, and what a record deserves."""

from math import inf

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
from interlock.core.numbers import floor_if, kelly_frac, larger, loss_floor, smaller


@guard(
    "DAILY_RISK_QUOTA",
    remedy="wait for the next risk day; where the campaign's slices are spent, have an operator release DAILY_RISK_QUOTA",
)
def daily_risk_quota(f: Facts, p: Limits) -> float:
    """An entry is left today, and what it loses at its stop, costs included, fits into the slices of risk that are left."""
    day = p.quota_day_slice_count_max - f.day_slice_count
    campaign = p.quota_campaign_slice_count_max - f.campaign_slice_count
    today = smaller(p.quota_order_slice_count_max, day)
    left = smaller(today, campaign) // 1.0
    lost_frac = f.stop_frac + p.cost_frac
    counted = f.day_slice_count >= 0.0 and f.campaign_slice_count >= 0.0 and f.day_entry_count >= 0.0
    entry = f.day_entry_count + 1.0 <= p.quota_day_entry_count_max
    known = counted and entry and f.stop_frac > 0.0 and lost_frac > 0.0 and 0.0 < f.day_open_equity < inf
    return left * p.quota_slice_frac * f.day_open_equity / lost_frac if known else 0.0


@guard("KELLY_CAP", remedy="send a smaller order, or set its stop closer: the strategy's record deserves no more")
def kelly_cap(f: Facts, p: Limits) -> float:
    """What the order loses at its stop, costs included, is what its strategy's record deserves, and a probe without one."""
    day = floor_if(p.active, DAILY_LOSS_BIT, loss_floor(f.day_open_equity, p.day_loss_frac_max))
    week = floor_if(p.active, WEEKLY_LOSS_BIT, loss_floor(f.week_open_equity, p.week_loss_frac_max))
    recent = floor_if(p.active, DRAWDOWN_BIT, loss_floor(f.drawdown_ref, p.drawdown_frac_max))
    total = floor_if(p.active, TOTAL_DRAWDOWN_BIT, loss_floor(f.equity_peak, p.total_drawdown_frac_max))
    floor = floor_if(p.active, EQUITY_GUARD_BIT, f.initial_balance * p.equity_floor_frac_min)
    floor = larger(floor, day)
    floor = larger(floor, week)
    floor = larger(floor, recent)
    floor = larger(floor, total)
    stake = f.equity - larger(floor, 0.0) if p.kelly_above_floor > 0.0 else f.equity
    founded = f.initial_balance > 0.0 if p.kelly_above_floor > 0.0 else p.kelly_above_floor == 0.0
    count = f.strategy_win_count + f.strategy_loss_count
    full = kelly_frac(f.strategy_win_count, f.strategy_loss_count, f.strategy_won, f.strategy_lost, p.kelly_prior_count)
    probe = p.kelly_probe_frac * f.equity
    earned = p.kelly_multiplier * larger(full, 0.0) * stake
    proven = count >= p.kelly_trade_count_min and f.strategy_win_count > 0.0 and f.strategy_loss_count > 0.0
    risk = larger(earned, probe) if proven else probe
    lost_frac = f.stop_frac + p.cost_frac
    given = p.kelly_trade_count_min >= 0.0 and p.kelly_multiplier + p.kelly_prior_count >= 0.0
    counted = 0.0 <= f.strategy_win_count < inf and 0.0 <= f.strategy_loss_count < inf
    money = 0.0 <= f.strategy_won < inf and 0.0 <= f.strategy_lost < inf and 0.0 < f.equity < inf and stake > -inf
    readable = f.strategy_won > 0.0 or f.strategy_win_count == 0.0
    known = given and counted and money and founded and readable and f.stop_frac > 0.0 and lost_frac > 0.0
    return risk / lost_frac if known else 0.0
