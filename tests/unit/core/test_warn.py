"""Who is warned of is found again by any name that a policy may give it."""

import pytest
from msgspec.structs import replace

from interlock.core.codes import Code
from interlock.core.messages import PolicySet, RiskEvent, SourceRight, Step, Tick
from interlock.testing import Bench, make_policy, open_bench
from interlock.testing.builders import START_NS
from lawkit import hold, permits

CLUSTERED = {"rules.CLUSTER_CAP.exposure": "27 %", "rules.SYMBOL_EXPOSURE.exposure": "45 %"}


def bench_with(policy: PolicySet) -> Bench:
    made = open_bench(policy=make_policy("layered@1"))
    made.send(policy)
    made.refresh()
    return made


def warned(step: Step) -> list[str]:
    assert step.input == Tick()
    return [each.metadata for each in step.outputs if isinstance(each, RiskEvent) and each.trigger == Code.WARN]


@pytest.mark.parametrize("name", ["majors ", " ", "two words"])
def test_a_cluster_is_warned_of_once_whatever_its_name(name: str) -> None:
    policy = make_policy("layered@1", changes=CLUSTERED | {"universe.BTC.cluster": "majors"}).compile(START_NS)
    universe = tuple(replace(each, cluster=each.cluster and name) for each in policy.universe)
    made = bench_with(replace(policy, universe=universe))
    hold(made, "BTC", 1, 20.0)
    assert warned(made.send(Tick())) == [f"CLUSTER_CAP {name}"]
    assert warned(made.send(Tick())) == []


@pytest.mark.parametrize("name", ["", "trend ", " trend", "two words"])
def test_a_strategy_is_warned_of_once_whatever_its_name(name: str) -> None:
    policy = make_policy("layered@1", changes={"rules.STRATEGY_EXPOSURE.exposure": "31 %"}).compile(START_NS)
    made = bench_with(replace(policy, rights=(*policy.rights, SourceRight("bot", name, True, True))))
    assert permits(made.send(made.intent("BTC", 1, notional=2_400.0, strategy=name)))
    assert f"STRATEGY_EXPOSURE {name}" in warned(made.send(Tick()))
    assert warned(made.send(Tick())) == []


def test_a_cluster_without_symbols_is_nobody_s() -> None:
    policy = make_policy("layered@1", changes=CLUSTERED | {"universe.BTC.cluster": "one"}).compile(START_NS)
    (btc,) = [each for each in policy.universe if each.symbol == "BTC"]
    made = bench_with(replace(policy, universe=(*policy.universe, replace(btc, cluster="two"))))
    hold(made, "BTC", 1, 20.0)
    assert warned(made.send(Tick())) == ["CLUSTER_CAP two"]
    assert warned(made.send(Tick())) == []
