"""The import contracts are only worth something if they break; each is broken here, in a copy."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repository import PACKAGE, ROOT


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(PACKAGE, tmp_path / "interlock", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def contracts(copy: Path) -> subprocess.CompletedProcess[str]:
    """What import-linter says of the copy, which shadows the installed package."""
    run = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    return subprocess.run([*run, "--no-cache", "--no-logo"], cwd=copy, capture_output=True, text=True, check=False)


def test_the_copy_keeps_them(copy: Path) -> None:
    assert contracts(copy).returncode == 0


@pytest.mark.parametrize(
    ("file", "line", "complaint"),
    [
        ("core/broken.py", "from interlock import ledger", "interlock.core is not allowed to import interlock.ledger"),
        ("core/broken.py", "def f():\n    import time", "interlock.core is not allowed to import time"),
        ("core/broken.py", "import os.path", "interlock.core is not allowed to import os"),
        ("core/broken.py", "from pydantic import BaseModel", "interlock.core is not allowed to import pydantic"),
        ("ledger/broken.py", "import interlock.cli", "interlock.ledger is not allowed to import interlock.cli"),
        ("ledger/broken.py", "import numba", "interlock is not allowed to import numba"),
        ("attic/__init__.py", "", "attic"),
    ],
)
def test_a_breach_is_found(copy: Path, file: str, line: str, complaint: str) -> None:
    path = copy / "interlock" / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(line + "\n")
    result = contracts(copy)
    assert result.returncode == 1
    assert complaint in " ".join(result.stdout.split())


def test_batch_may_compile(copy: Path) -> None:
    batch = copy / "interlock" / "batch"
    batch.mkdir(exist_ok=True)
    (batch / "__init__.py").touch()
    (batch / "compiled.py").write_text("import numba\n")
    assert contracts(copy).returncode == 0
