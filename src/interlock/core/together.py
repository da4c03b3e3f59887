"""
What moves together with a symbol: its cluster, which the policy names, and what its returns are correlated with.

Both are looked up among the open symbols alone. A correlation follows from the closes of bars that both symbols have;
it is computed when it is first asked for and remembered until one of the two has another bar.
"""

from functools import cache
from itertools import pairwise
from math import nan, sqrt
from operator import mul

from interlock.core.constants import CORRELATION_RETURNS_MIN, MICROS, NS_PER_S_FLOAT
from interlock.core.limits import Limits
from interlock.core.measure import is_position
from interlock.core.numbers import clip, share
from interlock.core.state import Pair, PermitRow, State, SymbolRow, Weighed


def exposure(r: SymbolRow) -> float:
    """What is held and reserved in one symbol, in account currency; NaN while the position is in doubt."""
    held = nan if r.known != 1.0 else abs(r.position) * r.unit_notional if r.position != 0 else 0.0
    return held + (r.pending_buy_reserved + r.pending_sell_reserved) / MICROS


def mine(own: PermitRow | None) -> float:
    """What a resting order reserves, in account currency: it does not count against itself."""
    return 0.0 if own is None else share(own.reserved, own.pending, own.steps) / MICROS


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
    return total - mine(own)


def company(state: State, row: int, side: int, now_ns: int, limits: Limits, own: PermitRow | None) -> tuple[float, float]:
    """
    How closely an order moves with what is open, and what is held and reserved in that company and in the symbol.

    The first is the largest correlation with another open symbol or the benchmark, which counts as bought, signed by
    both sides: -1 where there is nothing else. The second, in account currency, takes in those beyond the policy's limit.
    """
    closest = -1.0
    total = exposure(state.symbols[row]) - mine(own)
    for index in state.open_rows:
        r = state.symbols[index]
        if index == row or not is_position(r):
            continue
        rho = known_correlation(state, row, index, now_ns, limits)
        close = 1.0 if rho != rho else max(rho * side * each for each in _sides(r))
        closest = max(closest, close)
        if not close <= limits.correlation_max:
            total += exposure(r)
    benchmark = state.account.benchmark
    if benchmark not in (-1, row):
        rho = known_correlation(state, row, benchmark, now_ns, limits)
        closest = max(closest, 1.0 if rho != rho else rho * side)
    return closest, total


def _sides(r: SymbolRow) -> list[int]:
    """The sides on which the symbol is held or reserved; both while its position is in doubt."""
    bought = r.position > 0 or r.pending_buy > 0 or r.known != 1.0
    sold = r.position < 0 or r.pending_sell > 0 or r.known != 1.0
    return [1] * bought + [-1] * sold


def known_correlation(state: State, row: int, other: int, now_ns: int, limits: Limits) -> float:
    """The correlation of two symbols; NaN unless they have enough bars in common and the last of those is fresh."""
    one, two = sorted((row, other))
    rho, opened_ns = correlation_of(state, one, two, limits.correlation_decay)
    return rho if now_ns - opened_ns <= limits.correlation_age_s_max * NS_PER_S_FLOAT else nan


def correlation_of(state: State, one: int, two: int, decay: float) -> tuple[float, int]:
    """The correlation of two symbols' returns between the bars that both have, and when the last of those began."""
    a, b = state.symbols[one].bars, state.symbols[two].bars
    known = state.pairs.get((one, two))
    if known is not None and known.a is a and known.b is b and known.decay == decay:
        return known.rho, known.opened_ns
    x, y = _weighed(state, one, decay), _weighed(state, two, decay)
    if x.opened_ns != y.opened_ns:
        common = {*x.opened_ns} & {*y.opened_ns}
        x = weigh(tuple(bar for bar in a if bar[0] in common), decay)
        y = weigh(tuple(bar for bar in b if bar[0] in common), decay)
    rho, opened_ns = nan, 0
    if len(x.returns) >= CORRELATION_RETURNS_MIN and len(y.returns) == len(x.returns):
        rho, opened_ns = clip(sum(map(mul, x.returns, y.returns)), -1.0, 1.0), x.opened_ns[-1]
    state.pairs[one, two] = Pair(a, b, decay, rho, opened_ns)
    return rho, opened_ns


def _weighed(state: State, row: int, decay: float) -> Weighed:
    """The symbol's bars, weighed once for as long as they are its bars."""
    bars = state.symbols[row].bars
    known = state.weighed.get(row)
    if known is None or known.bars is not bars or known.decay != decay:
        known = state.weighed[row] = weigh(bars, decay)
    return known


def weigh(bars: tuple[tuple[int, float], ...], decay: float) -> Weighed:
    """
    The returns between bars, weighed so that the sum of the products of two series is their correlation.

    That is the exponentially weighted one around zero, which starts from the products of the first returns; a series
    that does not move has no returns.
    """
    moves = [close - before for (_, before), (_, close) in pairwise(bars)]
    moves = [*map(mul, moves, _weights(len(moves), decay))]
    length = sqrt(sum(map(mul, moves, moves)))
    returns = tuple(move / length for move in moves) if length > 0.0 else ()
    return Weighed(bars, decay, tuple(opened_ns for opened_ns, _ in bars), returns)


@cache
def _weights(count: int, decay: float) -> tuple[float, ...]:
    """The square roots of what so many products of returns count, oldest first."""
    fresh = sqrt(1.0 - decay)
    return tuple(sqrt(decay ** (count - 1 - i)) * (fresh if i else 1.0) for i in range(count))
