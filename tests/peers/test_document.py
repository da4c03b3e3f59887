"""docs/peers.md says what the tests say."""

import re
from collections import Counter
from typing import Final

from peers.asking import HERE, installed
from peers.differences import Intended
from repository import ROOT

DOCUMENT: Final = (ROOT / "docs" / "peers.md").read_text()


def test_every_intended_difference_is_written_down_once() -> None:
    written = Counter(re.findall(r"^- \*\*`([a-z-]+)`\*\*: ", DOCUMENT, re.MULTILINE))
    assert written == Counter(map(str, Intended))


def test_every_intended_difference_is_asserted_somewhere() -> None:
    tests = "".join(path.read_text() for path in HERE.glob("test_*.py"))
    assert {each for each in Intended if f"Intended.{each.name}" not in tests} == set()


def test_the_peers_written_down_are_those_installed_at_their_pinned_versions(peers: None) -> None:
    wanted = {line for line in (HERE / "requirements.in").read_text().splitlines() if not line.startswith("#")}
    assert {row.split("|")[1].strip() for row in re.findall(r"^\| [a-z].*", DOCUMENT, re.MULTILINE)} - {"peer"} == wanted
    pinned = set((HERE / "constraints.txt").read_text().replace(" ;", "\n").split())
    assert {name: installed().get(name) for name in wanted if f"{name}=={installed().get(name)}" not in pinned} == {}
