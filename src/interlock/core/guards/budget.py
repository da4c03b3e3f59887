"""Guards on how much risk is taken over time: what a day and a campaign may spend, and what a record deserves."""

from math import inf

from interlock.core.facts import Facts
from interlock.core.guard import guard
from interlock.core.limits import Limits
from interlock.core.numbers import kelly_frac, larger, smaller


@guard(
    "DAILY_RISK_QUOTA",
    remedy="wait for the next risk day; where the campaign's slices are spent, have an operator release DAILY_RISK_QUOTA",
)
def daily_risk_quota(f: Facts, p: Limits) -> float:
    """An entry is left today, and what it loses at its stop, costs included, fits into the slices of risk that are left."""
    today = smaller(p.quota_order_slice_count_max, p.quota_day_slice_count_max - f.day_slice_count)
    left = smaller(today, p.quota_campaign_slice_count_max - f.campaign_slice_count) // 1.0
    lost_frac = f.stop_frac + p.cost_frac
    counted = 0.0 <= f.day_slice_count < inf and 0.0 <= f.campaign_slice_count < inf and f.day_entry_count >= 0.0
    entry = f.day_entry_count + 1.0 <= p.quota_day_entry_count_max
    known = counted and entry and f.stop_frac > 0.0 and lost_frac > 0.0 and 0.0 < f.day_open_equity < inf
    return left * p.quota_slice_frac * f.day_open_equity / lost_frac if known else 0.0


@guard("KELLY_CAP", remedy="send a smaller order, or set its stop closer: the strategy's record deserves no more")
def kelly_cap(f: Facts, p: Limits) -> float:
    """What the order loses at its stop, costs included, is what its strategy's record deserves, and a probe without one."""
    count = f.strategy_win_count + f.strategy_loss_count
    full = kelly_frac(f.strategy_win_count, f.strategy_loss_count, f.strategy_won, f.strategy_lost, p.kelly_prior_count)
    deserved = larger(p.kelly_multiplier * full, p.kelly_probe_frac)
    proven = count >= p.kelly_trade_count_min and f.strategy_win_count > 0.0 and f.strategy_loss_count > 0.0
    risk_frac = deserved if proven else p.kelly_probe_frac
    lost_frac = f.stop_frac + p.cost_frac
    given = p.kelly_trade_count_min >= 0.0 and p.kelly_multiplier + p.kelly_prior_count >= 0.0
    counted = 0.0 <= f.strategy_win_count < inf and 0.0 <= f.strategy_loss_count < inf
    money = 0.0 <= f.strategy_won < inf and 0.0 <= f.strategy_lost < inf and 0.0 < f.equity < inf
    known = given and counted and money and f.stop_frac > 0.0 and lost_frac > 0.0
    return risk_frac * f.equity / lost_frac if known else 0.0
