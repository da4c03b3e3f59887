"""Python in the README and in docs/ is run, in order, in one namespace per page."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from cli_story import START_NS
from control_kit import make_home, running
from repository import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@contextmanager
def a_gateway() -> Iterator[None]:
    """A gateway answers at ./interlock-home, and the clock of whoever asks is the story's."""
    with pytest.MonkeyPatch.context() as patched, running(make_home(Path("interlock-home"))):
        patched.setattr("interlock.client.client.time_ns", lambda: START_NS)
        yield


SURROUNDINGS: dict[str, Callable[[], AbstractContextManager[None]]] = {"client.md": a_gateway, "exits.md": a_gateway}
"""What a page takes for granted."""


def blocks(page: Path) -> list[str]:
    """The page's Python, with lines kept where they stand in it, so that a traceback names the right one."""
    text = page.read_text(encoding="utf-8")
    return ["\n" * text.count("\n", 0, found.start(1)) + found[1] for found in BLOCK.finditer(text)]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_on_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "page"}
    with SURROUNDINGS.get(page.name, nullcontext)():
        for source in blocks(page):
            exec(compile(source, str(page), "exec"), namespace)


def test_pages_with_code_are_found() -> None:
    names = {page.name for page in PAGES if blocks(page)}
    assert {"client.md", "ledger.md", "messages.md", "policy.md"} <= names


def test_a_line_keeps_its_number(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# Page\n\n```python\nraise ValueError\n```\n")
    with pytest.raises(ValueError) as failed:  # noqa: PT011 (the line is what is looked at)
        exec(compile(blocks(tmp_path / "page.md")[0], "page.md", "exec"), {})
    assert failed.tb.tb_next is not None
    assert failed.tb.tb_next.tb_lineno == 4
