"""While a firm forbids closing, exits that can wait do, what protects passes, and the breach is told."""

from typing import Any

import msgspec
import pytest

from interlock.core.codes import CloseAction, Code, PermitState
from interlock.core.constants import NS_PER_S
from interlock.core.errors import InputInvalid
from interlock.core.messages import (
    Alert,
    BarClosed,
    BlackoutSet,
    ExitProposed,
    FlattenSet,
    MarketState,
    PermitIssued,
    PolicySet,
    RiskEvent,
    Step,
    Tick,
)
from interlock.testing import Bench, make_policy, open_bench
from interlock.testing.bench import picture
from interlock.testing.wayout import EXITS
from lawkit import hold

MINUTE_NS = 60 * NS_PER_S


def bench(label: str = "TREND", toml: str = "") -> Bench:
    """A position of 10 at 100 with its stop at 95, and every rule of the way out on."""
    made = open_bench(policy=make_policy("layered@1", toml=(EXITS["A"], toml)), stops_at_venue=False)
    tell(made, label)
    hold(made, "BTC", 1, 10.0)
    return made


def tell(made: Bench, label: str) -> Step:
    odds = {each: 0.7 if each == label else 0.15 for each in ("TREND", "BASE", "CHOP")}
    return made.tell_market(
        MarketState(
            "BTC", 0, atr=1.0, sigma=0.01, trend_strength=0.5, p_trend=odds["TREND"], p_base=odds["BASE"],
            p_chop=odds["CHOP"], label=label,
        )
    )  # fmt: skip


def forbid(made: Bench, minutes: int = 5, *, after: int = 0) -> int:
    """Closing BTC is forbidden for so many minutes; returns when that ends."""
    now_ns = made.clock.true_ns + after * MINUTE_NS
    made.send(BlackoutSet("BTC", ((now_ns, now_ns + minutes * MINUTE_NS),)))
    return now_ns + minutes * MINUTE_NS


def rungs(step: Step) -> list[str]:
    return [each.rung for each in step.outputs if isinstance(each, ExitProposed) and each.left_steps >= 0]


def permits(step: Step) -> list[PermitIssued]:
    return [each for each in step.outputs if isinstance(each, PermitIssued)]


def exposed(step: Step) -> list[str]:
    """Symbols that an event and an alert name as reduced where the firm forbids it."""
    events = [each.symbol for each in step.outputs if isinstance(each, RiskEvent) and each.trigger is Code.RULE_EXPOSED]
    assert events == [each.symbol for each in step.outputs if isinstance(each, Alert) and each.code is Code.RULE_EXPOSED]
    return events


def row(made: Bench) -> Any:
    return made.engine.state.symbols[made.engine.state.names.symbol_index["BTC"]]


def test_the_first_profit_and_the_ladder_wait_and_are_taken_at_the_end() -> None:
    made = bench()
    end_ns = forbid(made)
    for price in (104.0, 107.0, 111.0):
        assert rungs(made.mark("BTC", price)) == []
    assert row(made).stop_price > 100.0  # the profit is locked: a stop that moves closes nothing
    made.clock.advance_to(end_ns - 1)
    assert rungs(made.mark("BTC", 111.0)) == []
    made.clock.advance_to(end_ns)
    step = made.send(Tick())
    assert rungs(step) == ["tp1"]
    assert permits(step)


def test_a_profit_that_is_gone_when_the_interval_ends_is_not_taken() -> None:
    made = bench()
    end_ns = forbid(made)
    made.mark("BTC", 101.3)
    made.mark("BTC", 100.5)
    made.clock.advance_to(end_ns)
    made.refresh()
    assert row(made).rungs == 0


def test_the_engine_looks_again_when_the_interval_ends() -> None:
    made = bench()
    end_ns = forbid(made, minutes=1, after=1)
    made.send(Tick())
    assert made.engine.state.account.wake_ns <= end_ns - MINUTE_NS
    made.clock.advance_to(end_ns - MINUTE_NS)
    made.mark("BTC", 101.3)
    assert made.engine.state.account.wake_ns <= end_ns
    made.clock.advance_to(end_ns)
    step = made.send(made.intent("ETH", 1, quantity=0.1))  # any input: it is time that brings it about
    assert rungs(step) == ["tp1"]


def test_a_target_waits_and_the_stop_does_not() -> None:
    made = open_bench(policy=make_policy("layered@1", toml=EXITS["A"]), stops_at_venue=False)
    tell(made, "BASE")
    opened = made.send(made.intent("BTC", 1, quantity=10.0, target_price=103.0))
    made.fill(permits(opened)[0].id)
    forbid(made)
    assert rungs(made.mark("BTC", 103.0)) == []
    step = made.mark("BTC", 94.9)
    assert rungs(step)[0] == "stop"
    told = made.fill(permits(step)[0].id)
    assert exposed(told) == ["BTC"]


def test_the_regime_waits_and_the_kill_score_does_not() -> None:
    made = bench("BASE", toml='[rules]\nKILL_EXIT = "off: not in this test"\n')
    forbid(made)
    made.mark("BTC", 98.9)
    assert rungs(tell(made, "CHOP")) == []
    killed = bench("TREND")
    forbid(killed)
    step = tell(killed, "CHOP")
    assert rungs(step) == ["kill"]
    assert exposed(killed.fill(permits(step)[0].id)) == ["BTC"]


def test_time_waits() -> None:
    made = bench("BASE")
    forbid(made, minutes=10_000)
    seen = []
    for _ in range(14):
        opened_ns = made.clock.true_ns
        made.pass_until(opened_ns + 15 * MINUTE_NS)
        seen += rungs(made.send(BarClosed("BTC", opened_ns, 900.0, 1.0, 1.0, 1.0, 1.0)))
    assert row(made).idle_bar_count >= 12
    assert seen == []
    made.send(BlackoutSet("BTC", ()))
    assert row(made).exit_rung == "time"


def test_the_loss_guard_passes() -> None:
    made = bench("BASE", toml='[rules]\nSTOP_EXIT = "off: not in this test"\n')
    forbid(made)
    assert "loss" in rungs(made.mark("BTC", 94.0))


def test_a_refused_rung_is_pursued_when_the_interval_is_over() -> None:
    made = bench()
    first = permits(made.mark("BTC", 101.3))[0]
    end_ns = forbid(made)
    made.result(first.id, PermitState.REJECTED)
    made.clock.advance(60.0)
    made.refresh()
    assert not [p for p in made.engine.state.permits.alive() if p.reduce_only]
    made.clock.advance_to(end_ns)
    step = made.send(Tick())
    assert [p.steps for p in permits(step)] == [first.steps]


def test_a_stop_takes_the_place_of_a_full_close_that_waits() -> None:
    made = bench("BASE", toml='[rules]\nKILL_EXIT = "off: not in this test"\n')
    made.mark("BTC", 98.9)
    first = permits(tell(made, "CHOP"))[0]
    assert row(made).exit_rung == "regime"
    forbid(made)
    made.result(first.id, PermitState.REJECTED)
    step = made.mark("BTC", 94.9)
    assert "stop" in rungs(step)
    assert row(made).exit_rung == "stop"
    assert [p.steps for p in permits(step)] == [abs(row(made).position)]
    again = made.mark("BTC", 94.8)
    assert rungs(again) == []


def test_whoever_asks_for_a_close_has_it_and_the_breach_is_told() -> None:
    made = bench()
    forbid(made)
    (close,) = permits(made.send(made.intent("BTC", -1, quantity=1.0, reduce_only=True)))
    half = made.fill(close.id, close.steps // 2)
    assert exposed(half) == ["BTC"]
    (flatten,) = permits(made.send(FlattenSet("BTC", "alice", "news")))
    assert exposed(made.fill(flatten.id)) == ["BTC"]


def test_a_proposal_of_a_waiting_rung_by_whoever_may_close_passes() -> None:
    made = bench()
    first = permits(made.mark("BTC", 101.3))[0]
    forbid(made)
    made.result(first.id, PermitState.REJECTED)
    own = made.intent("BTC", -1, reduce_only=True, quantity=1.0, rung="tp1", close=CloseAction.PARTIAL_33)
    (permit,) = permits(made.send(own))
    assert permit.steps == first.steps
    assert row(made).exit_waits == 0.0


def test_fills_before_and_after_the_interval_and_openings_are_no_breach() -> None:
    made = bench()
    (close,) = permits(made.send(made.intent("BTC", -1, quantity=2.0, reduce_only=True)))
    end_ns = forbid(made, after=1)
    assert exposed(made.fill(close.id, close.steps // 2)) == []
    made.clock.advance(90.0)
    assert made.clock.true_ns < end_ns
    made.refresh()
    (more,) = permits(made.send(made.intent("BTC", 1, quantity=1.0, stop_price=95.0)))
    assert exposed(made.fill(more.id)) == []
    made.clock.advance_to(end_ns)
    assert exposed(made.fill(close.id)) == []


def test_a_fill_counts_by_its_own_time_where_that_is_known() -> None:
    made = bench()
    (close,) = permits(made.send(made.intent("BTC", -1, quantity=2.0, reduce_only=True)))
    end_ns = forbid(made)
    made.clock.advance(1.0)
    inside_ns = made.clock.true_ns
    made.clock.advance_to(end_ns + NS_PER_S)
    told = made.fill(close.id)
    assert exposed(told) == []
    (other,) = permits(made.send(made.intent("BTC", -1, quantity=2.0, reduce_only=True)))
    late = msgspec.structs.replace(told.input, permit=other.id, at_ns=inside_ns)
    assert exposed(made.send(late)) == ["BTC"]


def test_intervals_live_through_a_restart_and_a_policy() -> None:
    made = bench()
    forbid(made)
    made.mark("BTC", 101.3)
    policy = next(step.input for step in made.steps if isinstance(step.input, PolicySet))
    made.send(policy)
    assert row(made).blackouts
    assert picture(made.folded().state) == picture(made.engine.state)


@pytest.mark.parametrize("intervals", [((2, 1),), ((1, 1),), ((1, 3), (2, 4))])
def test_intervals_out_of_order_are_refused(intervals: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(InputInvalid, match="in order without overlap"):
        bench().send(BlackoutSet("BTC", intervals))


def test_a_symbol_that_is_not_known_is_refused() -> None:
    with pytest.raises(InputInvalid, match="is not known"):
        bench().send(BlackoutSet("NONE", ()))
