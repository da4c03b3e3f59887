"""Sums that are kept by adding what comes and taking away what goes are those that are taken anew."""

import random
from math import fsum, inf, isnan, nan

from hypothesis import given
from hypothesis import strategies as st

from interlock.core.constants import OPERATOR_NS
from interlock.core.totals import Amounts, Instants, Part, Totals, amount_of, whole

MONEY = st.floats(-1e15, 1e15) | st.sampled_from((nan, inf, -inf, 0.0, -0.0, 1e300))
PARTS = st.builds(
    lambda one, other, owner, cluster, at_ns: Part(
        Amounts(whole(one), whole(-one), whole(other), whole(one), whole(other), 1), owner, cluster, at_ns, at_ns, at_ns
    ),
    MONEY, MONEY, st.integers(-1, 2), st.integers(-1, 2), st.integers(0, OPERATOR_NS),
)  # fmt: skip
CHANGES = st.lists(st.tuples(st.integers(0, 5), st.none() | PARTS), max_size=30)


@given(CHANGES)
def test_sums_that_are_kept_are_those_that_are_taken_anew(changes: list[tuple[int, Part | None]]) -> None:
    kept = Totals()
    for row, part in changes:
        if part is None:
            kept.remove(row)
        else:
            kept.put(row, part)
    anew = Totals()
    for row in sorted(kept.parts, reverse=True):
        anew.put(row, kept.parts[row])
    assert kept.sums == anew.sums
    for mine, theirs in ((kept.strategies, anew.strategies), (kept.clusters, anew.clusters)):
        assert all(mine.get(key, 0) == theirs.get(key, 0) for key in range(-1, 3))
    for one, other in ((kept.seen, anew.seen), (kept.rates, anew.rates), (kept.fresh_until, anew.fresh_until)):
        assert (one.by_row, one.earliest_ns) == (other.by_row, other.earliest_ns)


@given(CHANGES, CHANGES)
def test_a_copy_goes_its_own_way(before: list[tuple[int, Part | None]], after: list[tuple[int, Part | None]]) -> None:
    kept = Totals()
    for row, part in before:
        kept.put(row, part) if part is not None else kept.remove(row)
    told = (kept.parts.copy(), kept.sums, kept.strategies.copy(), kept.seen.by_row.copy())
    twin = kept.copy()
    for row, part in after:
        twin.put(row, part) if part is not None else twin.remove(row)
    assert told == (kept.parts, kept.sums, kept.strategies, kept.seen.by_row)


def test_a_sum_is_exact_and_comes_back_to_nothing() -> None:
    chance = random.Random(4)
    amounts = [chance.uniform(-1e6, 1e6) * 10.0 ** chance.randint(-6, 6) for _ in range(500)]
    total = sum(map(whole, amounts))
    assert amount_of(total) == fsum(amounts)
    chance.shuffle(amounts)
    assert total - sum(map(whole, amounts)) == 0


def test_what_is_unknown_makes_the_sum_unknown_until_it_goes() -> None:
    for amount in (nan, inf, -inf, 1e300):
        total = whole(3.0) + whole(amount) + whole(amount) - whole(1e100)
        assert isnan(amount_of(total))
        assert amount_of(total - 2 * whole(amount) + whole(1e100)) == 3.0


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5) | st.none())))
def test_the_earliest_is_that_of_all_whatever_comes_and_goes(changes: list[tuple[int, int | None]]) -> None:
    kept = Instants()
    for row, at_ns in changes:
        if at_ns is None:
            kept.remove(row)
        else:
            kept.put(row, at_ns)
        assert kept.earliest_ns == min(kept.by_row.values(), default=OPERATOR_NS)
