"""How much of its exposure limits each symbol, strategy and cluster uses; what the account uses as a whole is no row's."""

from collections.abc import Iterator
from math import inf
from typing import Final, NamedTuple

from interlock.core.codes import Code
from interlock.core.limits import BITS, Limits
from interlock.core.measure import guard_equity
from interlock.core.state import ClusterRow, State, StrategyRow, SymbolRow, edit
from interlock.core.together import cluster_exposure, exposure
from interlock.core.transitions import money


class Use(NamedTuple):
    """The share that a symbol, a strategy or a cluster, whose row it is, uses of the limit of a rule; NaN is unknown."""

    code: Code
    row: int
    used: float
    warned: bool
    is_symbol: bool = False


def uses(state: State, limits: Limits, least: float) -> Iterator[Use]:
    """
    What of their limits open symbols, strategies and clusters use, where equity is known.

    Only those are named that use this share at least, or that were warned of.
    """
    equity = guard_equity(state.account.venue_equity, state.account.own_equity)
    if not 0.0 < equity < inf:
        return
    active = limits.active
    alone = limits.cluster_exposure_frac_max if active & CLUSTER_BIT else inf
    for index in state.open_rows:
        r = state.symbols[index]
        p = state.limits(r)
        line = p.symbol_exposure_frac_max if p.active & SYMBOL_BIT else inf
        code = Code.SYMBOL_EXPOSURE
        if r.cluster < 0 and alone < line:
            line, code = alone, Code.CLUSTER_CAP
        room = line * equity
        used = exposure(r) / room if room > 0.0 else 0.0
        if used >= least or r.warned:
            yield Use(code, index, used, r.warned, is_symbol=True)
    room = limits.strategy_exposure_frac_max * equity if active & STRATEGY_BIT else 0.0
    for number in range(len(state.strategies)) if room > 0.0 else ():
        s = state.strategies[number]
        used = (s.held_notional + money(s.pending_reserved)) / room
        if used >= least or s.warned:
            yield Use(Code.STRATEGY_EXPOSURE, number, used, s.warned)
    room = alone * equity if 0.0 < alone < inf else 0.0
    for number in range(len(state.clusters) - 1) if room > 0.0 else ():
        c = state.clusters[number]
        used = cluster_exposure(c) / room
        if used >= least or c.warned:
            yield Use(Code.CLUSTER_CAP, number, used, c.warned)


SYMBOL_BIT: Final = BITS[Code.SYMBOL_EXPOSURE]
STRATEGY_BIT: Final = BITS[Code.STRATEGY_EXPOSURE]
CLUSTER_BIT: Final = BITS[Code.CLUSTER_CAP]


def user_of(state: State, use: Use) -> tuple[str, str]:
    """The symbol that uses it, or else the name of the strategy or cluster."""
    if use.is_symbol:
        return state.names.symbols[use.row], ""
    if use.code is Code.STRATEGY_EXPOSURE:
        return "", state.names.strategies[use.row]
    return "", cluster_name(state, use.row)


def cluster_name(state: State, number: int) -> str:
    """What the policy calls the cluster."""
    return _clusters(state)[number]


def _clusters(state: State) -> list[str]:
    """The policy's clusters, in the order in which it names them first: that is how they are numbered."""
    universe = state.policy.universe if state.policy is not None else ()
    return list(dict.fromkeys(each.cluster for each in universe if each.cluster))


def warned_row(state: State, code: str, symbol: str, name: str) -> SymbolRow | StrategyRow | ClusterRow | None:
    """The row of whoever used so much of the rule's limit, for writing; None where that is the account as a whole."""
    if symbol:
        return state.edit_symbol(state.names.symbol_index[symbol])
    if code == Code.STRATEGY_EXPOSURE:
        return edit(state.strategies, state.names.strategy_index[name])
    return edit(state.clusters, _clusters(state).index(name)) if code == Code.CLUSTER_CAP else None
