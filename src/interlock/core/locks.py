"""Which locks are in force, what trading state follows, and what counts towards one; nothing here changes a lock."""

from interlock.core.codes import Code, TradingState
from interlock.core.state import ACCOUNT_LOCKS, STRATEGY_LOCKS, SYMBOL_LOCKS, AccountRow, State, StrategyRow, SymbolRow
from interlock.core.transitions import in_force

Binding = tuple[TradingState, Code | None, int]
"""The worst severity in force, the lock behind it, and its end."""

FREE: Binding = (TradingState.ACTIVE, None, 0)


def worst(
    row: AccountRow | StrategyRow | SymbolRow, slots: range, codes: tuple[Code, ...], now_ns: int, trusted: float
) -> Binding:
    """The most severe lock of the row in force now; of equally severe ones the one that ends last."""
    found = FREE
    for slot in slots:
        until = row.lock_until[slot]
        if until == 0 or not in_force(until, now_ns, trusted):
            continue
        severity = TradingState(row.lock_severity[slot])
        if (severity, until) > (found[0], found[2]):
            found = (severity, codes[slot % len(codes)], until)
    return found


_ACCOUNT_SLOTS = range(len(ACCOUNT_LOCKS))
_STRATEGY_SLOTS = range(len(STRATEGY_LOCKS))
_BUY_SLOTS = range(len(SYMBOL_LOCKS))
_SELL_SLOTS = range(len(SYMBOL_LOCKS), 2 * len(SYMBOL_LOCKS))


def account_lock(a: AccountRow, now_ns: int, trusted: float) -> Binding:
    """The account's worst lock in force."""
    return worst(a, _ACCOUNT_SLOTS, ACCOUNT_LOCKS, now_ns, trusted) if a.lock_mask else FREE


def strategy_lock(s: StrategyRow, now_ns: int, trusted: float) -> Binding:
    """The strategy's worst lock in force."""
    return worst(s, _STRATEGY_SLOTS, STRATEGY_LOCKS, now_ns, trusted) if s.lock_mask else FREE


def symbol_lock(r: SymbolRow, side: int, now_ns: int, trusted: float) -> Binding:
    """The worst lock in force on one side of the symbol."""
    if not r.lock_mask:
        return FREE
    return worst(r, _BUY_SLOTS if side > 0 else _SELL_SLOTS, SYMBOL_LOCKS, now_ns, trusted)


def trading_state(state: State) -> TradingState:
    """What may leave the account now."""
    a = state.account
    return account_lock(a, a.now_ns, a.clock_trusted)[0]


def reset_counter(a: AccountRow, code: Code) -> None:
    """
    What makes the lock is counted afresh from here, so that the same history does not lock again at once.

    So it is when a lock begins and when an operator releases it; one whose time is over forgets nothing.
    """
    if code == Code.CONSEC_LOSS:
        a.loss_streak = 0
    elif code == Code.CONSEC_LOSS_BREAKER:
        a.loss_streak_total = 0
    elif code == Code.API_ERRORS:
        a.api_error_count = 0
    elif code == Code.ORDER_FAILURES:
        a.order_failure_count = 0
    elif code == Code.FAILED_TRADES:
        a.failed_trade_count = 0
