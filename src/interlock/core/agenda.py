"""What a step is about to put out: outputs in order, tried on a draft as they are added."""

import msgspec

from interlock.core.apply import apply_output
from interlock.core.messages import Output
from interlock.core.state import State


class Agenda(msgspec.Struct, gc=False):
    """
    The outputs of one step so far.

    On a draft each output takes effect at once, so that what follows sees it; without one (`draft` False) the state is
    the real one and is only read.
    """

    state: State
    at_ns: int
    trusted: float
    next_id: int
    draft: bool
    outputs: list[Output] = msgspec.field(default_factory=list)

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
