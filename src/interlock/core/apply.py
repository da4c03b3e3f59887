"""
The only code that changes the state: what each output does to it, and in which order a step takes effect.

`apply` is total: a step that was decided never fails here, and folding recorded steps through it gives the same state
again, however the rules have changed since.
"""

from bisect import bisect_right
from collections.abc import Callable
from math import isfinite, nan
from typing import Any, Final

from interlock.core.absorb import absorb, source_number
from interlock.core.authority import EXITS
from interlock.core.cash import count_proof
from interlock.core.codes import Code, RiskAction, Rung, Scope
from interlock.core.due import due_rows, schedule, windows_edge
from interlock.core.fills import end_permit, strategy_of, unsettled_quota
from interlock.core.floors import day_open_equity
from interlock.core.locks import reset_counter
from interlock.core.measure import is_position, measure, take_sides
from interlock.core.messages import (
    BaselineSet,
    CancelOrders,
    Decision,
    ExitProposed,
    FenceRaised,
    FlattenGoal,
    Input,
    Intent,
    LockChanged,
    OpeningsDeferred,
    Output,
    PermitIssued,
    PermitRevoked,
    Rebalance,
    RiskEvent,
)
from interlock.core.positions import close_row, open_row
from interlock.core.state import (
    ACCOUNT_LOCK_SLOTS,
    ACCOUNT_WARNINGS,
    LOSS_TRIGGERS,
    RUNGS,
    STRATEGY_LOCKS,
    SYMBOL_LOCKS,
    VOLUNTARY,
    PermitRow,
    SeenIntent,
    State,
    edit,
)
from interlock.core.transitions import (
    begin_quota_day,
    core_time,
    on_exit_sent,
    on_order,
    on_time,
    reserve,
)
from interlock.core.warn import warned_row

EXIT_NAME: Final = "exit:"
"""What the names of orders of the way out begin with."""

ROLLED: Final = ("exact", "pending")
"""How a baseline is set by the roll of a calendar, which comes before anything else in a step."""


def advance(state: State, wall_ns: int, mono_ns: int) -> None:
    """The state's clocks are those of this step."""
    a = state.account
    now_ns, trusted = core_time(a, wall_ns, mono_ns, state.account_limits().clock_step_s_max)
    if now_ns < a.now_ns or trusted != a.clock_trusted:
        state.touch(state.open_rows)
    on_time(a, wall_ns, mono_ns, now_ns, trusted)
    if now_ns >= a.wake_ns:
        state.touch(due_rows(state))
        measure(state)


def apply(state: State, wall_ns: int, mono_ns: int, event: Input, outputs: tuple[Output, ...]) -> None:
    """The state is as it is after the step: time, calendar rolls, the input itself, then everything else decided."""
    a = state.account
    advance(state, wall_ns, mono_ns)
    quiet = type(event) is Intent and a.now_ns < a.wake_ns
    before = [] if quiet else state.begin()
    a.seq += 1
    rolled = 0
    for output in outputs:
        if not (type(output) is BaselineSet and output.how in ROLLED):
            break
        apply_output(state, output)
        rolled += 1
    absorb(state, event)
    for output in outputs[rolled:]:
        apply_output(state, output)
    if type(event) is Intent:
        _remember(state, event, outputs)
    else:
        _remember_openings(state, outputs, of_all=type(event) is Rebalance)
        if type(event) is Rebalance and event.instructions:
            _remember_rebalance(state, event)
    if not quiet:
        schedule(state, before)


def apply_output(state: State, output: Output) -> None:
    """The state holds what the output says."""
    handler = _HANDLERS.get(type(output))
    if handler is not None:
        handler(state, output)


def _remember(state: State, intent: Intent, outputs: tuple[Output, ...]) -> None:
    """The intent's id stands for its first decision and the permit that came of it; other content leaves that as it is."""
    for output in outputs:
        if type(output) is Decision and output.intent_id == intent.id and not output.repeats:
            if any(objection.code is Code.INTENT_CONFLICT for objection in output.objections):
                return
            seen = SeenIntent(
                intent,
                output.id,
                output.granted_steps,
                output.allowance,
                output.headline,
                output.permit,
                output.reducing,
            )
            state.intents.add(intent.id, seen)
            return


def _remember_rebalance(state: State, rebalance: Rebalance) -> None:
    """The id stands for what was told under it first; other content leaves that as it is."""
    content = rebalance.content
    if state.rebalances.get(rebalance.id) in (None, content):
        state.rebalances.add(rebalance.id, content)


def _remember_openings(state: State, outputs: tuple[Output, ...], *, of_all: bool) -> None:
    """
    The openings of a rebalance that were permitted stand for their names, so that told again they leave once.

    `of_all` is whether the step decided a rebalance; otherwise those are meant that had waited for its reductions.
    """
    named: set[str] = set()
    for output in outputs:
        if type(output) is OpeningsDeferred and not output.reductions:
            named |= {f"{output.rebalance.id}/{each.symbol}" for each in output.rebalance.instructions}
        elif type(output) is Decision and (of_all or output.intent_id in named):
            _remember_opening(state, output)


def _remember_opening(state: State, output: Decision) -> None:
    if output.granted_steps and not output.reducing and not output.repeats:
        name = Intent(output.intent_id, output.source, output.strategy, output.symbol, output.side)
        seen = SeenIntent(name, output.id, output.granted_steps, output.allowance, output.headline, output.permit, False)
        state.intents.add(name.id, seen)


# ---------------------------------------------------------------- permits


def _decision(state: State, output: Decision) -> None:
    state.account.next_id = max(state.account.next_id, output.id + 1)


def _permit_issued(state: State, output: PermitIssued) -> None:
    a = state.account
    a.next_id = max(a.next_id, output.id + 1)
    names = state.names
    index = names.symbol_index[output.symbol]
    r = state.edit_symbol(index)
    limits = state.limits(r)
    margin = risk = 0
    slice_risk = limits.quota_slice_frac * day_open_equity(state)
    if not output.reduce_only:
        margin = _part(output.reserved, 1.0 / output.margin_leverage if output.margin_leverage > 0.0 else nan)
        stop_frac = abs(output.limit_price - output.stop_price) / output.limit_price
        at_stop = stop_frac + limits.cost_frac
        if stop_frac != stop_frac:
            at_stop = limits.no_stop_gap_frac
            slice_risk *= _without_cost(at_stop, limits.cost_frac)
        risk = _part(output.reserved, at_stop)
    p = PermitRow(
        output.id,
        index,
        names.strategy_index.get(output.strategy, -1),
        output.side,
        output.steps,
        output.reduce_only,
        output.limit_price,
        output.stop_price,
        output.target_price,
        output.margin_leverage,
        output.fence,
        output.issued_ns,
        output.expires_ns,
        output.reserved,
        margin,
        risk,
        output.intent_id,
        output.goal,
        output.decision,
        source_number(state, output.source),
        deferred=output.deferred,
        trigger_price=output.trigger_price,
        slice_risk=slice_risk,
    )
    state.permits.add(p)
    r.permits.append(p.id)
    open_row(state, index)
    if output.reduce_only:
        if output.goal.startswith(EXIT_NAME):
            on_exit_sent(r, a.now_ns, limits.flatten_retry_s_min, limits.flatten_retry_s_max, p.id)
        return
    a.position_count += not is_position(r)
    reserve(a, strategy_of(state, p), edit(state.clusters, r.cluster), r, p)
    take_sides(state, index)
    if r.owner == -1:
        r.owner = p.strategy
        r.opener = p.source
    if limits.order_interval_s > 0.0:
        on_order(a, a.now_ns, limits.order_interval_s)
    a.wake_ns = min(a.wake_ns, output.expires_ns + 1)
    if r.news_windows or r.flat_windows:
        a.wake_ns = min(a.wake_ns, windows_edge(r, a.now_ns, limits))


def _without_cost(lost_frac: float, cost_frac: float) -> float:
    """The share of a loss that is not its costs: what LOSS_HEADROOM counts of it, while a slice of risk pays for both."""
    return lost_frac / (lost_frac + cost_frac) if lost_frac > 0.0 else 1.0


def _part(amount: int, frac: float) -> int:
    """A share of micros; nothing where the share is unknown because no rule reads it."""
    return int(amount * frac) if isfinite(frac) else 0


def _permit_revoked(state: State, output: PermitRevoked) -> None:
    end_permit(state, state.permits.edit(output.permit), output.state)


def _cancel_orders(state: State, output: CancelOrders) -> None:
    for number in output.permits:
        state.permits.edit(number).cancelling = True


def _fence_raised(state: State, output: FenceRaised) -> None:
    state.account.fence = output.fence


# ---------------------------------------------------------------- locks and references


def _lock_changed(state: State, output: LockChanged) -> None:
    if output.scope != Scope.SYMBOL:
        state.touch(state.open_rows)
    if output.scope == Scope.ACCOUNT:
        slot = ACCOUNT_LOCK_SLOTS[output.code]
        _put(state.account, slot, output)
        if output.until_ns:
            reset_counter(state.account, output.code)
    elif output.scope == Scope.STRATEGY:
        s = edit(state.strategies, state.names.strategy_index[output.scope_key])
        _put(s, STRATEGY_LOCKS.index(output.code), output)
    else:
        r = state.edit_symbol(state.names.symbol_index[output.scope_key])
        slot = SYMBOL_LOCKS.index(output.code)
        stopped = r.stopped if output.until_ns else -1
        if output.side >= 0:
            _put(r, slot, output)
            r.buy_stopped = stopped if output.code is Code.STOP_HIT else r.buy_stopped
        if output.side <= 0:
            _put(r, slot + len(SYMBOL_LOCKS), output)
            r.sell_stopped = stopped if output.code is Code.STOP_HIT else r.sell_stopped


def _put(row: Any, slot: int, output: LockChanged) -> None:
    row.lock_until[slot] = output.until_ns
    row.lock_severity[slot] = int(output.severity) if output.until_ns else 0
    row.lock_mask = row.lock_mask | 1 << slot if output.until_ns else row.lock_mask & ~(1 << slot)


def _flatten_goal(state: State, output: FlattenGoal) -> None:
    index = state.names.symbol_index[output.symbol]
    r = state.edit_symbol(index)
    r.goal = output.code if output.active else ""
    r.goal_attempts = output.attempts
    r.goal_next_ns = output.next_attempt_ns
    if output.active:
        open_row(state, index)
    else:
        close_row(state, index)


def _exit_proposed(state: State, output: ExitProposed) -> None:
    """
    The rung has fired, or was advised; the position is to be reduced, and its stop is where it was moved.

    Only the built-in rules spend a rung that protects: a proposal under its name must not switch the rule off.
    """
    r = state.edit_symbol(state.names.symbol_index[output.symbol])
    bit = 1 << RUNGS.index(Rung(output.rung)) if output.rung in RUNGS else 0
    if not output.acting:
        r.advised |= bit
        return
    if output.source == EXITS or output.rung in VOLUNTARY:
        r.rungs |= bit
    if output.stop_price == output.stop_price:
        r.stop_price = output.stop_price
    waits = 1.0 if output.source == EXITS and output.rung in VOLUNTARY else 0.0
    sooner = output.left_steps == r.exit_left and waits < r.exit_waits
    if output.left_steps >= 0 and (r.exit_left < 0 or output.left_steps < r.exit_left or sooner):
        r.exit_left = output.left_steps
        r.exit_waits = waits
        r.exit_rung = output.rung
        r.exit_attempts = r.exit_next_ns = 0


def _openings_deferred(state: State, output: OpeningsDeferred) -> None:
    state.waiting.pop(output.rebalance.strategy, None)
    if output.reductions:
        state.waiting[output.rebalance.strategy] = output


def _baseline_set(state: State, output: BaselineSet) -> None:
    a = state.account
    if output.name in ("drawdown_ref", "equity_peak"):
        setattr(a, output.name, output.equity)
        count_proof(state, counts=False)
        return
    if output.name == "initial_balance":
        a.initial_balance = output.equity
        return
    index = [row.name for row in state.calendars].index(output.name)
    c = edit(state.calendars, index)
    if index == a.day_calendar and output.start_ns != c.start_ns:
        entries, slices = unsettled_quota(state)
        begin_quota_day(a, entries, slices)
    c.start_ns = output.start_ns
    c.next = bisect_right(c.instants_ns, output.start_ns)
    c.pending = 1.0 if output.how == "pending" else 0.0
    if output.how == "pending":
        c.before_equity, c.before_balance = output.equity, output.balance
        c.open_equity = c.open_balance = nan
    else:
        c.open_equity, c.open_balance = output.equity, output.balance


def _risk_event(state: State, output: RiskEvent) -> None:
    a = state.account
    if output.trigger in LOSS_TRIGGERS:
        bit = 1 << LOSS_TRIGGERS.index(output.trigger)
        a.tripped = a.tripped & ~bit if output.action == RiskAction.REARM else a.tripped | bit
    elif output.trigger == Code.WARN:
        _warned(state, output)
    elif output.trigger == Code.RUNAWAY:
        r = state.edit_symbol(state.names.symbol_index[output.symbol])
        r.run_buy_count = r.run_sell_count = 0
    elif output.trigger == Code.STOP_HIT and output.action == RiskAction.VETO:
        r = state.edit_symbol(state.names.symbol_index[output.symbol])
        lasts = state.limits(r).stop_hit_lock_s < 0.0
        r.stopped = state.names.strategy_index.get(output.metadata, -1) if lasts else -1
        r.stopped_ns = output.at_ns
    elif output.trigger == Code.KELLY_ZERO:
        s = edit(state.strategies, state.names.strategy_index[output.metadata])
        s.edgeless = 0.0 if output.action == RiskAction.REARM else 1.0
    elif output.trigger == Code.HEARTBEAT_LOST:
        _heard_or_not(state, output)
    elif output.trigger == Code.KILL_EXIT:
        r = state.edit_symbol(state.names.symbol_index[output.symbol])
        r.score_unknown = 0.0 if output.action == RiskAction.REARM else 1.0
    if output.action == RiskAction.VETO and output.trigger in (
        Code.API_ERRORS,
        Code.ORDER_FAILURES,
        Code.FAILED_TRADES,
    ):
        a.trip_times[a.trip_count % len(a.trip_times)] = output.at_ns
        a.trip_count += 1


def _warned(state: State, output: RiskEvent) -> None:
    """The event names the rule, and the symbol, strategy or cluster; without any it is the account's."""
    a, on = state.account, output.action != RiskAction.REARM
    code, _, name = output.metadata.partition(" ")
    row = warned_row(state, code, output.symbol, name)
    if row is not None:
        row.warned = on
        return
    bit = 1 << ACCOUNT_WARNINGS.index(Code(code))
    a.warned = a.warned | bit if on else a.warned & ~bit


def _heard_or_not(state: State, output: RiskEvent) -> None:
    """The exit owner that the event names, if it still is, or else the venue is silent or heard again."""
    a = state.account
    silent = output.action != RiskAction.REARM
    if not output.metadata:
        a.venue_silent = silent
    elif output.metadata == a.exit_owner:
        a.owner_silent = silent
        a.exit_deposed = output.action == RiskAction.VETO
        state.touch(state.open_rows)


_HANDLERS: Final[dict[type, Callable[[State, Any], None]]] = {
    Decision: _decision,
    PermitIssued: _permit_issued,
    PermitRevoked: _permit_revoked,
    CancelOrders: _cancel_orders,
    FenceRaised: _fence_raised,
    LockChanged: _lock_changed,
    FlattenGoal: _flatten_goal,
    ExitProposed: _exit_proposed,
    BaselineSet: _baseline_set,
    OpeningsDeferred: _openings_deferred,
    RiskEvent: _risk_event,
}
