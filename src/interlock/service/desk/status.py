"""
The state as people on duty want to see it: floors, limits beside their use, positions, locks.

Reading changes nothing. What cannot be known is NaN, and is shown as unknown.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import nan
from typing import Final, Literal

from interlock.core.codes import Code, Scope, TradingState
from interlock.core.constants import MICROS, NS_PER_S, NS_PER_S_FLOAT, OPERATOR_NS
from interlock.core.exits.explain import exit_owner, explain_exit, next_rung
from interlock.core.floors import floor_of
from interlock.core.limits import KELLY_RULES, Limits, is_on
from interlock.core.locks import trading_state
from interlock.core.measure import guard_equity, is_position, open_pnl
from interlock.core.record import deserved_frac
from interlock.core.state import (
    ACCOUNT_LOCKS,
    BREAKER,
    LOSS_TRIGGERS,
    STRATEGY_LOCKS,
    SYMBOL_LOCKS,
    AccountRow,
    State,
    StrategyRow,
    SymbolRow,
)
from interlock.core.together import cluster_exposure, exposure
from interlock.core.transitions import in_force, money
from interlock.service.api import (
    DecisionStatus,
    FloorStatus,
    KillStatus,
    LimitStatus,
    LockStatus,
    PositionStatus,
    RecordStatus,
    Status,
    WindowStatus,
)

NO_STOP: Final = "none"

SOON_NS: Final = 86_400 * NS_PER_S
"""How far ahead windows are told."""

Kind = Literal["no-open", "no-close", "flat"]


@dataclass(frozen=True, slots=True)
class Around:
    """What a status tells beyond the engine's state."""

    environment: str = ""
    venue: str = ""
    kill: tuple[KillStatus, ...] = ()
    """The kill switches that are on."""
    reasons: Mapping[tuple[Scope, str, Code], str] = field(default_factory=dict)
    """What was said when each lock was set."""
    stops: Mapping[str, str] = field(default_factory=dict)
    """Whether the stop of each symbol rests at the venue: `working`, `pending` or `missing`."""
    decisions: tuple[DecisionStatus, ...] = ()
    conditions: tuple[tuple[str, bool, str], ...] = ()
    ledger: tuple[int, int, str] = (0, 0, "")
    """The last record, the last durable one, and what keeps records from being written."""
    troubles: tuple[str, ...] = ()


def status_of(state: State, at_ns: int, around: Around) -> Status:
    """Everything at once, as of `at_ns`."""
    a = state.account
    limits = state.account_limits()
    locks = tuple(_locks(state, around.reasons))
    book_ns = min((state.symbols[index].mark_at_ns for index in state.open_rows), default=0)
    return Status(
        at_ns=at_ns,
        account=a.account,
        kind=a.kind,
        environment=around.environment,
        venue=around.venue,
        trading_state=trading_state(state),
        equity=guard_equity(a.venue_equity, a.own_equity),
        equity_venue=a.venue_equity,
        kill=around.kill,
        breaker=tuple(lock for lock in locks if lock.scope == Scope.ACCOUNT and lock.code in BREAKER),
        locks=locks,
        limits=(*_limits(state, limits), *_spent(state, limits)),
        floors=tuple(
            FloorStatus(code, floor_of(state, code, limits)[1], a.equity) for code in LOSS_TRIGGERS if is_on(limits, code)
        ),
        positions=tuple(_positions(state, at_ns, around.stops)),
        decisions=around.decisions,
        conditions=around.conditions,
        policy_id=state.policy.policy_id if state.policy else "",
        policy_digest=state.policy.digest if state.policy else "",
        policy_until_ns=a.policy_valid_until_ns,
        ledger_seq=around.ledger[0],
        ledger_durable_seq=around.ledger[1],
        ledger_problem=around.ledger[2],
        troubles=around.troubles,
        equity_age_s=_age_s(at_ns, a.venue_equity_at_ns),
        market_age_s=_age_s(at_ns, book_ns),
        exits=exit_owner(state, at_ns),
        windows=tuple(_windows(state, at_ns, limits)),
        windows_until_ns=_windows_until_ns(state, limits),
        records=tuple(_records(state, limits)),
    )


def _age_s(at_ns: int, since_ns: int) -> float:
    return (at_ns - since_ns) / NS_PER_S_FLOAT if since_ns > 0 else nan


# ---------------------------------------------------------------- locks


def _locks(state: State, reasons: Mapping[tuple[Scope, str, Code], str]) -> Iterator[LockStatus]:
    a = state.account
    yield from _of(state, a, Scope.ACCOUNT, "", ACCOUNT_LOCKS, reasons)
    for name, s in zip(state.names.strategies, state.strategies, strict=True):
        yield from _of(state, s, Scope.STRATEGY, name, STRATEGY_LOCKS, reasons)
    for name, r in zip(state.names.symbols, state.symbols, strict=True):
        if r.lock_mask:
            yield from _of(state, r, Scope.SYMBOL, name, SYMBOL_LOCKS, reasons)


def _of(
    state: State,
    row: AccountRow | StrategyRow | SymbolRow,
    scope: Scope,
    key: str,
    codes: tuple[Code, ...],
    reasons: Mapping[tuple[Scope, str, Code], str],
) -> Iterator[LockStatus]:
    """The locks of one row that are in force; a symbol's come once for both sides where both are locked alike."""
    a = state.account
    found: dict[tuple[Code, int, int], list[int]] = {}
    for slot, until in enumerate(row.lock_until):
        if until != 0 and in_force(until, a.now_ns, a.clock_trusted):
            side = 0 if scope != Scope.SYMBOL else 1 if slot < len(codes) else -1
            found.setdefault((codes[slot % len(codes)], until, row.lock_severity[slot]), []).append(side)
    for (code, until, severity), sides in found.items():
        side = sides[0] if len(sides) == 1 else 0
        yield LockStatus(scope, key, side, code, TradingState(severity), until, reasons.get((scope, key, code), ""))


# ---------------------------------------------------------------- limits


def _limits(state: State, limits: Limits) -> Iterator[LimitStatus]:
    """What each active limit on exposure allows, beside what is held and reserved."""
    a = state.account
    equity, currency = a.equity, a.currency
    if is_on(limits, Code.SYMBOL_EXPOSURE):
        for symbol, use, share in _symbol_uses(state, limits):
            yield LimitStatus(Code.SYMBOL_EXPOSURE, "symbol_exposure_frac_max", symbol, use, share * equity, currency)
    if is_on(limits, Code.STRATEGY_EXPOSURE):
        line = limits.strategy_exposure_frac_max * equity
        for name, s in zip(state.names.strategies, state.strategies, strict=True):
            use = s.held_notional + s.pending_reserved / MICROS
            yield LimitStatus(Code.STRATEGY_EXPOSURE, "strategy_exposure_frac_max", name, use, line, currency)
    if is_on(limits, Code.TOTAL_EXPOSURE):
        use = a.held_notional + (a.pending_buy_reserved + a.pending_sell_reserved) / MICROS
        line = limits.total_exposure_frac_max * equity
        yield LimitStatus(Code.TOTAL_EXPOSURE, "total_exposure_frac_max", "", use, line, currency)
    if is_on(limits, Code.NET_EXPOSURE):
        line = limits.net_exposure_frac_max * equity
        yield LimitStatus(Code.NET_EXPOSURE, "net_exposure_frac_max", "", abs(a.net_notional), line, currency)
    if is_on(limits, Code.CONCURRENT_POSITIONS):
        count, most = float(a.position_count), limits.position_count_max
        yield LimitStatus(Code.CONCURRENT_POSITIONS, "position_count_max", "", count, most, "count")


def _spent(state: State, limits: Limits) -> Iterator[LimitStatus]:
    """What clusters hold, and what of its risk the account has spent, where rules look at it."""
    a = state.account
    if is_on(limits, Code.CLUSTER_CAP):
        for cluster, use, share in _cluster_uses(state):
            yield LimitStatus(Code.CLUSTER_CAP, "cluster_exposure_frac_max", cluster, use, share * a.equity, a.currency)
    if is_on(limits, Code.DAILY_RISK_QUOTA):
        for name, spent in (
            ("quota_day_entry_count_max", a.day_entries),
            ("quota_day_slice_count_max", a.day_slices),
            ("quota_campaign_slice_count_max", a.campaign_slices),
        ):
            yield LimitStatus(Code.DAILY_RISK_QUOTA, name, "", float(spent), getattr(limits, name), "count")


def _symbol_uses(state: State, limits: Limits) -> Iterator[tuple[str, float, float]]:
    """Each symbol that is held or reserved, its use and its limit; one without a name where there is none."""
    held = [index for index in state.open_rows if is_position(state.symbols[index])]
    for index in held:
        r = state.symbols[index]
        yield state.names.symbols[index], exposure(r), state.limits(r).symbol_exposure_frac_max
    if not held:
        yield "", 0.0, limits.symbol_exposure_frac_max


def _cluster_uses(state: State) -> Iterator[tuple[str, float, float]]:
    """Each cluster of several symbols in which something is held or reserved, its use and its limit."""
    names = {} if state.policy is None else {each.symbol: each.cluster for each in state.policy.universe}
    seen: set[int] = set()
    for index in state.open_rows:
        r = state.symbols[index]
        if r.cluster < 0 or r.cluster in seen or not is_position(r):
            continue
        seen.add(r.cluster)
        use = cluster_exposure(state.clusters[r.cluster])
        yield names[state.names.symbols[index]], use, state.limits(r).cluster_exposure_frac_max


# ---------------------------------------------------------------- what comes, and what was earned


def _windows(state: State, at_ns: int, limits: Limits) -> Iterator[WindowStatus]:
    """What is open or begins soon, the earliest first, symbols of one window together; not what no rule looks at."""
    found: dict[tuple[int, int, Kind], list[str]] = {}
    for symbol, r in zip(state.names.symbols, state.symbols, strict=True):
        kinds: tuple[tuple[Kind, tuple[tuple[int, int], ...]], ...] = (
            ("no-open", r.news_windows if is_on(limits, Code.NEWS_WINDOW) else ()),
            ("no-close", r.blackouts),
            ("flat", r.flat_windows if is_on(limits, Code.SESSION_FLAT) else ()),
        )
        for kind, windows in kinds:
            first = max(bisect_right(windows, (at_ns, OPERATOR_NS)) - 1, 0)
            for from_ns, until_ns in windows[first:]:
                if from_ns > at_ns + SOON_NS:
                    break
                if until_ns > at_ns:
                    found.setdefault((from_ns, until_ns, kind), []).append(symbol)
    for (from_ns, until_ns, kind), symbols in sorted(found.items()):
        yield WindowStatus(kind, tuple(symbols), from_ns, until_ns)


def _windows_until_ns(state: State, limits: Limits) -> int:
    if state.policy is None or not any(is_on(limits, code) for code in (Code.NEWS_WINDOW, Code.SESSION_FLAT)):
        return OPERATOR_NS
    rows = (state.names.symbol_index.get(each.symbol, -1) for each in state.policy.universe)
    return min((state.symbols[index].windows_until_ns for index in rows if index >= 0), default=OPERATOR_NS)


def _records(state: State, limits: Limits) -> Iterator[RecordStatus]:
    if not any(is_on(limits, code) for code in KELLY_RULES):
        return
    for name, s in zip(state.names.strategies, state.strategies, strict=True):
        enough = s.recent_wins + s.recent_losses >= limits.kelly_trade_count_min
        deserved = deserved_frac(s, limits)
        yield RecordStatus(
            name, s.recent_wins, s.recent_losses, s.recent_won, s.recent_lost, enough, deserved, s.edgeless == 1.0
        )


# ---------------------------------------------------------------- positions


def _positions(state: State, at_ns: int, stops: Mapping[str, str]) -> Iterator[PositionStatus]:
    for index in state.open_rows:
        r = state.symbols[index]
        instrument = state.instruments[index]
        if instrument is None or (r.position == 0 and r.known == 1.0):
            continue
        symbol = state.names.symbols[index]
        way_out = explain_exit(state, index, at_ns)
        ahead = next_rung(way_out)
        value = money(r.cost) / (r.position * instrument.step) if r.position else nan
        entry = nan
        if value == value and value != 0.0:
            entry = -instrument.multiplier / value if instrument.inverse else value / instrument.multiplier
        yield PositionStatus(
            symbol=symbol,
            strategy=state.names.strategies[r.owner] if r.owner >= 0 else "",
            side=(r.position > 0) - (r.position < 0),
            quantity=abs(instrument.quantity(r.position)) if r.known == 1.0 else nan,
            entry=entry,
            mark=r.mark,
            pnl=open_pnl(state, index, r),
            stop_price=r.stop_price,
            stop_state=stops.get(symbol, NO_STOP) if r.stop_price == r.stop_price else NO_STOP,
            flattening=bool(r.goal),
            r=way_out.harvest.r,
            score=way_out.harvest.score,
            next_rung=ahead.rung if ahead is not None else "",
            next_price=ahead.conditions[0].price if ahead is not None else nan,
            managed=way_out.managed,
        )
