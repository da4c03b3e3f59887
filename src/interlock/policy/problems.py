"""One mistake in a policy: where it stands, what was found, what was expected, what to do."""

import re
from typing import Final, NamedTuple

Path = tuple[str, ...]

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


class Problem(NamedTuple):
    """A mistake that a person can put right; its text is one line."""

    path: Path
    found: str
    expected: str
    remedy: str

    def __str__(self) -> str:
        where = f"{dotted(self.path)}: " if self.path else ""
        return f"{where}found {self.found}, expected {self.expected}: {self.remedy}"


def dotted(path: Path) -> str:
    """The path as a TOML file would write it."""
    return ".".join(part if _BARE_KEY.fullmatch(part) else f'"{part}"' for part in path)
