"""
What a guard may look at: about seventy flat numbers, taken from the state for one opening order.

Unknown is NaN, for flags too (0.0, 1.0, NaN). They are recorded whole with each decision, so that any decision can be
made again from one line of the ledger. Where "none" is known, it is a number that means none: no target is infinitely
far away, and an order that nothing can liquidate has its liquidation at 0 or infinitely far away.
"""

from math import nan
from typing import Annotated, Final, get_type_hints

import msgspec

from interlock.core.limits import Unit


class Facts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Facts about one opening order at one instant; money in account currency, ages in seconds."""

    policy_loaded: Annotated[float, "flag"]
    policy_verified: Annotated[float, "flag"]
    policy_s_left: Annotated[float, "s"]
    policy_complete: Annotated[float, "flag"]
    in_universe: Annotated[float, "flag"]
    source_may_open: Annotated[float, "flag"]
    symbol_free: Annotated[float, "flag"]
    live_ready: Annotated[float, "flag"]
    halted: Annotated[float, "flag"]
    reducing: Annotated[float, "flag"]
    symbol_vetoed: Annotated[float, "flag"]
    session_open: Annotated[float, "flag"]

    side: Annotated[float, "x"]
    requested_quantity: Annotated[float, "quantity"]
    requested_notional: Annotated[float, "money"]
    unit_notional: Annotated[float, "money"]
    worst_price: Annotated[float, "money"]
    stop_price: Annotated[float, "money"]
    target_price: Annotated[float, "money"]
    stop_frac: Annotated[float, "frac"]
    margin_leverage: Annotated[float, "x"]
    bracket_leverage: Annotated[float, "x"]
    intent_age_s: Annotated[float, "s"]
    intent_conflict: Annotated[float, "flag"]
    order_ahead_s: Annotated[float, "s"]

    clock_trusted: Annotated[float, "flag"]
    controller_age_s: Annotated[float, "s"]
    reconciled: Annotated[float, "flag"]
    reconciled_age_s: Annotated[float, "s"]
    unknown_count: Annotated[float, "count"]

    equity: Annotated[float, "money"]
    equity_venue: Annotated[float, "money"]
    equity_own: Annotated[float, "money"]
    equity_age_s: Annotated[float, "s"]
    equity_gap_frac: Annotated[float, "frac"]
    equity_unexplained: Annotated[float, "money"]
    balance: Annotated[float, "money"]
    initial_balance: Annotated[float, "money"]
    equity_peak: Annotated[float, "money"]
    drawdown_ref: Annotated[float, "money"]
    day_open_equity: Annotated[float, "money"]
    week_open_equity: Annotated[float, "money"]

    bid: Annotated[float, "money"]
    ask: Annotated[float, "money"]
    mark: Annotated[float, "money"]
    mark_age_s: Annotated[float, "s"]
    book_age_s: Annotated[float, "s"]
    rate_age_s: Annotated[float, "s"]
    spread_bps: Annotated[float, "bps"]

    symbol_notional: Annotated[float, "money"]
    symbol_is_open: Annotated[float, "flag"]
    strategy_notional: Annotated[float, "money"]
    gross_notional: Annotated[float, "money"]
    net_notional: Annotated[float, "money"]
    pending_side_notional: Annotated[float, "money"]
    position_count: Annotated[float, "count"]
    free_margin: Annotated[float, "money"]
    risk_at_stops: Annotated[float, "money"]

    atr: Annotated[float, "money"] = nan
    market_state_age_s: Annotated[float, "s"] = nan
    regime: Annotated[float, "regime"] = nan
    regime_p: Annotated[float, "frac"] = nan
    liquidation_price: Annotated[float, "money"] = nan
    kill_score: Annotated[float, "frac"] = nan
    day_entry_count: Annotated[float, "count"] = nan
    day_slice_count: Annotated[float, "count"] = nan
    campaign_slice_count: Annotated[float, "count"] = nan
    strategy_win_count: Annotated[float, "count"] = nan
    strategy_loss_count: Annotated[float, "count"] = nan
    strategy_won: Annotated[float, "money"] = nan
    strategy_lost: Annotated[float, "money"] = nan
    news_window: Annotated[float, "flag"] = nan
    flat_ahead_s: Annotated[float, "s"] = nan
    cluster_notional: Annotated[float, "money"] = nan
    correlation: Annotated[float, "frac"] = nan
    correlated_notional: Annotated[float, "money"] = nan


Values = tuple[float, ...]
"""What `Facts` holds, in its order: the fused guards read it faster than a record."""


def _units() -> dict[str, Unit]:
    hints = get_type_hints(Facts, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items()}


FACT_UNITS: Final[dict[str, Unit]] = _units()
