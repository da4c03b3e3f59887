"""The repository as data for tests about its own shape."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "interlock"


def modules(folder: Path = PACKAGE) -> list[Path]:
    """Every Python file below the folder, sorted."""
    return sorted(folder.rglob("*.py"))


def tracked_text() -> Iterator[tuple[Path, str]]:
    """Every file that git knows and that is text, with its text."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        path = ROOT / name
        content = path.read_bytes() if path.is_file() else b"\0"
        if b"\0" not in content:
            yield path.relative_to(ROOT), content.decode("utf-8")


def imported(source: str) -> set[str]:
    """
    Dotted names of all modules that a source imports, wherever in the file.

    `from a import b` counts as `a.b`: b may be a module, and of a package that is what matters.
    """
    names = set[str]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names
