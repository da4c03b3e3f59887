"""The policy file of a running gateway: changed, broken, gone, back; and a disk that does not give it."""

import asyncio
import threading
from pathlib import Path

import pytest

from interlock.core.codes import Code
from interlock.policy import Policy, load_policy
from interlock.service.gateway import Gateway
from unit.service.gateways import Premises, bought, until, way_out, wish


async def closed_with(gateway: Gateway, code: Code) -> None:
    """An opening is denied for this reason, and an exit is not."""
    while True:
        answer = await gateway.dry_run(wish())
        if code in [each.code for decision in answer.decisions for each in decision.objections]:
            break
        await asyncio.sleep(0.02)
    assert (await gateway.submit(way_out(), hand_over=False)).allowed


@pytest.mark.parametrize("broken", [None, b"\xff\xfe\x00", b"x = " + b"9" * 5000, b"[" * 5000])
def test_a_policy_file_that_cannot_be_used_closes_openings_until_it_is_back(tmp_path: Path, broken: bytes | None) -> None:
    async def story() -> None:
        async with premises.open() as gateway:
            await bought(gateway)
            text = premises.home.policy.read_bytes()
            if broken is None:
                premises.home.policy.unlink()
            else:
                premises.home.policy.write_bytes(broken)
            await closed_with(gateway, Code.POLICY_INVALID)
            assert any("policy.toml" in each for each in gateway.status().troubles)
            premises.home.policy.write_bytes(text)
            await bought(gateway)
            assert gateway.status().troubles == ()

    premises = Premises(tmp_path)
    asyncio.run(story())


def test_a_policy_that_was_broken_at_one_start_is_in_force_after_the_next(tmp_path: Path) -> None:
    async def story() -> None:
        text = premises.home.policy.read_bytes()
        async with premises.open() as gateway:
            await bought(gateway)
        premises.again()
        premises.home.policy.write_text("nothing = 1")
        async with premises.open() as gateway:
            await closed_with(gateway, Code.POLICY_INVALID)
        premises.again()
        premises.home.policy.write_bytes(text)
        async with premises.open() as gateway:
            await bought(gateway)

    premises = Premises(tmp_path)
    asyncio.run(story())


def test_a_policy_that_changes_while_the_gateway_starts_is_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loads_and_changes(path: Path) -> Policy:
        policy = load_policy(path)
        monkeypatch.undo()
        path.write_text(path.read_text().replace("30000 USD", "7 USD"))
        return policy

    async def story() -> None:
        async with premises.open() as gateway:
            await closed_with_order_notional(gateway)

    async def closed_with_order_notional(gateway: Gateway) -> None:
        await until(lambda: gateway.status().positions == ())
        while True:
            answer = await gateway.dry_run(wish())
            if answer.headline == Code.ORDER_NOTIONAL:
                return
            await asyncio.sleep(0.02)

    premises = Premises(tmp_path)
    assert "30000 USD" in premises.home.policy.read_text()
    monkeypatch.setattr("interlock.service.app.load_policy", loads_and_changes)
    asyncio.run(story())


def test_a_disk_that_does_not_give_the_policy_delays_neither_the_kill_switch_nor_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, lets_go = threading.Event(), threading.Event()

    def hangs(path: Path) -> Policy:
        reading.set()
        lets_go.wait()
        return load_policy(path)

    async def story() -> None:
        async with premises.open() as gateway:
            await bought(gateway)
            monkeypatch.setattr("interlock.service.app.load_policy", hangs)
            premises.home.policy.touch()
            await until(reading.is_set)
            premises.home.sentinel.write_text("flatten")
            await until(lambda: not gateway.status().positions)

    premises = Premises(tmp_path)
    asyncio.run(story())
    lets_go.set()
