"""Money as told and as booked: equity, balance, cash flows, and the references that follow them."""

from math import nan
from typing import Final

from interlock.core.constants import (
    MAX_CASH,
    MICROS,
    NS_PER_S_FLOAT,
    UNEXPLAINED_READS_S,
)
from interlock.core.floors import floor_of, is_broken
from interlock.core.measure import equity_gap, guard_equity, measure
from interlock.core.messages import (
    CashFlow,
    EquityMarked,
)
from interlock.core.state import (
    LOSS_TRIGGERS,
    State,
    edit,
)
from interlock.core.transitions import (
    confirm,
    is_ahead,
    is_fresh,
    micros,
    money,
    scale_calendar,
    scale_references,
)

FLOW_KINDS: Final = ("deposit", "withdrawal", "payout", "funding", "swap", "fee")
REFERENCE_FLOWS: Final = ("deposit", "withdrawal", "payout")
"""Flows that are not P&L: they move every reference of the account instead."""


def plausible_equity(state: State) -> float:
    """
    The equity that guards use, where both sources are fresh and agree; else NaN.

    Only such a figure becomes a peak, a reference or a baseline.
    """
    a = state.account
    limits = state.account_limits()
    if a.own_proven != 1.0 or not is_fresh(a.now_ns, a.venue_equity_at_ns, limits.equity_age_s_max):
        return nan
    if not equity_gap(a.venue_equity, a.own_equity) <= limits.equity_gap_frac_max:
        return nan
    return guard_equity(a.venue_equity, a.own_equity)


def on_equity(state: State, *, counts: bool) -> None:
    """
    Peak and drawdown reference follow a plausible new high; accepted marks count towards proof of a loss.

    Flows told while equity was unknown move the references once it is more than nothing: a balance of 0 that is believed
    for a moment must not wipe them out.
    """
    a = state.account
    before = a.own_equity - money(a.unscaled)
    if a.unscaled != 0 and before > 0.0 and a.own_equity > 0.0:
        _scale(state, before, a.own_equity)
        a.unscaled = 0
    equity = plausible_equity(state)
    if equity > 0.0:
        if not a.equity_peak >= equity:
            a.equity_peak = equity
        if not a.drawdown_ref >= equity:
            a.drawdown_ref = equity
    count_proof(state, counts=counts)


def count_proof(state: State, *, counts: bool) -> None:
    """One more accepted mark (`counts`) shows each loss; whatever shows none, mark or not, makes its count start over."""
    a = state.account
    limits = state.account_limits()
    for slot, code in enumerate(LOSS_TRIGGERS):
        floor = floor_of(state, code, limits)[1]
        broken = a.own_proven == 1.0 and is_broken(code, a.own_equity, floor)
        if counts or not broken:
            confirm(a, slot, broken, a.now_ns)


def equity_marked(state: State, event: EquityMarked) -> None:
    """The venue's equity and balance are what it told, unless it told them late or of a time to come."""
    a = state.account
    if event.at_ns < a.venue_equity_at_ns or is_ahead(a.now_ns, event.at_ns):
        return
    if event.equity == event.equity:
        a.venue_equity = a.nominal_base + event.equity
        a.venue_equity_at_ns = event.at_ns
    if abs(event.balance) <= MAX_CASH:
        _reconcile_balance(state, event.balance)
    measure(state)
    on_equity(state, counts=False)


def _reconcile_balance(state: State, venue_balance: float) -> None:
    """
    Our balance is the venue's, where fills, fees and flows explain it; else the difference is unexplained.

    Two joint reads of balance and agreeing positions, far enough apart, prove that the venue's figure is right.
    """
    a = state.account
    a.venue_balance = venue_balance
    venue = micros(venue_balance)
    expected = a.balance + a.booked
    tolerance = state.account_limits().equity_gap_frac_max * abs(money(expected) + a.nominal_base)
    if a.balance_known != 1.0 or abs(money(venue - expected)) <= tolerance:
        if venue != expected:
            a.adopted = venue - expected
        _take_balance(state, venue)
        return
    if a.unexplained == 0:
        a.unexplained_since_ns = a.now_ns
        a.joint_read_ns = 0
    a.unexplained = venue - expected
    if a.reconciled == 1.0 and a.reconciled_at_ns >= a.unexplained_since_ns:
        if a.joint_read_ns == 0:
            a.joint_read_ns = a.now_ns
        elif a.reconciled_at_ns - a.joint_read_ns >= UNEXPLAINED_READS_S * NS_PER_S_FLOAT:
            _take_balance(state, venue)


def _take_balance(state: State, venue: int) -> None:
    a = state.account
    a.balance = venue
    a.booked = 0
    a.balance_known = 1.0
    a.unexplained = 0
    a.unexplained_since_ns = 0
    a.joint_read_ns = 0


def cash_flow(state: State, event: CashFlow) -> None:
    """
    The money is booked once; a deposit, withdrawal or payout moves every reference by what it did to equity.

    While equity is unknown the references wait for it.
    """
    a = state.account
    if event.id:
        if state.flows.get(event.id):
            return
        state.flows.add(event.id, True)
    before = a.own_equity
    amount = micros(event.amount)
    already_told = a.unexplained != 0 and abs(a.unexplained - amount) < abs(a.unexplained)
    apart = abs(a.adopted - amount)
    if apart < MICROS and 2 * apart < abs(amount):
        a.adopted = 0
        a.booked -= amount
        before -= event.amount
        already_told = True
    a.booked += amount
    if event.kind in REFERENCE_FLOWS:
        a.flows += amount
        if before == before:
            _scale(state, before, before + event.amount)
        else:
            a.unscaled += amount
        if not already_told:
            a.venue_equity += event.amount
    else:
        _book_cost(state, event)
    if a.unexplained != 0 and already_told:
        _reconcile_balance(state, a.venue_balance)
    measure(state)
    on_equity(state, counts=False)


def _scale(state: State, before: float, after: float) -> None:
    """Every reference has moved as equity has; they are unknown where there was none, or none is left."""
    factor = after / before if before > 0.0 and after > 0.0 else nan
    scale_references(state.account, factor)
    for index in range(len(state.calendars)):
        scale_calendar(edit(state.calendars, index), factor)


def _book_cost(state: State, event: CashFlow) -> None:
    a = state.account
    a.fees += micros(event.amount)
    index = state.names.symbol_index.get(event.symbol)
    if index is not None and state.symbols[index].position != 0:
        state.edit_symbol(index).trade_pnl += micros(event.amount)
