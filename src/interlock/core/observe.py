"""From state to facts: everything a guard may look at, for one opening order at one instant."""

from math import inf, nan
from typing import Final

import msgspec

from interlock.core.codes import AccountKind, Code, TradingState
from interlock.core.constants import MICROS, NS_PER_S_FLOAT, OPERATOR_NS, PRICE_TOLERANCE
from interlock.core.facts import Values
from interlock.core.limits import BITS, Limits
from interlock.core.locks import FREE, Binding
from interlock.core.measure import equity_gap, guard_equity, present_or_next, session_of
from interlock.core.numbers import larger, share, within
from interlock.core.state import PermitRow, State, SymbolRow
from interlock.core.together import company
from interlock.core.transitions import money


class Order(msgspec.Struct, frozen=True, gc=False):
    """An opening order as it would leave, and what is known of who asks for it."""

    row: int
    strategy: int
    side: int
    steps: int
    worst_price: float
    stop_price: float
    target_price: float
    margin_leverage: float
    unit_notional: float
    may_open: float
    age_s: float
    conflict: float
    account_lock: Binding
    strategy_lock: Binding
    symbol_lock: Binding

    @property
    def reducing(self) -> float:
        """Whether a lock on the account or the strategy forbids new risk, as 1.0 or 0.0."""
        return 0.0 if self.account_lock is FREE and self.strategy_lock is FREE else 1.0

    @property
    def halted(self) -> float:
        """Whether one of them is a freeze, as 1.0 or 0.0."""
        return 1.0 if max(self.account_lock[0], self.strategy_lock[0]) == TradingState.HALTED else 0.0


def age_s(now_ns: int, at_ns: int) -> float:
    """Seconds since an instant; NaN where it never happened (0), 0.0 where it does not age (OPERATOR_NS)."""
    if at_ns == OPERATOR_NS:
        return 0.0
    return (now_ns - at_ns) / NS_PER_S_FLOAT if at_ns > 0 else nan


def collar_price(r: SymbolRow, side: int, limits: Limits) -> float:
    """The worst price that a market order may get: a hair inside the collar around the mark."""
    return r.mark * (1.0 + side * limits.collar_frac_max * (1.0 - PRICE_TOLERANCE))


def spread_bps(r: SymbolRow) -> float:
    """The spread in basis points of the mid price; NaN without a bid."""
    return (r.ask - r.bid) / (0.5 * (r.bid + r.ask)) * 1e4 if r.bid > 0.0 else nan


def equity_now(state: State, now_ns: int) -> float:
    """The equity that openings are judged by and sized from, in account currency."""
    return state.account.equity if state.account.unexplained == 0 else _unexplained(state, now_ns)[0]


def _unexplained(state: State, now_ns: int) -> tuple[float, float, float, float]:
    """
    Equity, gap, own equity and what is unexplained, while the balance has changed for no known reason.

    A loss that nothing explains counts in our own equity once the policy's patience with it has run out.
    """
    a = state.account
    unexplained, ours = money(a.unexplained), a.own_equity
    waited_ns = now_ns - a.unexplained_since_ns
    if a.unexplained < 0 and waited_ns > state.account_limits().unexplained_patience_s * NS_PER_S_FLOAT:
        ours += unexplained
        unexplained = 0.0
    return guard_equity(a.venue_equity, ours), equity_gap(a.venue_equity, ours), ours, unexplained


def stand_in(limits: Limits) -> tuple[float, float]:
    """The regime that the policy lets an unknown one count as, at even odds; NaN where it names none."""
    return (limits.unknown_regime, 0.5) if limits.unknown_regime > 0.0 else (nan, nan)


def market_now(r: SymbolRow, now_ns: int, limits: Limits) -> tuple[float, float]:
    """The symbol's average true range and its regime; NaN and what stands in for it where they are unknown or too old."""
    if not within(age_s(now_ns, r.market_at_ns), limits.market_state_age_s_max):
        return nan, stand_in(limits)[0]
    return r.atr, r.regime if r.regime == r.regime else stand_in(limits)[0]


def observe(state: State, now_ns: int, trusted: float, order: Order, limits: Limits, own: PermitRow | None) -> Values:
    """
    All facts about the order, in the order of `Facts`.

    `own` is a resting order that is being judged again: what it reserves itself does not count against it.
    """
    a = state.account
    r = state.symbols[order.row]
    instrument = state.instruments[order.row]
    assert instrument is not None
    side, steps, unit = order.side, float(order.steps), order.unit_notional
    sign = 1.0 if side > 0 else -1.0
    price, stop, leverage = order.worst_price, order.stop_price, order.margin_leverage
    equity, gap, ours = a.equity, a.equity_gap, a.own_equity
    unexplained = 0.0
    if a.unexplained:
        equity, gap, ours, unexplained = _unexplained(state, now_ns)
    session, session_opened_ns, _ = session_of(state, order.row, now_ns) if instrument.sessions else ALWAYS_OPEN
    position = r.position
    strategy_held, strategy_reserved = 0.0, 0
    wins = losses = won = lost = nan
    if order.strategy >= 0:
        s = state.strategies[order.strategy]
        strategy_held, strategy_reserved = s.held_notional, s.pending_reserved
        wins, losses = float(s.recent_wins), float(s.recent_losses)
        won, lost = s.recent_won, s.recent_lost
    here = r.pending_buy_reserved + r.pending_sell_reserved
    total = a.pending_buy_reserved + a.pending_sell_reserved
    same_side = a.pending_buy_reserved if side > 0 else a.pending_sell_reserved
    margin, risk, mine = a.pending_margin, a.pending_risk, 0
    entries, day_slices, campaign_slices = a.day_entries, a.day_slices, a.campaign_slices
    if own is not None:
        mine = share(own.reserved, own.pending, own.steps)
        here -= mine
        total -= mine
        same_side -= mine
        strategy_reserved -= mine
        margin -= share(own.margin, own.pending, own.steps)
        risk -= share(own.risk, own.pending, own.steps)
        entries -= 1
        day_slices -= own.slices
        campaign_slices -= own.slices
    held_here = liquidation = nan
    if r.known == 1.0:
        held_here = abs(position) * r.unit_notional if position else 0.0
        held, cost = (float(abs(position)), abs(r.cost) / MICROS) if position * side > 0 else (0.0, 0.0)
        liquidation = instrument.liquidation_price(sign, price, leverage, steps, held, cost)
    symbol_notional = held_here + here / MICROS
    symbol_is_open = 1.0 if position or here > 0 or r.known != 1.0 else 0.0
    count = a.position_count - (own is not None and symbol_is_open == 0.0)
    rate_age = 0.0
    if r.rate_at_ns != OPERATOR_NS or a.book_rate_at_ns != OPERATOR_NS:
        rate_age = larger(age_s(now_ns, r.rate_at_ns), age_s(now_ns, a.book_rate_at_ns))
    book_at_ns = a.book_at_ns
    book_age = 0.0 if book_at_ns == OPERATOR_NS else (now_ns - book_at_ns) / NS_PER_S_FLOAT if book_at_ns else inf
    mark_age = (now_ns - r.mark_at_ns) / NS_PER_S_FLOAT if r.mark_at_ns > 0 else nan
    market_age = (now_ns - r.market_at_ns) / NS_PER_S_FLOAT if r.market_at_ns > 0 else nan
    regime = regime_p = score = nan
    if -limits.market_state_age_s_max <= market_age <= limits.market_state_age_s_max:
        regime, regime_p, score = r.regime, r.regime_p, r.kill_score
    if regime != regime:
        regime, regime_p = stand_in(limits)
    news, flat_ahead_s = windows_now(r, now_ns) if limits.active & WINDOW_BITS else (nan, nan)
    stop_frac = abs(price - stop) / price if price > 0.0 else nan
    bid, ask = r.bid, r.ask
    unknown = a.unknown_rows + a.unknown_permits
    free = order.account_lock is FREE and order.strategy_lock is FREE
    asked = (
        a.policy_loaded,
        a.policy_verified,
        (a.policy_valid_until_ns - now_ns) / NS_PER_S_FLOAT,
        r.policy_complete,
        r.tradable if r.limits >= 0 else 0.0,
        order.may_open,
        1.0 if r.owner == order.strategy or (r.owner == -1 and position == 0) else 0.0,
        1.0 if not a.mode_told and a.kind is not LIVE else live_ready(state, order.row),
        0.0 if free else order.halted,
        0.0 if free else order.reducing,
        0.0 if order.symbol_lock is FREE and not r.goal else 1.0,
        session,
        sign,
        steps * instrument.step,
        steps * unit,
        unit / instrument.step,
        price,
        stop,
        order.target_price if order.target_price == order.target_price else sign * inf,
        limits.no_stop_gap_frac if stop_frac != stop_frac else stop_frac,
        leverage,
        instrument.bracket_leverage,
        order.age_s,
        order.conflict,
        (a.order_tat_ns - now_ns) / NS_PER_S_FLOAT if a.order_tat_ns > now_ns and own is None else 0.0,
    )
    known = (
        trusted,
        0.0 if a.exit_owner == "any" else age_s(now_ns, a.heartbeat_ns),
        a.reconciled,
        (now_ns - a.reconciled_at_ns) / NS_PER_S_FLOAT if a.reconciled_at_ns > 0 else nan,
        float(unknown) if unknown else 0.0,
        equity,
        a.venue_equity,
        ours,
        (now_ns - a.venue_equity_at_ns) / NS_PER_S_FLOAT if a.venue_equity_at_ns > 0 else nan,
        gap,
        unexplained,
        (a.balance + a.booked) / MICROS if a.balance_known == 1.0 else nan,
        a.initial_balance,
        a.equity_peak,
        a.drawdown_ref,
        state.calendars[a.day_calendar].open_equity if a.day_calendar >= 0 else nan,
        state.calendars[a.week_calendar].open_equity if a.week_calendar >= 0 else nan,
        bid,
        ask,
        r.mark,
        inf if r.doubt != 0.0 or r.mark_at_ns < session_opened_ns else mark_age,
        book_age,
        rate_age,
        (ask - bid) / (0.5 * (bid + ask)) * 1e4 if bid > 0.0 else nan,
    )
    cluster_notional, correlation, correlated_notional = company(
        state, order.row, r, side, now_ns, limits, symbol_notional, mine
    )
    exposure = (
        symbol_notional,
        symbol_is_open,
        strategy_held + strategy_reserved / MICROS,
        a.held_notional + total / MICROS,
        a.net_notional,
        same_side / MICROS,
        float(count),
        equity - a.held_margin - margin / MICROS,
        a.held_risk + risk / MICROS,
        r.atr,
        market_age,
        regime,
        regime_p,
        liquidation,
        score,
        float(entries) if entries else 0.0,
        float(day_slices) if day_slices else 0.0,
        float(campaign_slices) if campaign_slices else 0.0,
        wins,
        losses,
        won,
        lost,
        news,
        flat_ahead_s,
        cluster_notional,
        correlation,
        correlated_notional,
    )
    return asked + known + exposure


def windows_now(r: SymbolRow, now_ns: int) -> tuple[float, float]:
    """
    Whether a window forbids opening the symbol, as 1.0 or 0.0, and seconds until it must be flat, below 0 from then on.

    Both are NaN where the calendar file does not reach; infinitely far away is a window that is not in it.
    """
    if now_ns >= r.windows_until_ns:
        return nan, nan
    news_ns, _ = present_or_next(r.news_windows, now_ns)
    from_ns, _ = present_or_next(r.flat_windows, now_ns)
    return 1.0 if news_ns <= now_ns else 0.0, inf if from_ns == OPERATOR_NS else (from_ns - now_ns) / NS_PER_S_FLOAT


def live_ready(state: State, row: int) -> float:
    """
    Whether what was told of the mode lets the symbol be opened, as 1.0 or 0.0; NaN is unknown.

    An account that is not live has nothing to be armed or rolled out; its environment's kill switch stops it all the same.
    """
    a = state.account
    unkilled = 1.0 - a.environment_kill
    if a.kind is not AccountKind.LIVE:
        return unkilled
    covered = a.rollout == 0.0 and state.names.symbols[row] in a.rollout_symbols
    return a.armed * (1.0 if covered else a.rollout) * unkilled


LIVE: Final = AccountKind.LIVE
WINDOW_BITS: Final = BITS[Code.NEWS_WINDOW] | BITS[Code.SESSION_FLAT]
ALWAYS_OPEN: Final = (1.0, 0, OPERATOR_NS)
"""The session of a venue that never closes."""
