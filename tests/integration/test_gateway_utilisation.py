"""How far rules are used, asked of a whole gateway by a command of its own, and UNKNOWN without the gateway."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from drillkit import Rig, drilled
from integration.test_gateway_exits import command
from interlock.core.guards import GUARDS


def test_a_running_gateway_says_how_far_each_rule_is_used(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.opened(stop_price=rig.prices["BTC"] * 0.98)
        code, said = await command(rig, "guards", "--json")
        assert code == 0, said
        told: dict[str, Any] = json.loads(said)
        now = {(each["kind"], each["code"]): each["now"] for each in told["rules"]}
        assert [each for kind, each in now if kind == "guard"] == [guard.code for guard in GUARDS]
        exposure = now["guard", "SYMBOL_EXPOSURE"]
        r = rig.row("BTC")
        assert (exposure["symbol"], exposure["measure"]) == ("BTC", "share")
        assert exposure["used"] * rig.gateway.status().equity == pytest.approx(abs(r.position) * r.unit_notional, rel=0.01)
        assert exposure["share"] == pytest.approx(exposure["used"] / exposure["limit"])
        assert now["guard", "EQUITY_STALE"]["stand"] == "admits"
        code, said = await command(rig, "guards", "SYMBOL_EXPOSURE")
        assert code == 0, said
        assert "formula" in said
        assert "BTC" in said
        assert (await command(rig, "guards", "NO_SUCH_RULE"))[0] == 2

    rig = drilled(tmp_path, play)

    async def away() -> tuple[int, str]:
        return await command(rig, "guards")

    code, said = asyncio.run(away())
    assert (code, said.startswith("Used: UNKNOWN")) == (3, True)
