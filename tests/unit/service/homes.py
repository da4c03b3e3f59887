"""State directories for tests."""

from pathlib import Path

from interlock.service.home.home import Home

RUNTIME = """\
account = "main"
venue = "paper"
environment = "testnet"
risk_day = "00:00 UTC"
week = "Mon"
mode = "paper"
armed = false
rollout_percent = 0

[paper]
balance = 10000
speed = 3600
"""


def made(path: Path, runtime: str = RUNTIME) -> Home:
    """A home as `interlock init` leaves it, without keys or policy."""
    home = Home(path / "home")
    home.create()
    home.runtime.write_text(runtime)
    home.runtime.chmod(0o600)
    return home
