"""Who asks for what under a policy: taken from the policy itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from interlock.core.errors import InterlockError
from interlock.policy import Policy


class PolicyUnfit(InterlockError):
    """The policy cannot be tried on these symbols; the message says what it lacks."""


@dataclass(frozen=True, slots=True)
class Parties:
    """Who asks for what under a policy: the strategy that trades, the source that opens, the source that closes."""

    strategy: str
    opener: str
    closer: str


def parties_of(policy: Policy) -> Parties:
    """
    The policy's first source that may open, for which strategy, and who may close for it.

    Raises:
        PolicyUnfit: it lets nobody open.
    """
    rights = [(path[1], path[2], tuple(leaf.written)) for path, leaf in policy.leaves.items() if path[0] == "sources"]
    opener, strategy = next(((who, whose) for who, whose, what in rights if "open" in what), ("", ""))
    if not opener:
        raise PolicyUnfit('the policy lets nobody open: give a source the right to "open" for a strategy')
    owner = policy.leaves["exits", "owner"].text
    closers = [who for who, whose, what in rights if whose == strategy and "close" in what]
    return Parties(strategy, opener, owner if owner != "any" else next(iter(closers), opener))


def fit(policy: Policy, symbols: Sequence[str]) -> Policy:
    """
    The policy, whose universe has at least one of the symbols.

    Raises:
        PolicyUnfit: it has none.
    """
    if not set(policy.symbols) & set(symbols):
        raise PolicyUnfit(
            f"the policy's universe is {', '.join(policy.symbols)}, and the data are of {', '.join(symbols)}: "
            "name the data with --symbol, or add the symbol to the policy"
        )
    return policy
