import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from interlock.core.codes import Code, PermitState
from interlock.core.messages import Input, Output
from interlock.core.permit import TRANSITIONS
from interlock.ledger import Code as Finding
from interlock.policy.model import PolicyFile
from repository import ROOT

GENERATED = ("permits.md", "presets.md", "rules.md")


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
    assert {code for code in Code if code not in text} == {Code.ALLOWED}


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def cells(text: str, column: int) -> list[str]:
    """One column of every table on the page, headings included."""
    return [line.split("|")[column].strip() for line in text.splitlines() if line.startswith("|")]


def test_every_message_is_in_its_table() -> None:
    told = set(re.findall(r"`(\w+)`", " ".join(cells(page("messages.md"), 1) + cells(page("messages.md"), 2))))
    assert {kind.__name__ for kind in (*get_args(Input), *get_args(Output))} <= told


def test_everything_that_verify_finds_is_in_its_table() -> None:
    told = [cell for cell in cells(page("ledger.md"), 1) if re.fullmatch(r"[A-Z_]{5,}", cell)]
    assert told == [code.value for code in Finding]


def test_the_new_names_of_codes_exist() -> None:
    named = set(re.findall(r"\b[A-Z]+_[A-Z_]+\b", " ".join(cells(page("codes.md"), 2))))
    assert "NOT_EXIT_OWNER" in named
    assert named <= set(Code)


def test_the_ten_lines_are_the_example() -> None:
    assert f"```toml\n{(ROOT / 'examples' / 'policy.toml').read_text()}```" in page("policy.md")


def test_every_part_of_a_policy_is_in_its_table() -> None:
    named = set(re.findall(r"`(\w+)`", " ".join(cells(page("policy.md"), 1))))
    parts = PolicyFile.model_fields.keys()
    told_elsewhere = {"preset", "policy_version", "expanded_from", "created_at", "published_at", "digest", "generator"}
    assert parts - told_elsewhere == named & parts
