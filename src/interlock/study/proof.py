"""The ledger of a run: opened before it, verified and decided again after it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from interlock.core.engine import Engine
from interlock.core.errors import ReplayDiverged
from interlock.core.messages import SCHEMA
from interlock.ledger import Ledger, LedgerBroken, verify
from interlock.ledger.fold import replay
from interlock.service.shell.gate import Gate

SEGMENT_DAYS: Final = 366


@dataclass(frozen=True, slots=True)
class Proof:
    """What the audit of one ledger found: ``problems`` is empty if it was verified and decided again alike."""

    steps: int
    head: str
    problems: tuple[str, ...]


def open_gate(directory: Path, name: str, key: Ed25519PrivateKey) -> Gate:
    """A new engine before a new ledger, signed and anchored."""
    ledger = Ledger.open(
        directory / name,
        account=name,
        schema=SCHEMA,
        key=key,
        anchor=directory / f"{name}.anchor",
        segment_days=SEGMENT_DAYS,
        answer_s_max=60.0,
    )
    return Gate(Engine(), ledger)


def prove(directory: Path, name: str, public_key: Ed25519PublicKey, steps: int, told: Callable[[int], None]) -> Proof:
    """The ledger's chain, heads and anchor were compared and each of its steps was decided again."""
    report = verify(directory / name, public_key=public_key, anchor=directory / f"{name}.anchor")
    problems = [str(problem) for problem in report.problems]
    if report.records != steps:
        problems.append(f"it holds {report.records} records, and {steps} steps were taken")
    if not problems:
        try:
            replay(directory / name, progress=told)
        except (ReplayDiverged, LedgerBroken) as error:
            problems.append(str(error))
    return Proof(report.records, report.head.hash.hex() if report.head else "", tuple(problems))
