import re
from pathlib import Path

from repository import ROOT

ROW = re.compile(r"^\| ([A-Z]\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)
TEST = re.compile(r"^def (test_([WXYFT]\d+)_\w+)\(", re.MULTILINE)


def listed() -> dict[str, set[str]]:
    """The tests that the page names, by incident."""
    page = (ROOT / "docs" / "incidents.md").read_text()
    return {name: set(re.findall(r"`(test_\w+)`", tests)) for name, _, tests in ROW.findall(page)}


def written() -> dict[str, set[str]]:
    """The tests that exist, by the incident in their name."""
    found: dict[str, set[str]] = {}
    for path in Path(__file__).parent.glob("test_*.py"):
        for test, name in TEST.findall(path.read_text()):
            found.setdefault(name, set()).add(test)
    return found


def test_every_incident_is_listed_with_its_tests() -> None:
    assert {name: tests for name, tests in listed().items() if tests} == written()


def test_what_has_no_test_says_so() -> None:
    page = (ROOT / "docs" / "incidents.md").read_text()
    without = {name for name, _, tests in ROW.findall(page) if tests == "not yet"}
    assert without == {name for name, tests in listed().items() if not tests}
