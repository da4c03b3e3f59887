# ruff: noqa: N802
"""Idioms by which risk checks fail open, or trap; `docs/incidents.md` lists them."""

from math import nan

import msgspec
import pytest

from interlock.core.codes import Code, PermitState
from interlock.core.errors import PolicyInvalid
from interlock.core.facts import FACT_UNITS
from interlock.core.guard import active_guards, ask
from interlock.core.guards import GUARDS
from interlock.core.limits import SWITCHABLE
from interlock.core.messages import Alert, Decision, Executed
from interlock.testing import make_policy, tell

OPENED = """
policy: layered@1
09:00  intent h BTC +1000 at mark             -> permit h
=      filled h
=      intent i ETH +100 at mark              -> permit i
"""


def decision_of_the_last_intent() -> Decision:
    run = tell(OPENED)
    return next(each for each in run.outputs if isinstance(each, Decision))


@pytest.mark.parametrize("fact", FACT_UNITS)
def test_F1_nan_in_a_fact_never_passes_the_guards_that_read_it(fact: str) -> None:
    decision = decision_of_the_last_intent()
    limits = make_policy("layered@1").compile(1_900_000_000 * 10**9).limits[0]
    assert decision.facts is not None
    facts = msgspec.structs.replace(decision.facts, **{fact: nan})
    readers = {each.code for each in GUARDS if fact in each.reads}
    asked = dict(active_guards(GUARDS, limits.active))
    allowance, found = ask(active_guards(GUARDS, limits.active), facts, limits, 100.0)
    objecting = {code for code, allowed in found if allowed == 0.0}
    assert readers & asked.keys() <= objecting
    assert (allowance == 0.0) == bool(objecting)


def test_F2_no_data_skips_no_guard() -> None:
    tell("""
    policy: layered@1
    silent: clock positions marks equity heartbeat
    09:00  intent i BTC +1u                       -> deny POLICY_MISSING_SIZE, objects EQUITY_STALE 0
           -> objects MARKET_STALE 0, objects POSITION_UNRECONCILED 0, objects CLOCK_UNTRUSTED 0
           -> objects DAILY_LOSS 0, objects SYMBOL_EXPOSURE 0, objects FREE_MARGIN 0
    """)


def test_F3_what_an_intent_leaves_out_is_missing_and_not_waived() -> None:
    tell("""
    policy: layered@1
    09:00  intent i BTC +100 stop none            -> deny STOP_REQUIRED
    =      intent j BTC +100 age unknown          -> deny INTENT_STALE
    =      intent k BTC +policy                   -> deny POLICY_MISSING_SIZE
    =      intent l BTC +100 by nobody            -> deny SOURCE_DENIED
    """)


def test_F4_a_guard_that_raises_vetoes() -> None:
    def raises(_facts: object, _limits: object) -> float:
        raise ZeroDivisionError

    decision = decision_of_the_last_intent()
    limits = make_policy("layered@1").compile(1_900_000_000 * 10**9).limits[0]
    assert decision.facts is not None
    assert ask(((Code.DRAWDOWN, raises),), decision.facts, limits, 1.0) == (0.0, [(Code.DRAWDOWN, 0.0)])


def test_F5_no_switch_turns_a_structural_rule_off() -> None:
    structural = [each.code for each in GUARDS if each.structural]
    assert structural
    for code in structural:
        with pytest.raises(PolicyInvalid):
            make_policy("layered@1", changes={f"rules.{code}": "off: for a test"})


def test_F6_no_rule_can_fail_to_load() -> None:
    everything = sum(1 << bit for bit in range(len(SWITCHABLE)))
    assert [code for code, _ in active_guards(GUARDS, everything)] == [each.code for each in GUARDS]


def test_F7_a_limit_that_is_missing_or_zero_is_not_unlimited() -> None:
    with pytest.raises(PolicyInvalid):
        make_policy("layered@1", changes={"rules.SYMBOL_EXPOSURE.exposure": "0 %"})
    run = tell("policy: layered@1\n09:00  tick")
    at_ns = run.bench.clock.true_ns
    policy = make_policy("layered@1", at_ns=at_ns).compile(at_ns)
    for lost in (nan, 0.0):
        limits = tuple(msgspec.structs.replace(each, symbol_exposure_frac_max=lost) for each in policy.limits)
        run.bench.send(msgspec.structs.replace(policy, limits=limits))
        step = run.bench.send(run.bench.intent("BTC", 1, notional=100.0))
        assert [each.granted_steps for each in step.outputs if isinstance(each, Decision)] == [0]


def test_F8_a_denominator_of_zero_is_no_zero_percent() -> None:
    tell("""
    policy: layered@1
    silent: equity
    09:00  venue equity 0                         -> no event, no lock
    =      intent i BTC +100                      -> deny EQUITY_IMPLAUSIBLE, objects DAILY_LOSS 0, objects TOTAL_DRAWDOWN 0
    """)


def test_F9_no_kind_of_order_goes_past_the_guards() -> None:
    tell("""
    policy: layered@1
    09:00  kill by alice
    =      intent i BTC +100                      -> deny TRADING_REDUCING
    =      intent j BTC +100 by operator          -> deny TRADING_REDUCING, objects SOURCE_DENIED 0
    =      rebalance r BTC=0.1                    -> deny TRADING_REDUCING
    =      intent k BTC +100 reduce-only          -> deny NOTHING_TO_REDUCE
    """)


def test_F10_a_lock_keeps_what_caused_it() -> None:
    run = tell("""
    policy: layered@1
    09:00  equity 9400                            -> lock DAILY_LOSS
    =      intent i BTC +100                      -> deny TRADING_REDUCING, objects DAILY_LOSS 0, day-open 10000, own 9400
    =      restart                                -> day-open 10000, own 9400, state REDUCING
    """)
    assert run.bench.engine.state.account.tripped != 0


def test_F11_asking_changes_nothing() -> None:
    run = tell("""
    policy: layered@1
      rules.ORDER_RATE = { interval = "1 h", burst = 1 }
      rules.DAILY_LOSS.loss = "1 %"
    09:00  intent a BTC +10000 at mark            -> deny SYMBOL_EXPOSURE
    =      intent b BTC +10000 at mark            -> deny SYMBOL_EXPOSURE, pending BTC 0
    =      intent c BTC +100 at mark              -> permit
    """)
    assert run.bench.engine.state.account.loss_streak == 0


def test_F12_a_breach_is_acted_on_without_an_order() -> None:
    tell("""
    policy: layered@1
    09:00  equity 9499                            -> lock DAILY_LOSS
    """)


def test_F13_a_percent_is_written_as_one() -> None:
    for wrong in ("5", "0.05", 5, 0.05, "500 bps %"):
        with pytest.raises(PolicyInvalid):
            make_policy("layered@1", changes={"rules.DAILY_LOSS.loss": wrong})
    limits = make_policy("layered@1", changes={"rules.DAILY_LOSS.loss": "5 %"}).compile(1_900_000_000 * 10**9).limits[0]
    assert limits.day_loss_frac_max == 0.05


def test_T1_an_exit_passes_through_no_entry_gate() -> None:
    tell("""
    policy: crypto-futures@1
      valid_for = "2 h"
      rules.ORDER_RATE = { interval = "1 h", burst = 1 }
    09:00  intent h BTC +1000 at mark             -> permit h
    =      filled h
    =      lock symbol BTC until OPERATOR by alice
    =      kill by alice
    =      tradable BTC no
    =      mark BTC 100 bid 90 ask 110
    =      equity 5000                            -> goal BTC
    +5h    silent all, clock jump -1h
    +1h    close BTC by bot                       -> permit a 10u reduce-only # the owner's heartbeat is lost
    =      close BTC by operator                  -> permit 10u reduce-only
    """)


def test_T2_no_guard_feeds_on_its_own_denial() -> None:
    tell("""
    policy: crypto-futures@1
      rules.ORDER_RATE = { interval = "6 s", burst = 1 }
      rules.FAILED_TRADES.trades = 2
      rules.ORDER_FAILURES.failures = 2
    09:00  intent a BTC +100                      -> permit
    =      intent b BTC +100                      -> deny ORDER_RATE
    =      intent c BTC +100                      -> deny ORDER_RATE
    =      intent d BTC +100                      -> deny ORDER_RATE, no lock
    +6s    intent e BTC +100                      -> permit, no lock
    """)


def test_T3_missing_data_flattens_nothing() -> None:
    tell("""
    policy: crypto-futures@1
    09:00  intent h BTC +9000 at mark             -> permit h
    =      filled h, silent all
    =      quarantine EquityMarked                -> alert QUARANTINED, no goal, no lock
    =      quarantine MarketBatch BTC             -> alert QUARANTINED, no goal, no lock
    =      mark BTC 0                             -> no goal, no lock
    =      mark BTC 50                            -> no goal, no lock           # one print
    =      venue equity 0                         -> no goal, no lock
    +5h    tick                                   -> no goal, no lock, position BTC 90
    =      quarantine PositionsReported           -> alert QUARANTINED, no goal, no lock
    """)


def test_a_result_for_a_permit_that_nobody_knows_puts_positions_in_doubt() -> None:
    run = tell(OPENED)
    step = run.bench.send(Executed(99, PermitState.FILLED, 5, 500.0, 0.0, run.bench.clock.true_ns))
    assert Code.POSITION_UNRECONCILED in [each.code for each in step.outputs if isinstance(each, Alert)]
    step = run.bench.send(run.bench.intent("SOL", 1, notional=100.0))
    assert [each.headline for each in step.outputs if isinstance(each, Decision)] == [Code.POSITION_UNRECONCILED]
