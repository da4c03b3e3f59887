"""
From an intent to its legs: how much of it reduces, how much would open, and what each part is answered.

A reducing leg is free: its answer depends on the position, the closes under way and the source's authority alone. An
opening leg goes through every guard. An intent that would cross zero sends its reducing leg first; the opening leg is
judged when that has filled.
"""

from math import inf, nan
from typing import Final, NamedTuple

import msgspec

from interlock.core.agenda import Agenda
from interlock.core.authority import IMPATIENT, OPERATOR, may_close
from interlock.core.checks import ask_guards, checks_of
from interlock.core.codes import Code, Partial, PermitState, TradingState
from interlock.core.constants import MAX_STEPS, NS_PER_S_FLOAT
from interlock.core.facts import Facts
from interlock.core.guard import Checks, Found
from interlock.core.instrument import Instrument
from interlock.core.limits import Limits
from interlock.core.locks import FREE, Binding, account_lock, strategy_lock, symbol_lock
from interlock.core.messages import Decision, Intent, Objection, PermitIssued, PermitRevoked
from interlock.core.numbers import at_least, by_regime
from interlock.core.observe import Order, collar_price, equity_now, market_now, observe, spread_bps
from interlock.core.sizing import (
    asks_nonsense,
    cost_per_unit,
    is_sized_by_risk,
    model_stop,
    model_target,
    quantity_at_risk,
    requested_steps,
)
from interlock.core.state import PermitRow, SeenIntent, State, SymbolRow, is_stop
from interlock.core.transitions import micros, patience_s

ENGINE_GOALS: Final = ("exit:", "flatten:", "stop:")
"""What the goals begin with that the engine pursues by itself."""


class Split(NamedTuple):
    """How many steps of an intent reduce the position, and how many would open."""

    reducing: int
    opening: int


def split(position: int, closing: int, side: int, steps: int, *, reduce_only: bool) -> Split:
    """
    The reducing part is what is left of the opposite position after `closing`; the rest opens, unless forbidden.

    >>> split(10, 0, -1, 4, reduce_only=False)
    Split(reducing=4, opening=0)
    >>> split(10, 3, -1, 12, reduce_only=False)
    Split(reducing=7, opening=5)
    >>> split(10, 0, -1, 12, reduce_only=True)
    Split(reducing=10, opening=0)
    >>> split(-10, 0, -1, 4, reduce_only=False)
    Split(reducing=0, opening=4)
    >>> split(0, 0, 1, 4, reduce_only=True)
    Split(reducing=0, opening=0)
    """
    reducible = max(abs(position) - closing, 0) if position * side < 0 else 0
    reducing = min(steps, reducible)
    return Split(reducing, 0 if reduce_only else steps - reducing)


def closing_steps(state: State, r: SymbolRow, now_ns: int) -> int:
    """Steps of the position that live closes are about to take: sent at once, and silent for no longer than patience."""
    silence_ns = patience_s(state.limits(r).close_patience_s) * NS_PER_S_FLOAT
    steps = 0
    for number in r.permits:
        p = state.permits.get(number)
        if p is None or not p.reduce_only or p.state == PermitState.UNKNOWN:
            continue
        if p.limit_price == p.limit_price or is_stop(p):
            continue
        heard_ns = max(p.issued_ns, p.working_ns)
        if 0 <= now_ns - heard_ns <= silence_ns:
            steps += p.steps - p.filled
    return steps


def decide_intent(agenda: Agenda, intent: Intent) -> None:
    """The intent is answered: one decision, or one for each leg."""
    state = agenda.state
    index = state.names.symbol_index.get(intent.symbol, -1)
    instrument = state.instruments[index] if index >= 0 else None
    problem = asks_nonsense(intent)
    if problem or instrument is None:
        note = problem or f"symbol {intent.symbol!r} is not known"
        deny(agenda, intent, Code.MALFORMED, reducing=intent.reduce_only, note=note)
        return
    seen = state.intents.get(intent.id)
    if seen is not None:
        if _repeat(agenda, intent, seen):
            return
        if _has_reduced(state, intent, seen):
            intent = msgspec.structs.replace(intent, reduce_only=True)
    r = state.symbols[index]
    if r.position * intent.side < 0 or intent.reduce_only:
        _decide_closing(agenda, intent, index, instrument)
    else:
        conflict = 0.0 if seen is None or same_content(intent, seen.intent) else 1.0
        decide_opening(agenda, intent, index, conflict)


def _decide_closing(agenda: Agenda, intent: Intent, index: int, instrument: Instrument) -> None:
    """
    An intent against the position: its reducing part leaves, and what goes beyond waits until that has filled.

    While another close is under way nothing is opened on its side: a second exit must not become a new position.
    """
    state = agenda.state
    r = state.symbols[index]
    limits = state.limits(r)
    price, stop, _ = _prices(agenda, intent, r, limits)
    steps = _steps_asked(agenda, intent, index, limits, price, stop, r.unit_notional)
    if steps == 0 and intent.quantity != intent.quantity:
        note = "give a quantity: no usable price turns money into one"
        deny(agenda, intent, Code.MALFORMED, reducing=True, note=note)
        return
    if r.known != 1.0:
        if steps:
            decide_reducing(agenda, intent, index, steps, steps, None)
        else:
            deny(agenda, intent, Code.NOTHING_TO_REDUCE, reducing=True, note="less than one step of the venue")
        return
    closing = 0 if intent.source in IMPATIENT else closing_steps(state, r, agenda.at_ns)
    parts = split(r.position, closing, intent.side, steps, reduce_only=intent.reduce_only)
    if parts.reducing > 0:
        deferred = _rest(intent, instrument.quantity(parts.opening)) if parts.opening and not closing else None
        decide_reducing(agenda, intent, index, steps, parts.reducing, deferred)
    else:
        held = r.position * intent.side < 0
        note = "it is being closed already" if held and steps else "nothing is held on that side"
        deny(agenda, intent, Code.NOTHING_TO_REDUCE, reducing=True, requested=steps, note=note)


def _rest(intent: Intent, quantity: float) -> Intent:
    """The opening leg of a flip, as an intent of its own for the time when the position is flat."""
    return Intent(
        intent.id,
        intent.source,
        intent.strategy,
        intent.symbol,
        intent.side,
        quantity=quantity,
        limit_price=intent.limit_price,
        stop_price=intent.stop_price,
        target_price=intent.target_price,
        margin_leverage=intent.margin_leverage,
        partial=intent.partial,
        created_at_ns=intent.created_at_ns,
    )


# ---------------------------------------------------------------- seen before


def same_content(a: Intent, b: Intent) -> bool:
    """Whether two intents ask for the same; when they were made does not matter, and NaN equals NaN."""
    for name in Intent.__struct_fields__:
        if name == "created_at_ns":
            continue
        one, other = getattr(a, name), getattr(b, name)
        if one != other and (one == one or other == other):
            return False
    return True


def _repeat(agenda: Agenda, intent: Intent, seen: SeenIntent) -> bool:
    """
    Whether the intent is answered by its first decision.

    While that decision's permit lives or was executed, it is; an id whose permit ended unused, or that was denied, is
    decided anew. A reducing intent is held up only by a permit that is still live.
    """
    p = standing(agenda.state, seen)
    if p is None or not same_content(intent, seen.intent):
        return False
    tell_again(agenda, intent, seen, p)
    return True


def standing(state: State, seen: SeenIntent) -> PermitRow | None:
    """The permit of that decision, where it lives or was executed; one that reduced and has ended holds up nothing."""
    p = state.permits.get(seen.permit) if seen.permit else None
    if p is None or (p.ended and (p.filled == 0 or seen.reducing)):
        return None
    return p


def tell_again(agenda: Agenda, intent: Intent, seen: SeenIntent, p: PermitRow) -> None:
    """The intent is answered by an earlier decision and its permit."""
    agenda.emit(
        Decision(
            agenda.take_id(),
            intent.id,
            intent.source,
            intent.strategy,
            intent.symbol,
            intent.side,
            seen.reducing,
            p.steps,
            seen.granted_steps,
            seen.allowance,
            seen.headline,
            (),
            None,
            TradingState.ACTIVE,
            permit=p.id,
            permit_state=p.state,
            repeats=seen.decision,
            note="this id was decided before; its permit stands",
        )
    )


def _has_reduced(state: State, intent: Intent, seen: SeenIntent) -> bool:
    """Whether this very intent has reduced before: said again it may reduce what is left, and open nothing."""
    p = state.permits.get(seen.permit) if seen.permit else None
    return p is not None and seen.reducing and p.filled > 0 and same_content(intent, seen.intent)


# ---------------------------------------------------------------- reducing


def decide_reducing(
    agenda: Agenda, intent: Intent, index: int, requested: int, steps: int, deferred: Intent | None, goal: str = ""
) -> None:
    """A reducing leg leaves, unless its source is not entitled or an operator has frozen trading."""
    state = agenda.state
    r = state.symbols[index]
    lock = halting(agenda, index, intent)
    if lock[0] == TradingState.HALTED and intent.source != OPERATOR:
        deny(agenda, intent, Code.TRADING_HALTED, reducing=True, requested=requested, lock=lock)
        return
    if not may_close(state, intent.source, intent.strategy, r, agenda.at_ns):
        deny(agenda, intent, Code.NOT_EXIT_OWNER, reducing=True, requested=requested)
        return
    permit_reducing(agenda, intent, index, requested, steps, goal or goal_of(intent.id), lock[0], deferred=deferred)


def goal_of(intent_id: str) -> str:
    """What an intent of somebody's own pursues: never what the engine does, whatever name it was given."""
    return f"intent:{intent_id}" if intent_id.startswith(ENGINE_GOALS) else intent_id


def permit_reducing(
    agenda: Agenda,
    intent: Intent,
    index: int,
    requested: int,
    steps: int,
    goal: str,
    severity: TradingState,
    *,
    deferred: Intent | None = None,
    trigger_price: float = nan,
) -> None:
    """So many steps may leave reduce-only, in place of whatever was permitted for the same goal and not used."""
    _supersede(agenda, agenda.state.symbols[index], goal)
    decision, permit = agenda.take_id(), agenda.take_id()
    agenda.emit(
        Decision(
            decision,
            intent.id,
            intent.source,
            intent.strategy,
            intent.symbol,
            intent.side,
            True,
            requested,
            steps,
            inf,
            ALLOWED,
            (),
            None,
            severity,
            permit=permit,
        )
    )
    agenda.emit(_reducing_permit(agenda, intent, steps, decision, permit, goal, deferred, trigger_price))


def _supersede(agenda: Agenda, r: SymbolRow, goal: str) -> None:
    """Unspent closing permits of the same goal are void: the new one takes their place."""
    for number in tuple(r.permits):
        p = agenda.state.permits.get(number)
        if p is not None and p.goal == goal and p.reduce_only and p.state == PermitState.ISSUED:
            agenda.emit(PermitRevoked(p.id, PermitState.REVOKED, Code.NOTHING_TO_REDUCE))


def _reducing_permit(
    agenda: Agenda,
    intent: Intent,
    steps: int,
    decision: int,
    permit: int,
    goal: str,
    deferred: Intent | None,
    trigger_price: float,
) -> PermitIssued:
    a = agenda.state.account
    return PermitIssued(
        permit,
        a.epoch,
        a.fence,
        decision,
        intent.id,
        intent.strategy,
        intent.symbol,
        intent.side,
        steps,
        intent.limit_price,
        True,
        nan,
        nan,
        nan,
        agenda.at_ns,
        0,
        0,
        goal,
        deferred,
        intent.source,
        trigger_price,
    )


def halting(agenda: Agenda, index: int, intent: Intent) -> Binding:
    """The worst of the locks that could concern the order."""
    state = agenda.state
    strategy = state.names.strategy_index.get(intent.strategy, -1)
    return max(
        account_lock(state.account, agenda.at_ns, agenda.trusted),
        strategy_lock(state.strategies[strategy], agenda.at_ns, agenda.trusted) if strategy >= 0 else FREE,
        symbol_lock(state.symbols[index], intent.side, agenda.at_ns, agenda.trusted),
        key=lambda lock: lock[0],
    )


# ---------------------------------------------------------------- opening


def decide_opening(agenda: Agenda, intent: Intent, index: int, conflict: float) -> Decision:
    """
    An opening leg is answered: every guard is asked, and what they allow leaves or nothing does.

    `conflict` is 1.0 where the intent's id stands for another intent; the rest of a flip is none with its own.
    """
    checks = checks_of(agenda.state, agenda.state.symbols[index])
    order, facts, allowance, found, granted = judge(agenda, intent, index, checks, conflict)
    headline, lock = (ALLOWED, FREE) if granted else headline_of(found, order, scaled=intent.partial is Partial.SCALE)
    decision = agenda.next_id
    permit = decision + 1 if granted else 0
    agenda.next_id = decision + (2 if granted else 1)
    answer = Decision(
        decision,
        intent.id,
        intent.source,
        intent.strategy,
        intent.symbol,
        intent.side,
        False,
        order.steps,
        granted,
        allowance,
        headline,
        tuple([Objection(code, allowed) for code, allowed in found]) if found else (),
        facts,
        order.account_lock[0],
        lock[1] or "",
        lock[2],
        permit,
    )
    agenda.emit(answer)
    if granted:
        agenda.emit(_opening_permit(agenda, intent, order, granted, decision, permit, checks.limits))
    return answer


Judgement = tuple[Order, Facts, float, Found, int]
"""An opening order, its facts, what is allowed of it, who objects, and how many steps may leave."""


def judge(agenda: Agenda, intent: Intent, index: int, checks: Checks, conflict: float) -> Judgement:
    """What every guard says to the intent's opening leg now; nothing is put out."""
    state = agenda.state
    order = order_of(agenda, intent, index, checks.limits, conflict)
    values = observe(state, agenda.at_ns, agenda.trusted, order, checks.limits, None)
    facts = Facts(*values)
    requested = facts.requested_notional if facts.requested_notional > 0.0 else 0.0
    allowance, found = ask_guards(checks, values, requested)
    instrument = state.instruments[index]
    assert instrument is not None
    granted = order.steps
    if found or not 0.0 < requested >= instrument.min_notional:
        granted = _granted(intent, order, allowance, requested, instrument.min_notional)
    return order, facts, allowance, found, granted


ALLOWED: Final = Code.ALLOWED


def judge_again(agenda: Agenda, p: PermitRow) -> Code | None:
    """What speaks against a working order now, as if it were new but for its age, id and what it reserves itself."""
    state = agenda.state
    names = state.names
    checks = checks_of(state, state.symbols[p.symbol])
    instrument = state.instruments[p.symbol]
    assert instrument is not None
    intent = Intent(
        p.intent_id,
        names.sources[p.source],
        names.strategies[p.strategy],
        names.symbols[p.symbol],
        p.side,
        quantity=instrument.quantity(p.pending),
        limit_price=p.limit_price,
        stop_price=p.stop_price,
        target_price=p.target_price,
        margin_leverage=p.margin_leverage,
        created_at_ns=agenda.at_ns,
    )
    order = order_of(agenda, intent, p.symbol, checks.limits, 0.0)
    values = observe(state, agenda.at_ns, agenda.trusted, order, checks.limits, p)
    requested = Facts(*values).requested_notional
    _, found = ask_guards(checks, values, requested if requested > 0.0 else 0.0)
    return headline_of(found, order)[0] if found else None


def _prices(agenda: Agenda, intent: Intent, r: SymbolRow, limits: Limits) -> tuple[float, float, float]:
    """The worst price that the intent's order may get, its stop and its target: its own, or the sizing model's."""
    side, price, stop, target = intent.side, intent.limit_price, intent.stop_price, intent.target_price
    worst = price if price == price else collar_price(r, side, limits)
    if stop != stop and limits.size_stop_atr > 0.0:
        entry = price if price == price else r.mark
        atr, _ = market_now(r, agenda.at_ns, limits)
        stop = model_stop(side, entry, atr, limits)
        target = target if target == target else model_target(side, entry, worst, atr, limits)
    return worst, stop, target


def _steps_asked(
    agenda: Agenda, intent: Intent, index: int, limits: Limits, price: float, stop: float, unit_notional: float
) -> int:
    """Whole steps that the intent asks for, by itself or by the policy's model; 0 when its size is unknown."""
    state, now_ns = agenda.state, agenda.at_ns
    instrument = state.instruments[index]
    assert instrument is not None
    if not is_sized_by_risk(intent, limits):
        return requested_steps(intent, instrument, unit_notional, equity_now(state, now_ns), limits)
    r = state.symbols[index]
    atr, regime = market_now(r, now_ns, limits)
    if not (atr > 0.0 and price > 0.0 and stop > 0.0):
        return 0
    risk_frac = by_regime(regime, limits.chop_risk_frac_max, limits.base_risk_frac_max, limits.trend_risk_frac_max)
    distance = abs(instrument.value(price) - instrument.value(stop)) * r.rate
    cost = cost_per_unit(unit_notional / instrument.step, limits.cost_frac, spread_bps(r))
    return instrument.steps_down(quantity_at_risk(risk_frac * equity_now(state, now_ns), distance, cost))


def order_of(agenda: Agenda, intent: Intent, index: int, limits: Limits, conflict: float) -> Order:
    """
    The intent's opening leg as an order, and what is known of who asks.

    A step's notional is taken at the worse of the order's worst price and the mark.
    """
    state = agenda.state
    now_ns, trusted = agenda.at_ns, agenda.trusted
    r = state.symbols[index]
    instrument = state.instruments[index]
    assert instrument is not None
    side, price, stop, target = intent.side, intent.limit_price, intent.stop_price, intent.target_price
    if stop != stop:
        price, stop, target = _prices(agenda, intent, r, limits)
    elif price != price:
        price = collar_price(r, side, limits)
    unit = nan
    if price > 0.0:
        unit = instrument.unit_value(price, r.rate)
        if r.unit_notional > unit:
            unit = r.unit_notional
    if intent.quantity == intent.quantity:
        steps = instrument.steps_down(intent.quantity)
    else:
        steps = _steps_asked(agenda, intent, index, limits, price, stop, unit)
    if abs(r.position) + r.pending_buy + r.pending_sell + steps > MAX_STEPS:
        steps = 0
    leverage = intent.margin_leverage
    strategy = state.names.strategy_index.get(intent.strategy, -1)
    s = state.strategies[strategy] if strategy >= 0 else None
    right = state.rights.get((intent.source, intent.strategy))
    created_ns = intent.created_at_ns
    return Order(
        index,
        strategy,
        side,
        steps,
        price,
        stop,
        target,
        leverage if leverage == leverage else r.margin_leverage,
        unit,
        1.0 if right is not None and right.may_open else 0.0,
        (now_ns - created_ns) / NS_PER_S_FLOAT if created_ns > 0 else nan,
        conflict,
        account_lock(state.account, now_ns, trusted) if state.account.lock_mask else FREE,
        strategy_lock(s, now_ns, trusted) if s is not None and s.lock_mask else FREE,
        symbol_lock(r, side, now_ns, trusted) if r.lock_mask else FREE,
    )


def _granted(intent: Intent, order: Order, allowance: float, requested: float, min_notional: float) -> int:
    """Steps that may leave where somebody objects: all, as many as allowed where the intent takes less, or none."""
    if at_least(allowance, requested):
        granted = order.steps if requested > 0.0 else 0
    elif intent.partial is Partial.SCALE and allowance > 0.0 and order.unit_notional > 0.0:
        granted = min(order.steps, int(allowance / order.unit_notional))
    else:
        return 0
    return granted if granted * order.unit_notional >= min_notional else 0


def headline_of(found: Found, order: Order, *, scaled: bool = False) -> tuple[Code, Binding]:
    """
    The most important objection: locks by severity, then vetoes in guard order, then the smallest allowance.

    An order that takes less (`scaled`) is not denied for its caps, but for being too small within them.
    """
    locks = [lock for lock in (order.account_lock, order.strategy_lock) if lock[0]]
    if locks:
        worst = max(locks, key=lambda lock: lock[0])
        return Code.TRADING_HALTED if worst[0] == TradingState.HALTED else Code.TRADING_REDUCING, worst
    if order.symbol_lock[0]:
        return Code.SYMBOL_VETO, order.symbol_lock
    for code, allowed in found:
        if allowed <= 0.0:
            return code, FREE
    if found and not scaled:
        return min(found, key=lambda objection: objection[1])[0], FREE
    return Code.BELOW_MIN_NOTIONAL, FREE


def _opening_permit(
    agenda: Agenda, intent: Intent, order: Order, steps: int, decision: int, permit: int, limits: Limits
) -> PermitIssued:
    a = agenda.state.account
    return PermitIssued(
        permit,
        a.epoch,
        a.fence,
        decision,
        intent.id,
        intent.strategy,
        intent.symbol,
        intent.side,
        steps,
        order.worst_price,
        False,
        order.stop_price,
        order.target_price,
        order.margin_leverage,
        agenda.at_ns,
        agenda.at_ns + int(limits.permit_ttl_s * NS_PER_S_FLOAT),
        micros(steps * order.unit_notional),
        intent.id,
        None,
        intent.source,
    )


def deny(
    agenda: Agenda,
    intent: Intent,
    code: Code,
    *,
    reducing: bool,
    requested: int = 0,
    note: str = "",
    lock: Binding = FREE,
) -> None:
    """The intent is denied for one reason that no guard judges."""
    agenda.emit(
        Decision(
            agenda.take_id(),
            intent.id,
            intent.source,
            intent.strategy,
            intent.symbol,
            intent.side,
            reducing,
            requested,
            0,
            0.0,
            code,
            (Objection(code, 0.0),),
            None,
            lock[0],
            lock[1] or "",
            lock[2],
            note=note,
        )
    )
