"""What the budgets of risk count, beyond what their stories tell."""

from math import inf, nan

import pytest

from interlock.core.codes import Code, Scope
from interlock.core.constants import SLICES_MAX
from interlock.core.limits import BITS
from interlock.core.messages import LockReleased
from interlock.core.snapshot import decode, encode
from interlock.core.transitions import slices_of
from interlock.testing.bench import picture
from lawkit import bench_under, decision, limits_of_everything, permits
from rulekit import ALL_ON

QUOTA = {
    "quota_slice_frac": 0.01,
    "quota_order_slice_count_max": 10.0,
    "quota_day_entry_count_max": 10.0,
    "quota_day_slice_count_max": 10.0,
    "quota_campaign_slice_count_max": 1.0,
}


@pytest.mark.parametrize("risk", [nan, 0.0, -1.0, inf, 1e300])
@pytest.mark.parametrize("slice_risk", [nan, 0.0, -1.0, 5e-324, 50.0])
def test_slices_are_counted_whatever_the_numbers(risk: float, slice_risk: float) -> None:
    counted = slices_of(risk, slice_risk)
    assert counted == (SLICES_MAX if risk > 0.0 and slice_risk > 0.0 else 0)


def test_rounding_takes_no_further_slice() -> None:
    assert slices_of(100.0 + 1e-8, 50.0) == 2
    assert slices_of(100.0 + 1e-6, 50.0) == 3


def test_what_is_spent_survives_a_fold_and_a_snapshot_and_ends_by_an_operator() -> None:
    bench = bench_under(limits_of_everything(**QUOTA))
    (permit,) = permits(bench.send(bench.intent("BTC", 1, notional=1_000.0)))
    bench.fill(permit.id)
    bench.refresh()
    a = bench.engine.state.account
    assert (a.day_entries, a.day_slices, a.campaign_slices) == (1, 1, 1)
    assert picture(bench.folded().state) == picture(bench.engine.state)
    assert picture(decode(encode(bench.engine.state))) == picture(bench.engine.state)
    assert decision(bench.send(bench.intent("BTC", 1, notional=1_000.0))).headline == Code.DAILY_RISK_QUOTA
    bench.send(LockReleased(Scope.ACCOUNT, "", Code.DAILY_RISK_QUOTA, "alice"))
    assert (a.day_entries, a.day_slices, bench.engine.state.account.campaign_slices) == (1, 1, 0)
    assert permits(bench.send(bench.intent("BTC", 1, notional=1_000.0)))


def test_an_order_without_a_stop_pays_its_costs_with_slices_too() -> None:
    unstopped = ALL_ON & ~(BITS[Code.STOP_REQUIRED] | BITS[Code.LIQUIDATION_DISTANCE])
    given = {"no_stop_gap_frac": 0.1, "cost_frac": 0.01, "quota_campaign_slice_count_max": 10.0}
    bench = bench_under(limits_of_everything(**{**QUOTA, **given}, active=unstopped))
    answer = decision(bench.send(bench.intent("BTC", 1, quantity=9.5, stop_price=nan)))
    assert answer.allowed
    a = bench.engine.state.account
    assert answer.facts is not None
    assert answer.facts.requested_notional * 0.1 < 100.0 < answer.facts.requested_notional * 0.11
    assert (a.day_slices, a.campaign_slices) == (2, 2)
