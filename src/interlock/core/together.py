"""What moves together with a symbol: the exposure of its cluster, which the policy names."""

from math import nan

from interlock.core.constants import MICROS
from interlock.core.numbers import share
from interlock.core.state import PermitRow, State, SymbolRow


def exposure(r: SymbolRow) -> float:
    """What is held and reserved in one symbol, in account currency; NaN while the position is in doubt."""
    held = nan if r.known != 1.0 else abs(r.position) * r.unit_notional if r.position != 0 else 0.0
    return held + (r.pending_buy_reserved + r.pending_sell_reserved) / MICROS


def cluster_exposure(state: State, row: int, own: PermitRow | None) -> float:
    """
    What is held and reserved in the symbol's cluster, in account currency, `own` not counted.

    Summed over the open rows: it costs as much as is open, however large the universe is.
    """
    cluster = state.symbols[row].cluster
    total = 0.0
    for index in state.open_rows:
        r = state.symbols[index]
        if index == row or (cluster >= 0 and r.cluster == cluster):
            total += exposure(r)
    return total if own is None else total - share(own.reserved, own.pending, own.steps) / MICROS
