"""
How far each trigger is from firing, by the very measures that `triggers` looks at; nothing here fires one.

Where two things have to come together, the one that is further away counts. What happens at once, such as a stop that is
hit, has no measure: it has fired or not.
"""

from collections.abc import Callable, Iterator
from math import inf, nan
from typing import Final, NamedTuple

from interlock.core.codes import Code
from interlock.core.constants import NS_PER_S_FLOAT, OPERATOR_NS
from interlock.core.explain import Headroom
from interlock.core.limits import LIMIT_FIELDS, Limits, Unit, is_on
from interlock.core.measure import flat_due, present_or_next
from interlock.core.reasons import TRIGGERS
from interlock.core.state import (
    ACCOUNT_LOCKS,
    ACCOUNT_WARNINGS,
    LOSS_TRIGGERS,
    STRATEGY_LOCKS,
    SYMBOL_LOCKS,
    AccountRow,
    State,
    StrategyRow,
    SymbolRow,
)
from interlock.core.transitions import in_force, recent
from interlock.core.triggers import USE, breakers, loss_use, streaks
from interlock.core.warn import user_of, uses

MISMATCHES: Final = 2.0
"""Reports in a row in which venue and ledger disagree, that lock."""


UNMEASURED: Final = frozenset({Code.STOP_HIT, Code.SESSION_FLAT})
"""Triggers that use nothing up: they come at once, or with time."""


class Firing(NamedTuple):
    """
    One trigger: `used` of the `limit` at which it fires, in `unit`, is a `share`; all NaN where it has no measure.

    `strategy`, `symbol` and `side` say where that is, empty and 0 for the account. `fired` is whether its lock is in force,
    until `until_ns`, or what it did still holds.
    """

    code: Code
    used: float = nan
    limit: float = nan
    share: float = nan
    limit_name: str = ""
    unit: Unit | None = None
    strategy: str = ""
    symbol: str = ""
    note: str = ""
    room: Headroom | None = None
    fired: bool = False
    until_ns: int = 0


def firings(state: State, now_ns: int) -> Iterator[Firing]:
    """Every trigger that the account's policy has switched on, in their order."""
    limits = state.account_limits()
    for code in TRIGGERS:
        if is_on(limits, code):
            yield _held(state, now_ns, _MEASURES[code](state, code, limits, now_ns))


def _of_limit(code: Code, name: str, used: float, limit: float, share: float = nan) -> Firing:
    part = share if share == share else used / limit if limit > 0.0 else nan
    return Firing(code, used, limit, part, name, LIMIT_FIELDS[name].unit)


# ---------------------------------------------------------------- locks


def _held(state: State, now_ns: int, told: Firing) -> Firing:
    """The same with whether its lock is in force, and whose it is."""
    for strategy, symbol, until_ns in _locks(state, told.code, now_ns):
        return told._replace(fired=True, until_ns=until_ns, strategy=strategy, symbol=symbol)
    return told


def _locks(state: State, code: Code, now_ns: int) -> Iterator[tuple[str, str, int]]:
    """Where the trigger's lock is in force, and until when."""
    trusted = state.account.clock_trusted

    def ends(row: AccountRow | StrategyRow | SymbolRow, codes: tuple[Code, ...]) -> Iterator[int]:
        if row.lock_mask:
            slots = enumerate(row.lock_until)
            yield from (
                until for slot, until in slots if codes[slot % len(codes)] == code and in_force(until, now_ns, trusted)
            )

    for until_ns in ends(state.account, ACCOUNT_LOCKS):
        yield "", "", until_ns
    for strategy, s in zip(state.names.strategies, state.strategies, strict=True):
        yield from ((strategy, "", until_ns) for until_ns in ends(s, STRATEGY_LOCKS))
    for symbol, r in zip(state.names.symbols, state.symbols, strict=True):
        yield from (("", symbol, until_ns) for until_ns in ends(r, SYMBOL_LOCKS))


# ---------------------------------------------------------------- measures


def _warn(state: State, code: Code, limits: Limits, _now_ns: int) -> Firing:
    shares = [(USE[each](state, limits), str(each)) for each in ACCOUNT_WARNINGS if is_on(limits, each)]
    near = list(uses(state, limits, -inf))
    of_rows = [(each.used, " ".join((each.code, *filter(None, user_of(state, each))))) for each in near]
    used, most = max(((used, each) for used, each in shares + of_rows if used == used), default=(nan, ""))
    told = _of_limit(code, "warn_frac_min", max(used, 0.0), limits.warn_frac_min)
    return told._replace(note=most, fired=state.account.warned != 0 or any(each.warned for each in near))


_LOSS_LIMITS: Final = {
    Code.DAILY_LOSS: "day_loss_frac_max",
    Code.WEEKLY_LOSS: "week_loss_frac_max",
    Code.DRAWDOWN: "drawdown_frac_max",
    Code.TOTAL_DRAWDOWN: "total_drawdown_frac_max",
    Code.EMERGENCY_FLATTEN: "emergency_drawdown_frac_max",
    Code.EQUITY_GUARD: "equity_floor_frac_min",
}


def _loss(state: State, code: Code, limits: Limits, _now_ns: int) -> Firing:
    """The loss beside the one that is allowed; for a floor, what is left of the whole."""
    name = _LOSS_LIMITS[code]
    limit: float = getattr(limits, name)
    share = max(loss_use(code)(state, limits), 0.0)
    used = 1.0 - share * (1.0 - limit) if code == Code.EQUITY_GUARD else share * limit
    return _of_limit(code, name, used, limit, share)


def _streak(state: State, code: Code, limits: Limits, _now_ns: int) -> Firing:
    seen, count_max = next((seen, most) for each, seen, most, _ in streaks(state.account, limits) if each == code)
    return _of_limit(code, f"{code.lower()}_count_max", float(seen), count_max)


_COUNTED: Final = {
    Code.API_ERRORS: "api_error_count_max",
    Code.ORDER_FAILURES: "order_failure_count_max",
    Code.FAILED_TRADES: "failed_trade_count_max",
}


def _breaker(state: State, code: Code, limits: Limits, now_ns: int) -> Firing:
    _, times, count, count_max, window_s, _ = next(each for each in breakers(state.account, limits) if each[0] == code)
    return _of_limit(code, _COUNTED[code], float(recent(times, count, window_s, now_ns)), count_max)


def _runaway(state: State, code: Code, limits: Limits, now_ns: int) -> Firing:
    """The strategy and symbol with the most openings on one side."""
    worst = _of_limit(code, "runaway_count_max", 0.0, limits.runaway_count_max)
    for index in state.open_rows:
        r = state.symbols[index]
        p = state.limits(r)
        for times, count in ((r.run_buy, r.run_buy_count), (r.run_sell, r.run_sell_count)):
            seen = float(recent(times, count, p.runaway_window_s, now_ns)) if times and r.owner >= 0 else 0.0
            told = _of_limit(code, "runaway_count_max", seen, p.runaway_count_max)
            if told.share > worst.share:
                worst = told._replace(strategy=state.names.strategies[r.owner], symbol=state.names.symbols[index])
    return worst


def _record(state: State, code: Code, limits: Limits, _now_ns: int) -> Firing:
    """The strategy that is nearest to a record without an edge: trades until it says something, then lost of won."""
    worst = _of_limit(code, "kelly_trade_count_min", 0.0, limits.kelly_trade_count_min)
    for strategy, s in zip(state.names.strategies, state.strategies, strict=True):
        count = float(s.recent_wins + s.recent_losses)
        told = _of_limit(code, "kelly_trade_count_min", count, limits.kelly_trade_count_min)
        lost = s.recent_lost / s.recent_won if s.recent_won > 0.0 else inf if count else 0.0
        if lost < told.share or count >= limits.kelly_trade_count_min:
            told = Firing(code, s.recent_lost, s.recent_won, lost, "", "money", note="lost of what was won")
        if told.share > worst.share:
            worst = told._replace(strategy=strategy)
    return worst


def _flat(state: State, code: Code, _limits: Limits, now_ns: int) -> Firing:
    """The position that has to be closed next."""
    ahead = []
    for index in state.open_rows:
        r = state.symbols[index]
        if (
            r.position != 0
            and state.limits(r).flat_lead_s >= 0.0
            and present_or_next(r.flat_windows, now_ns)[0] < OPERATOR_NS
        ):
            ahead.append(((present_or_next(r.flat_windows, now_ns)[0] - now_ns) / NS_PER_S_FLOAT, index))
    if not ahead:
        return Firing(code)
    ahead_s, index = min(ahead)
    r = state.symbols[index]
    room = Headroom("flat_ahead_s", ahead_s, state.limits(r).flat_lead_s, "s")
    due = flat_due(r, now_ns, state.limits(r))[0]
    return Firing(code, symbol=state.names.symbols[index], room=room, fired=due)


def _stop(_state: State, code: Code, _limits: Limits, _now_ns: int) -> Firing:
    return Firing(code)


def _mismatch(state: State, code: Code, _limits: Limits, _now_ns: int) -> Firing:
    counts = ((state.symbols[index].mismatch_count, index) for index in state.open_rows)
    count, index = max(counts, default=(0, -1))
    symbol = state.names.symbols[index] if count else ""
    return Firing(code, float(count), MISMATCHES, count / MISMATCHES, "", "count", symbol=symbol)


_MEASURES: Final[dict[Code, Callable[[State, Code, Limits, int], Firing]]] = {
    Code.WARN: _warn,
    **dict.fromkeys(LOSS_TRIGGERS, _loss),
    Code.SESSION_FLAT: _flat,
    Code.CONSEC_LOSS: _streak,
    Code.CONSEC_LOSS_BREAKER: _streak,
    **dict.fromkeys(_COUNTED, _breaker),
    Code.RUNAWAY: _runaway,
    Code.KELLY_ZERO: _record,
    Code.STOP_HIT: _stop,
    Code.RECONCILE_MISMATCH: _mismatch,
}
