"""Guards are made ready once for each of a policy's limits, and what they were ready for is forgotten with the policy."""

import msgspec
import pytest

from interlock.core.checks import checks_of
from interlock.core.codes import AccountKind, Code
from lawkit import bench_under, decision, limits_of_everything, policy_of

TIGHT = {"spread_bps_max": 0.0, "order_notional_max": 500.0}


def test_a_new_policy_counts_from_the_next_intent_on() -> None:
    bench = bench_under()
    wish = {"notional": 1_000.0}
    assert decision(bench.send(bench.intent("BTC", 1, **wish))).headline is Code.ALLOWED
    for name, value in TIGHT.items():
        bench.send(policy_of(msgspec.structs.replace(limits_of_everything(), **{name: value})))
        bench.refresh()
        assert decision(bench.send(bench.intent("BTC", 1, **wish))).headline is not Code.ALLOWED
        bench.send(policy_of(limits_of_everything()))
        bench.refresh()
        assert decision(bench.send(bench.intent("BTC", 1, **wish))).headline is Code.ALLOWED


@pytest.mark.parametrize("kind", AccountKind)
def test_a_live_account_asks_for_stops_whatever_its_policy_says(kind: AccountKind) -> None:
    off = msgspec.structs.replace(limits_of_everything(), active=0)
    bench = bench_under(off, kind=kind)
    state = bench.engine.state
    checks = checks_of(state, state.symbols[0])
    assert (checks.active != 0) == (kind is AccountKind.LIVE)
    assert checks_of(state, state.symbols[0]) is checks
