"""
The engine of one account: inputs go in one at a time, and what may happen because of each comes out.

Its rules:

1. Time is an input. The engine has no clock, no chance, no input or output; the same inputs give the same outputs.
2. `step` computes first and commits last. `decide` looks, on a draft; `apply` is the only code that changes the state.
3. An input that cannot be processed is recorded as `Quarantined`, and the engine goes on: what it was about is unknown
   until it is told afresh, and an order that can only reduce still leaves.
4. Outputs are to be carried out by the caller: a reducing permit at once, an opening one when its step is durable.

How it works: an intent becomes legs. A reducing leg is answered from the position, the closes under way and the source's
authority alone. An opening leg becomes `Facts`, every guard names the largest notional it permits, and the smallest wins;
a permit then reserves that exposure from this instant. After every other input the triggers look at the new state: what is
proven broken sets a lock, and some of it flattens.

How it fails: without policy, prices, equity, reconciliation or a trusted clock, openings are denied with the missing fact
and closings go on. A guard that raises vetoes. A broken invariant is an assert. Whoever calls `step` from two threads at
once has two writers, and must not.
"""

from typing import Final

import msgspec

from interlock.core.apply import apply
from interlock.core.codes import TradingState
from interlock.core.decide import decide
from interlock.core.errors import InputInvalid
from interlock.core.inputs import check
from interlock.core.locks import trading_state
from interlock.core.messages import CashFlow, Executed, Input, PositionsReported, Quarantined, Step
from interlock.core.state import State

TOLD_BY_VENUE: Final = frozenset({CashFlow, Executed, PositionsReported})
"""Inputs that cannot be sent back: where one is nonsense, something did happen, and we do not know what."""


class Engine:
    """One account's state and the two functions that move it."""

    def __init__(self, state: State | None = None) -> None:
        self.state = State() if state is None else state

    @property
    def trading_state(self) -> TradingState:
        """What may leave the account as of the last step."""
        return trading_state(self.state)

    def step(self, event: Input, at_ns: int, mono_ns: int | None = None) -> Step:
        """
        The state has taken the input; returns the whole step, to be recorded.

        Args:
            event: what happened.
            at_ns: wall clock, UTC epoch.
            mono_ns: monotonic clock; the wall clock where there is none, as in a back-test.

        Raises:
            InputInvalid: a person or a program asked for something that cannot be applied; nothing has changed.
        """
        mono_ns = at_ns if mono_ns is None else mono_ns
        try:
            check(self.state, event, at_ns)
        except InputInvalid as error:
            if type(event) not in TOLD_BY_VENUE:
                raise
            event = quarantine(event, error)
        try:
            outputs = decide(self.state, at_ns, mono_ns, event)
        except Exception as error:  # noqa: BLE001 (the loop: whatever was wrong, the engine goes on)
            event = quarantine(event, error)
            outputs = decide(self.state, at_ns, mono_ns, event)
        apply(self.state, at_ns, mono_ns, event, outputs)
        return Step(self.state.account.seq, at_ns, mono_ns, event, outputs)

    def fold(self, step: Step) -> None:
        """The state is as it was after the recorded step; nothing is decided again."""
        apply(self.state, step.at_ns, step.mono_ns, step.input, step.outputs)


def quarantine(event: Input, error: Exception) -> Quarantined:
    """The record of an input that could not be processed."""
    symbol = getattr(event, "symbol", "")
    payload = msgspec.msgpack.encode(event)
    return Quarantined(type(event).__name__, f"{type(error).__name__}: {error}", payload, symbol)
