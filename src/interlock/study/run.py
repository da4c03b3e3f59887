"""A whole replay of a history: both runs, the proof of the ledger, and the comparison."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from interlock.adapters.bars import Bars
from interlock.adapters.history import Marks
from interlock.study.comparison import Comparison, compare
from interlock.study.hindsight import Free, Gated, Plan, Price, closes, walk
from interlock.study.past import Past
from interlock.study.proof import open_gate, prove

TOLD_EVERY: Final = 200


@dataclass(frozen=True, slots=True)
class Replay:
    """A history walked twice, and what came of it; ``priced`` symbols had price bars between their fills."""

    past: Past
    plan: Plan
    free: Free
    gated: Gated
    marks: Marks | None
    priced: frozenset[str]
    comparison: Comparison


def replay(
    past: Past,
    balance: float,
    plan: Plan,
    directory: Path,
    *,
    bars: Mapping[str, Bars] | None = None,
    marks: Marks | None = None,
    told: Callable[[str, int, int], None] = lambda _what, _done, _total: None,
) -> Replay:
    """
    The history was walked without a gate and with the plan's, whose ledger in the directory was proven.

    Args:
        past: the history.
        balance: what the account began with, in its currency.
        plan: the gate.
        directory: where the ledger goes; it has none of the plan's name yet.
        bars: prices between the history's own, by symbol.
        marks: what the account's equity really was, to check and to show.
        told: hears what is being done, how far it is, and of how much.

    Raises:
        PolicyUnfit: the policy lets nobody open.
        LedgerUnwritable: the ledger took nothing more; nothing unrecorded was opened.
    """
    total = len(past.orders)
    free = Free(past, balance)
    for done in walk(free, _prices(past, bars)):
        if done % TOLD_EVERY == 0 or done == total:
            told("history", done, total)
    key = Ed25519PrivateKey.generate()
    gate = open_gate(directory, plan.name, key)
    gated = Gated(past, balance, gate, plan)
    for done in walk(gated, _prices(past, bars)):
        if done % TOLD_EVERY == 0 or done == total:
            told("with the gate", done, total)
    gate.close()
    if marks is not None and marks.at_ns[-1] > past.orders[-1].at_ns:
        free.look(marks.at_ns[-1])
        gated.look(marks.at_ns[-1])
    steps = gate.engine.state.account.seq

    def proved(done: int) -> None:
        if done % TOLD_EVERY == 0 or done == steps:
            told("decided again", done, steps)

    proof = prove(directory, plan.name, key.public_key(), steps, proved)
    found = compare(free, gated, plan, directory / plan.name, proof, marks)
    return Replay(past, plan, free, gated, marks, frozenset(bars or ()), found)


def _prices(past: Past, bars: Mapping[str, Bars] | None) -> list[Iterator[Price]]:
    return [closes(symbol, each, past.contracts[symbol]) for symbol, each in (bars or {}).items()]
