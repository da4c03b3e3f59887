"""What a step is about to put out: outputs in order, tried on a draft as they are added."""

from interlock.core.apply import apply_output
from interlock.core.messages import Output
from interlock.core.state import State


class Agenda:
    """
    The outputs of one step so far.

    On a draft each output takes effect at once, so that what follows sees it; without one (`draft` False) the state is
    the real one and is only read.
    """

    __slots__ = ("at_ns", "draft", "next_id", "outputs", "state", "trusted")

    def __init__(self, state: State, at_ns: int, trusted: float, *, draft: bool) -> None:
        self.state = state
        self.at_ns = at_ns
        self.trusted = trusted
        self.draft = draft
        self.outputs: list[Output] = []
        self.next_id = state.account.next_id

    def take_id(self) -> int:
        """A new identifier, larger than all before it in this account and epoch."""
        taken = self.next_id
        self.next_id = taken + 1
        return taken

    def emit(self, output: Output) -> None:
        """The output is part of the step."""
        self.outputs.append(output)
        if self.draft:
            apply_output(self.state, output)
