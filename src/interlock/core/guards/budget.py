"""Guards on how much risk is taken over time: a budget spent in slices, by the day and by the campaign."""

from math import inf

from interlock.core.facts import Facts
from interlock.core.guard import guard
from interlock.core.limits import Limits
from interlock.core.numbers import smaller


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
