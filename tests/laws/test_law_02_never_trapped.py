"""
Law 2, never trapped: an order that provably reduces, from somebody entitled to close, leaves.

Prices, equity, policy, rates, mode, clock and every lock short of a freeze can be missing, broken or in force. The only
denials are NOT_EXIT_OWNER, NOTHING_TO_REDUCE, TRADING_HALTED and MALFORMED.
"""

from collections.abc import Callable
from math import inf, nan

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from interlock.core import decide as deciding
from interlock.core import legs
from interlock.core.agenda import Agenda
from interlock.core.codes import Action, Code, KillMode, Scope
from interlock.core.constants import OPERATOR_NS
from interlock.core.limits import NO_LIMITS
from interlock.core.messages import (
    ClockChecked,
    EquityMarked,
    Instruction,
    Intent,
    KillSet,
    LockSet,
    MarketBatch,
    ModeSet,
    OrderAt,
    OrdersReported,
    PositionAt,
    PositionsReported,
    Quarantined,
    Quote,
    Rebalance,
    Tick,
    VenueError,
)
from interlock.testing import Bench
from lawkit import bench_under, decision, hold, permits, policy_of

ANSWERS = {Code.NOT_EXIT_OWNER, Code.NOTHING_TO_REDUCE, Code.TRADING_HALTED, Code.MALFORMED}
ENTITLED = ("bot", "exit", "operator", "emergency", "reconciler")


def dark_quote(bench: Bench) -> None:
    bench.send(MarketBatch((Quote("BTC", nan, -1.0, 0.0, bench.clock.true_ns),)))


def wild_quote(bench: Bench) -> None:
    bench.send(MarketBatch((Quote("BTC", 999.0, 1001.0, 1000.0, bench.clock.true_ns),)))


def dark_equity(bench: Bench) -> None:
    bench.send(EquityMarked(0.0, inf, bench.clock.true_ns))


def no_policy(bench: Bench) -> None:
    bench.send(msgspec.structs.replace(policy_of(NO_LIMITS), verified=False))


def empty_policy(bench: Bench) -> None:
    bench.send(policy_of(NO_LIMITS))


def symbol_leaves_the_universe(bench: Bench) -> None:
    bench.send(msgspec.structs.replace(policy_of(NO_LIMITS), universe=()))


def policy_ends(bench: Bench) -> None:
    bench.send(msgspec.structs.replace(policy_of(NO_LIMITS), valid_until_ns=1))


def silence(bench: Bench) -> None:
    bench.clock.advance(100_000.0)
    bench.send(Tick())


def clock_back(bench: Bench) -> None:
    bench.clock.jump(-7_200.0)
    bench.send(Tick())


def clock_ahead(bench: Bench) -> None:
    bench.clock.jump(7_200.0)
    bench.send(ClockChecked(bench.clock.true_ns))


def venue_fails(bench: Bench) -> None:
    for _ in range(5):
        bench.send(VenueError("timeout"))


def many_openings(bench: Bench) -> None:
    for _ in range(8):
        bench.send(bench.intent("ETH", 1, quantity=0.1))


def not_live(bench: Bench) -> None:
    bench.send(ModeSet(0.0, nan, 1.0))


def kill(bench: Bench) -> None:
    bench.send(KillSet(KillMode.REDUCE_ONLY, Scope.ACCOUNT, "", "", ""))


def lock(bench: Bench) -> None:
    bench.send(LockSet(Scope.SYMBOL, "BTC", 0, OPERATOR_NS, "", "alice"))


def unreadable_quote(bench: Bench) -> None:
    bench.send(Quarantined("MarketBatch", "", b"", "BTC"))


def unreadable_flow(bench: Bench) -> None:
    bench.send(Quarantined("CashFlow", "", b""))


def reports_fail(bench: Bench) -> None:
    bench.send(Quarantined("PositionsReported", "", b""))


DARKNESS: tuple[Callable[[Bench], None], ...] = (
    dark_quote,
    wild_quote,
    dark_equity,
    no_policy,
    empty_policy,
    symbol_leaves_the_universe,
    policy_ends,
    silence,
    clock_back,
    clock_ahead,
    venue_fails,
    many_openings,
    not_live,
    kill,
    lock,
    unreadable_quote,
    unreadable_flow,
    reports_fail,
)


def trapped(bench: Bench, source: str, side: int, *, reduce_only: bool) -> str:
    """Why the whole position of 5 BTC could not be closed by the source, or nothing."""
    if source != "operator" and bench.engine.state.account.exit_owner not in ("any", source):
        return ""
    made = bench.send(bench.intent("BTC", -side, quantity=5.0, source=source, reduce_only=reduce_only, created_at_ns=0))
    found = decision(made)
    if found.granted_steps != 50_000 or not found.reducing:
        return f"{source}: {found.headline}, {found.granted_steps} steps"
    (permit,) = permits(made)
    return "" if permit.reduce_only and permit.side == -side and permit.expires_ns == 0 else f"{permit}"


@example(darkness=[wild_quote, wild_quote, dark_equity], source="bot", side=-1, reduce_only=False)
@given(
    darkness=st.lists(st.sampled_from(DARKNESS), max_size=6),
    source=st.sampled_from(ENTITLED),
    side=st.sampled_from((1, -1)),
    reduce_only=st.booleans(),
)
def test_no_darkness_holds_up_a_close(
    darkness: list[Callable[[Bench], None]], source: str, side: int, reduce_only: bool
) -> None:
    bench = bench_under()
    hold(bench, "BTC", side)
    for fall in darkness:
        fall(bench)
    assert trapped(bench, source, side, reduce_only=reduce_only) == ""


@pytest.mark.parametrize("source", ["rival", "stranger", ""])
def test_a_source_that_may_not_close_is_told_so(source: str) -> None:
    bench = bench_under()
    hold(bench)
    assert decision(bench.send(bench.intent("BTC", -1, quantity=5.0, source=source))).headline == Code.NOT_EXIT_OWNER


def test_a_freeze_stops_all_but_the_operator() -> None:
    bench = bench_under()
    hold(bench)
    bench.send(KillSet(KillMode.FREEZE, Scope.ACCOUNT, "", "bad feed", "alice"))
    for source in ("bot", "exit", "emergency"):
        assert decision(bench.send(bench.intent("BTC", -1, quantity=5.0, source=source))).headline == Code.TRADING_HALTED
    assert trapped(bench, "operator", 1, reduce_only=True) == ""


def test_a_close_of_a_position_in_doubt_leaves_reduce_only() -> None:
    for reduce_only in (True, False):
        bench = bench_under()
        hold(bench)
        bench.send(Quarantined("Executed", "", b"", "BTC"))
        assert trapped(bench, "bot", 1, reduce_only=reduce_only) == ""


def test_a_close_is_not_held_up_by_one_that_seems_to_come_from_the_future() -> None:
    bench = bench_under()
    hold(bench)
    (first,) = permits(bench.send(bench.intent("BTC", -1, quantity=5.0, source="exit")))
    order = OrderAt(first.id, "BTC", -1, 50_000, 0, reduce_only=True)
    bench.send(OrdersReported((order,), bench.clock.true_ns + 10**15))
    bench.clock.advance(6.0)
    assert trapped(bench, "bot", 1, reduce_only=True) == ""


def test_a_close_is_not_held_up_by_one_that_is_silent() -> None:
    bench = bench_under()
    hold(bench)
    bench.send(bench.intent("BTC", -1, quantity=5.0, source="exit"))
    assert decision(bench.send(bench.intent("BTC", -1, quantity=5.0))).headline == Code.NOTHING_TO_REDUCE
    bench.clock.advance(5.001)
    assert trapped(bench, "bot", 1, reduce_only=True) == ""


def test_a_close_by_rebalance_needs_no_equity() -> None:
    for action, weight in ((Action.CLOSE, nan), (Action.SCALE, 0.0)):
        bench = bench_under()
        hold(bench)
        dark_equity(bench)
        bench.engine.state.account.venue_equity = nan
        bench.engine.state.account.own_equity = nan
        (permit,) = permits(bench.send(Rebalance("r", "bot", "trend", (Instruction("BTC", action, weight),))))
        assert (permit.reduce_only, permit.steps) == (True, 50_000)


def test_a_kill_with_a_position_in_a_symbol_that_nobody_defined_still_kills() -> None:
    bench = bench_under()
    made = policy_of(bench.engine.state.account_limits())
    other = msgspec.structs.replace(made.universe[0], symbol="XRP")
    bench.send(msgspec.structs.replace(made, universe=(*made.universe, other)))
    for _ in range(3):
        bench.clock.advance(1.0)
        bench.send(PositionsReported((PositionAt("XRP", 10, 1.0),), bench.clock.true_ns))
    step = bench.send(KillSet(KillMode.FLATTEN, Scope.ACCOUNT, "", "", "alice"))
    assert isinstance(step.input, KillSet)
    assert decision(bench.send(bench.intent("BTC", 1, quantity=1.0))).headline == Code.TRADING_REDUCING


def test_control_a_gate_that_asks_guards_about_closes_is_found_out() -> None:
    reducing = legs.decide_reducing

    def guarded(agenda: Agenda, intent: Intent, index: int, *rest: object) -> None:
        if agenda.state.symbols[index].doubt != 0.0:
            legs.deny(agenda, intent, Code.MARKET_STALE, reducing=True)
        else:
            reducing(agenda, intent, index, *rest)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(legs, "decide_reducing", guarded)
        patch.setattr(deciding, "decide_reducing", guarded)
        bench = bench_under()
        hold(bench)
        dark_quote(bench)
        assert "MARKET_STALE" in trapped(bench, "bot", 1, reduce_only=True)
