"""
How one set of leaves is laid over another: a file over its preset, a symbol's own numbers over the account's.

The upper leaf replaces the lower one at the same path. "off: why" replaces all numbers of its rule, a number of a rule
replaces its "off: why", and a sizing table replaces a whole one.
"""

from interlock.policy.leaf import Leaves
from interlock.policy.problems import Path


def overlay(lower: Leaves, upper: Leaves) -> Leaves:
    """All leaves that are in force: the upper ones, and the lower ones that none of them replaces."""
    switched = {path for path in upper if is_switch(path)}
    numbered = {path[:-1] for path in upper}
    kept = {
        path: leaf
        for path, leaf in lower.items()
        if path[:-1] not in switched
        and not (is_switch(path) and path in numbered)
        and not (path[-2:-1] == ("sizing",) and path[:-1] in numbered)
    }
    return {**kept, **upper}


def by_symbol(leaves: Leaves) -> dict[str, Leaves]:
    """The leaves of each symbol of the universe, in the file's order, at paths relative to the symbol."""
    symbols: dict[str, Leaves] = {}
    for path, leaf in leaves.items():
        if path[0] == "universe":
            symbols.setdefault(path[1], {})[path[2:]] = leaf
    return symbols


def of_regime(leaves: Leaves, label: str) -> Leaves:
    """What is said of positions entered in that regime, at the paths where the account's own stand."""
    return {path[2:]: leaf for path, leaf in leaves.items() if path[:2] == ("regimes", label)}


def account_part(leaves: Leaves) -> Leaves:
    """The leaves that are about neither a symbol nor a regime."""
    return {path: leaf for path, leaf in leaves.items() if path[0] not in ("universe", "regimes")}


def limits_part(symbol: Leaves) -> Leaves:
    """A symbol's own rules and sizing, at the paths where the account's stand."""
    return {path: leaf for path, leaf in symbol.items() if path[0] in ("rules", "sizing")}


def is_switch(path: Path) -> bool:
    """Whether "on" or "off: why" stands there, in place of a rule's numbers."""
    return path[-2:-1] == ("rules",)
