"""
What moves together with a symbol: its cluster, which the policy names, and what its returns are correlated with.

Only what is open counts. What is held and reserved in a cluster is summed where it changes. A correlation follows from
the closes of bars that both symbols have: it is computed from their returns whenever it is asked for, and what it means
for orders in a symbol is remembered until a position comes or goes or a bar ends. So nothing is kept for pairs.
"""

from bisect import bisect_left
from functools import cache, lru_cache
from itertools import repeat
from math import dist, hypot, nan, sqrt
from operator import mul, sub, truediv

from interlock.core.constants import CORRELATION_RETURNS_MIN, GRIDS, MICROS, NS_PER_S_FLOAT, OPERATOR_NS, WEIGHED_SPARE
from interlock.core.limits import Limits
from interlock.core.measure import BOUGHT, SOLD
from interlock.core.numbers import larger
from interlock.core.state import ClusterRow, Company, State, SymbolRow, Weighed


def exposure(r: SymbolRow) -> float:
    """What is held and reserved in one symbol, in account currency; NaN while the position is in doubt."""
    held = nan if r.known != 1.0 else abs(r.position) * r.unit_notional if r.position != 0 else 0.0
    return held + (r.pending_buy_reserved + r.pending_sell_reserved) / MICROS


def cluster_exposure(c: ClusterRow) -> float:
    """What is held and reserved in a cluster, in account currency; NaN while one of its positions is in doubt."""
    return c.held_notional + c.pending_reserved / MICROS


def company(
    state: State, row: int, r: SymbolRow, side: int, now_ns: int, limits: Limits, here: float, mine: int
) -> tuple[float, float, float]:
    """
    What there is in the symbol's cluster, how closely an order moves with what is open, and what there is in that company.

    The second is the largest correlation with another open symbol or the benchmark, which counts as bought, signed by both
    sides: -1 where there is nothing else, 1 where one is not known. The others, in account currency, are what is held and
    reserved, in the symbol itself so much as `here`, without the `mine` (micros) of a resting order that is judged again;
    the company are those with which it moves beyond the policy's limit. NaN is what no rule that is on reads.
    """
    cluster = closest = total = nan
    if limits.cluster_exposure_frac_max >= 0.0:
        cluster = here
        if r.cluster >= 0:
            c = state.clusters[r.cluster]
            cluster = c.held_notional + (c.pending_reserved - mine) / MICROS
    if limits.correlation_max >= 0.0:
        key = side * (row + 1)
        known = state.company.get(key)
        if known is None or not known.since_ns <= now_ns <= known.until_ns:
            known = state.company[key] = _compare(state, row, side, now_ns, limits)
        closest, total = known.closest, here
        for index in known.beyond:
            total += exposure(state.symbols[index])
    return cluster, closest, total


def _compare(state: State, row: int, side: int, now_ns: int, limits: Limits) -> Company:
    decay, most, benchmark = limits.correlation_decay, limits.correlation_max, state.account.benchmark
    age_ns = limits.correlation_age_s_max * NS_PER_S_FLOAT
    mine = _weighed(state, row, decay)
    closest, beyond, oldest_ns = -1.0, [], OPERATOR_NS
    symbols, weighed = state.symbols, state.weighed
    for index, sides in (state.sides if benchmark in (-1, row) else {benchmark: 0, **state.sides}).items():
        if index == row:
            continue
        other = weighed.get(index)
        if other is None or other.bar_logs is not symbols[index].bar_logs or other.decay != decay:
            other = _weighed(state, index, decay)
        rho, opened_ns = _correlation(mine, other)
        bought = sold = 1.0
        if rho == rho and now_ns - opened_ns <= age_ns:
            bought, sold = rho * side, -rho * side
            if opened_ns < oldest_ns:
                oldest_ns = opened_ns
        close = bought if sides == BOUGHT else sold if sides == SOLD else max(bought, sold) if sides else -1.0
        if sides and not close <= most:
            beyond.append(index)
        closest = max(closest, close, bought if index == benchmark else close)
    until_ns = OPERATOR_NS if oldest_ns == OPERATOR_NS else oldest_ns + int(min(age_ns, float(OPERATOR_NS)))
    return Company(now_ns, until_ns, closest, tuple(sorted(beyond)))


def correlation_of(state: State, one: int, other: int, decay: float) -> tuple[float, int]:
    """The correlation of two symbols' returns between the bars that both have, and when the last of those began."""
    return _correlation(_weighed(state, one, decay), _weighed(state, other, decay))


def _correlation(a: Weighed, b: Weighed) -> tuple[float, int]:
    """NaN where they have too few returns in common, or one does not move."""
    bar_ns, x, y = a.bar_ns, a.returns, b.returns
    if bar_ns is not b.bar_ns:
        bar_ns = _common(bar_ns, b.bar_ns)
    if len(bar_ns) <= CORRELATION_RETURNS_MIN:
        return nan, 0
    if bar_ns is not a.bar_ns or bar_ns is not b.bar_ns:
        x, y = _among(a, bar_ns), _among(b, bar_ns)
    return correlation(x, y), bar_ns[-1]


def correlation(x: tuple[float, ...], y: tuple[float, ...]) -> float:
    """The correlation of two weighed series of returns; NaN where one does not move."""
    if not (x and y):
        return nan
    apart = dist(x, y)
    return larger(1.0 - 0.5 * apart * apart, -1.0)


def _weighed(state: State, row: int, decay: float) -> Weighed:
    """The symbol's bars, weighed once while they are its bars; those of few symbols more than are open are kept."""
    r = state.symbols[row]
    known = state.weighed.get(row)
    if known is None or known.bar_logs is not r.bar_logs or known.decay != decay:
        if len(state.weighed) > 2 * len(state.sides) + WEIGHED_SPARE:
            for index in [index for index in state.weighed if index not in state.sides]:
                del state.weighed[index]
        known = state.weighed[row] = Weighed(r.bar_ns, r.bar_logs, decay, weigh(r.bar_logs, decay), {})
    return known


def on_compared_bar(state: State, row: int) -> None:
    """
    What was found by older bars is forgotten.

    Returns that are kept are weighed at once: orders come in numbers right after bars end, and should not wait for it.
    """
    state.company = {}
    if row in state.weighed:
        _weighed(state, row, state.account_limits().correlation_decay)


def _among(w: Weighed, bar_ns: tuple[int, ...]) -> tuple[float, ...]:
    """The symbol's weighed returns between these of its bars alone."""
    if len(bar_ns) == len(w.bar_ns):
        return w.returns
    found = w.among.get(bar_ns)
    if found is None:
        if len(w.among) >= GRIDS:
            w.among.clear()
        first = bisect_left(w.bar_ns, bar_ns[0])
        span = slice(first, first + len(bar_ns))
        logs = w.bar_logs[span]
        if w.bar_ns[span] != bar_ns:
            wanted = frozenset(bar_ns)
            logs = tuple(log for at_ns, log in zip(w.bar_ns, w.bar_logs, strict=True) if at_ns in wanted)
        found = w.among[bar_ns] = weigh(logs, w.decay)
    return found


def weigh(logs: tuple[float, ...], decay: float) -> tuple[float, ...]:
    """
    The returns between bars, weighed so that the sum of the products of two series is their correlation.

    That is the exponentially weighted one around zero, which starts from the products of the first returns. Each series
    has the length 1, so that products and distance say the same, and the distance is the faster to compute; a series
    that does not move has no returns.
    """
    moves = tuple(map(mul, map(sub, logs[1:], logs), _weights(len(logs) - 1, decay)))
    length = hypot(*moves)
    return tuple(map(truediv, moves, repeat(length))) if length > 0.0 else ()


@cache
def _weights(count: int, decay: float) -> tuple[float, ...]:
    """The square roots of what so many products of returns count, oldest first."""
    fresh = sqrt(1.0 - decay)
    return tuple(sqrt(decay ** (count - 1 - i)) * (fresh if i else 1.0) for i in range(count))


@lru_cache(GRIDS)
def one_of(bar_ns: tuple[int, ...]) -> tuple[int, ...]:
    """The same instants, and the same object for all symbols that have them: told apart at once, and held once."""
    return bar_ns


@lru_cache(GRIDS)
def _common(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    """The instants that are in both."""
    return one_of(tuple(sorted({*one} & {*other})))
