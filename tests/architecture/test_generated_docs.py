import re
import subprocess
import sys
from pathlib import Path

import pytest

from interlock.core.codes import Code, PermitState
from interlock.core.permit import TRANSITIONS
from repository import ROOT

GENERATED = ("permits.md", "rules.md")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    subprocess.run([sys.executable, ROOT / "tools" / "write_docs.py", folder], check=True)
    return folder


def test_every_generated_page_is_listed(fresh: Path) -> None:
    assert sorted(path.name for path in fresh.iterdir()) == [*GENERATED]


@pytest.mark.parametrize("page", GENERATED)
def test_a_generated_page_is_up_to_date(fresh: Path, page: str) -> None:
    assert (ROOT / "docs" / page).read_text() == (fresh / page).read_text(), "run `make docs`"


def test_the_drawing_has_every_transition() -> None:
    drawn = re.findall(r"^    ([A-Z]+) --> ([A-Z]+)$", (ROOT / "docs" / "permits.md").read_text(), re.MULTILINE)
    table = {(state, after) for state, following in TRANSITIONS.items() for after in following}
    assert {(PermitState[one], PermitState[other]) for one, other in drawn} == table


def test_links_within_the_rules_lead_to_a_heading() -> None:
    text = (ROOT / "docs" / "rules.md").read_text()
    headings = {line.lower().replace(" ", "-") for line in re.findall(r"^### (.+)$", text, re.MULTILINE)}
    linked = set(re.findall(r"\]\(#([^)]+)\)", text))
    assert linked == headings


def test_every_code_is_on_a_page() -> None:
    text = (ROOT / "docs" / "rules.md").read_text()
    assert {code for code in Code if code not in text} == {Code.ALLOWED, Code.NEWS_WINDOW}
