import re
import subprocess
import sys
from pathlib import Path

import pytest

from repository import ROOT

PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
ADR_LINES_MAX = 60


def targets(page: Path) -> set[str]:
    """Paths inside the repository that a page links to."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    return {link for link in links if "://" not in link}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert {link for link in targets(page) if not (page.parent / link).exists()} == set()


def test_the_readme_leads_on() -> None:
    assert {"docs/design.md", "docs/glossary.md", "LICENSE"} <= targets(ROOT / "README.md")


def test_every_decision_is_listed_and_at_most_a_page() -> None:
    folder = ROOT / "docs" / "adr"
    records = {path.name: len(path.read_text().splitlines()) for path in folder.glob("[0-9]*.md")}
    assert targets(folder / "README.md") == records.keys() | {"template.md"}
    assert {name: lines for name, lines in records.items() if lines > ADR_LINES_MAX} == {}


def test_the_words_are_sorted_and_defined_once() -> None:
    words = re.findall(r"^\| \*\*(.+?)\*\* \|", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    assert words == sorted(set(words))


def test_the_command_reference_is_up_to_date(tmp_path: Path) -> None:
    fresh = tmp_path / "cli.md"
    write = [
        sys.executable,
        "-m",
        "typer",
        "interlock.cli",
        "utils",
        "docs",
        "--name",
        "interlock",
        "--output",
        str(fresh),
    ]
    subprocess.run(write, check=True, capture_output=True)
    assert (ROOT / "docs" / "cli.md").read_text() == fresh.read_text(), "run `make docs`"
