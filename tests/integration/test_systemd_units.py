"""The shipped units: what they promise, and what systemd itself says of them."""

import subprocess
import sys
from pathlib import Path

import pytest

from interlock.cli.output import MISTAKE
from repository import ROOT
from required_parts import Requires

FOLDER = ROOT / "deploy" / "systemd"
UNIT = FOLDER / "interlock@.service"
EXPOSURE_MAX = 20
"""Tenths, of systemd's own measure from 0 (safe) to 100; a service without any hardening has 96."""

NEWER = {"RestartSteps", "RestartMaxDelaySec"}
"""Keys that systemd knows from version 254 on and passes over before."""


def directives() -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    section = ""
    for line in UNIT.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault((section, key), []).append(value)
    return found


def service(key: str) -> str:
    (value,) = directives()["Service", key]
    return value


def instance(folder: Path) -> Path:
    """The unit as somebody installs it for the test network, with a program that exists."""
    path = folder / "interlock@testnet.service"
    path.write_text(UNIT.read_text().replace("/opt/interlock/bin/interlock", sys.executable))
    return path


def test_a_mistake_that_a_person_must_correct_is_not_tried_again() -> None:
    assert service("Restart") == "always"
    assert service("RestartPreventExitStatus") == str(MISTAKE)
    assert directives()["Unit", "StartLimitIntervalSec"] == ["0"]


def test_systemd_waits_for_signs_of_life() -> None:
    assert (service("Type"), service("NotifyAccess")) == ("notify", "main")
    assert service("WatchdogSec").endswith("s")


def test_each_environment_has_everything_of_its_own() -> None:
    for key in ("User", "StateDirectory", "LoadCredential"):
        assert "%i" in service(key)
    assert "INTERLOCK_ENVIRONMENT=%i" in directives()["Service", "Environment"]
    users = (FOLDER / "interlock.sysusers.conf").read_text()
    for environment in ("testnet", "mainnet"):
        assert f"u {service('User').replace('%i', environment)} - " in users
        assert f" /var/lib/{service('StateDirectory').replace('%i', environment)}\n" in users


@pytest.mark.parametrize(
    "key",
    ["NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "MemoryDenyWriteExecute", "RestrictNamespaces"],
)
def test_it_is_shut_in(key: str) -> None:
    assert service(key) == "yes"


def test_what_is_written_is_private_and_leaves_no_dump() -> None:
    assert (service("StateDirectoryMode"), service("UMask"), service("LimitCORE")) == ("0700", "0077", "0")
    assert service("ProtectSystem") == "strict"


def test_systemd_knows_every_word_of_it(requires: Requires, tmp_path: Path) -> None:
    requires("systemd")
    verify = ["systemd-analyze", "verify", "--man=no", str(instance(tmp_path))]
    told = subprocess.run(verify, capture_output=True, text=True, check=False).stderr
    ours = [line for line in told.splitlines() if "interlock@" in line]
    assert [line for line in ours if not any(f"'{key}'" in line for key in NEWER)] == []


def test_systemds_own_check_sees_a_misspelt_word(requires: Requires, tmp_path: Path) -> None:
    requires("systemd")
    path = instance(tmp_path)
    path.write_text(path.read_text().replace("NoNewPrivileges", "NoNewPriviledges"))
    verify = ["systemd-analyze", "verify", "--man=no", str(path)]
    assert "'NoNewPriviledges'" in subprocess.run(verify, capture_output=True, text=True, check=False).stderr


def test_systemd_finds_little_to_attack(requires: Requires, tmp_path: Path) -> None:
    requires("systemd")
    security = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", str(instance(tmp_path))]
    done = subprocess.run(security, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr
