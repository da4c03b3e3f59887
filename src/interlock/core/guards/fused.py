"""
All guards in one function: generated from them by `make generate`, never edited.

`guard.ask` is what it must equal; a test compares the two on facts of every kind. 1e309 is infinity.
"""

from math import exp, nan

from interlock.core.codes import Code
from interlock.core.facts import Values
from interlock.core.guard import AskAll, Found
from interlock.core.limits import Limits


def guards_under(p: Limits, active: int) -> AskAll:
    """
    The guards that these bits leave on, under these limits: what follows from limits alone is computed here.

    The function takes facts, the notional >= 0 that is requested, in account currency, and a list to which it adds the
    guards that object. It returns the smallest allowance.
    """
    policy_missing_leverage_on = active >> 0 & 1 == 1
    policy_missing_size_on = active >> 1 & 1 == 1
    session_closed_on = active >> 2 & 1 == 1
    controller_dead_on = active >> 3 & 1 == 1
    daily_loss_on = active >> 4 & 1 == 1
    weekly_loss_on = active >> 5 & 1 == 1
    drawdown_on = active >> 6 & 1 == 1
    total_drawdown_on = active >> 7 & 1 == 1
    equity_guard_on = active >> 8 & 1 == 1
    loss_headroom_on = active >> 9 & 1 == 1
    spread_spike_on = active >> 10 & 1 == 1
    order_quantity_on = active >> 11 & 1 == 1
    order_rate_on = active >> 12 & 1 == 1
    symbol_exposure_on = active >> 13 & 1 == 1
    strategy_exposure_on = active >> 14 & 1 == 1
    net_exposure_on = active >> 15 & 1 == 1
    concurrent_positions_on = active >> 16 & 1 == 1
    free_margin_on = active >> 17 & 1 == 1
    stop_required_on = active >> 18 & 1 == 1
    atr_spike_on = active >> 28 & 1 == 1
    gross_leverage_on = active >> 29 & 1 == 1
    trade_risk_on = active >> 30 & 1 == 1
    liquidation_distance_on = active >> 31 & 1 == 1
    kill_score_on = active >> 32 & 1 == 1
    daily_risk_quota_on = active >> 43 & 1 == 1
    kelly_cap_on = active >> 44 & 1 == 1
    news_window_on = active >> 46 & 1 == 1
    session_flat_on = active >> 47 & 1 == 1
    cluster_cap_on = active >> 48 & 1 == 1
    correlation_veto_on = active >> 49 & 1 == 1
    p_day_loss_frac_max_by_1 = 1.0 - p.day_loss_frac_max
    p_week_loss_frac_max_by_1 = 1.0 - p.week_loss_frac_max
    p_drawdown_frac_max_by_1 = 1.0 - p.drawdown_frac_max
    p_total_drawdown_frac_max_by_1 = 1.0 - p.total_drawdown_frac_max
    p_equity_floor_frac_min = p.equity_floor_frac_min
    p_cost_frac = p.cost_frac
    p_margin_leverage_max = p.margin_leverage_max
    p_flat_lead_s = p.flat_lead_s
    p_clock_step_s_max_by_1 = -p.clock_step_s_max
    p_intent_age_s_max = p.intent_age_s_max
    p_equity_age_s_max_by_1 = -p.equity_age_s_max
    p_equity_age_s_max = p.equity_age_s_max
    p_equity_gap_frac_max = p.equity_gap_frac_max
    p_mark_age_s_max_by_1 = -p.mark_age_s_max
    p_mark_age_s_max = p.mark_age_s_max
    p_reconciled_age_s_max_by_1 = -p.reconciled_age_s_max
    p_reconciled_age_s_max = p.reconciled_age_s_max
    p_controller_age_s_max_by_1 = -p.controller_age_s_max
    p_controller_age_s_max = p.controller_age_s_max
    p_headroom_buffer_frac = p.headroom_buffer_frac
    p_spread_bps_max = p.spread_bps_max
    p_collar_frac_max = p.collar_frac_max
    p_order_notional_max = p.order_notional_max
    p_order_quantity_max = p.order_quantity_max
    p_order_interval_s_by_1 = p.order_interval_s * (p.order_burst_count_max - 1.0)
    p_order_interval_s_by_2 = (p.order_interval_s * (p.order_burst_count_max - 1.0) * 1000000.0 + 0.5) // 1.0
    p_symbol_exposure_frac_max = p.symbol_exposure_frac_max
    p_strategy_exposure_frac_max = p.strategy_exposure_frac_max
    p_total_exposure_frac_max = p.total_exposure_frac_max
    p_net_exposure_frac_max = p.net_exposure_frac_max
    p_position_count_max = p.position_count_max
    p_position_count_max_by_1 = p.position_count_max > 0.0
    p_cluster_exposure_frac_max = p.cluster_exposure_frac_max
    p_correlated_exposure_frac_max = p.correlated_exposure_frac_max
    p_correlation_max_by_1 = p.correlation_max >= 0.0
    p_correlation_max = p.correlation_max
    p_atr_frac_max = p.atr_frac_max
    p_market_state_age_s_max_by_1 = -p.market_state_age_s_max
    p_market_state_age_s_max = p.market_state_age_s_max
    p_gross_leverage_max = p.gross_leverage_max
    p_base_leverage_max = p.base_leverage_max
    p_trend_leverage_unsure_max = p.trend_leverage_unsure_max
    p_trend_leverage_max = p.trend_leverage_max
    p_chop_leverage_unsure_max = p.chop_leverage_unsure_max
    p_chop_leverage_max = p.chop_leverage_max
    p_trend_leverage_max_by_1 = (
        p.chop_leverage_unsure_max
        + p.chop_leverage_max
        + p.base_leverage_max
        + p.trend_leverage_unsure_max
        + p.trend_leverage_max
        >= 0.0
    )
    p_trend_risk_frac_max_by_1 = p.chop_risk_frac_max + p.base_risk_frac_max + p.trend_risk_frac_max >= 0.0
    p_base_risk_frac_max = p.base_risk_frac_max
    p_trend_risk_frac_max = p.trend_risk_frac_max
    p_chop_risk_frac_max = p.chop_risk_frac_max
    p_liquidation_buffer_frac = p.liquidation_buffer_frac
    p_quota_day_slice_count_max = p.quota_day_slice_count_max
    p_quota_campaign_slice_count_max = p.quota_campaign_slice_count_max
    p_quota_order_slice_count_max = p.quota_order_slice_count_max
    p_quota_day_entry_count_max = p.quota_day_entry_count_max
    p_quota_slice_frac = p.quota_slice_frac
    p_kelly_above_floor_by_1 = p.kelly_above_floor > 0.0
    p_kelly_prior_count = p.kelly_prior_count
    p_kelly_probe_frac = p.kelly_probe_frac
    p_kelly_multiplier = p.kelly_multiplier
    p_kelly_trade_count_min_by_1 = p.kelly_trade_count_min >= 0.0 and p.kelly_multiplier + p.kelly_prior_count >= 0.0
    p_kelly_above_floor_by_2 = p.kelly_above_floor == 0.0
    p_kelly_trade_count_min = p.kelly_trade_count_min
    p_kill_score_decay = p.kill_score_decay
    p_kill_score_min = p.kill_score_min
    p_kill_score_share_min = p.kill_score_share_min
    p_kill_score_decay_by_1 = p.kill_score_decay >= 0.0 and p.kill_score_share_min >= 0.0 and (p.kill_score_min >= 0.0)
    p_kill_score_critical = p.kill_score_critical

    def ask_all(facts: Values, requested: float, found: Found) -> float:
        (
            f_policy_loaded,
            f_policy_verified,
            f_policy_s_left,
            f_policy_complete,
            f_in_universe,
            f_source_may_open,
            f_symbol_free,
            f_live_ready,
            f_halted,
            f_reducing,
            f_symbol_vetoed,
            f_session_open,
            f_side,
            f_requested_quantity,
            f_requested_notional,
            f_unit_notional,
            f_worst_price,
            f_stop_price,
            f_target_price,
            f_stop_frac,
            f_margin_leverage,
            f_bracket_leverage,
            f_intent_age_s,
            f_intent_conflict,
            f_order_ahead_s,
            f_clock_trusted,
            f_controller_age_s,
            f_reconciled,
            f_reconciled_age_s,
            f_unknown_count,
            f_equity,
            _,
            _,
            f_equity_age_s,
            f_equity_gap_frac,
            f_equity_unexplained,
            _,
            f_initial_balance,
            f_equity_peak,
            f_drawdown_ref,
            f_day_open_equity,
            f_week_open_equity,
            f_bid,
            f_ask,
            f_mark,
            f_mark_age_s,
            f_book_age_s,
            f_rate_age_s,
            f_spread_bps,
            f_symbol_notional,
            f_symbol_is_open,
            f_strategy_notional,
            f_gross_notional,
            f_net_notional,
            f_pending_side_notional,
            f_position_count,
            f_free_margin,
            f_risk_at_stops,
            f_atr,
            f_market_state_age_s,
            f_regime,
            f_regime_p,
            f_liquidation_price,
            f_kill_score,
            f_day_entry_count,
            f_day_slice_count,
            f_campaign_slice_count,
            f_strategy_win_count,
            f_strategy_loss_count,
            f_strategy_won,
            f_strategy_lost,
            f_news_window,
            f_flat_ahead_s,
            f_cluster_notional,
            f_correlation,
            f_correlated_notional,
        ) = facts
        allowance = bar = 1e309
        least = requested if requested > 0.0 else 5e-324
        equity_known = 0.0 < f_equity and f_equity < 1e309
        day_open_equity_floor = f_day_open_equity * p_day_loss_frac_max_by_1 if f_day_open_equity > 0.0 else nan
        week_open_equity_floor = f_week_open_equity * p_week_loss_frac_max_by_1 if f_week_open_equity > 0.0 else nan
        drawdown_ref_floor = f_drawdown_ref * p_drawdown_frac_max_by_1 if f_drawdown_ref > 0.0 else nan
        equity_peak_floor = f_equity_peak * p_total_drawdown_frac_max_by_1 if f_equity_peak > 0.0 else nan
        nearest_day = day_open_equity_floor if daily_loss_on else -1e309
        nearest_week = week_open_equity_floor if weekly_loss_on else -1e309
        nearest_recent = drawdown_ref_floor if drawdown_on else -1e309
        nearest_total = equity_peak_floor if total_drawdown_on else -1e309
        nearest_floor = f_initial_balance * p_equity_floor_frac_min if equity_guard_on else -1e309
        nearest_floor = (
            nearest_floor if nearest_floor >= nearest_day else nearest_day if nearest_day > nearest_floor else nan
        )
        nearest_floor = (
            nearest_floor if nearest_floor >= nearest_week else nearest_week if nearest_week > nearest_floor else nan
        )
        nearest_floor = (
            nearest_floor if nearest_floor >= nearest_recent else nearest_recent if nearest_recent > nearest_floor else nan
        )
        nearest_floor = (
            nearest_floor if nearest_floor >= nearest_total else nearest_total if nearest_total > nearest_floor else nan
        )
        lost_frac = f_stop_frac + p_cost_frac
        if not f_policy_loaded == 1.0:
            found.append((Code.POLICY_MISSING, 0.0))
            allowance = 0.0
        if not f_policy_verified == 1.0:
            found.append((Code.POLICY_INVALID, 0.0))
            allowance = 0.0
        if not (0.0 <= f_policy_s_left and f_policy_s_left < 1e309):
            found.append((Code.POLICY_STALE, 0.0))
            allowance = 0.0
        if not f_policy_complete == 1.0:
            found.append((Code.POLICY_MISSING_FIELD, 0.0))
            allowance = 0.0
        if not f_in_universe == 1.0:
            found.append((Code.POLICY_UNIVERSE_FILTER, 0.0))
            allowance = 0.0
        if (
            not (
                (0.0 < f_margin_leverage and f_margin_leverage <= p_margin_leverage_max)
                and f_margin_leverage <= f_bracket_leverage
            )
            and policy_missing_leverage_on
        ):
            found.append((Code.POLICY_MISSING_LEVERAGE, 0.0))
            allowance = 0.0
        if not (0.0 < f_requested_notional and f_requested_notional < 1e309) and policy_missing_size_on:
            found.append((Code.POLICY_MISSING_SIZE, 0.0))
            allowance = 0.0
        if not f_source_may_open == 1.0:
            found.append((Code.SOURCE_DENIED, 0.0))
            allowance = 0.0
        if not f_symbol_free == 1.0:
            found.append((Code.SYMBOL_OWNED, 0.0))
            allowance = 0.0
        if not f_live_ready == 1.0:
            found.append((Code.NOT_LIVE, 0.0))
            allowance = 0.0
        if not f_halted == 0.0:
            found.append((Code.TRADING_HALTED, 0.0))
            allowance = 0.0
        if not f_reducing == 0.0:
            found.append((Code.TRADING_REDUCING, 0.0))
            allowance = 0.0
        if not f_symbol_vetoed == 0.0:
            found.append((Code.SYMBOL_VETO, 0.0))
            allowance = 0.0
        if not f_session_open == 1.0 and session_closed_on:
            found.append((Code.SESSION_CLOSED, 0.0))
            allowance = 0.0
        if not f_news_window == 0.0 and news_window_on:
            found.append((Code.NEWS_WINDOW, 0.0))
            allowance = 0.0
        if not f_flat_ahead_s > p_flat_lead_s and session_flat_on:
            found.append((Code.SESSION_FLAT, 0.0))
            allowance = 0.0
        if not (p_clock_step_s_max_by_1 <= f_intent_age_s and f_intent_age_s <= p_intent_age_s_max):
            found.append((Code.INTENT_STALE, 0.0))
            allowance = 0.0
        if not f_intent_conflict == 0.0:
            found.append((Code.INTENT_CONFLICT, 0.0))
            allowance = 0.0
        if not (p_equity_age_s_max_by_1 <= f_equity_age_s and f_equity_age_s <= p_equity_age_s_max):
            found.append((Code.EQUITY_STALE, 0.0))
            allowance = 0.0
        if not (
            (equity_known and (0.0 <= f_equity_gap_frac and f_equity_gap_frac <= p_equity_gap_frac_max))
            and f_equity_unexplained == 0.0
        ):
            found.append((Code.EQUITY_IMPLAUSIBLE, 0.0))
            allowance = 0.0
        if not (
            (0.0 < f_bid and f_bid <= f_ask and (f_ask < 1e309))
            and (0.0 < f_mark and f_mark < 1e309)
            and (p_mark_age_s_max_by_1 <= f_mark_age_s and f_mark_age_s <= p_mark_age_s_max)
            and (p_mark_age_s_max_by_1 <= f_book_age_s and f_book_age_s <= p_mark_age_s_max)
            and (p_mark_age_s_max_by_1 <= f_rate_age_s and f_rate_age_s <= p_mark_age_s_max)
        ):
            found.append((Code.MARKET_STALE, 0.0))
            allowance = 0.0
        if not (
            (
                f_reconciled == 1.0
                and (p_reconciled_age_s_max_by_1 <= f_reconciled_age_s and f_reconciled_age_s <= p_reconciled_age_s_max)
            )
            and f_unknown_count == 0.0
        ):
            found.append((Code.POSITION_UNRECONCILED, 0.0))
            allowance = 0.0
        if (
            not (p_controller_age_s_max_by_1 <= f_controller_age_s and f_controller_age_s <= p_controller_age_s_max)
            and controller_dead_on
        ):
            found.append((Code.CONTROLLER_DEAD, 0.0))
            allowance = 0.0
        if not f_clock_trusted == 1.0:
            found.append((Code.CLOCK_UNTRUSTED, 0.0))
            allowance = 0.0
        if (
            not (
                -1e309 < day_open_equity_floor
                and day_open_equity_floor <= f_equity
                and (f_equity < 1e309)
                or (f_equity * 1000000.0 + 0.5) // 1.0 >= (day_open_equity_floor * 1000000.0 + 0.5) // 1.0
            )
            and daily_loss_on
        ):
            found.append((Code.DAILY_LOSS, 0.0))
            allowance = 0.0
        if (
            not (
                -1e309 < week_open_equity_floor
                and week_open_equity_floor <= f_equity
                and (f_equity < 1e309)
                or (f_equity * 1000000.0 + 0.5) // 1.0 >= (week_open_equity_floor * 1000000.0 + 0.5) // 1.0
            )
            and weekly_loss_on
        ):
            found.append((Code.WEEKLY_LOSS, 0.0))
            allowance = 0.0
        if (
            not (
                -1e309 < drawdown_ref_floor
                and drawdown_ref_floor <= f_equity
                and (f_equity < 1e309)
                or (f_equity * 1000000.0 + 0.5) // 1.0 >= (drawdown_ref_floor * 1000000.0 + 0.5) // 1.0
            )
            and drawdown_on
        ):
            found.append((Code.DRAWDOWN, 0.0))
            allowance = 0.0
        if (
            not (
                -1e309 < equity_peak_floor
                and equity_peak_floor <= f_equity
                and (f_equity < 1e309)
                or (f_equity * 1000000.0 + 0.5) // 1.0 >= (equity_peak_floor * 1000000.0 + 0.5) // 1.0
            )
            and total_drawdown_on
        ):
            found.append((Code.TOTAL_DRAWDOWN, 0.0))
            allowance = 0.0
        if (
            not (
                f_initial_balance > 0.0
                and (
                    2.0 / 1000000.0 < f_equity - f_initial_balance * p_equity_floor_frac_min < 1e309
                    or (f_equity * 1000000.0 + 0.5) // 1.0
                    > (f_initial_balance * p_equity_floor_frac_min * 1000000.0 + 0.5) // 1.0
                )
            )
            and equity_guard_on
        ):
            found.append((Code.EQUITY_GUARD, 0.0))
            allowance = 0.0
        if loss_headroom_on:
            allowed = (
                (f_equity - nearest_floor - p_headroom_buffer_frac * f_initial_balance - f_risk_at_stops) / lost_frac
                if f_stop_frac > 0.0 and lost_frac > 0.0 and (f_risk_at_stops >= 0.0) and (f_initial_balance > 0.0)
                else 0.0
            )
            if not allowed >= bar:
                if not (
                    allowed > 0.0
                    and (
                        allowed >= requested
                        or (-1e309 < requested and requested <= allowed and (allowed < 1e309))
                        or (allowed * 1000000.0 + 0.5) // 1.0 >= (requested * 1000000.0 + 0.5) // 1.0
                    )
                ):
                    if not allowed > 0.0:
                        allowed = 0.0
                    found.append((Code.LOSS_HEADROOM, allowed))
                if allowed < allowance:
                    allowance = allowed
                bar = allowance if allowance > least else least
        if not (0.0 <= f_spread_bps and f_spread_bps <= p_spread_bps_max) and spread_spike_on:
            found.append((Code.SPREAD_SPIKE, 0.0))
            allowance = 0.0
        if not (f_worst_price > 0.0 and f_mark > 0.0 and (abs(f_worst_price - f_mark) <= p_collar_frac_max * f_mark)):
            found.append((Code.PRICE_COLLAR, 0.0))
            allowance = 0.0
        allowed = p_order_notional_max if 0.0 < f_requested_notional and f_requested_notional < 1e309 else 0.0
        if not allowed >= bar:
            if not (
                allowed > 0.0
                and (
                    allowed >= requested
                    or (-1e309 < requested and requested <= allowed and (allowed < 1e309))
                    or (allowed * 1000000.0 + 0.5) // 1.0 >= (requested * 1000000.0 + 0.5) // 1.0
                )
            ):
                if not allowed > 0.0:
                    allowed = 0.0
                found.append((Code.ORDER_NOTIONAL, allowed))
            if allowed < allowance:
                allowance = allowed
            bar = allowance if allowance > least else least
        if order_quantity_on:
            allowed = (
                p_order_quantity_max * f_unit_notional
                if (0.0 < f_requested_quantity and f_requested_quantity < 1e309)
                and (0.0 < f_unit_notional and f_unit_notional < 1e309)
                else 0.0
            )
            if not allowed >= bar:
                if not (
                    allowed > 0.0
                    and (
                        allowed >= requested
                        or (-1e309 < requested and requested <= allowed and (allowed < 1e309))
                        or (allowed * 1000000.0 + 0.5) // 1.0 >= (requested * 1000000.0 + 0.5) // 1.0
                    )
                ):
                    if not allowed > 0.0:
                        allowed = 0.0
                    found.append((Code.ORDER_QUANTITY, allowed))
                if allowed < allowance:
                    allowance = allowed
                bar = allowance if allowance > least else least
        if (
            not (
                -1e309 < f_order_ahead_s <= p_order_interval_s_by_1 < 1e309
                or p_order_interval_s_by_2 >= (f_order_ahead_s * 1000000.0 + 0.5) // 1.0
            )
            and order_rate_on
        ):
            found.append((Code.ORDER_RATE, 0.0))
            allowance = 0.0
        if symbol_exposure_on:
            line = p_symbol_exposure_frac_max * f_equity
            allowed = line - f_symbol_notional if f_symbol_notional >= 0.0 and line < 1e309 else 0.0
            if not allowed >= bar:
                if not (
                    allowed > 0.0
                    and (
                        allowed >= requested
                        or (-1e309 < requested and requested <= allowed and (allowed < 1e309))
                        or (allowed * 1000000.0 + 0.5) // 1.0 >= (requested * 1000000.0 + 0.5) // 1.0
                    )
                ):
                    if not allowed > 0.0:
                        allowed = 0.0
                    found.append((Code.SYMBOL_EXPOSURE, allowed))
                if allowed < allowance:
                    allowance = allowed
                bar = allowance if allowance > least else least
        if strategy_exposure_on:
            line = p_strategy_exposure_frac_max * f_equity
            allowed = line - f_strategy_notional if f_strategy_notional >= 0.0 and line < 1e309 else 0.0
            if not allowed >= bar:
                if not (
                    allowed > 0.0
                    and (
                        allowed >= requested
                        or (-1e309 < requested and requested <= allowed and (allowed < 1e309))
                        or (allowed * 1000000.0 + 0.5) // 1.0 >= (requested * 1000000.0 + 0.5) // 1.0
                    )
                ):
                    if not allowed > 0.0:
                        allowed = 0.0
                    found.append((Code.STRATEGY_EXPOSURE, allowed))
                if allowed < allowance:
                    allowance = allowed
                bar = allowance if allowance > least else least
        line = p_total_exposure_frac_max * f_equity
        allowed = line - f_gross_notional if f_gross_notional >= 0.0 and line < 1e309 else 0.0
        if not allowed >= bar:
            if not (
                allowed > 0.0
                and (
                    allowed >= requested
                    or (-1e309 < requested and requested <= allowed and (allowed < 1e309))
                    or (allowed * 1000000.0 + 0.5) // 1.0 >= (requested * 1000000.0 + 0.5) // 1.0
                )
            ):
                if not allowed > 0.0:
                    allowed = 0.0
                found.append((Code.TOTAL_EXPOSURE, allowed))
            if allowed < allowance:
                allowance = allowed
            bar = allowance if allowance > least else least
        if net_exposure_on:
            net = f_side * f_net_notional
            allowed = (
                p_net_exposure_frac_max * f_equity - (net + f_pending_side_notional)
                if f_side * f_side == 1.0 and net > -1e309 and (f_pending_side_notional >= 0.0) and equity_known
                else 0.0
            )
            if not allowed >= bar:
                if not (
                    allowed > 0.0
                    and (
                        allowed >= requested
                        or (-1e309 < requested and requested <= allowed and (allowed < 1e309))
                        or (allowed * 1000000.0 + 0.5) // 1.0 >= (requested * 1000000.0 + 0.5) // 1.0
                    )
                ):
                    if not allowed > 0.0:
                        allowed = 0.0
                    found.append((Code.NET_EXPOSURE, allowed))
                if allowed < allowance:
                    allowance = allowed
                bar = allowance if allowance > least else least
        if (
            not (
                (0.0 <= f_position_count and f_position_count < 1e309)
                and (
                    f_symbol_is_open == 0.0
                    and f_position_count < p_position_count_max
                    or (f_symbol_is_open == 1.0 and p_position_count_max_by_1)
                )
            )
            and concurrent_positions_on
        ):
            found.append((Code.CONCURRENT_POSITIONS, 0.0))
            allowance = 0.0
        if cluster_cap_on:
            line = p_cluster_exposure_frac_max * f_equity
            allowed = line - f_cluster_notional if f_cluster_notional >= 0.0 and line < 1e309 else 0.0
            if not allowed >= bar:
                if not (
                    allowed > 0.0
                    and (
                        allowed >= requested
                        or (-1e309 < requested and requested <= allowed and (allowed < 1e309))
                        or (allowed * 1000000.0 + 0.5) // 1.0 >= (requested * 1000000.0 + 0.5) // 1.0
                    )
                ):
                    if not allowed > 0.0:
                        allowed = 0.0
                    found.append((Code.CLUSTER_CAP, allowed))
                if allowed < allowance:
                    allowance = allowed
                bar = allowance if allowance > least else least
        if correlation_veto_on:
            line = p_correlated_exposure_frac_max * f_equity
            known = (
                (-1.0 <= f_correlation and f_correlation <= 1.0)
                and (0.0 <= f_correlated_notional and f_correlated_notional < 1e309)
                and equity_known
            )
            given = p_correlation_max_by_1 and line >= 0.0
            allowed = (
                1e309
                if known and given and (f_correlation <= p_correlation_max)
                else line - f_correlated_notional
                if known and given
                else 0.0
            )
            if not allowed >= bar:
                if not (
                    allowed > 0.0
                    and (
                        allowed >= requested
                        or (-1e309 < requested and requested <= allowed and (allowed < 1e309))
                        or (allowed * 1000000.0 + 0.5) // 1.0 >= (requested * 1000000.0 + 0.5) // 1.0
                    )
                ):
                    if not allowed > 0.0:
                        allowed = 0.0
                    found.append((Code.CORRELATION_VETO, allowed))
                if allowed < allowance:
                    allowance = allowed
                bar = allowance if allowance > least else least
        if free_margin_on:
            allowed = (
                f_free_margin * f_margin_leverage
                if f_free_margin < 1e309 and (0.0 < f_margin_leverage and f_margin_leverage < 1e309)
                else 0.0
            )
            if not allowed >= bar:
                if not (
                    allowed > 0.0
                    and (
                        allowed >= requested
                        or (-1e309 < requested and requested <= allowed and (allowed < 1e309))
                        or (allowed * 1000000.0 + 0.5) // 1.0 >= (requested * 1000000.0 + 0.5) // 1.0
                    )
                ):
                    if not allowed > 0.0:
                        allowed = 0.0
                    found.append((Code.FREE_MARGIN, allowed))
                if allowed < allowance:
                    allowance = allowed
                bar = allowance if allowance > least else least
        if (
            not (
                f_side * f_side == 1.0
                and (0.0 < f_stop_price and f_stop_price < 1e309)
                and (f_side * (f_worst_price - f_stop_price) > 0.0)
                and (f_side * (f_mark - f_stop_price) > 0.0)
                and (f_side * (f_target_price - f_worst_price) > 0.0)
            )
            and stop_required_on
        ):
            found.append((Code.STOP_REQUIRED, 0.0))
            allowance = 0.0
        if (
            not (
                (0.0 < f_atr and f_atr <= p_atr_frac_max * f_mark)
                and f_mark < 1e309
                and (
                    p_market_state_age_s_max_by_1 <= f_market_state_age_s
                    and f_market_state_age_s <= p_market_state_age_s_max
                )
            )
            and atr_spike_on
        ):
            found.append((Code.ATR_SPIKE, 0.0))
            allowance = 0.0
        if gross_leverage_on:
            sure = 2.0 * f_regime_p - 1.0 if f_regime_p > 0.5 else 0.0
            total = p_gross_leverage_max * f_equity - f_gross_notional
            here = (
                p_base_leverage_max
                if f_regime == 2.0
                else p_trend_leverage_unsure_max * (1.0 - sure) + p_trend_leverage_max * sure
                if f_regime == 3.0
                else p_chop_leverage_unsure_max * (1.0 - sure) + p_chop_leverage_max * sure
                if f_regime == 1.0
                else nan
            ) * f_equity - f_symbol_notional
            allowed = (
                (total if total <= here else here if here < total else nan)
                if p_trend_leverage_max_by_1
                and (0.0 <= f_regime_p and f_regime_p <= 1.0)
                and (f_gross_notional >= 0.0)
                and (f_symbol_notional >= 0.0)
                and (f_equity < 1e309)
                else 0.0
            )
            if not allowed >= bar:
                if not (
                    allowed > 0.0
                    and (
                        allowed >= requested
                        or (-1e309 < requested and requested <= allowed and (allowed < 1e309))
                        or (allowed * 1000000.0 + 0.5) // 1.0 >= (requested * 1000000.0 + 0.5) // 1.0
                    )
                ):
                    if not allowed > 0.0:
                        allowed = 0.0
                    found.append((Code.GROSS_LEVERAGE, allowed))
                if allowed < allowance:
                    allowance = allowed
                bar = allowance if allowance > least else least
        if trade_risk_on:
            allowed = (
                (
                    p_base_risk_frac_max
                    if f_regime == 2.0
                    else p_trend_risk_frac_max
                    if f_regime == 3.0
                    else p_chop_risk_frac_max
                    if f_regime == 1.0
                    else nan
                )
                * f_equity
                / lost_frac
                if p_trend_risk_frac_max_by_1 and f_stop_frac > 0.0 and (lost_frac > 0.0) and equity_known
                else 0.0
            )
            if not allowed >= bar:
                if not (
                    allowed > 0.0
                    and (
                        allowed >= requested
                        or (-1e309 < requested and requested <= allowed and (allowed < 1e309))
                        or (allowed * 1000000.0 + 0.5) // 1.0 >= (requested * 1000000.0 + 0.5) // 1.0
                    )
                ):
                    if not allowed > 0.0:
                        allowed = 0.0
                    found.append((Code.TRADE_RISK, allowed))
                if allowed < allowance:
                    allowance = allowed
                bar = allowance if allowance > least else least
        if (
            not (
                f_side * f_side == 1.0
                and (0.0 < f_stop_price and f_stop_price < 1e309)
                and (0.0 < f_worst_price and f_worst_price < 1e309)
                and (f_liquidation_price >= 0.0)
                and (f_side * (f_stop_price - f_liquidation_price) >= p_liquidation_buffer_frac * f_worst_price)
            )
            and liquidation_distance_on
        ):
            found.append((Code.LIQUIDATION_DISTANCE, 0.0))
            allowance = 0.0
        if daily_risk_quota_on:
            day = p_quota_day_slice_count_max - f_day_slice_count
            campaign = p_quota_campaign_slice_count_max - f_campaign_slice_count
            today = (
                p_quota_order_slice_count_max
                if p_quota_order_slice_count_max <= day
                else day
                if day < p_quota_order_slice_count_max
                else nan
            )
            allowed = (
                (today if today <= campaign else campaign if campaign < today else nan)
                // 1.0
                * p_quota_slice_frac
                * f_day_open_equity
                / lost_frac
                if (f_day_slice_count >= 0.0 and f_campaign_slice_count >= 0.0 and (f_day_entry_count >= 0.0))
                and f_day_entry_count + 1.0 <= p_quota_day_entry_count_max
                and (f_stop_frac > 0.0)
                and (lost_frac > 0.0)
                and (0.0 < f_day_open_equity and f_day_open_equity < 1e309)
                else 0.0
            )
            if not allowed >= bar:
                if not (
                    allowed > 0.0
                    and (
                        allowed >= requested
                        or (-1e309 < requested and requested <= allowed and (allowed < 1e309))
                        or (allowed * 1000000.0 + 0.5) // 1.0 >= (requested * 1000000.0 + 0.5) // 1.0
                    )
                ):
                    if not allowed > 0.0:
                        allowed = 0.0
                    found.append((Code.DAILY_RISK_QUOTA, allowed))
                if allowed < allowance:
                    allowance = allowed
                bar = allowance if allowance > least else least
        if kelly_cap_on:
            stake = (
                f_equity - (nearest_floor if nearest_floor >= 0.0 else 0.0 if 0.0 > nearest_floor else nan)
                if p_kelly_above_floor_by_1
                else f_equity
            )
            full = (
                f_strategy_win_count
                / (f_strategy_win_count + f_strategy_loss_count + p_kelly_prior_count)
                * ((f_strategy_won - f_strategy_lost) / f_strategy_won)
                if f_strategy_won > 0.0 and f_strategy_win_count + f_strategy_loss_count + p_kelly_prior_count > 0.0
                else nan
            )
            probe = p_kelly_probe_frac * f_equity
            earned = p_kelly_multiplier * (full if full >= 0.0 else 0.0 if 0.0 > full else nan) * stake
            allowed = (
                (
                    (earned if earned >= probe else probe if probe > earned else nan)
                    if f_strategy_win_count + f_strategy_loss_count >= p_kelly_trade_count_min
                    and f_strategy_win_count > 0.0
                    and (f_strategy_loss_count > 0.0)
                    else probe
                )
                / lost_frac
                if p_kelly_trade_count_min_by_1
                and (
                    (0.0 <= f_strategy_win_count and f_strategy_win_count < 1e309)
                    and (0.0 <= f_strategy_loss_count and f_strategy_loss_count < 1e309)
                )
                and (
                    (0.0 <= f_strategy_won and f_strategy_won < 1e309)
                    and (0.0 <= f_strategy_lost and f_strategy_lost < 1e309)
                    and equity_known
                    and (stake > -1e309)
                )
                and (f_initial_balance > 0.0 if p_kelly_above_floor_by_1 else p_kelly_above_floor_by_2)
                and (f_strategy_won > 0.0 or f_strategy_win_count == 0.0)
                and (f_stop_frac > 0.0)
                and (lost_frac > 0.0)
                else 0.0
            )
            if not allowed >= bar:
                if not (
                    allowed > 0.0
                    and (
                        allowed >= requested
                        or (-1e309 < requested and requested <= allowed and (allowed < 1e309))
                        or (allowed * 1000000.0 + 0.5) // 1.0 >= (requested * 1000000.0 + 0.5) // 1.0
                    )
                ):
                    if not allowed > 0.0:
                        allowed = 0.0
                    found.append((Code.KELLY_CAP, allowed))
                if allowed < allowance:
                    allowance = allowed
                bar = allowance if allowance > least else least
        if kill_score_on:
            over = p_kill_score_decay * (f_kill_score - p_kill_score_min)
            least = exp(-over) if over >= 0.0 else 1.0
            shared = (
                least
                if least >= p_kill_score_share_min
                else p_kill_score_share_min
                if p_kill_score_share_min > least
                else nan
            )
            known = (
                p_kill_score_decay_by_1
                and (0.0 < f_requested_notional and f_requested_notional < 1e309)
                and (0.5 <= f_kill_score and f_kill_score < p_kill_score_critical)
            )
            allowed = (
                1e309
                if known and f_kill_score < p_kill_score_min
                else f_requested_notional * (shared if shared <= 1.0 else 1.0 if 1.0 < shared else nan)
                if known
                else 0.0
            )
            if not allowed >= bar:
                if not (
                    allowed > 0.0
                    and (
                        allowed >= requested
                        or (-1e309 < requested and requested <= allowed and (allowed < 1e309))
                        or (allowed * 1000000.0 + 0.5) // 1.0 >= (requested * 1000000.0 + 0.5) // 1.0
                    )
                ):
                    if not allowed > 0.0:
                        allowed = 0.0
                    found.append((Code.KILL_SCORE, allowed))
                if allowed < allowance:
                    allowance = allowed
                bar = allowance if allowance > least else least
        return allowance

    return ask_all
