"""
All guards, in the order in which vetoes become the headline of a denial.

Adding one: a limit in `limits`, a function in its family's file, a word here. What a guard is: `interlock.core.guard`.
"""

from typing import Final

from interlock.core.guard import Guard
from interlock.core.guards import authority, budget, exposure, freshness, loss, order, policy

GUARDS: Final[tuple[Guard, ...]] = (
    policy.policy_missing,
    policy.policy_invalid,
    policy.policy_stale,
    policy.policy_missing_field,
    policy.policy_universe_filter,
    policy.policy_missing_leverage,
    policy.policy_missing_size,
    authority.source_denied,
    authority.symbol_owned,
    authority.not_live,
    authority.trading_halted,
    authority.trading_reducing,
    authority.symbol_veto,
    authority.session_closed,
    authority.news_window,
    authority.session_flat,
    freshness.intent_stale,
    freshness.intent_conflict,
    freshness.equity_stale,
    freshness.equity_implausible,
    freshness.market_stale,
    freshness.position_unreconciled,
    freshness.controller_dead,
    freshness.clock_untrusted,
    loss.daily_loss,
    loss.weekly_loss,
    loss.drawdown,
    loss.total_drawdown,
    loss.equity_guard,
    loss.loss_headroom,
    order.spread_spike,
    order.price_collar,
    order.order_notional,
    order.order_quantity,
    order.order_rate,
    exposure.symbol_exposure,
    exposure.strategy_exposure,
    exposure.total_exposure,
    exposure.net_exposure,
    exposure.concurrent_positions,
    exposure.cluster_cap,
    exposure.correlation_veto,
    exposure.free_margin,
    order.stop_required,
    order.atr_spike,
    exposure.gross_leverage,
    order.trade_risk,
    order.liquidation_distance,
    budget.daily_risk_quota,
    budget.kelly_cap,
    order.kill_score,
)
