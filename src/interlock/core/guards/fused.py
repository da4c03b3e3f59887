"""
All guards in one function: generated from them by `make generate`, never edited.

`guard.ask` is what it must equal; a test compares the two on facts of every kind.
"""

from math import inf, nan

from interlock.core.codes import Code
from interlock.core.constants import MONEY_SCALE
from interlock.core.facts import Facts
from interlock.core.limits import (
    DAILY_LOSS_BIT,
    WEEKLY_LOSS_BIT,
    DRAWDOWN_BIT,
    TOTAL_DRAWDOWN_BIT,
    EQUITY_GUARD_BIT,
    Limits,
)

Found = list[tuple[Code, float]]


def ask_all(f: Facts, p: Limits, active: int, requested: float, found: Found) -> float:
    """The smallest allowance of the active guards, in account currency; those that object are added to `found`."""
    allowance = inf
    if not (f.policy_loaded == 1.0):
        found.append((Code.POLICY_MISSING, 0.0))
        allowance = 0.0
    if not (f.policy_verified == 1.0):
        found.append((Code.POLICY_INVALID, 0.0))
        allowance = 0.0
    if not (0.0 <= f.policy_s_left < inf):
        found.append((Code.POLICY_STALE, 0.0))
        allowance = 0.0
    if not (f.policy_complete == 1.0):
        found.append((Code.POLICY_MISSING_FIELD, 0.0))
        allowance = 0.0
    if not (f.in_universe == 1.0):
        found.append((Code.POLICY_UNIVERSE_FILTER, 0.0))
        allowance = 0.0
    if active & 1 and not (0.0 < f.margin_leverage <= p.margin_leverage_max and f.margin_leverage <= f.bracket_leverage):
        found.append((Code.POLICY_MISSING_LEVERAGE, 0.0))
        allowance = 0.0
    if active & 2 and not (0.0 < f.requested_notional < inf):
        found.append((Code.POLICY_MISSING_SIZE, 0.0))
        allowance = 0.0
    if not (f.source_may_open == 1.0):
        found.append((Code.SOURCE_DENIED, 0.0))
        allowance = 0.0
    if not (f.symbol_free == 1.0):
        found.append((Code.SYMBOL_OWNED, 0.0))
        allowance = 0.0
    if not (f.live_ready == 1.0):
        found.append((Code.NOT_LIVE, 0.0))
        allowance = 0.0
    if not (f.halted == 0.0):
        found.append((Code.TRADING_HALTED, 0.0))
        allowance = 0.0
    if not (f.reducing == 0.0):
        found.append((Code.TRADING_REDUCING, 0.0))
        allowance = 0.0
    if not (f.symbol_vetoed == 0.0):
        found.append((Code.SYMBOL_VETO, 0.0))
        allowance = 0.0
    if active & 4 and not (f.session_open == 1.0):
        found.append((Code.SESSION_CLOSED, 0.0))
        allowance = 0.0
    if not (-p.clock_step_s_max <= f.intent_age_s <= p.intent_age_s_max):
        found.append((Code.INTENT_STALE, 0.0))
        allowance = 0.0
    if not (f.intent_conflict == 0.0):
        found.append((Code.INTENT_CONFLICT, 0.0))
        allowance = 0.0
    if not (abs(f.equity_age_s) <= p.equity_age_s_max):
        found.append((Code.EQUITY_STALE, 0.0))
        allowance = 0.0
    plausible = 0.0 < f.equity < inf and 0.0 <= f.equity_gap_frac <= p.equity_gap_frac_max
    if not (plausible and f.equity_unexplained == 0.0):
        found.append((Code.EQUITY_IMPLAUSIBLE, 0.0))
        allowance = 0.0
    if not (
        0.0 < f.bid <= f.ask < inf
        and 0.0 < f.mark < inf
        and (abs(f.mark_age_s) <= p.mark_age_s_max)
        and (abs(f.book_age_s) <= p.mark_age_s_max)
        and (abs(f.rate_age_s) <= p.mark_age_s_max)
    ):
        found.append((Code.MARKET_STALE, 0.0))
        allowance = 0.0
    confirmed = f.reconciled == 1.0 and abs(f.reconciled_age_s) <= p.reconciled_age_s_max
    if not (confirmed and f.unknown_count == 0.0):
        found.append((Code.POSITION_UNRECONCILED, 0.0))
        allowance = 0.0
    if active & 8 and not (abs(f.controller_age_s) <= p.controller_age_s_max):
        found.append((Code.CONTROLLER_DEAD, 0.0))
        allowance = 0.0
    if not (f.clock_trusted == 1.0):
        found.append((Code.CLOCK_UNTRUSTED, 0.0))
        allowance = 0.0
    if active & 16 and not (
        (f.equity * MONEY_SCALE + 0.5) // 1.0
        >= ((f.day_open_equity * (1.0 - p.day_loss_frac_max) if f.day_open_equity > 0.0 else nan) * MONEY_SCALE + 0.5)
        // 1.0
    ):
        found.append((Code.DAILY_LOSS, 0.0))
        allowance = 0.0
    if active & 32 and not (
        (f.equity * MONEY_SCALE + 0.5) // 1.0
        >= ((f.week_open_equity * (1.0 - p.week_loss_frac_max) if f.week_open_equity > 0.0 else nan) * MONEY_SCALE + 0.5)
        // 1.0
    ):
        found.append((Code.WEEKLY_LOSS, 0.0))
        allowance = 0.0
    if active & 64 and not (
        (f.equity * MONEY_SCALE + 0.5) // 1.0
        >= ((f.drawdown_ref * (1.0 - p.drawdown_frac_max) if f.drawdown_ref > 0.0 else nan) * MONEY_SCALE + 0.5) // 1.0
    ):
        found.append((Code.DRAWDOWN, 0.0))
        allowance = 0.0
    if active & 128 and not (
        (f.equity * MONEY_SCALE + 0.5) // 1.0
        >= ((f.equity_peak * (1.0 - p.total_drawdown_frac_max) if f.equity_peak > 0.0 else nan) * MONEY_SCALE + 0.5) // 1.0
    ):
        found.append((Code.TOTAL_DRAWDOWN, 0.0))
        allowance = 0.0
    if active & 256 and not (
        f.initial_balance > 0.0
        and (f.equity * MONEY_SCALE + 0.5) // 1.0 > (f.initial_balance * p.equity_floor_frac_min * MONEY_SCALE + 0.5) // 1.0
    ):
        found.append((Code.EQUITY_GUARD, 0.0))
        allowance = 0.0
    if active & 512:
        day = (
            (f.day_open_equity * (1.0 - p.day_loss_frac_max) if f.day_open_equity > 0.0 else nan)
            if p.active >> DAILY_LOSS_BIT & 1
            else -inf
        )
        week = (
            (f.week_open_equity * (1.0 - p.week_loss_frac_max) if f.week_open_equity > 0.0 else nan)
            if p.active >> WEEKLY_LOSS_BIT & 1
            else -inf
        )
        recent = (
            (f.drawdown_ref * (1.0 - p.drawdown_frac_max) if f.drawdown_ref > 0.0 else nan)
            if p.active >> DRAWDOWN_BIT & 1
            else -inf
        )
        total = (
            (f.equity_peak * (1.0 - p.total_drawdown_frac_max) if f.equity_peak > 0.0 else nan)
            if p.active >> TOTAL_DRAWDOWN_BIT & 1
            else -inf
        )
        floor = f.initial_balance * p.equity_floor_frac_min if p.active >> EQUITY_GUARD_BIT & 1 else -inf
        floor = floor if floor >= day else day if day > floor else nan
        floor = floor if floor >= week else week if week > floor else nan
        floor = floor if floor >= recent else recent if recent > floor else nan
        floor = floor if floor >= total else total if total > floor else nan
        lost_frac = f.stop_frac + p.cost_frac
        known = f.stop_frac >= 0.0 and lost_frac > 0.0 and (f.risk_at_stops >= 0.0) and (f.initial_balance > 0.0)
        left = f.equity - floor - p.headroom_buffer_frac * f.initial_balance - f.risk_at_stops
        allowed = left / lost_frac if known else 0.0
        if allowed > 0.0 and (
            allowed >= requested or (allowed * MONEY_SCALE + 0.5) // 1.0 >= (requested * MONEY_SCALE + 0.5) // 1.0
        ):
            if allowed < allowance:
                allowance = allowed
        else:
            if not allowed > 0.0:
                allowed = 0.0
            found.append((Code.LOSS_HEADROOM, allowed))
            if allowed < allowance:
                allowance = allowed
    if active & 1024 and not (0.0 <= f.spread_bps <= p.spread_bps_max):
        found.append((Code.SPREAD_SPIKE, 0.0))
        allowance = 0.0
    if not (f.worst_price > 0.0 and f.mark > 0.0 and (abs(f.worst_price - f.mark) <= p.collar_frac_max * f.mark)):
        found.append((Code.PRICE_COLLAR, 0.0))
        allowance = 0.0
    allowed = p.order_notional_max if 0.0 < f.requested_notional < inf else 0.0
    if allowed > 0.0 and (
        allowed >= requested or (allowed * MONEY_SCALE + 0.5) // 1.0 >= (requested * MONEY_SCALE + 0.5) // 1.0
    ):
        if allowed < allowance:
            allowance = allowed
    else:
        if not allowed > 0.0:
            allowed = 0.0
        found.append((Code.ORDER_NOTIONAL, allowed))
        if allowed < allowance:
            allowance = allowed
    if active & 2048:
        known = 0.0 < f.requested_quantity < inf and 0.0 < f.unit_notional < inf
        allowed = p.order_quantity_max * f.unit_notional if known else 0.0
        if allowed > 0.0 and (
            allowed >= requested or (allowed * MONEY_SCALE + 0.5) // 1.0 >= (requested * MONEY_SCALE + 0.5) // 1.0
        ):
            if allowed < allowance:
                allowance = allowed
        else:
            if not allowed > 0.0:
                allowed = 0.0
            found.append((Code.ORDER_QUANTITY, allowed))
            if allowed < allowance:
                allowance = allowed
    if active & 4096 and not (
        (p.order_interval_s * (p.order_burst_count_max - 1.0) * MONEY_SCALE + 0.5) // 1.0
        >= (f.order_ahead_s * MONEY_SCALE + 0.5) // 1.0
    ):
        found.append((Code.ORDER_RATE, 0.0))
        allowance = 0.0
    if active & 8192:
        allowed = (
            p.symbol_exposure_frac_max * f.equity - f.symbol_notional
            if f.symbol_notional >= 0.0 and -inf < p.symbol_exposure_frac_max * f.equity < inf
            else 0.0
        )
        if allowed > 0.0 and (
            allowed >= requested or (allowed * MONEY_SCALE + 0.5) // 1.0 >= (requested * MONEY_SCALE + 0.5) // 1.0
        ):
            if allowed < allowance:
                allowance = allowed
        else:
            if not allowed > 0.0:
                allowed = 0.0
            found.append((Code.SYMBOL_EXPOSURE, allowed))
            if allowed < allowance:
                allowance = allowed
    if active & 16384:
        allowed = (
            p.strategy_exposure_frac_max * f.equity - f.strategy_notional
            if f.strategy_notional >= 0.0 and -inf < p.strategy_exposure_frac_max * f.equity < inf
            else 0.0
        )
        if allowed > 0.0 and (
            allowed >= requested or (allowed * MONEY_SCALE + 0.5) // 1.0 >= (requested * MONEY_SCALE + 0.5) // 1.0
        ):
            if allowed < allowance:
                allowance = allowed
        else:
            if not allowed > 0.0:
                allowed = 0.0
            found.append((Code.STRATEGY_EXPOSURE, allowed))
            if allowed < allowance:
                allowance = allowed
    allowed = (
        p.total_exposure_frac_max * f.equity - f.gross_notional
        if f.gross_notional >= 0.0 and -inf < p.total_exposure_frac_max * f.equity < inf
        else 0.0
    )
    if allowed > 0.0 and (
        allowed >= requested or (allowed * MONEY_SCALE + 0.5) // 1.0 >= (requested * MONEY_SCALE + 0.5) // 1.0
    ):
        if allowed < allowance:
            allowance = allowed
    else:
        if not allowed > 0.0:
            allowed = 0.0
        found.append((Code.TOTAL_EXPOSURE, allowed))
        if allowed < allowance:
            allowance = allowed
    if active & 32768:
        net = f.side * f.net_notional
        known = abs(f.side) == 1.0 and net > -inf and (f.pending_side_notional >= 0.0) and (0.0 < f.equity < inf)
        allowed = p.net_exposure_frac_max * f.equity - (net + f.pending_side_notional) if known else 0.0
        if allowed > 0.0 and (
            allowed >= requested or (allowed * MONEY_SCALE + 0.5) // 1.0 >= (requested * MONEY_SCALE + 0.5) // 1.0
        ):
            if allowed < allowance:
                allowance = allowed
        else:
            if not allowed > 0.0:
                allowed = 0.0
            found.append((Code.NET_EXPOSURE, allowed))
            if allowed < allowance:
                allowance = allowed
    fewer = f.symbol_is_open == 0.0 and f.position_count < p.position_count_max
    one_of_them = f.symbol_is_open == 1.0 and p.position_count_max > 0.0
    if active & 65536 and not (0.0 <= f.position_count < inf and (fewer or one_of_them)):
        found.append((Code.CONCURRENT_POSITIONS, 0.0))
        allowance = 0.0
    if active & 131072:
        known = f.free_margin < inf and 0.0 < f.margin_leverage < inf
        allowed = f.free_margin * f.margin_leverage if known else 0.0
        if allowed > 0.0 and (
            allowed >= requested or (allowed * MONEY_SCALE + 0.5) // 1.0 >= (requested * MONEY_SCALE + 0.5) // 1.0
        ):
            if allowed < allowance:
                allowance = allowed
        else:
            if not allowed > 0.0:
                allowed = 0.0
            found.append((Code.FREE_MARGIN, allowed))
            if allowed < allowance:
                allowance = allowed
    if active & 262144 and not (
        abs(f.side) == 1.0
        and 0.0 < f.stop_price < inf
        and (f.side * (f.worst_price - f.stop_price) > 0.0)
        and (f.side * (f.mark - f.stop_price) > 0.0)
        and (f.side * (f.target_price - f.worst_price) > 0.0)
    ):
        found.append((Code.STOP_REQUIRED, 0.0))
        allowance = 0.0
    return allowance
