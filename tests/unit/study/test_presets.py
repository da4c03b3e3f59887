"""A preset behind a history: what it leaves open is chosen so that it decides nothing."""

from math import isnan

import pytest

from interlock.core.codes import Code
from interlock.core.limits import EXIT_RULES, is_on
from interlock.policy.load import preset_texts
from interlock.study.presets import preset_policy

NOW_NS = 10**18


@pytest.mark.parametrize("preset", [*preset_texts()])
@pytest.mark.parametrize("stops_known", [True, False])
def test_every_preset_can_be_tried_on_a_history(preset: str, stops_known: bool) -> None:
    policy = preset_policy(preset, ["BTCUSDT", "ETHUSDT"], "USDT", stops_known=stops_known)
    limits = policy.compile(NOW_NS).limits[0]
    assert is_on(limits, Code.STOP_REQUIRED) == stops_known
    assert not any(
        is_on(limits, rule) for rule in (*EXIT_RULES, Code.LIQUIDATION_DISTANCE, Code.TRADE_RISK, Code.KILL_SCORE)
    )
    assert isnan(limits.market_state_age_s_max), "a history carries no market state, so nothing may ask for one"
    assert limits.margin_leverage_max == 15.0


def test_a_presets_version_may_be_left_out() -> None:
    named = preset_policy("balanced", ["BTCUSDT"], "USDT", stops_known=True)
    assert named.digest == preset_policy("balanced@1", ["BTCUSDT"], "USDT", stops_known=True).digest
