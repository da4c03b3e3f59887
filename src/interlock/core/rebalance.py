"""
A rebalance: instructions for many symbols, decided as a whole.

What reduces leaves first. Openings follow in the given order, judged on what is held and reserved, those of one cluster
scaled by one factor where they do not all fit. A reduction that has not filled frees nothing: what does not fit for
want of room waits, and is decided again once the reductions under way are filled.

What closes a symbol also ends the openings that could fill there afterwards. Under an id that stands for other content
only what reduces is decided.
"""

from collections import Counter
from dataclasses import dataclass
from math import inf
from typing import Final

import msgspec

from interlock.core.agenda import Agenda
from interlock.core.authority import ALWAYS, may_close, may_open
from interlock.core.codes import Action, Code, Partial, RiskAction, TradingState
from interlock.core.instrument import Instrument
from interlock.core.legs import closing_steps, decide_intent, decide_opening, deny, order_of, standing, tell_again
from interlock.core.locks import FREE
from interlock.core.messages import Decision, FenceRaised, Instruction, Intent, OpeningsDeferred, Rebalance, RiskEvent
from interlock.core.observe import equity_now
from interlock.core.record import deserved_steps
from interlock.core.state import PermitRow, State, SymbolRow, is_stop
from interlock.core.together import cluster_exposure
from interlock.core.triggers import end_openings, end_stop_vetoes
from interlock.core.warn import cluster_name

ROOM: Final = frozenset(
    {
        Code.SYMBOL_EXPOSURE,
        Code.STRATEGY_EXPOSURE,
        Code.TOTAL_EXPOSURE,
        Code.NET_EXPOSURE,
        Code.CONCURRENT_POSITIONS,
        Code.CLUSTER_CAP,
        Code.CORRELATION_VETO,
        Code.FREE_MARGIN,
        Code.GROSS_LEVERAGE,
        Code.LOSS_HEADROOM,
    }
)
"""Objections that a reduction can lift."""

LEFT_ALONE: Final = "a VETO leaves the position alone"
CONFLICT: Final = "another rebalance was told under this id, and that one stands: tell this one under its own"
"""What is said to instructions for which no guard speaks."""


@dataclass(frozen=True, slots=True)
class Wish:
    """
    An instruction as an intent; `reducing` when it starts by reducing.

    Where it also `turns` the position, the opening part is decided when it is flat.
    """

    instruction: Instruction
    intent: Intent
    row: int
    reducing: bool = False
    turns: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """An instruction that cannot be one, and why."""

    intent: Intent
    code: Code
    note: str


def decide_rebalance(agenda: Agenda, rebalance: Rebalance) -> None:
    """
    Whatever there is to do is answered, and what does not fit yet waits in place of what waited before, if that is the
    source's to replace.

    The same rebalance told again closes what is left to close; an opening that was permitted stands. Under an id that
    stands for other content nothing opens. One that is new ends the vetoes that were to last until it, if its source may
    open for its strategy.
    """
    state = agenda.state
    content = rebalance.content
    if rebalance.instructions and state.rebalances.get(rebalance.id) not in (None, content):
        _decide_conflict(agenda, rebalance)
        return
    _begin(agenda, rebalance)
    wishes = _wishes(agenda, rebalance)
    for wish in wishes:
        if wish.reducing:
            decide_intent(agenda, wish.intent)
    openings = [wish for wish in wishes if not wish.reducing and not _stands(agenda, wish.intent)]
    short = _decide_openings(agenda, openings, rebalance.partial)
    waits = state.waiting.get(rebalance.strategy)
    if waits is not None and not _may_instruct(state, rebalance):
        return
    kept = _waiting_of(waits, rebalance.id)
    waiting = tuple(
        wish.instruction
        for wish in wishes
        if wish.turns or wish.row in short or (not wish.reducing and wish.instruction.symbol in kept)
    )
    under_way = tuple(p.id for p in _reductions(state, rebalance.strategy)) if waiting else ()
    if under_way or waits is not None:
        rest = msgspec.structs.replace(rebalance, instructions=waiting, part_of=content)
        agenda.emit(OpeningsDeferred(rest, under_way, state.account.fence))


def _begin(agenda: Agenda, rebalance: Rebalance) -> None:
    """What was to last until the strategy's next rebalance is over, where this one is new and its source may open."""
    state = agenda.state
    new = bool(rebalance.instructions) and state.rebalances.get(rebalance.id) is None
    if new and may_open(state, rebalance.source, rebalance.strategy) == 1.0:
        end_stop_vetoes(agenda, rebalance.strategy, rebalance.created_at_ns)


def _decide_conflict(agenda: Agenda, rebalance: Rebalance) -> None:
    """What reduces leaves, for nothing holds up an exit; all else is denied, and what was told under the id stands."""
    for instruction, wish in _read(agenda, rebalance):
        reducing = wish if isinstance(wish, Wish) and wish.reducing else None
        if reducing is not None:
            decide_intent(agenda, reducing.intent)
        if instruction.action is Action.CLOSE:
            _end_openings(agenda, rebalance, instruction.symbol)
        elif reducing is None or reducing.turns:
            intent = _intent(rebalance, instruction, 0, 0.0, False)
            deny(agenda, intent, Code.INTENT_CONFLICT, reducing=False, note=CONFLICT)


def _waiting_of(waits: OpeningsDeferred | None, rebalance: str) -> frozenset[str]:
    """Symbols of that very rebalance which wait already: told again it drops none of them."""
    same = waits is not None and waits.rebalance.id == rebalance
    return frozenset(each.symbol for each in waits.rebalance.instructions) if waits is not None and same else frozenset()


def _may_instruct(state: State, rebalance: Rebalance) -> bool:
    """Whether what waits for the strategy is the source's to replace."""
    return rebalance.source in ALWAYS or may_open(state, rebalance.source, rebalance.strategy) == 1.0


def settle(agenda: Agenda) -> None:
    """
    What waited for reductions is decided once all are filled.

    Where one ended otherwise nothing was freed, and a raised fence voids what waits as it voids what was permitted: then
    nothing is decided again unless the rebalance is told again.
    """
    state = agenda.state
    for waits in tuple(state.waiting.values()):
        permits = [state.permits.get(number) for number in waits.reductions]
        lost = any(p is None or (p.ended and p.filled < p.steps) for p in permits)
        if lost or waits.fence != state.account.fence:
            agenda.emit(OpeningsDeferred(waits.rebalance, ()))
        elif all(p is not None and p.ended for p in permits):
            agenda.emit(OpeningsDeferred(waits.rebalance, ()))
            wishes = [wish for wish in _wishes(agenda, waits.rebalance) if not wish.reducing]
            _decide_openings(agenda, wishes, waits.rebalance.partial)


def _stands(agenda: Agenda, intent: Intent) -> bool:
    """Whether an opening of that name was permitted and may still come of it or has; then that is said again."""
    seen = agenda.state.intents.get(intent.id)
    p = None if seen is None else standing(agenda.state, seen)
    if seen is None or p is None:
        return False
    tell_again(agenda, intent, seen, p)
    return True


def _reductions(state: State, strategy: str) -> list[PermitRow]:
    """Closes of the strategy's positions that are under way at the market."""
    number = state.names.strategy_index.get(strategy, -1)
    return [
        p
        for p in state.permits.alive()
        if p.reduce_only and p.strategy == number and p.limit_price != p.limit_price and not is_stop(p)
    ]


# ---------------------------------------------------------------- openings


def _decide_openings(agenda: Agenda, wishes: list[Wish], partial: Partial) -> set[int]:
    """The openings are answered in order; returns the rows of those that got less than they wanted for want of room."""
    factors = _factors(agenda, wishes) if partial is Partial.SCALE else {}
    short = set()
    for wish in wishes:
        factor = factors.get(wish.row, 1.0)
        if _lacks_room(_decide_scaled(agenda, wish, factor), partial, scaled=factor < 1.0):
            short.add(wish.row)
    return short


def _decide_scaled(agenda: Agenda, wish: Wish, factor: float) -> Decision | None:
    """The opening at that share of its size is answered; None where that is less than the venue trades."""
    intent = wish.intent
    if factor < 1.0:
        intent = msgspec.structs.replace(intent, quantity=intent.quantity * factor)
        instrument = agenda.state.instruments[wish.row]
        assert instrument is not None
        if not instrument.steps_down(intent.quantity):
            note = "scaled with its cluster it is less than one step of the venue"
            deny(agenda, intent, Code.BELOW_MIN_NOTIONAL, reducing=False, note=note)
            return None
    return decide_opening(agenda, intent, wish.row, 0.0)


def _lacks_room(decision: Decision | None, partial: Partial, *, scaled: bool) -> bool:
    """
    Whether more of it could leave if something else were reduced.

    What nobody objects to, and is too small for the venue as it was asked for, never can. Where less than was asked for
    may leave, other objections do not matter as long as they leave more than there is room for.
    """
    if decision is None:
        return True
    room, rest = _allowed_by(decision, of_room=True), _allowed_by(decision, of_room=False)
    if rest < inf:
        return partial is Partial.SCALE and rest > max(room, 0.0)
    return scaled or (room < inf and decision.granted_steps < decision.requested_steps)


def _allowed_by(decision: Decision, *, of_room: bool) -> float:
    """The least that objections which a reduction can lift, or those which it cannot, allow; inf without any."""
    allowed = [objection.allowance for objection in decision.objections if (objection.code in ROOM) is of_room]
    return min(allowed, default=inf)


def _factors(agenda: Agenda, wishes: list[Wish]) -> dict[int, float]:
    """
    By which factor the opening of each row is scaled, so that its cluster's fit their cap together; others are not named.

    The event of each says what the openings come to at the worst price they may get, and for how much there is room:
    the factor is the second over the first. A vetoed symbol does not take part and is not scaled: it is to say why.
    """
    state = agenda.state
    line = state.account_limits().cluster_exposure_frac_max * equity_now(state, agenda.at_ns)
    if not line > 0.0:
        return {}
    wanted: dict[int, float] = {}
    rows: dict[int, list[int]] = {}
    for wish in wishes:
        r = state.symbols[wish.row]
        if r.cluster < 0 or r.goal:
            continue
        order = order_of(agenda, wish.intent, wish.row, state.limits(r), 0.0)
        if order.symbol_lock is FREE:
            wanted[r.cluster] = wanted.get(r.cluster, 0.0) + order.steps * order.unit_notional
            rows.setdefault(r.cluster, []).append(wish.row)
    factors: dict[int, float] = {}
    for cluster, notional in wanted.items():
        room = line - cluster_exposure(state.clusters[cluster])
        if notional > room > 0.0:
            factors |= dict.fromkeys(rows[cluster], room / notional)
            name = cluster_name(state, cluster)
            agenda.emit(RiskEvent(agenda.at_ns, Code.CLUSTER_CAP, "", RiskAction.SCALE, notional, room, name))
    return factors


# ---------------------------------------------------------------- wishes


def _wishes(agenda: Agenda, rebalance: Rebalance) -> list[Wish]:
    """What there is to do; what is to be left alone, or cannot be carried out, is answered at once."""
    wishes = []
    for instruction, wish in _read(agenda, rebalance):
        if isinstance(wish, Refusal):
            deny(agenda, wish.intent, wish.code, reducing=False, note=wish.note)
        elif wish is not None:
            wishes.append(wish)
        elif instruction.action is Action.VETO:
            _leave_alone(agenda, rebalance, instruction)
        if instruction.action is Action.CLOSE or (_is_none(instruction) and not isinstance(wish, Refusal)):
            _end_openings(agenda, rebalance, instruction.symbol)
    return wishes


def _read(agenda: Agenda, rebalance: Rebalance) -> list[tuple[Instruction, Wish | Refusal | None]]:
    """Each instruction with what there is to do; of a symbol that stands there more than once only a CLOSE counts."""
    counts = Counter(instruction.symbol for instruction in rebalance.instructions)
    read: list[tuple[Instruction, Wish | Refusal | None]] = []
    for instruction in rebalance.instructions:
        if instruction.action is not Action.CLOSE and counts[instruction.symbol] > 1:
            note = f"symbol {instruction.symbol!r} stands there more than once: only a CLOSE counts"
            read.append((instruction, _refuse(rebalance, instruction, note)))
        else:
            read.append((instruction, wish_of(agenda, rebalance, instruction)))
    return read


def _is_none(instruction: Instruction) -> bool:
    """Whether the target is to hold nothing."""
    return instruction.action is Action.SCALE and instruction.target_weight == 0.0


def _leave_alone(agenda: Agenda, rebalance: Rebalance, instruction: Instruction) -> None:
    """Nothing was asked for and nothing is granted; that is said."""
    intent = _intent(rebalance, instruction, 0, 0.0, False)
    agenda.emit(
        Decision(
            agenda.take_id(),
            intent.id,
            intent.source,
            intent.strategy,
            intent.symbol,
            intent.side,
            False,
            0,
            0,
            inf,
            Code.ALLOWED,
            (),
            None,
            TradingState.ACTIVE,
            note=LEFT_ALONE,
        )
    )


def _end_openings(agenda: Agenda, rebalance: Rebalance, symbol: str) -> None:
    """
    Openings of a symbol that is to be flat are over or being cancelled, for whoever may close or open there.

    What waits for reductions there waits no longer. What an order under way would open once it has closed the position is
    void: a fence that is raised sees to that.
    """
    state = agenda.state
    index = state.names.symbol_index.get(symbol, -1)
    if index < 0:
        return
    live = [p for p in map(state.permits.get, tuple(state.symbols[index].permits)) if p is not None]
    mine = [p for p in live if _may_end(agenda, rebalance, index, _strategy_of(state, p))]
    end_openings(agenda, [p for p in mine if not (p.reduce_only or p.cancelling)], Code.ALLOWED)
    for waits in tuple(state.waiting.values()):
        left = tuple(each for each in waits.rebalance.instructions if each.symbol != symbol)
        fewer = len(left) < len(waits.rebalance.instructions)
        if fewer and _may_end(agenda, rebalance, index, waits.rebalance.strategy):
            rest = msgspec.structs.replace(waits.rebalance, instructions=left)
            agenda.emit(OpeningsDeferred(rest, waits.reductions if left else (), waits.fence))
    if any(p.deferred is not None and p.fence == state.account.fence for p in mine):
        agenda.emit(FenceRaised(state.account.fence + 1, Code.ALLOWED))


def _strategy_of(state: State, p: PermitRow) -> str:
    return state.names.strategies[p.strategy] if p.strategy >= 0 else ""


def _may_end(agenda: Agenda, rebalance: Rebalance, index: int, strategy: str) -> bool:
    """Whether the source may close the opening's symbol, or open for its strategy."""
    state = agenda.state
    if may_close(state, rebalance.source, rebalance.strategy, state.symbols[index], agenda.at_ns):
        return True
    return may_open(state, rebalance.source, strategy) == 1.0


def wish_of(agenda: Agenda, rebalance: Rebalance, instruction: Instruction) -> Wish | Refusal | None:
    """
    The intent that takes the symbol to its target, or None when there is nothing to do.

    VETO leaves the position alone. A target is a share of guard equity at the mark; what is under way counts as there, so
    that the same rebalance told twice, or the next one before the first has filled, neither opens nor reduces twice.
    """
    state = agenda.state
    index = state.names.symbol_index.get(instruction.symbol, -1)
    instrument = state.instruments[index] if index >= 0 else None
    if instruction.action is Action.VETO:
        return None
    if instrument is None:
        return _refuse(rebalance, instruction, f"symbol {instruction.symbol!r} is not known")
    r = state.symbols[index]
    if instruction.action is Action.CLOSE:
        return _close_of(rebalance, instruction, index, r, instrument)
    weight = instruction.target_weight
    if not -1.0 <= weight <= 1.0 or (weight == 0.0 and instruction.action is Action.OPEN):
        return _refuse(rebalance, instruction, f"target_weight must be in [-1, 1] and not 0 to open, found {weight!r}")
    equity = equity_now(state, agenda.at_ns)
    steps = 0
    if weight != 0.0:
        if not (equity > 0.0 and r.unit_notional > 0.0):
            return _refuse(rebalance, instruction, "equity or price is unknown, so a weight is no size", Code.EQUITY_STALE)
        steps = instrument.steps_down(abs(weight) * equity / r.unit_notional * instrument.step)
        steps = deserved_steps(agenda, rebalance.strategy, instruction, index, steps)
    change = (steps if weight > 0.0 else -steps) - r.position
    side = 1 if change > 0 else -1
    wanted = abs(change) - (r.pending_buy if side > 0 else r.pending_sell)
    if wanted <= 0:
        return None
    if r.position * side >= 0:
        return Wish(instruction, _intent(rebalance, instruction, side, instrument.quantity(wanted), False), index)
    turns = wanted > abs(r.position)
    reduction = abs(r.position) if turns else wanted - closing_steps(state, r, agenda.at_ns)
    if reduction <= 0:
        return None
    intent = _intent(rebalance, instruction, side, instrument.quantity(reduction), True)
    return Wish(instruction, intent, index, True, turns)


def _close_of(
    rebalance: Rebalance, instruction: Instruction, index: int, r: SymbolRow, instrument: Instrument
) -> Wish | Refusal | None:
    """The close of all that is held; None where that is nothing."""
    if r.position == 0 and r.known != 1.0:
        note = "the position is not known, so there is no quantity to close: close it by hand"
        return _refuse(rebalance, instruction, note, Code.NOTHING_TO_REDUCE)
    side = -1 if r.position > 0 else 1
    held = instrument.quantity(abs(r.position))
    return Wish(instruction, _intent(rebalance, instruction, side, held, True), index, True) if r.position else None


def _refuse(rebalance: Rebalance, instruction: Instruction, note: str, code: Code = Code.MALFORMED) -> Refusal:
    return Refusal(_intent(rebalance, instruction, 0, 0.0, False), code, note)


def _intent(rebalance: Rebalance, instruction: Instruction, side: int, quantity: float, closing: bool) -> Intent:
    return Intent(
        f"{rebalance.id}/{instruction.symbol}",
        rebalance.source,
        rebalance.strategy,
        instruction.symbol,
        side,
        quantity=quantity,
        stop_price=instruction.sl_price,
        target_price=instruction.tp_price,
        reduce_only=closing,
        partial=rebalance.partial,
        created_at_ns=rebalance.created_at_ns,
    )
