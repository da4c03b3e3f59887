"""From a ledger to the state it tells of, and the audit that deciding again gives the same."""

from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from interlock.core import snapshot
from interlock.core.decide import decide
from interlock.core.engine import Engine
from interlock.core.errors import ReplayDiverged
from interlock.core.messages import SCHEMA, Step
from interlock.ledger.reader import latest_snapshot
from interlock.ledger.steps import encode, read_steps

Progress = Callable[[int], None]


def fold(directory: Path, *, public_key: Ed25519PublicKey | None = None, progress: Progress | None = None) -> Engine:
    """
    The engine as it was after the last recorded step: the newest sound snapshot, and the steps since.

    Nothing is decided again.

    Raises:
        LedgerBroken: a record is not what was written.
        LedgerTooNew: a newer version wrote it.
    """
    found = latest_snapshot(directory, schema=SCHEMA, public_key=public_key).snapshot
    engine = Engine() if found is None else Engine(snapshot.decode(found.payload))
    for step in read_steps(directory, after_seq=0 if found is None else found.seq):
        engine.fold(step)
        if progress is not None:
            progress(step.seq)
    return engine


def replay(directory: Path, *, progress: Progress | None = None) -> Engine:
    """
    The engine after deciding every recorded step again, from the beginning.

    Raises:
        ReplayDiverged: a step gave other outputs than were recorded.
        LedgerBroken: a record is not what was written, or its payload is gone.
    """
    engine = Engine()
    for step in read_steps(directory):
        outputs = decide(engine.state, step.at_ns, step.mono_ns, step.input)
        again = Step(step.seq, step.at_ns, step.mono_ns, step.input, outputs, step.schema)
        if encode(again) != encode(step):
            raise ReplayDiverged(step.seq, _names(step), _names(again))
        engine.fold(step)
        if progress is not None:
            progress(step.seq)
    return engine


def _names(step: Step) -> str:
    return ", ".join(str(output) for output in step.outputs) or "no output"
