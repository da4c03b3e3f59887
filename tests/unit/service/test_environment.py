from pathlib import Path

import pytest

from interlock.core.codes import AccountKind
from interlock.service.home.environment import (
    EnvironmentMismatch,
    MainnetNotMeant,
    SafetyModeRefused,
    VenueMismatch,
    require_environment,
    require_mainnet_meant,
    require_safety_mode,
    require_venue,
)
from interlock.service.home.home import Home
from interlock.service.home.runtime import parse
from unit.service.homes import RUNTIME, made

TESTNET = parse(RUNTIME)
MAINNET = parse(RUNTIME.replace('"testnet"', '"mainnet"'))


@pytest.mark.parametrize("runtime", [TESTNET, MAINNET], ids=["testnet", "mainnet"])
def test_w66_nothing_starts_on_the_other_side(runtime: object) -> None:
    ours, other = ("testnet", "mainnet") if runtime is TESTNET else ("mainnet", "testnet")
    said = TESTNET if runtime is TESTNET else MAINNET
    require_environment(said, ours, {})
    require_environment(said, ours, {"INTERLOCK_ENVIRONMENT": ours})
    with pytest.raises(EnvironmentMismatch, match=f"the venue is on {other}"):
        require_environment(said, other, {})
    for word in (other, "", ours.upper(), f" {ours}"):
        with pytest.raises(EnvironmentMismatch, match="INTERLOCK_ENVIRONMENT says"):
            require_environment(said, ours, {"INTERLOCK_ENVIRONMENT": word})


@pytest.mark.parametrize("kind", AccountKind)
def test_a_live_account_and_no_other_is_in_front_of_real_orders(kind: AccountKind) -> None:
    if kind is AccountKind.LIVE:
        with pytest.raises(VenueMismatch, match="paper holds no money"):
            require_venue(TESTNET, kind, "paper")
    else:
        require_venue(TESTNET, kind, "paper")
    with pytest.raises(VenueMismatch, match=r"runtime\.toml says paper"):
        require_venue(TESTNET, kind, "binance")
    elsewhere = TESTNET.model_copy(update={"venue": "binance"})
    if kind is AccountKind.LIVE:
        require_venue(elsewhere, kind, "binance")
    else:
        with pytest.raises(VenueMismatch, match="keeps its book at the venue paper"):
            require_venue(elsewhere, kind, "binance")


def test_mainnet_is_meant_once_for_one_account_in_one_home(tmp_path: Path) -> None:
    home = made(tmp_path)
    with pytest.raises(MainnetNotMeant, match="--i-mean-mainnet"):
        require_mainnet_meant(home, MAINNET, said=False)
    require_mainnet_meant(home, MAINNET, said=True)
    require_mainnet_meant(home, MAINNET, said=False)
    other = parse(RUNTIME.replace('"testnet"', '"mainnet"').replace('"main"', '"other"'))
    with pytest.raises(MainnetNotMeant, match="other is on mainnet"):
        require_mainnet_meant(home, other, said=False)


@pytest.mark.parametrize("data", [b"", b"yes", b"\xff", b"main is meant to trade on mainnet"])
def test_half_a_word_means_nothing(tmp_path: Path, data: bytes) -> None:
    home = made(tmp_path)
    home.mainnet.write_bytes(data)
    with pytest.raises(MainnetNotMeant):
        require_mainnet_meant(home, MAINNET, said=False)


def test_a_testnet_asks_for_nothing(tmp_path: Path) -> None:
    home = made(tmp_path)
    require_mainnet_meant(home, TESTNET, said=False)
    require_mainnet_meant(home, TESTNET, said=True)
    assert not home.mainnet.exists()


def test_what_cannot_be_recorded_is_not_meant(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        require_mainnet_meant(Home(tmp_path / "none"), MAINNET, said=True)


def test_the_gate_cannot_be_switched_off() -> None:
    require_safety_mode("enabled")
    for mode in ("disabled", "off", "", "Enabled", "true"):
        with pytest.raises(SafetyModeRefused, match="interlock demo"):
            require_safety_mode(mode)
