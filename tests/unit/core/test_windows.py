"""Windows of the calendar file: nothing opens in one, nothing is held in another, what is not known is not proven."""

import pytest

from interlock.core.codes import Code, PermitState, RiskAction, Scope
from interlock.core.errors import InputInvalid
from interlock.core.messages import (
    Alert,
    BlackoutSet,
    CancelOrders,
    Decision,
    FenceRaised,
    FlattenGoal,
    LockReleased,
    PermitIssued,
    PermitRevoked,
    RiskEvent,
    Step,
    Tick,
)
from interlock.testing import Bench, make_policy, open_bench
from interlock.testing.bench import YEAR_NS, picture
from lawkit import hold

ON = 'rules.NEWS_WINDOW = "on"\nrules.SESSION_FLAT.lead = "300 s"\n'
MINUTE = 60.0


def bench(toml: str = ON, **options: object) -> Bench:
    return open_bench(policy=make_policy("layered@1", toml=toml), **options)  # type: ignore[arg-type]


def asked(made: Bench, symbol: str = "BTC", side: int = 1, **wish: object) -> Decision:
    step = made.send(made.intent(symbol, side, **{"quantity": 1.0, **wish}))
    return next(each for each in step.outputs if isinstance(each, Decision))


def headline(made: Bench, symbol: str = "BTC") -> Code:
    return asked(made, symbol).headline


def goals(step: Step) -> list[tuple[str, Code]]:
    return [(each.symbol, each.code) for each in step.outputs if isinstance(each, FlattenGoal) and each.active]


def wait(made: Bench, seconds: float) -> None:
    made.pass_until(made.clock.true_ns + round(seconds * 1e9))


# ---------------------------------------------------------------- nothing is opened


def test_nothing_opens_from_the_first_instant_of_a_window_to_the_last_before_its_end() -> None:
    made = bench()
    start_ns = made.clock.true_ns
    made.tell_windows("BTC", opening=[(60.0, 120.0)])
    seen = []
    for at_s, before_ns in ((60, 1), (60, 0), (120, 1), (120, 0)):
        made.pass_until(start_ns + at_s * 10**9 - before_ns)
        seen.append(headline(made))
    assert seen == [Code.ALLOWED, Code.NEWS_WINDOW, Code.NEWS_WINDOW, Code.ALLOWED]


def test_other_symbols_open_and_the_symbol_closes() -> None:
    made = bench()
    hold(made, "BTC", 1, 5.0)
    made.tell_windows("BTC", opening=[(0.0, 600.0)])
    assert headline(made, "ETH") is Code.ALLOWED
    assert headline(made) is Code.NEWS_WINDOW
    assert asked(made, side=-1, reduce_only=True).granted_steps > 0


def test_where_the_calendar_file_ends_nothing_is_proven() -> None:
    made = bench()
    made.send(BlackoutSet("BTC", (), (), (), made.clock.true_ns + 60 * 10**9))
    assert headline(made) is Code.ALLOWED
    wait(made, MINUTE)
    assert [each.code for each in asked(made).objections] == [Code.NEWS_WINDOW, Code.SESSION_FLAT]


def test_without_a_calendar_file_nothing_is_proven_and_with_the_rules_off_nothing_is_asked() -> None:
    made = bench()
    made.send(BlackoutSet("BTC", ()))
    assert headline(made) is Code.NEWS_WINDOW
    assert headline(bench(toml="")) is Code.ALLOWED


def test_at_the_start_of_a_window_what_could_still_open_is_void() -> None:
    made = bench()
    first = next(iter(_permits(made.send(made.intent("BTC", 1, quantity=1.0, limit_price=99.0)))))
    made.result(first.id, PermitState.WORKING)
    second = next(iter(_permits(made.send(made.intent("BTC", 1, quantity=1.0)))))
    made.tell_windows("BTC", opening=[(5.0, 60.0)])
    made.clock.advance(5.0)
    step = made.send(made.intent("ETH", 1, quantity=1.0))  # any input: it is time that brings it about
    assert [each.code for each in step.outputs if isinstance(each, FenceRaised)] == [Code.NEWS_WINDOW]
    assert [each.permits for each in step.outputs if isinstance(each, CancelOrders)] == [(first.id,)]
    assert [each.permit for each in step.outputs if isinstance(each, PermitRevoked)] == [second.id]
    assert not [each for each in made.send(Tick()).outputs if isinstance(each, FenceRaised)]


def test_the_engine_wakes_for_a_window_that_begins_while_a_permit_lives() -> None:
    made = bench()
    start_ns = made.clock.true_ns
    made.tell_windows("BTC", opening=[(4.0, 60.0)], flat=[(303.0, 400.0)])
    assert asked(made).allowed
    assert made.engine.state.account.wake_ns == start_ns + 3 * 10**9


def test_a_window_told_while_it_lasts_voids_at_once() -> None:
    made = bench()
    (permit,) = _permits(made.send(made.intent("BTC", 1, quantity=1.0)))
    step = made.tell_windows("BTC", opening=[(-5.0, 60.0)])
    assert [each.permit for each in step.outputs if isinstance(each, PermitRevoked)] == [permit.id]


def _permits(step: Step) -> list[PermitIssued]:
    return [each for each in step.outputs if isinstance(each, PermitIssued)]


# ---------------------------------------------------------------- nothing is held


def test_a_position_is_closed_by_the_lead_before_it_has_to_be_flat() -> None:
    made = bench()
    hold(made, "BTC", 1, 5.0)
    start_ns = made.clock.true_ns
    made.tell_windows("BTC", flat=[(600.0, 1200.0)])
    made.pass_until(start_ns + 300 * 10**9 - 1)
    assert headline(made, "BTC") is Code.ALLOWED
    made.clock.advance_to(start_ns + 300 * 10**9)
    step = made.send(Tick())
    assert goals(step)[0] == ("BTC", Code.SESSION_FLAT)
    (event,) = [each for each in step.outputs if isinstance(each, RiskEvent)]
    assert (event.trigger, event.symbol, event.action) == (Code.SESSION_FLAT, "BTC", RiskAction.FLATTEN)
    assert (event.value_at_trigger, event.threshold) == (300.0, 300.0)
    (close,) = [each for each in _permits(step) if each.reduce_only]
    made.fill(close.id)
    made.refresh()
    assert headline(made) is Code.SESSION_FLAT
    assert headline(made, "ETH") is Code.ALLOWED
    made.pass_until(start_ns + 1200 * 10**9 - 1)
    assert headline(made) is Code.SESSION_FLAT
    made.pass_until(start_ns + 1200 * 10**9)
    assert headline(made) is Code.ALLOWED


def test_what_fills_late_is_closed_too() -> None:
    made = bench()
    (permit,) = _permits(made.send(made.intent("BTC", 1, quantity=1.0, limit_price=99.0)))
    made.result(permit.id, PermitState.WORKING)
    made.tell_windows("BTC", flat=[(100.0, 1200.0)])
    assert goals(made.fill(permit.id))[0] == ("BTC", Code.SESSION_FLAT)


def test_by_a_clock_that_is_not_trusted_nothing_is_closed() -> None:
    made = bench()
    hold(made, "BTC", 1, 5.0)
    made.tell_windows("BTC", flat=[(600.0, 1200.0)])
    made.clock.jump(400.0)
    made.send(Tick())
    made.clock.advance(400.0)
    assert goals(made.send(Tick())) == []
    made.clock.jump(-400.0)
    made.send(LockReleased(Scope.ACCOUNT, "", Code.CLOCK_UNTRUSTED, "alice"))
    assert goals(made.send(Tick()))[:1] == [("BTC", Code.SESSION_FLAT)]


def test_a_position_from_outside_is_left_to_its_owner_and_told_once() -> None:
    made = bench(holdings={"BTC": (5.0, 100.0)})
    made.tell_windows("BTC", flat=[(600.0, 1200.0)])
    told = []
    for _ in range(8):
        made.clock.advance(100.0)
        told += [each.code for each in made.send(Tick()).outputs if isinstance(each, Alert)]
        assert not [permit for permit in made.engine.state.permits.alive() if permit.reduce_only]
    assert told.count(Code.SESSION_FLAT) == 1


def test_with_the_rule_off_nothing_is_closed() -> None:
    made = bench(toml="")
    hold(made, "BTC", 1, 5.0)
    assert goals(made.tell_windows("BTC", flat=[(0.0, 1200.0)])) == []


def test_windows_live_through_a_restart() -> None:
    made = bench()
    made.tell_windows("BTC", opening=[(0.0, 60.0)], flat=[(100.0, 200.0)])
    hold(made, "ETH", 1, 5.0)
    assert picture(made.folded().state) == picture(made.engine.state)


@pytest.mark.parametrize("kind", ["opening", "flat"])
def test_windows_out_of_order_are_refused(kind: str) -> None:
    with pytest.raises(InputInvalid, match="in order without overlap"):
        bench().send(BlackoutSet("BTC", (), **{kind: ((2, 1),)}, until_ns=YEAR_NS))
