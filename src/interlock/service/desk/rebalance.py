"""What steps say to a rebalance, instruction by instruction, and to a cancellation."""

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from interlock.core.codes import Action, Code
from interlock.core.messages import (
    CancelOrders,
    Decision,
    Instruction,
    OpeningsDeferred,
    Output,
    PermitRevoked,
    Rebalance,
)
from interlock.core.state import PermitRow, State
from interlock.service.api import Cancelled, Instructed, Rebalanced

NOTHING_HELD = "there is nothing to close"
AT_TARGET = "it is at its target, or on its way there"
NOT_DURABLE = "the disk has not taken it yet: what opens leaves when it has, if it is then still valid"


def parts(rebalance: Rebalance) -> tuple[Rebalance | None, Rebalance | None]:
    """
    What of the rebalance opens nothing, and the rest; either may be missing.

    A symbol that is to be closed is closed, whatever else is said of it: all that is goes into the first part, where what
    contradicts is denied.
    """
    closing = {each.symbol for each in rebalance.instructions if each.action is Action.CLOSE}
    first = tuple(each for each in rebalance.instructions if each.symbol in closing)
    rest = tuple(each for each in rebalance.instructions if each.symbol not in closing)
    if all(each.action is Action.VETO for each in rest):
        return rebalance, None
    if not first:
        return None, rebalance
    whole = msgspec.structs.replace(rebalance, part_of=rebalance.content)
    return msgspec.structs.replace(whole, instructions=first), msgspec.structs.replace(whole, instructions=rest)


def rebalanced(
    state: State, rebalance: Rebalance, outputs: Iterable[Output], *, unsettled: frozenset[int] = frozenset()
) -> Rebalanced:
    """
    The answer to the rebalance that was decided with those outputs.

    Args:
        state: names and instruments are read from it, and what waits where the outputs do not say.
        rebalance: what was asked.
        outputs: what came of it.
        unsettled: permits that the disk has not taken yet; what they allow is not granted yet.
    """
    outputs = tuple(outputs)
    prefix = f"{rebalance.id}/"
    decided: dict[str, list[Decision]] = {}
    for output in outputs:
        if isinstance(output, Decision) and output.intent_id.startswith(prefix):
            decided.setdefault(output.intent_id.removeprefix(prefix), []).append(output)
    waits = _waits(state, rebalance, outputs)
    waiting = {each.symbol for each in waits.rebalance.instructions} if waits is not None else set()
    counts = Counter(each.symbol for each in rebalance.instructions)
    answers = []
    for each in rebalance.instructions:
        waits_too = each.symbol in waiting and counts[each.symbol] == 1
        answers.append(_instructed(state, each, _mine(each, decided, counts), unsettled, waits=waits_too))
    return Rebalanced(rebalance.id, Code.ALLOWED, tuple(answers), waits.reductions if waits is not None else ())


def undecided(state: State, rebalance: Rebalance, closed: tuple[Output, ...], code: Code, why: str) -> Rebalanced:
    """The answer where nothing was decided but what closes."""
    told = rebalanced(state, rebalance, closed).answers if closed else ()
    answers = (each if each.decisions else msgspec.structs.replace(each, headline=code, note=why) for each in told)
    return Rebalanced(rebalance.id, code, tuple(answers), note=why)


def _waits(state: State, rebalance: Rebalance, outputs: tuple[Output, ...]) -> OpeningsDeferred | None:
    """
    What of this rebalance waits: as it was decided, or from before where it was told again; None where nothing does.

    What another waits for that was told under the same id is not this one's.
    """
    mine = [each for each in outputs if isinstance(each, OpeningsDeferred) and each.rebalance.id == rebalance.id]
    waits = mine[-1] if mine else state.waiting.get(rebalance.strategy)
    if waits is None or waits.rebalance.id != rebalance.id or waits.rebalance.content != rebalance.content:
        return None
    return waits if waits.reductions else None


def _mine(
    instruction: Instruction, decided: Mapping[str, list[Decision]], counts: Mapping[str, int]
) -> tuple[Decision, ...]:
    """The decisions of that instruction; of a symbol that stands there more than once only a CLOSE counts."""
    found = decided.get(instruction.symbol, ())
    if counts[instruction.symbol] == 1:
        return tuple(found)
    closes = instruction.action is Action.CLOSE
    return tuple(each for each in found if each.reducing == closes)


def _instructed(
    state: State, instruction: Instruction, decisions: tuple[Decision, ...], unsettled: frozenset[int], *, waits: bool
) -> Instructed:
    if not decisions:
        note = "" if waits else NOTHING_HELD if instruction.action is Action.CLOSE else AT_TARGET
        return Instructed(instruction, Code.ALLOWED, waits=waits, note=note)
    granted = [each for each in decisions if each.allowed and each.permit not in unsettled]
    denied = next((each for each in decisions if not each.allowed), decisions[0])
    late = any(each.permit in unsettled for each in decisions if each.permit)
    headline = Code.ALLOWED if granted else Code.UNANSWERED if late else denied.headline
    note = NOT_DURABLE if late else denied.note
    return Instructed(instruction, headline, _quantity(state, granted), decisions, waits, note)


def _quantity(state: State, granted: list[Decision]) -> float:
    """Signed base units of what was granted."""
    if not granted:
        return 0.0
    index = state.names.symbol_index.get(granted[0].symbol, -1)
    instrument = state.instruments[index] if index >= 0 else None
    assert instrument is not None, "what was granted has an instrument"
    return sum(each.side * instrument.quantity(each.granted_steps) for each in granted)


def orders_of(state: State, name: str) -> tuple[PermitRow, ...]:
    """Live permits that open for the intent of that name, or for the rebalance."""
    return tuple(
        p
        for p in state.permits.alive()
        if not p.reduce_only and (p.intent_id == name or p.intent_id.startswith(f"{name}/"))
    )


def cancelled(name: str, orders: tuple[PermitRow, ...], outputs: Iterable[Output], withdrawn: tuple[str, ...]) -> Cancelled:
    """The answer to the wish to cancel these orders, which came to those outputs, and what waited."""
    numbers = {p.id for p in orders}
    revoked: list[int] = []
    cancelling: list[int] = []
    denied: list[Decision] = []
    for output in outputs:
        if isinstance(output, PermitRevoked) and output.permit in numbers:
            revoked.append(output.permit)
        elif isinstance(output, CancelOrders):
            cancelling += [number for number in output.permits if number in numbers]
        elif isinstance(output, Decision) and not output.allowed:
            denied.append(output)
    abroad = dict.fromkeys(p.executor for p in orders if p.executor)
    note = f"{', '.join(abroad)} executes some of it: cancel that there" if abroad else ""
    if revoked or cancelling or withdrawn:
        return Cancelled(name, Code.ALLOWED, tuple(revoked), tuple(cancelling), withdrawn, note)
    if denied:
        return Cancelled(name, denied[0].headline, note=denied[0].note)
    if any(not p.executor for p in orders):
        return Cancelled(name, Code.UNANSWERED, note="the engine has not decided it: it may still open")
    return Cancelled(name, Code.MALFORMED, note=note or "no order of it is live that opens")
