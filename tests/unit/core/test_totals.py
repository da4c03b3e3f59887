"""What positions add is kept by row, and sums are taken over all of it in the order of the rows."""

from math import inf, nan

from hypothesis import given
from hypothesis import strategies as st

from interlock.core.constants import OPERATOR_NS
from interlock.core.totals import Instants, Part, Sums, Totals

MONEY = st.floats(-1e15, 1e15) | st.sampled_from((nan, inf, -inf, 0.0, -0.0, 1e300))
NUMBER = st.integers(-1, 2)
INSTANT = st.integers(0, OPERATOR_NS)
PARTS = st.builds(Part, MONEY, MONEY, MONEY, MONEY, MONEY, st.integers(0, 1), NUMBER, NUMBER, INSTANT, INSTANT, INSTANT)
CHANGES = st.lists(st.tuples(st.integers(0, 5), st.none() | PARTS), max_size=30)


def change(totals: Totals, changes: list[tuple[int, Part | None]]) -> dict[int, Part]:
    """The totals have gone through the changes; returns what is left of them, by row."""
    left: dict[int, Part] = {}
    for row, part in changes:
        if part is None:
            totals.remove(row)
            left.pop(row, None)
        else:
            totals.put(row, part)
            left[row] = part
    return dict(sorted(left.items()))


@given(CHANGES)
def test_sums_are_those_of_a_loop_over_the_rows(changes: list[tuple[int, Part | None]]) -> None:
    kept = Totals()
    left = change(kept, changes)
    notional = net = margin = risk = pnl = 0.0
    strategies: dict[int, float] = {}
    clusters: dict[int, float] = {}
    for part in left.values():
        notional += part.notional
        net += part.net
        margin += part.margin
        risk += part.risk
        pnl += part.pnl
        strategies[part.owner] = strategies.get(part.owner, 0.0) + part.notional
        clusters[part.cluster] = clusters.get(part.cluster, 0.0) + part.notional
    unknown = sum(part.unknown for part in left.values())
    assert repr(kept.sums()) == repr(Sums(notional, net, margin, risk, pnl, unknown, strategies, clusters))
    for instants, name in ((kept.seen, "seen_ns"), (kept.rates, "rate_ns"), (kept.fresh_until, "fresh_until_ns")):
        assert instants.earliest_ns == min((getattr(part, name) for part in left.values()), default=OPERATOR_NS)


@given(CHANGES, CHANGES)
def test_a_copy_goes_its_own_way(before: list[tuple[int, Part | None]], after: list[tuple[int, Part | None]]) -> None:
    kept = Totals()
    change(kept, before)
    told = repr((kept.parts, kept.sums(), kept.seen.by_row, kept.rates.by_row, kept.fresh_until.by_row))
    change(kept.copy(), after)
    assert told == repr((kept.parts, kept.sums(), kept.seen.by_row, kept.rates.by_row, kept.fresh_until.by_row))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5) | st.none())))
def test_the_earliest_is_that_of_all_whatever_comes_and_goes(changes: list[tuple[int, int | None]]) -> None:
    kept = Instants()
    for row, at_ns in changes:
        if at_ns is None:
            kept.remove(row)
        else:
            kept.put(row, at_ns)
        assert kept.earliest_ns == min(kept.by_row.values(), default=OPERATOR_NS)
