"""Seeded histories with every fault and every law, and proof that the laws see what they are for."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interlock.core import apply, decide, fills, legs, stops, triggers
from interlock.core.agenda import Agenda
from interlock.core.authority import ALWAYS
from interlock.core.codes import Code, PermitState
from interlock.core.constants import OPERATOR_NS
from interlock.core.limits import Limits, is_on
from interlock.core.messages import Input, Intent
from interlock.core.state import PermitRow, State, SymbolRow, edit, is_stop
from interlock.service.shell.gate import Gate
from interlock.testing.__main__ import main
from interlock.testing.faults import FAULTS, garble_a_message
from interlock.testing.laws import LAWS
from interlock.testing.simulator import Fault, LawBroken, Outcome, Simulation


def run(place: Path, seed: int, steps: int, faults: tuple[Fault, ...] = FAULTS) -> Outcome:
    sim = Simulation(seed, place, faults=faults)
    try:
        return sim.run(steps)
    finally:
        sim.abandon()


EVERY_POLICY = (0, 3, 4, 7, 8, 11, 12, 15)
"""Seeds that take each policy once, half of them with stops at the venue."""


@pytest.mark.parametrize("seed", EVERY_POLICY)
def test_every_law_holds(seed: int, tmp_path: Path) -> None:
    assert run(tmp_path, seed, 300).steps > 0


@pytest.mark.parametrize(
    "seed",
    [
        *(pytest.param(seed, marks=pytest.mark.long) for seed in range(100, 120)),
        *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(120, 200)),
    ],
)
@pytest.mark.timeout(600)
def test_every_law_holds_for_long(seed: int, tmp_path: Path) -> None:
    assert run(tmp_path, seed, 1_000).steps > 0


def test_a_calm_history_trades(tmp_path: Path) -> None:
    assert run(tmp_path, 2, 300, ()).permits > 5


def test_a_seed_gives_one_history(tmp_path: Path) -> None:
    assert run(tmp_path / "one", 11, 250) == run(tmp_path / "other", 11, 250)


def test_the_command_tells_the_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "3", "--steps", "60"]) == 0
    assert "every law held" in capsys.readouterr().out
    assert main(["--seed", "3", "--steps", "60", "--no-faults"]) == 0


def test_every_fault_does_its_harm_and_leaves_a_history_that_comes_to_rest(tmp_path: Path) -> None:
    for number, fault in enumerate(FAULTS):
        sim = Simulation(number, tmp_path / str(number), faults=(fault,))
        try:
            assert sim.run(60).steps > 0
        finally:
            sim.abandon()


# ---------------------------------------------------------------- controls: a broken engine is found out


def caught(place: Path, *, seeds: int = 12, steps: int = 300, faults: tuple[Fault, ...] = FAULTS) -> str:
    """What the first history tells that breaks a law; nothing when every law holds in all of them."""
    for seed in range(seeds):
        try:
            run(place / str(seed), seed, steps, faults)
        except LawBroken as story:
            return str(story)
    return ""


def test_control_a_decision_that_changes_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look = triggers.look

    def meddles(agenda: Agenda, event: Input) -> None:
        agenda.state.instruments.append(None)
        look(agenda, event)

    monkeypatch.setattr(decide, "look", meddles)
    story = caught(tmp_path)
    assert "deciding_changes_nothing" in story
    assert "again:  python -m interlock.testing --seed" in story


def test_control_an_end_that_releases_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fills, "release", lambda *_: None)
    assert "steps_are_conserved" in caught(tmp_path)


def test_control_a_gate_that_does_not_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submit = Gate.submit

    def hasty(gate: Gate, *args: object, **options: object) -> object:
        handed = submit(gate, *args, **options)  # type: ignore[arg-type]
        gate._waiting.clear()
        return type(handed)(handed.step, (*handed.permits, *handed.waiting), (), None)

    monkeypatch.setattr(Gate, "submit", hasty)
    assert "record_first" in caught(tmp_path, seeds=40)


def test_control_a_close_that_must_pass_the_guards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reducing = legs.decide_reducing

    def guarded(agenda: Agenda, intent: Intent, index: int, *rest: object) -> None:
        if agenda.state.account.policy_verified != 1.0:
            legs.deny(agenda, intent, Code.POLICY_INVALID, reducing=True)
        else:
            reducing(agenda, intent, index, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(legs, "decide_reducing", guarded)
    assert "a_close_" in caught(tmp_path)


def test_control_a_lock_that_forgets_what_was_issued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (decide, triggers):
        monkeypatch.setattr(module, "raise_fence", lambda *_, **__: None)
    with pytest.raises(LawBroken, match="nothing_opens_under_a_lock"):
        run(tmp_path, 38, 300)


def test_control_a_trigger_that_needs_no_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = triggers._losses

    def gullible(agenda: Agenda, limits: Limits) -> None:
        a = agenda.state.account
        if a.venue_equity == a.venue_equity:
            a.own_equity, a.own_proven, a.equity_gap = a.venue_equity, 1.0, 0.0
        losses(agenda, limits)

    monkeypatch.setattr(triggers, "_losses", gullible)
    assert "no_flight_without_proof" in caught(tmp_path, faults=(garble_a_message,))


def test_control_a_fold_that_is_not_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put = apply._put

    def forgetful(row: object, slot: int, output: object) -> None:
        put(row, slot, output)  # type: ignore[arg-type]
        row.lock_mask ^= random.getrandbits(8) << 40  # type: ignore[attr-defined]

    monkeypatch.setattr(apply, "_put", forgetful)
    assert "another state" in caught(tmp_path)


def test_control_a_venue_that_lets_reducing_orders_flip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grow = fills._grow_trade

    def certain(state: State, p: PermitRow, r: SymbolRow, steps: int, value: int) -> None:
        grow(state, p, r, steps, value)
        r.known = 1.0

    monkeypatch.setattr(fills, "_grow_trade", certain)
    monkeypatch.setattr("interlock.testing.venue.Venue._reducible", lambda _venue, order: order.steps)
    assert "reducing_never_flips" in caught(tmp_path, seeds=40)


def test_control_a_stop_that_does_not_grow_with_its_position(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stops, "covers", lambda *_: True)
    assert "a_managed_position_has_its_stop" in caught(tmp_path, faults=())


@pytest.mark.parametrize(
    ("name", "broken", "law", "seed"),
    [
        ("exits.watch._Look.due", lambda look, code, rung: is_on(look.p, code), "a_rung_closes_once", 35),
        ("exits.watch.tightened", lambda side, stop, wanted: wanted - side, "stops_only_tighten", 35),
        ("exits.watch.stop_reached", lambda side, worst, stop: side * (worst - stop * 1.01) <= 0.0, "exits_are_proven", 1),
        ("exits.pursuit.closing_steps", lambda state, r, now_ns: -r.exit_left, "exits_close_no_more_than_is_held", 10),
        ("legs.may_close", lambda *_: True, "the_entitled_may_close", 1),
        ("exits.pursuit.may_close", lambda state, source, *_: source in ALWAYS, "the_entitled_may_close", 10),
    ],
)
def test_control_a_way_out_that_is_broken(
    name: str, broken: Callable[..., Any], law: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"interlock.core.{name}", broken)
    with pytest.raises(LawBroken, match=law):
        run(tmp_path, seed, 250, ())


@pytest.mark.parametrize(
    ("name", "broken", "law", "seed"),
    [
        ("state.State.edit_symbol", lambda state, index: edit(state.symbols, index), "what_is_derived_is_of_now", 1),
        ("apply.due_rows", lambda _state: [], "who_was_not_asked_had_nothing_to_say", 2),
        ("due._order_due_ns", lambda *_: OPERATOR_NS, "who_was_not_asked_had_nothing_to_say", 2),
    ],
)
def test_control_a_row_that_is_not_asked(
    name: str, broken: Callable[..., Any], law: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"interlock.core.{name}", broken)
    with pytest.raises(LawBroken, match=law):
        run(tmp_path, seed, 300)


def test_control_an_interval_s_extremes_that_are_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.core.absorb.on_extremes", gullible_extremes)
    with pytest.raises(LawBroken, match="exits_are_proven"):
        run(tmp_path, 16, 250, (garble_a_message,))


def gullible_extremes(r: SymbolRow, high: float, low: float, _jump: float) -> None:
    r.high, r.low = high, low


def test_control_a_stop_that_is_given_up_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hasty(agenda: Agenda, index: int, closing: list[PermitRow], since_ns: int) -> None:
        stops._close(agenda, index, Code.STOP_REFUSED, 0.0, 0.0)

    monkeypatch.setattr(stops, "_renew", hasty)
    assert "a_missing_stop_is_proven" in caught(tmp_path, faults=())


def test_a_history_with_stops_has_them_fire_and_be_refused(tmp_path: Path) -> None:
    sim = Simulation(3, tmp_path)
    try:
        sim.run(1_000)
    finally:
        sim.abandon()
    ends = {sim.venue.orders[number].state for number, p in sim.issued.items() if is_stop(p) and number in sim.venue.orders}
    assert {PermitState.FILLED, PermitState.REJECTED, PermitState.CANCELLED} <= ends


def test_laws_have_names_that_tell_them_apart() -> None:
    assert len({law.__name__ for law in LAWS}) == len(LAWS)
    assert all(law.__doc__ for law in LAWS)
