"""What a way out must survive: proposals under a rule's own name, positions in doubt, entries that cannot be meant."""

from math import inf, nan
from typing import Any

import msgspec
import pytest

from interlock.core.codes import CloseAction, PermitState, Rung
from interlock.core.messages import Executed, ExitProposed, PermitIssued, PositionAt, PositionsReported, Quarantined, Step
from interlock.core.state import RUNGS
from interlock.testing import Bench, make_policy, open_bench
from interlock.testing.wayout import EXITS
from lawkit import hold


def bench(toml: str = "") -> Bench:
    """A position of 10 at 100 with its stop at 95, and every rule of the way out on."""
    made = open_bench(policy=make_policy("layered@1", toml=(EXITS["A"], toml)), stops_at_venue=False)
    hold(made, "BTC", 1, 10.0)
    return made


def row(made: Bench) -> Any:
    return made.engine.state.symbols[made.engine.state.names.symbol_index["BTC"]]


def permits(step: Step) -> list[PermitIssued]:
    return [each for each in step.outputs if isinstance(each, PermitIssued)]


def rungs(step: Step) -> list[str]:
    return [each.rung for each in step.outputs if isinstance(each, ExitProposed) and each.left_steps >= 0]


@pytest.mark.parametrize("rung", [Rung.STOP, Rung.LOSS, Rung.KILL])
def test_a_proposal_under_the_name_of_a_rule_that_protects_does_not_switch_it_off(rung: Rung) -> None:
    made = bench()
    made.send(made.intent("BTC", -1, reduce_only=True, rung=rung, stop_price=96.0))
    assert row(made).stop_price == 96.0
    assert not row(made).rungs >> RUNGS.index(rung) & 1
    (quarter,) = permits(made.send(made.intent("BTC", -1, reduce_only=True, rung=rung, close=CloseAction.PARTIAL_25)))
    made.fill(quarter.id)
    step = made.mark("BTC", 95.5)
    assert "stop" in rungs(step)
    assert [p.steps for p in permits(step)] == [row(made).position]


def test_an_intent_that_bears_an_exit_s_name_takes_nothing_from_that_exit() -> None:
    made = bench()
    (exit_permit,) = permits(made.mark("BTC", 94.0))
    before = row(made).exit_attempts, row(made).exit_next_ns
    made.send(made.intent("BTC", -1, reduce_only=True, quantity=1.0, id=exit_permit.goal, source="operator"))
    assert (row(made).exit_attempts, row(made).exit_next_ns) == before
    still = made.engine.state.permits.get(exit_permit.id)
    assert still is not None
    assert still.state is PermitState.ISSUED


def test_a_proposal_for_a_position_in_doubt_leaves_by_its_quantity() -> None:
    made = bench()
    made.send(Quarantined("Executed", "torn", b"", "BTC"))
    assert row(made).known != 1.0
    wish = made.intent("BTC", -1, reduce_only=True, rung="own", close=CloseAction.FULL_CLOSE, quantity=10.0)
    (permit,) = permits(made.send(wish))
    assert permit.reduce_only
    assert permit.steps == made.book.instruments["BTC"].steps_down(10.0)


def test_without_a_quantity_it_leaves_by_what_was_held_and_a_new_stop_alone_closes_nothing() -> None:
    made = bench()
    made.send(Quarantined("Executed", "torn", b"", "BTC"))
    moved = made.send(made.intent("BTC", -1, reduce_only=True, rung="own", stop_price=96.0, quantity=10.0))
    assert permits(moved) == []
    assert row(made).stop_price == 96.0
    wish = made.intent("BTC", -1, reduce_only=True, rung="own", close=CloseAction.FULL_CLOSE)
    assert [p.steps for p in permits(made.send(wish))] == [row(made).position]


def test_so_does_one_where_we_believed_to_be_flat() -> None:
    made = bench()
    made.send(Quarantined("Executed", "torn", b"", "ETH"))
    wish = made.intent("ETH", 1, reduce_only=True, rung="own", close=CloseAction.FULL_CLOSE, quantity=1.0)
    (permit,) = permits(made.send(wish))
    assert permit.reduce_only


@pytest.mark.parametrize("value", [-1000.0, 0.0])
def test_an_entry_that_cannot_be_meant_closes_nothing(value: float) -> None:
    made = open_bench(policy=make_policy("layered@1", toml=EXITS["A"]), stops_at_venue=False)
    (permit,) = permits(made.send(made.intent("BTC", 1, quantity=10.0)))
    made.send(Executed(permit.id, PermitState.FILLED, permit.steps, value, 0.0, made.clock.true_ns))
    assert row(made).position == permit.steps
    assert rungs(made.mark("BTC", 103.0)) == []
    assert rungs(made.mark("BTC", 99.0)) == []


def test_a_position_that_shrinks_at_the_venue_is_closed_to_its_target_and_no_further() -> None:
    made = bench("[rules]\nHARVEST = 'off: not in this test'\n")
    trend = {"label": "TREND", "p_trend": 0.7, "p_base": 0.2, "p_chop": 0.1}
    made.tell_market(msgspec.structs.replace(made.markets["BTC"], **trend))
    held = row(made).position
    (third,) = permits(made.mark("BTC", 102.0))
    made.result(third.id, PermitState.REJECTED)
    for _ in range(2):
        made.clock.advance(30.0)
        made.send(PositionsReported((PositionAt("BTC", held // 2, 100.0),), made.clock.true_ns))
    assert row(made).position == held // 2
    assert row(made).exit_left == -1
    assert not [p for p in made.engine.state.permits.alive() if p.reduce_only]


def test_a_flip_by_hand_is_another_position_that_no_rule_touches() -> None:
    made = bench()
    (close,) = permits(made.mark("BTC", 94.9))
    made.result(close.id, PermitState.REJECTED)
    assert row(made).exit_left == 0
    held = row(made).position
    for _ in range(2):
        made.clock.advance(30.0)
        made.send(PositionsReported((PositionAt("BTC", -held, 95.0),), made.clock.true_ns))
    assert (row(made).position, row(made).managed, row(made).exit_left) == (-held, 0.0, -1)
    assert permits(made.steps[-1]) == []
    assert rungs(made.mark("BTC", 99.0)) == []


@pytest.mark.parametrize("stop", [nan, inf, -1.0, 0.0])
def test_a_new_stop_that_is_no_price_moves_nothing(stop: float) -> None:
    made = bench()
    made.send(made.intent("BTC", -1, reduce_only=True, rung="own", stop_price=stop, source="operator"))
    assert row(made).stop_price == 95.0
