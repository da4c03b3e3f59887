import re
import subprocess
import sys
import tomllib
import zipfile

import pytest

from repository import PACKAGE, ROOT


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    (wheel,) = folder.glob("interlock-*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_holds_every_file_of_the_package(wheel_names: set[str]) -> None:
    files = {path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    wanted = {path.relative_to(PACKAGE.parent).as_posix() for path in files}
    assert "interlock/py.typed" in wanted
    assert {name for name in wheel_names if name.startswith("interlock/")} == wanted


def test_the_wheel_carries_its_licence(wheel_names: set[str]) -> None:
    assert any(name.endswith("/licenses/LICENSE") for name in wheel_names)


def test_every_constraint_pins_one_version_and_names_no_place() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pin = re.compile(r"[a-z0-9._-]+==[\w.!+]+( ; [^@]+)?")
    assert [line for line in lines if not pin.fullmatch(line)] == []


def test_every_dependency_is_constrained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *(name for extra in extras.values() for name in extra)]
    names = {re.split(r"[\[<>=~! ]", requirement)[0] for requirement in asked}
    pinned = {line.split("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert names - pinned == set()


def targets() -> list[str]:
    """Every target a person may call, in the Makefile's order."""
    return re.findall(r"^([a-z][a-z-]*):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_make_alone_lists_every_target_with_a_line_of_help() -> None:
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^  make (\S+) +\S", shown, re.MULTILINE) == targets()


def test_no_file_can_stand_in_for_a_target() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    assert phony[1].split() == targets()
