"""Operating failures of the core, each named for its remedy; a denial is a value and never an exception."""


class InterlockError(Exception):
    """Something an operator can put right; the message says how."""


class PolicyInvalid(InterlockError):
    """A policy was refused; `problems` lists everything that is wrong with it, not just the first."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


class InputInvalid(InterlockError):
    """An input cannot be applied to this state; nothing has changed."""


class ReplayDiverged(InterlockError):
    """Deciding again gave other outputs than the record holds."""

    def __init__(self, seq: int, recorded: str, decided: str) -> None:
        self.seq = seq
        self.recorded = recorded
        self.decided = decided
        super().__init__(
            f"step {seq}: the ledger holds {recorded}, deciding again gives {decided}: "
            "replay with the version that wrote the ledger"
        )
