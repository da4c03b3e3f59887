"""From the instructions of a rebalance to ordinary intents."""

from dataclasses import dataclass

from interlock.core.agenda import Agenda
from interlock.core.codes import Action, Code
from interlock.core.messages import Instruction, Intent, Rebalance
from interlock.core.observe import equity_now
from interlock.core.record import deserved_steps


@dataclass(frozen=True, slots=True)
class Wish:
    """An instruction as an intent; `reducing` when it starts by reducing."""

    intent: Intent
    reducing: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """An instruction that cannot be one, and why."""

    intent: Intent
    code: Code
    note: str


def intent_of(agenda: Agenda, rebalance: Rebalance, instruction: Instruction) -> Wish | Refusal | None:
    """
    The intent that takes the symbol to its target, or None when there is nothing to do.

    VETO leaves the position alone. A target is a share of guard equity at the mark; openings under way count as there,
    so that the same rebalance told twice, or the next one before the first has filled, does not open twice.
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
        if r.position == 0:
            return None
        side = -1 if r.position > 0 else 1
        return Wish(
            _intent(rebalance, instruction, side, instrument.quantity(abs(r.position)), closing=True), reducing=True
        )
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
    intent = _intent(rebalance, instruction, side, instrument.quantity(wanted), closing=False)
    return Wish(intent, reducing=r.position * side < 0)


def _refuse(rebalance: Rebalance, instruction: Instruction, note: str, code: Code = Code.MALFORMED) -> Refusal:
    return Refusal(_intent(rebalance, instruction, 0, 0.0, closing=False), code, note)


def _intent(rebalance: Rebalance, instruction: Instruction, side: int, quantity: float, *, closing: bool) -> Intent:
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
