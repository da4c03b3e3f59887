"""
Law 12 from every lock that the product knows, alone and with any other: time opens again, or an operator can.

Each is reached by the engine's own doing, from what a venue, a strategy or an operator sends. A lock that nobody can reach
here fails; so does one from which neither time nor the operator's own words lead back.
"""

from collections.abc import Callable, Iterator
from itertools import combinations
from math import nan
from typing import Final

import msgspec
import pytest

from interlock.core.codes import Code, KillMode, PermitState, Scope
from interlock.core.constants import NS_PER_S, OPERATOR_NS
from interlock.core.explain import explain
from interlock.core.messages import (
    CashFlow,
    KillReset,
    KillSet,
    LockReleased,
    LockSet,
    ModeSet,
    OrdersReported,
    PositionAt,
    PositionsReported,
    Quarantined,
    Rebased,
    VenueError,
)
from interlock.core.state import ACCOUNT_LOCKS, STRATEGY_LOCKS, SYMBOL_LOCKS
from interlock.testing import Bench
from lawkit import bench_under, decision, limits_of_everything, permits, policy_of

Way = Callable[[Bench], None]
Lock = tuple[Scope, Code]

LIMITS: Final = limits_of_everything(
    order_interval_s=0.01,
    kelly_trade_count_min=2.0,
    kelly_window_count_max=10.0,
    consec_loss_breaker_count_max=3.0,
    runaway_count_max=4.0,
    drawdown_rebase=1.0,
    quota_day_entry_count_max=12.0,
)
KEYS: Final = {Scope.ACCOUNT: "", Scope.STRATEGY: "trend", Scope.SYMBOL: "BTC"}
EVERY_LOCK: Final = frozenset(
    (scope, code)
    for scope, codes in ((Scope.ACCOUNT, ACCOUNT_LOCKS), (Scope.STRATEGY, STRATEGY_LOCKS), (Scope.SYMBOL, SYMBOL_LOCKS))
    for code in codes
)
DAYS_MAX: Final = 9
"""A week's limit is over when the next week has opened."""

# ---------------------------------------------------------------- ways into each lock


def loses(share: float) -> Way:
    """So much of the balance is lost to fees."""

    def way(bench: Bench) -> None:
        bench.book.balance -= share * 10_000.0
        bench.send(CashFlow("fee", -share * 10_000.0))
        bench.refresh()

    return way


def trade(bench: Bench, price: float) -> None:
    """One bought at 100 and closed there, where anything may open."""
    bench.mark("BTC", 100.0)
    bench.refresh()
    for permit in permits(bench.send(bench.intent("BTC", 1, quantity=1.0))):
        bench.fill(permit.id)
        close(bench, price)


def close(bench: Bench, price: float = nan) -> None:
    """An operator has closed what is held of BTC."""
    steps = bench.engine.state.symbols[0].position
    if steps:
        units = bench.book.instruments["BTC"].quantity(abs(steps))
        side = -1 if steps > 0 else 1
        (permit,) = permits(bench.send(bench.intent("BTC", side, quantity=units, source="operator", reduce_only=True)))
        bench.fill(permit.id, price=price)
    bench.refresh()


def losing_trades(bench: Bench) -> None:
    for _ in range(3):
        bench.clock.advance(70.0)
        trade(bench, 97.0)


def stopped_out(bench: Bench) -> None:
    trade(bench, 94.0)


def keeps_opening(bench: Bench) -> None:
    for _ in range(4):
        for permit in permits(bench.send(bench.intent("BTC", 1, quantity=0.1))):
            bench.fill(permit.id)
    close(bench)


def ends_as(state: PermitState) -> Way:
    """Orders end so, and fill nothing."""

    def way(bench: Bench) -> None:
        for _ in range(3):
            for permit in permits(bench.send(bench.intent("BTC", 1, quantity=1.0))):
                bench.result(permit.id, state)

    return way


def errors(bench: Bench) -> None:
    for _ in range(3):
        bench.send(VenueError("timeout"))


def disagrees(bench: Bench) -> None:
    for _ in range(2):
        bench.clock.advance(1.0)
        bench.send(PositionsReported((PositionAt("BTC", 5, 100.0),), bench.clock.true_ns))
    bench.refresh()


def killed(scope: Scope, mode: KillMode = KillMode.REDUCE_ONLY) -> Way:

    def way(bench: Bench) -> None:
        bench.send(KillSet(mode, scope, KEYS[scope], "", "alice"))

    return way


def locked(scope: Scope) -> Way:
    """An operator locks it for an hour."""

    def way(bench: Bench) -> None:
        until_ns = bench.clock.wall_ns + 3_600 * NS_PER_S
        bench.send(LockSet(scope, KEYS[scope], 0, until_ns, "lunch", "alice"))

    return way


WAYS: Final[dict[Lock, Way]] = {
    (Scope.ACCOUNT, Code.CONSEC_LOSS): losing_trades,
    (Scope.ACCOUNT, Code.CONSEC_LOSS_BREAKER): losing_trades,
    (Scope.STRATEGY, Code.KELLY_ZERO): losing_trades,
    (Scope.SYMBOL, Code.STOP_HIT): stopped_out,
    (Scope.STRATEGY, Code.RUNAWAY): keeps_opening,
    (Scope.ACCOUNT, Code.ORDER_FAILURES): ends_as(PermitState.REJECTED),
    (Scope.ACCOUNT, Code.FAILED_TRADES): ends_as(PermitState.CANCELLED),
    (Scope.ACCOUNT, Code.API_ERRORS): errors,
    (Scope.ACCOUNT, Code.DAILY_LOSS): loses(0.03),
    (Scope.ACCOUNT, Code.DRAWDOWN): loses(0.09),
    (Scope.ACCOUNT, Code.WEEKLY_LOSS): loses(0.105),
    (Scope.ACCOUNT, Code.EMERGENCY_FLATTEN): loses(0.11),
    (Scope.ACCOUNT, Code.EQUITY_GUARD): loses(0.115),
    (Scope.ACCOUNT, Code.TOTAL_DRAWDOWN): loses(0.21),
    (Scope.ACCOUNT, Code.RECONCILE_MISMATCH): disagrees,
    **{(scope, Code.OPERATOR_LOCK): locked(scope) for scope in Scope},
    **{(scope, Code.KILL_SWITCH): killed(scope) for scope in Scope},
}
"""In the order in which two of them are made to happen: what needs openings comes first."""

# ---------------------------------------------------------------- trouble that is no lock


def unknown_fate(bench: Bench) -> None:
    for permit in permits(bench.send(bench.intent("BTC", 1, quantity=1.0))):
        bench.result(permit.id, PermitState.UNKNOWN)


def unreadable_result(bench: Bench) -> None:
    bench.send(Quarantined("Executed", "", b"", "BTC"))


def being_flattened(bench: Bench) -> None:
    """A position that is being closed, and then is."""
    for permit in permits(bench.send(bench.intent("BTC", 1, quantity=1.0))):
        bench.fill(permit.id)
        killed(Scope.SYMBOL, KillMode.FLATTEN)(bench)
        close(bench)


def emergency(bench: Bench) -> None:
    """A loss that flattens what is held."""
    issued = permits(bench.send(bench.intent("BTC", 1, quantity=1.0)))
    for permit in issued:
        bench.fill(permit.id)
    loses(0.11)(bench)
    close(bench)


def frozen(bench: Bench) -> None:
    killed(Scope.ACCOUNT, KillMode.FREEZE)(bench)


def clock_steps(bench: Bench) -> None:
    bench.clock.jump(5.0)
    bench.refresh()
    bench.clock.skew_ns = 0


def silence(bench: Bench) -> None:
    bench.clock.advance(5_000.0)


def session_ends(bench: Bench) -> None:
    bench.tell_windows("BTC", opening=[(0.0, 900.0)], flat=[(30.0, 7_200.0)])


def budget_spent(bench: Bench) -> None:
    """As many entries as a day has."""
    for _ in range(12):
        bench.clock.advance(70.0)
        trade(bench, 100.0)


def disarmed(bench: Bench) -> None:
    """The environment's kill switch is on."""
    bench.send(ModeSet(nan, nan, 1.0))


OTHERS: Final[dict[Way, Code]] = {
    unknown_fate: Code.POSITION_UNRECONCILED,
    being_flattened: Code.SYMBOL_VETO,
    emergency: Code.TRADING_REDUCING,
    budget_spent: Code.DAILY_RISK_QUOTA,
    unreadable_result: Code.POSITION_UNRECONCILED,
    clock_steps: Code.CLOCK_UNTRUSTED,
    silence: Code.MARKET_STALE,
    session_ends: Code.NEWS_WINDOW,
    disarmed: Code.NOT_LIVE,
    frozen: Code.TRADING_HALTED,
}
"""What an order is told right afterwards, among other things."""

# ---------------------------------------------------------------- the way back


def start() -> Bench:
    return bench_under(LIMITS)


def in_force(bench: Bench) -> Iterator[Lock]:
    """Every lock that is set."""
    state = bench.engine.state
    rows = (
        (Scope.ACCOUNT, ACCOUNT_LOCKS, state.account.lock_until),
        (Scope.STRATEGY, STRATEGY_LOCKS, state.strategies[state.names.strategy_index["trend"]].lock_until),
        (Scope.SYMBOL, SYMBOL_LOCKS, state.symbols[0].lock_until),
    )
    for scope, codes, until in rows:
        for slot, end in enumerate(until):
            if end:
                yield scope, codes[slot % len(codes)]


def time_passes(bench: Bench) -> None:
    """
    Six hours without a trade; the venue speaks at every boundary, and says in the end what became of each order.

    By then the environment's kill switch is off again.
    """
    bench.send(ModeSet(1.0, 1.0, 0.0))
    for _ in range(2):
        bench.pass_until(bench.clock.true_ns + 3 * 3_600 * NS_PER_S)
        bench.clock.advance(15.0)
        bench.send(OrdersReported((), bench.clock.true_ns))
        for permit in [each.id for each in bench.engine.state.permits.alive() if each.state == PermitState.UNKNOWN]:
            bench.result(permit, PermitState.CANCELLED)
        bench.refresh()


def answer(bench: Bench) -> str:
    """What an order is told by and by: "open", "operator", or the last reason of all."""
    bench.clock.skew_ns = 0
    told = ""
    for _ in range(4 * DAYS_MAX):
        said = decision(bench.send(bench.intent("BTC", 1, quantity=0.5)))
        if said.granted_steps:
            return "open"
        if said.lock_until_ns == OPERATOR_NS:
            return "operator"
        told = f"{said.headline} {said.lock}"
        time_passes(bench)
    return f"never: {told}"


def operator_helps(bench: Bench) -> None:
    """An operator has ended every lock that waits for one, taken new references and, under a lost floor, another one."""
    for scope, code in set(in_force(bench)):
        if code == Code.KILL_SWITCH:
            bench.send(KillReset(scope, KEYS[scope], "alice"))
        else:
            bench.send(LockReleased(scope, KEYS[scope], code, "alice"))
    bench.refresh()
    bench.send(Rebased("alice", "reviewed"))
    lower = msgspec.structs.replace(LIMITS, equity_floor_frac_min=0.2)
    bench.send(policy_of(lower, at_ns=bench.clock.true_ns))


def leads_back(bench: Bench) -> str:
    """ "open", where time alone or an operator's help leads there; else the last reason."""
    said = answer(bench)
    if said == "operator":
        operator_helps(bench)
        said = answer(bench)
    return said


def test_every_lock_has_a_way_in() -> None:
    assert set(WAYS) == EVERY_LOCK


@pytest.mark.parametrize("lock", WAYS, ids=str)
def test_there_is_a_way_back_from_the_lock(lock: Lock) -> None:
    bench = start()
    WAYS[lock](bench)
    assert lock in set(in_force(bench))
    assert not bench.engine.state.symbols[0].position
    assert leads_back(bench) == "open"


@pytest.mark.parametrize("way", OTHERS)
def test_there_is_a_way_back_from_other_trouble(way: Way) -> None:
    bench = start()
    way(bench)
    said = decision(bench.send(bench.intent("BTC", 1, quantity=0.5)))
    assert OTHERS[way] in {each.code for each in said.objections}
    assert leads_back(bench) == "open"


EVERYTHING: Final = tuple(dict.fromkeys((*WAYS.values(), *OTHERS)))
"""Every way into trouble, once."""


@pytest.mark.timeout(600)
def test_there_is_a_way_back_from_any_two() -> None:
    lost = {}
    for first, second in combinations(EVERYTHING, 2):
        bench = start()
        for way in (first, second):
            way(bench)
            bench.clock.advance(1.0)
        assert not bench.engine.state.symbols[0].position
        said = leads_back(bench)
        if said != "open":
            lost[first.__qualname__, second.__qualname__] = said
    assert lost == {}


def test_a_spent_campaign_names_the_operator_who_begins_the_next() -> None:
    bench = bench_under(msgspec.structs.replace(LIMITS, quota_campaign_slice_count_max=1.0))
    trade(bench, 100.0)
    assert answer(bench).startswith("never: DAILY_RISK_QUOTA")
    last = decision(bench.send(bench.intent("BTC", 1, quantity=0.5)))
    assert "operator" in explain(last, LIMITS).remedy
    bench.send(LockReleased(Scope.ACCOUNT, "", Code.DAILY_RISK_QUOTA, "alice"))
    assert answer(bench) == "open"


def test_control_a_lock_that_no_release_ends_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.core.transitions.in_force", lambda *_: True)
    monkeypatch.setattr("interlock.core.locks.in_force", lambda until, *_: until != 0)
    monkeypatch.setattr("interlock.core.triggers.in_force", lambda until, *_: until != 0)
    bench = start()
    locked(Scope.ACCOUNT)(bench)
    assert leads_back(bench).startswith("never")
