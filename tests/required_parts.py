"""Parts of a machine that a test may need: absent ones skip, unless ``REQUIRE`` names them.

``REQUIRE=browser,git make test`` turns the absence of either into a failure, so that a machine
which is meant to have everything cannot silently test less.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = Path("/usr/bin/chromium")
PEERS = Path(__file__).parents[1] / ".venv-peers" / ".peers-installed"
NAMESPACE = ("unshare", "--mount", "--map-root-user")
"""What begins a command that may mount something without anybody else seeing it."""
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)

Absence = str | None
Requires = Callable[[str], None]


def _browser() -> Absence:
    return None if CHROMIUM.exists() else f"no {CHROMIUM}: apt-get install chromium"


def _git() -> Absence:
    if shutil.which("git") is None:
        return "no git: apt-get install git"
    inside = subprocess.run(
        ["git", "rev-parse", "--is-inside-work-tree"],
        cwd=Path(__file__).parent,
        capture_output=True,
        check=False,
    )
    return None if inside.returncode == 0 else "not a git checkout: clone the repository"


def _systemd() -> Absence:
    return None if shutil.which("systemd-analyze") else "no systemd-analyze: apt-get install systemd"


def _mounts() -> Absence:
    here = Path(__file__).parent
    tried = subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "none", here], capture_output=True, check=False)
    return None if tried.returncode == 0 else "no right of a process to mounts of its own: allow user namespaces"


def _peers() -> Absence:
    return None if PEERS.exists() else f"no {PEERS}: make test-peers"


PARTS: dict[str, Callable[[], Absence]] = {
    "browser": _browser,
    "git": _git,
    "mounts": _mounts,
    "peers": _peers,
    "systemd": _systemd,
}
"""Each part with the question that answers why it is absent, or None when it is present."""


def named_parts() -> frozenset[str]:
    """The parts that ``REQUIRE`` says this machine must have."""
    return frozenset(filter(None, os.environ.get("REQUIRE", "").replace(" ", "").split(",")))


def pytest_configure() -> None:
    """Nothing runs while ``REQUIRE`` names a part that no test could ever ask for."""
    if unknown := named_parts() - PARTS.keys():
        msg = f"REQUIRE names {', '.join(sorted(unknown))}: known are {', '.join(sorted(PARTS))}"
        raise pytest.UsageError(msg)


def _require(part: str) -> None:
    absence = PARTS[part]()
    if absence is None:
        return
    if part in named_parts():
        pytest.fail(f"REQUIRE names {part}, but there is {absence}", pytrace=False)
    pytest.skip(f"{part}: {absence}")


@pytest.fixture(scope="session")
def requires() -> Requires:
    """``requires("git")`` returns only where the part is present."""
    return _require


@pytest.fixture(scope="module")
def browser(requires: Requires) -> Iterator["Browser"]:
    """
    A headless Chromium, shared by the module; open a page of your own in it.

    It keeps an event loop running in this thread, in which no other test may then run one.
    """
    requires("browser")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  # slow, needed by few tests

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=[*CHROMIUM_FLAGS])
        yield running
        running.close()
