"""
All guards in one function: generated from them by `make generate`, never edited.

`guard.ask` is what it must equal; a test compares the two on facts of every kind.
"""

from math import exp, inf, nan

from interlock.core.codes import Code
from interlock.core.constants import BASE, CHOP, MONEY_SCALE, TREND
from interlock.core.facts import Facts
from interlock.core.limits import Limits

Found = list[tuple[Code, float]]


def ask_all(f: Facts, p: Limits, active: int, requested: float, found: Found) -> float:
    """The smallest allowance of the active guards, in account currency; those that object are added to `found`."""
    allowance = inf
    active_0 = active & 1073741823
    active_1 = active >> 30
    f_equity = f.equity
    f_day_open_equity = f.day_open_equity
    f_initial_balance = f.initial_balance
    f_stop_frac = f.stop_frac
    p_cost_frac = p.cost_frac
    f_gross_notional = f.gross_notional
    f_side = f.side
    f_symbol_notional = f.symbol_notional
    f_worst_price = f.worst_price
    f_mark = f.mark
    f_requested_notional = f.requested_notional
    f_margin_leverage = f.margin_leverage
    f_regime_p = f.regime_p
    f_kill_score = f.kill_score
    p_kill_score_share_min = p.kill_score_share_min
    p_mark_age_s_max = p.mark_age_s_max
    f_strategy_won = f.strategy_won
    f_strategy_win_count = f.strategy_win_count
    f_stop_price = f.stop_price
    f_regime = f.regime
    f_strategy_loss_count = f.strategy_loss_count
    day_open_equity_floor = f_day_open_equity * (1.0 - p.day_loss_frac_max) if f_day_open_equity > 0.0 else nan
    week_open_equity_floor = f.week_open_equity * (1.0 - p.week_loss_frac_max) if f.week_open_equity > 0.0 else nan
    drawdown_ref_floor = f.drawdown_ref * (1.0 - p.drawdown_frac_max) if f.drawdown_ref > 0.0 else nan
    equity_peak_floor = f.equity_peak * (1.0 - p.total_drawdown_frac_max) if f.equity_peak > 0.0 else nan
    nearest_day = day_open_equity_floor if active_0 & 16 else -inf
    nearest_week = week_open_equity_floor if active_0 & 32 else -inf
    nearest_recent = drawdown_ref_floor if active_0 & 64 else -inf
    nearest_total = equity_peak_floor if active_0 & 128 else -inf
    nearest_floor = f_initial_balance * p.equity_floor_frac_min if active_0 & 256 else -inf
    nearest_floor = nearest_floor if nearest_floor >= nearest_day else nearest_day if nearest_day > nearest_floor else nan
    nearest_floor = (
        nearest_floor if nearest_floor >= nearest_week else nearest_week if nearest_week > nearest_floor else nan
    )
    nearest_floor = (
        nearest_floor if nearest_floor >= nearest_recent else nearest_recent if nearest_recent > nearest_floor else nan
    )
    nearest_floor = (
        nearest_floor if nearest_floor >= nearest_total else nearest_total if nearest_total > nearest_floor else nan
    )
    if not f.policy_loaded == 1.0:
        found.append((Code.POLICY_MISSING, 0.0))
        allowance = 0.0
    if not f.policy_verified == 1.0:
        found.append((Code.POLICY_INVALID, 0.0))
        allowance = 0.0
    if not (0.0 <= f.policy_s_left and f.policy_s_left < inf):
        found.append((Code.POLICY_STALE, 0.0))
        allowance = 0.0
    if not f.policy_complete == 1.0:
        found.append((Code.POLICY_MISSING_FIELD, 0.0))
        allowance = 0.0
    if not f.in_universe == 1.0:
        found.append((Code.POLICY_UNIVERSE_FILTER, 0.0))
        allowance = 0.0
    if (
        not (
            (0.0 < f_margin_leverage and f_margin_leverage <= p.margin_leverage_max)
            and f_margin_leverage <= f.bracket_leverage
        )
        and active_0 & 1
    ):
        found.append((Code.POLICY_MISSING_LEVERAGE, 0.0))
        allowance = 0.0
    if not (0.0 < f_requested_notional and f_requested_notional < inf) and active_0 & 2:
        found.append((Code.POLICY_MISSING_SIZE, 0.0))
        allowance = 0.0
    if not f.source_may_open == 1.0:
        found.append((Code.SOURCE_DENIED, 0.0))
        allowance = 0.0
    if not f.symbol_free == 1.0:
        found.append((Code.SYMBOL_OWNED, 0.0))
        allowance = 0.0
    if not f.live_ready == 1.0:
        found.append((Code.NOT_LIVE, 0.0))
        allowance = 0.0
    if not f.halted == 0.0:
        found.append((Code.TRADING_HALTED, 0.0))
        allowance = 0.0
    if not f.reducing == 0.0:
        found.append((Code.TRADING_REDUCING, 0.0))
        allowance = 0.0
    if not f.symbol_vetoed == 0.0:
        found.append((Code.SYMBOL_VETO, 0.0))
        allowance = 0.0
    if not f.session_open == 1.0 and active_0 & 4:
        found.append((Code.SESSION_CLOSED, 0.0))
        allowance = 0.0
    if not f.news_window == 0.0 and active_1 & 65536:
        found.append((Code.NEWS_WINDOW, 0.0))
        allowance = 0.0
    if not f.flat_ahead_s > p.flat_lead_s and active_1 & 131072:
        found.append((Code.SESSION_FLAT, 0.0))
        allowance = 0.0
    if not (-p.clock_step_s_max <= f.intent_age_s and f.intent_age_s <= p.intent_age_s_max):
        found.append((Code.INTENT_STALE, 0.0))
        allowance = 0.0
    if not f.intent_conflict == 0.0:
        found.append((Code.INTENT_CONFLICT, 0.0))
        allowance = 0.0
    if not (-p.equity_age_s_max <= f.equity_age_s and f.equity_age_s <= p.equity_age_s_max):
        found.append((Code.EQUITY_STALE, 0.0))
        allowance = 0.0
    if not (
        ((0.0 < f_equity and f_equity < inf) and (0.0 <= f.equity_gap_frac and f.equity_gap_frac <= p.equity_gap_frac_max))
        and f.equity_unexplained == 0.0
    ):
        found.append((Code.EQUITY_IMPLAUSIBLE, 0.0))
        allowance = 0.0
    if not (
        (0.0 < f.bid and f.bid <= f.ask and (f.ask < inf))
        and (0.0 < f_mark and f_mark < inf)
        and (-p_mark_age_s_max <= f.mark_age_s and f.mark_age_s <= p_mark_age_s_max)
        and (-p_mark_age_s_max <= f.book_age_s and f.book_age_s <= p_mark_age_s_max)
        and (-p_mark_age_s_max <= f.rate_age_s and f.rate_age_s <= p_mark_age_s_max)
    ):
        found.append((Code.MARKET_STALE, 0.0))
        allowance = 0.0
    if not (
        (
            f.reconciled == 1.0
            and (-p.reconciled_age_s_max <= f.reconciled_age_s and f.reconciled_age_s <= p.reconciled_age_s_max)
        )
        and f.unknown_count == 0.0
    ):
        found.append((Code.POSITION_UNRECONCILED, 0.0))
        allowance = 0.0
    if (
        not (-p.controller_age_s_max <= f.controller_age_s and f.controller_age_s <= p.controller_age_s_max)
        and active_0 & 8
    ):
        found.append((Code.CONTROLLER_DEAD, 0.0))
        allowance = 0.0
    if not f.clock_trusted == 1.0:
        found.append((Code.CLOCK_UNTRUSTED, 0.0))
        allowance = 0.0
    if (
        not (
            -inf < day_open_equity_floor
            and day_open_equity_floor <= f_equity
            and (f_equity < inf)
            or (f_equity * MONEY_SCALE + 0.5) // 1.0 >= (day_open_equity_floor * MONEY_SCALE + 0.5) // 1.0
        )
        and active_0 & 16
    ):
        found.append((Code.DAILY_LOSS, 0.0))
        allowance = 0.0
    if (
        not (
            -inf < week_open_equity_floor
            and week_open_equity_floor <= f_equity
            and (f_equity < inf)
            or (f_equity * MONEY_SCALE + 0.5) // 1.0 >= (week_open_equity_floor * MONEY_SCALE + 0.5) // 1.0
        )
        and active_0 & 32
    ):
        found.append((Code.WEEKLY_LOSS, 0.0))
        allowance = 0.0
    if (
        not (
            -inf < drawdown_ref_floor
            and drawdown_ref_floor <= f_equity
            and (f_equity < inf)
            or (f_equity * MONEY_SCALE + 0.5) // 1.0 >= (drawdown_ref_floor * MONEY_SCALE + 0.5) // 1.0
        )
        and active_0 & 64
    ):
        found.append((Code.DRAWDOWN, 0.0))
        allowance = 0.0
    if (
        not (
            -inf < equity_peak_floor
            and equity_peak_floor <= f_equity
            and (f_equity < inf)
            or (f_equity * MONEY_SCALE + 0.5) // 1.0 >= (equity_peak_floor * MONEY_SCALE + 0.5) // 1.0
        )
        and active_0 & 128
    ):
        found.append((Code.TOTAL_DRAWDOWN, 0.0))
        allowance = 0.0
    if (
        not (
            f_initial_balance > 0.0
            and (f_equity * MONEY_SCALE + 0.5) // 1.0
            > (f_initial_balance * p.equity_floor_frac_min * MONEY_SCALE + 0.5) // 1.0
        )
        and active_0 & 256
    ):
        found.append((Code.EQUITY_GUARD, 0.0))
        allowance = 0.0
    if active_0 & 512:
        lost_frac = f_stop_frac + p_cost_frac
        allowed = (
            (f_equity - nearest_floor - p.headroom_buffer_frac * f_initial_balance - f.risk_at_stops) / lost_frac
            if f_stop_frac > 0.0 and lost_frac > 0.0 and (f.risk_at_stops >= 0.0) and (f_initial_balance > 0.0)
            else 0.0
        )
        if allowed > 0.0 and (
            allowed >= requested
            or (-inf < requested and requested <= allowed and (allowed < inf))
            or (allowed * MONEY_SCALE + 0.5) // 1.0 >= (requested * MONEY_SCALE + 0.5) // 1.0
        ):
            if allowed < allowance:
                allowance = allowed
        else:
            if not allowed > 0.0:
                allowed = 0.0
            found.append((Code.LOSS_HEADROOM, allowed))
            if allowed < allowance:
                allowance = allowed
    if not (0.0 <= f.spread_bps and f.spread_bps <= p.spread_bps_max) and active_0 & 1024:
        found.append((Code.SPREAD_SPIKE, 0.0))
        allowance = 0.0
    if not (f_worst_price > 0.0 and f_mark > 0.0 and (abs(f_worst_price - f_mark) <= p.collar_frac_max * f_mark)):
        found.append((Code.PRICE_COLLAR, 0.0))
        allowance = 0.0
    allowed = p.order_notional_max if 0.0 < f_requested_notional and f_requested_notional < inf else 0.0
    if allowed > 0.0 and (
        allowed >= requested
        or (-inf < requested and requested <= allowed and (allowed < inf))
        or (allowed * MONEY_SCALE + 0.5) // 1.0 >= (requested * MONEY_SCALE + 0.5) // 1.0
    ):
        if allowed < allowance:
            allowance = allowed
    else:
        if not allowed > 0.0:
            allowed = 0.0
        found.append((Code.ORDER_NOTIONAL, allowed))
        if allowed < allowance:
            allowance = allowed
    if active_0 & 2048:
        allowed = (
            p.order_quantity_max * f.unit_notional
            if (0.0 < f.requested_quantity and f.requested_quantity < inf)
            and (0.0 < f.unit_notional and f.unit_notional < inf)
            else 0.0
        )
        if allowed > 0.0 and (
            allowed >= requested
            or (-inf < requested and requested <= allowed and (allowed < inf))
            or (allowed * MONEY_SCALE + 0.5) // 1.0 >= (requested * MONEY_SCALE + 0.5) // 1.0
        ):
            if allowed < allowance:
                allowance = allowed
        else:
            if not allowed > 0.0:
                allowed = 0.0
            found.append((Code.ORDER_QUANTITY, allowed))
            if allowed < allowance:
                allowance = allowed
    if (
        not (
            -inf < f.order_ahead_s <= p.order_interval_s * (p.order_burst_count_max - 1.0) < inf
            or (p.order_interval_s * (p.order_burst_count_max - 1.0) * MONEY_SCALE + 0.5) // 1.0
            >= (f.order_ahead_s * MONEY_SCALE + 0.5) // 1.0
        )
        and active_0 & 4096
    ):
        found.append((Code.ORDER_RATE, 0.0))
        allowance = 0.0
    if active_0 & 8192:
        line = p.symbol_exposure_frac_max * f_equity
        allowed = line - f_symbol_notional if f_symbol_notional >= 0.0 and (-inf < line and line < inf) else 0.0
        if allowed > 0.0 and (
            allowed >= requested
            or (-inf < requested and requested <= allowed and (allowed < inf))
            or (allowed * MONEY_SCALE + 0.5) // 1.0 >= (requested * MONEY_SCALE + 0.5) // 1.0
        ):
            if allowed < allowance:
                allowance = allowed
        else:
            if not allowed > 0.0:
                allowed = 0.0
            found.append((Code.SYMBOL_EXPOSURE, allowed))
            if allowed < allowance:
                allowance = allowed
    if active_0 & 16384:
        line = p.strategy_exposure_frac_max * f_equity
        allowed = line - f.strategy_notional if f.strategy_notional >= 0.0 and (-inf < line and line < inf) else 0.0
        if allowed > 0.0 and (
            allowed >= requested
            or (-inf < requested and requested <= allowed and (allowed < inf))
            or (allowed * MONEY_SCALE + 0.5) // 1.0 >= (requested * MONEY_SCALE + 0.5) // 1.0
        ):
            if allowed < allowance:
                allowance = allowed
        else:
            if not allowed > 0.0:
                allowed = 0.0
            found.append((Code.STRATEGY_EXPOSURE, allowed))
            if allowed < allowance:
                allowance = allowed
    line = p.total_exposure_frac_max * f_equity
    allowed = line - f_gross_notional if f_gross_notional >= 0.0 and (-inf < line and line < inf) else 0.0
    if allowed > 0.0 and (
        allowed >= requested
        or (-inf < requested and requested <= allowed and (allowed < inf))
        or (allowed * MONEY_SCALE + 0.5) // 1.0 >= (requested * MONEY_SCALE + 0.5) // 1.0
    ):
        if allowed < allowance:
            allowance = allowed
    else:
        if not allowed > 0.0:
            allowed = 0.0
        found.append((Code.TOTAL_EXPOSURE, allowed))
        if allowed < allowance:
            allowance = allowed
    if active_0 & 32768:
        net = f_side * f.net_notional
        allowed = (
            p.net_exposure_frac_max * f_equity - (net + f.pending_side_notional)
            if f_side * f_side == 1.0
            and net > -inf
            and (f.pending_side_notional >= 0.0)
            and (0.0 < f_equity and f_equity < inf)
            else 0.0
        )
        if allowed > 0.0 and (
            allowed >= requested
            or (-inf < requested and requested <= allowed and (allowed < inf))
            or (allowed * MONEY_SCALE + 0.5) // 1.0 >= (requested * MONEY_SCALE + 0.5) // 1.0
        ):
            if allowed < allowance:
                allowance = allowed
        else:
            if not allowed > 0.0:
                allowed = 0.0
            found.append((Code.NET_EXPOSURE, allowed))
            if allowed < allowance:
                allowance = allowed
    if (
        not (
            (0.0 <= f.position_count and f.position_count < inf)
            and (
                f.symbol_is_open == 0.0
                and f.position_count < p.position_count_max
                or (f.symbol_is_open == 1.0 and p.position_count_max > 0.0)
            )
        )
        and active_0 & 65536
    ):
        found.append((Code.CONCURRENT_POSITIONS, 0.0))
        allowance = 0.0
    if active_1 & 262144:
        line = p.cluster_exposure_frac_max * f_equity
        allowed = line - f.cluster_notional if f.cluster_notional >= 0.0 and (-inf < line and line < inf) else 0.0
        if allowed > 0.0 and (
            allowed >= requested
            or (-inf < requested and requested <= allowed and (allowed < inf))
            or (allowed * MONEY_SCALE + 0.5) // 1.0 >= (requested * MONEY_SCALE + 0.5) // 1.0
        ):
            if allowed < allowance:
                allowance = allowed
        else:
            if not allowed > 0.0:
                allowed = 0.0
            found.append((Code.CLUSTER_CAP, allowed))
            if allowed < allowance:
                allowance = allowed
    if active_1 & 524288:
        line = p.correlated_exposure_frac_max * f_equity
        known = (
            (-1.0 <= f.correlation and f.correlation <= 1.0)
            and (0.0 <= f.correlated_notional and f.correlated_notional < inf)
            and (0.0 < f_equity and f_equity < inf)
        )
        given = p.correlation_max >= 0.0 and line >= 0.0
        allowed = (
            inf
            if known and given and (f.correlation <= p.correlation_max)
            else line - f.correlated_notional
            if known and given
            else 0.0
        )
        if allowed > 0.0 and (
            allowed >= requested
            or (-inf < requested and requested <= allowed and (allowed < inf))
            or (allowed * MONEY_SCALE + 0.5) // 1.0 >= (requested * MONEY_SCALE + 0.5) // 1.0
        ):
            if allowed < allowance:
                allowance = allowed
        else:
            if not allowed > 0.0:
                allowed = 0.0
            found.append((Code.CORRELATION_VETO, allowed))
            if allowed < allowance:
                allowance = allowed
    if active_0 & 131072:
        allowed = (
            f.free_margin * f_margin_leverage
            if f.free_margin < inf and (0.0 < f_margin_leverage and f_margin_leverage < inf)
            else 0.0
        )
        if allowed > 0.0 and (
            allowed >= requested
            or (-inf < requested and requested <= allowed and (allowed < inf))
            or (allowed * MONEY_SCALE + 0.5) // 1.0 >= (requested * MONEY_SCALE + 0.5) // 1.0
        ):
            if allowed < allowance:
                allowance = allowed
        else:
            if not allowed > 0.0:
                allowed = 0.0
            found.append((Code.FREE_MARGIN, allowed))
            if allowed < allowance:
                allowance = allowed
    if (
        not (
            f_side * f_side == 1.0
            and (0.0 < f_stop_price and f_stop_price < inf)
            and (f_side * (f_worst_price - f_stop_price) > 0.0)
            and (f_side * (f_mark - f_stop_price) > 0.0)
            and (f_side * (f.target_price - f_worst_price) > 0.0)
        )
        and active_0 & 262144
    ):
        found.append((Code.STOP_REQUIRED, 0.0))
        allowance = 0.0
    if (
        not (
            (0.0 < f.atr and f.atr <= p.atr_frac_max * f_mark)
            and f_mark < inf
            and (-p.market_state_age_s_max <= f.market_state_age_s and f.market_state_age_s <= p.market_state_age_s_max)
        )
        and active_0 & 268435456
    ):
        found.append((Code.ATR_SPIKE, 0.0))
        allowance = 0.0
    if active_0 & 536870912:
        sure = 2.0 * f_regime_p - 1.0 if f_regime_p > 0.5 else 0.0
        total = p.gross_leverage_max * f_equity - f_gross_notional
        here = (
            p.base_leverage_max
            if f_regime == BASE
            else p.trend_leverage_unsure_max * (1.0 - sure) + p.trend_leverage_max * sure
            if f_regime == TREND
            else p.chop_leverage_unsure_max * (1.0 - sure) + p.chop_leverage_max * sure
            if f_regime == CHOP
            else nan
        ) * f_equity - f_symbol_notional
        allowed = (
            (total if total <= here else here if here < total else nan)
            if p.chop_leverage_unsure_max
            + p.chop_leverage_max
            + p.base_leverage_max
            + p.trend_leverage_unsure_max
            + p.trend_leverage_max
            >= 0.0
            and (0.0 <= f_regime_p and f_regime_p <= 1.0)
            and (f_gross_notional >= 0.0)
            and (f_symbol_notional >= 0.0)
            and (f_equity < inf)
            else 0.0
        )
        if allowed > 0.0 and (
            allowed >= requested
            or (-inf < requested and requested <= allowed and (allowed < inf))
            or (allowed * MONEY_SCALE + 0.5) // 1.0 >= (requested * MONEY_SCALE + 0.5) // 1.0
        ):
            if allowed < allowance:
                allowance = allowed
        else:
            if not allowed > 0.0:
                allowed = 0.0
            found.append((Code.GROSS_LEVERAGE, allowed))
            if allowed < allowance:
                allowance = allowed
    if active_1 & 1:
        lost_frac = f_stop_frac + p_cost_frac
        allowed = (
            (
                p.base_risk_frac_max
                if f_regime == BASE
                else p.trend_risk_frac_max
                if f_regime == TREND
                else p.chop_risk_frac_max
                if f_regime == CHOP
                else nan
            )
            * f_equity
            / lost_frac
            if p.chop_risk_frac_max + p.base_risk_frac_max + p.trend_risk_frac_max >= 0.0
            and f_stop_frac > 0.0
            and (lost_frac > 0.0)
            and (0.0 < f_equity and f_equity < inf)
            else 0.0
        )
        if allowed > 0.0 and (
            allowed >= requested
            or (-inf < requested and requested <= allowed and (allowed < inf))
            or (allowed * MONEY_SCALE + 0.5) // 1.0 >= (requested * MONEY_SCALE + 0.5) // 1.0
        ):
            if allowed < allowance:
                allowance = allowed
        else:
            if not allowed > 0.0:
                allowed = 0.0
            found.append((Code.TRADE_RISK, allowed))
            if allowed < allowance:
                allowance = allowed
    if (
        not (
            f_side * f_side == 1.0
            and (0.0 < f_stop_price and f_stop_price < inf)
            and (0.0 < f_worst_price and f_worst_price < inf)
            and (f.liquidation_price >= 0.0)
            and (f_side * (f_stop_price - f.liquidation_price) >= p.liquidation_buffer_frac * f_worst_price)
        )
        and active_1 & 2
    ):
        found.append((Code.LIQUIDATION_DISTANCE, 0.0))
        allowance = 0.0
    if active_1 & 8192:
        day = p.quota_day_slice_count_max - f.day_slice_count
        campaign = p.quota_campaign_slice_count_max - f.campaign_slice_count
        today = (
            p.quota_order_slice_count_max
            if p.quota_order_slice_count_max <= day
            else day
            if day < p.quota_order_slice_count_max
            else nan
        )
        lost_frac = f_stop_frac + p_cost_frac
        allowed = (
            (today if today <= campaign else campaign if campaign < today else nan)
            // 1.0
            * p.quota_slice_frac
            * f_day_open_equity
            / lost_frac
            if (
                (0.0 <= f.day_slice_count and f.day_slice_count < inf)
                and (0.0 <= f.campaign_slice_count and f.campaign_slice_count < inf)
                and (f.day_entry_count >= 0.0)
            )
            and f.day_entry_count + 1.0 <= p.quota_day_entry_count_max
            and (f_stop_frac > 0.0)
            and (lost_frac > 0.0)
            and (0.0 < f_day_open_equity and f_day_open_equity < inf)
            else 0.0
        )
        if allowed > 0.0 and (
            allowed >= requested
            or (-inf < requested and requested <= allowed and (allowed < inf))
            or (allowed * MONEY_SCALE + 0.5) // 1.0 >= (requested * MONEY_SCALE + 0.5) // 1.0
        ):
            if allowed < allowance:
                allowance = allowed
        else:
            if not allowed > 0.0:
                allowed = 0.0
            found.append((Code.DAILY_RISK_QUOTA, allowed))
            if allowed < allowance:
                allowance = allowed
    if active_1 & 16384:
        stake = (
            f_equity - (nearest_floor if nearest_floor >= 0.0 else 0.0 if 0.0 > nearest_floor else nan)
            if p.kelly_above_floor > 0.0
            else f_equity
        )
        full = (
            f_strategy_win_count
            / (f_strategy_win_count + f_strategy_loss_count + p.kelly_prior_count)
            * ((f_strategy_won - f.strategy_lost) / f_strategy_won)
            if f_strategy_won > 0.0 and f_strategy_win_count + f_strategy_loss_count + p.kelly_prior_count > 0.0
            else nan
        )
        probe = p.kelly_probe_frac * f_equity
        earned = p.kelly_multiplier * (full if full >= 0.0 else 0.0 if 0.0 > full else nan) * stake
        deserved = earned if earned >= probe else probe if probe > earned else nan
        lost_frac = f_stop_frac + p_cost_frac
        allowed = (
            (
                deserved
                if f_strategy_win_count + f_strategy_loss_count >= p.kelly_trade_count_min
                and f_strategy_win_count > 0.0
                and (f_strategy_loss_count > 0.0)
                else probe
            )
            / lost_frac
            if (p.kelly_trade_count_min >= 0.0 and p.kelly_multiplier + p.kelly_prior_count >= 0.0)
            and (
                (0.0 <= f_strategy_win_count and f_strategy_win_count < inf)
                and (0.0 <= f_strategy_loss_count and f_strategy_loss_count < inf)
            )
            and (
                (0.0 <= f_strategy_won and f_strategy_won < inf)
                and (0.0 <= f.strategy_lost and f.strategy_lost < inf)
                and (0.0 < f_equity and f_equity < inf)
                and (stake > -inf)
            )
            and (f_initial_balance > 0.0 if p.kelly_above_floor > 0.0 else p.kelly_above_floor == 0.0)
            and (deserved == deserved or f_strategy_win_count == 0.0)
            and (f_stop_frac > 0.0)
            and (lost_frac > 0.0)
            else 0.0
        )
        if allowed > 0.0 and (
            allowed >= requested
            or (-inf < requested and requested <= allowed and (allowed < inf))
            or (allowed * MONEY_SCALE + 0.5) // 1.0 >= (requested * MONEY_SCALE + 0.5) // 1.0
        ):
            if allowed < allowance:
                allowance = allowed
        else:
            if not allowed > 0.0:
                allowed = 0.0
            found.append((Code.KELLY_CAP, allowed))
            if allowed < allowance:
                allowance = allowed
    if active_1 & 4:
        over = p.kill_score_decay * (f_kill_score - p.kill_score_min)
        least = exp(-over) if over >= 0.0 else 1.0
        shared = (
            least if least >= p_kill_score_share_min else p_kill_score_share_min if p_kill_score_share_min > least else nan
        )
        known = (
            (p.kill_score_decay >= 0.0 and p_kill_score_share_min >= 0.0 and (p.kill_score_min >= 0.0))
            and (0.0 < f_requested_notional and f_requested_notional < inf)
            and (0.5 <= f_kill_score and f_kill_score < p.kill_score_critical)
        )
        allowed = (
            inf
            if known and f_kill_score < p.kill_score_min
            else f_requested_notional * (shared if shared <= 1.0 else 1.0 if 1.0 < shared else nan)
            if known
            else 0.0
        )
        if allowed > 0.0 and (
            allowed >= requested
            or (-inf < requested and requested <= allowed and (allowed < inf))
            or (allowed * MONEY_SCALE + 0.5) // 1.0 >= (requested * MONEY_SCALE + 0.5) // 1.0
        ):
            if allowed < allowance:
                allowance = allowed
        else:
            if not allowed > 0.0:
                allowed = 0.0
            found.append((Code.KILL_SCORE, allowed))
            if allowed < allowance:
                allowance = allowed
    return allowance
