"""
How a peer is asked: one process in the peers' own environment for all questions, JSON in and JSON out.

Nothing of a peer is imported here, and nothing of Interlock there.
"""

import json
import subprocess
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
ENVIRONMENT: Final = HERE.parents[1] / ".venv-peers"
PYTHON: Final = ENVIRONMENT / "bin" / "python"


def ask(peer: str, questions: list[Any]) -> list[Any]:
    """The peer's answer to each question."""
    told = subprocess.run(
        [PYTHON, HERE / "sides" / f"{peer}_side.py"],
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        check=False,
        cwd=ENVIRONMENT,
    )
    assert told.returncode == 0, told.stderr
    answers: list[Any] = json.loads(told.stdout)
    assert len(answers) == len(questions)
    return answers


def installed() -> dict[str, str]:
    """The version of each distribution in the peers' environment."""
    paths = [str(each) for each in ENVIRONMENT.glob("lib/python*/site-packages")]
    found: list[Distribution] = list(distributions(path=paths))
    return {each.name.lower().replace("_", "-"): each.version for each in found}
