"""
Law 10, replay: folding the ledger gives the state, and deciding again gives the same outputs.

Whole simulated histories with faults and restarts, recorded by the real ledger with snapshots on the way.
"""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.core import apply as applying
from interlock.core import snapshot
from interlock.core.engine import Engine
from interlock.core.errors import ReplayDiverged
from interlock.ledger.fold import fold, replay
from interlock.ledger.steps import read_steps
from interlock.testing.faults import FAULTS
from interlock.testing.simulator import Outcome, Simulation


def history(place: Path, seed: int, steps: int = 120) -> Outcome:
    """A simulated history, recorded in `place`."""
    sim = Simulation(seed, place, faults=FAULTS)
    try:
        return sim.run(steps)
    finally:
        sim.abandon()


@settings(max_examples=5)
@given(seed=st.integers(0, 2**32), cut=st.floats(0.0, 1.0))
def test_folding_gives_the_state(tmp_path_factory: pytest.TempPathFactory, seed: int, cut: float) -> None:
    place = tmp_path_factory.mktemp("law")
    outcome = history(place, seed)
    assert snapshot.encode(fold(place / "ledger").state) == outcome.state
    assert snapshot.encode(replay(place / "ledger").state) == outcome.state
    steps = list(read_steps(place / "ledger"))
    middle = int(cut * len(steps))
    engine = Engine()
    for step in steps[:middle]:
        engine.fold(step)
    again = Engine(snapshot.decode(snapshot.encode(engine.state)))
    for step in steps[middle:]:
        again.fold(step)
    assert snapshot.encode(again.state) == outcome.state


def test_a_snapshot_is_the_state_to_the_byte(tmp_path: Path) -> None:
    outcome = history(tmp_path, 7)
    assert snapshot.encode(snapshot.decode(outcome.state)) == outcome.state


def test_control_rules_that_have_changed_are_found_out(tmp_path: Path) -> None:
    history(tmp_path, 2, 200)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("interlock.core.decide.look", lambda agenda, event: None)
        patch.setattr("interlock.core.checks.guards_under", lambda *_: lambda *_: 1.0)
        with pytest.raises(ReplayDiverged):
            replay(tmp_path / "ledger")


def test_control_a_fold_that_forgets_is_found_out(tmp_path: Path) -> None:
    outcome = history(tmp_path, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(applying, "_remember", lambda *_: None)
        engine = Engine()
        for step in read_steps(tmp_path / "ledger"):
            engine.fold(step)
    assert snapshot.encode(engine.state) != outcome.state
