"""Who is silent is who owned the exits then."""

import pytest
from msgspec.structs import replace

from interlock.core.codes import Code, ExitMode, RiskAction
from interlock.core.messages import Heartbeat, RiskEvent, Tick
from interlock.testing import make_policy, open_bench
from interlock.testing.wayout import EXITS
from lawkit import hold


@pytest.mark.parametrize(("toml", "told"), [("", RiskAction.WARN), (EXITS["A"], RiskAction.VETO)])
def test_an_owner_that_a_policy_names_while_the_one_before_is_found_silent_is_not_silent_itself(
    toml: str, told: RiskAction
) -> None:
    made = open_bench(
        policy=make_policy("layered@1", toml=(toml,)), feeds=frozenset({"clock", "marks", "equity", "positions"})
    )
    policy = replace(make_policy("layered@1", toml=(toml,)).compile(made.clock.true_ns), exit_mode=ExitMode.BUILTIN)
    made.send(replace(policy, exit_owner="one"))
    made.send(Heartbeat("one"))
    hold(made, "BTC", 1, 5.0)
    made.clock.advance(4_000.0)
    step = made.send(replace(policy, exit_owner="two"))
    (event,) = [each for each in step.outputs if isinstance(each, RiskEvent) and each.trigger == Code.HEARTBEAT_LOST]
    assert (event.action, event.metadata) == (told, "one")
    a = made.engine.state.account
    assert (a.exit_owner, a.owner_silent, a.exit_deposed) == ("two", False, False)
    made.clock.advance(4_000.0)
    made.refresh()
    made.send(Tick())
    assert made.engine.state.account.owner_silent
    assert made.engine.state.account.exit_deposed == (told is RiskAction.VETO)
