# ruff: noqa: N802
"""Incidents of a crypto-futures bot fleet; `docs/incidents.md` lists them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from interlock.core.codes import Code
from interlock.core.errors import PolicyInvalid
from interlock.core.messages import Decision, MarketState, PermitIssued
from interlock.policy import load_policy
from interlock.testing import make_policy, open_bench, tell
from interlock.testing.builders import START_NS


def test_W1_no_position_is_invented_to_be_closed() -> None:
    tell("""
    policy: layered@1
    09:00  close BTC                              -> deny NOTHING_TO_REDUCE, no permit
    =      close BTC by operator                  -> deny NOTHING_TO_REDUCE, no permit
    """)


def test_W2_missing_equity_is_unknown_and_becomes_no_peak() -> None:
    tell("""
    policy: layered@1
    silent: equity
    09:00  intent i BTC +100                      -> deny EQUITY_STALE, peak nan, drawdown-ref nan, day-open nan
    =      venue equity nan                       -> peak nan
    =      intent j BTC +100                      -> deny EQUITY_STALE, peak nan
    """)


def test_W3_a_policy_is_checked_for_its_age_at_every_decision() -> None:
    tell("""
    policy: crypto-futures@1
      valid_for = "2 h"
    09:00  intent h BTC +100                      -> permit h
    =      filled h
    10:00  intent i ETH +100                      -> permit
    +1ns   intent j ETH +100                      -> deny POLICY_STALE
    +1h    close BTC                              -> permit reduce-only
    """)


def test_W4_the_policy_s_leverage_is_what_the_permit_carries() -> None:
    run = tell("""
    policy: crypto-futures@1
      universe.BTC.margin_leverage = "8 x"
    09:00  intent h BTC +100                      -> permit h
    """)
    assert run.bench.permits[run.names["h"]].margin_leverage == 8.0


def test_W5_figures_under_another_name_are_absent_and_not_zero() -> None:
    bench = open_bench(policy=make_policy("crypto-futures@1"))
    bench.feeds.remove("market")
    bench.clock.advance(4 * 3600.0)
    bench.refresh()
    for name in ("btc", "BTC ", "MARKET_BTC"):
        bench.send(MarketState(name, bench.clock.true_ns, atr=0.1, p_trend=0.1, p_base=0.8, p_chop=0.1, label="BASE"))
    step = bench.send(bench.intent("BTC", 1, quantity=1.0))
    (decision,) = (each for each in step.outputs if isinstance(each, Decision))
    assert not decision.allowed
    assert Code.ATR_SPIKE in {objection.code for objection in decision.objections}


def test_W6_a_missing_price_is_no_price_and_not_zero() -> None:
    tell("""
    policy: crypto-futures@1
    silent: marks
    09:00  intent i BTC +1u                       -> deny POLICY_MISSING_SIZE, objects MARKET_STALE 0
    =      mark BTC 0                             -> no lock
    =      intent j BTC +1u                       -> deny POLICY_MISSING_SIZE, objects MARKET_STALE 0
    """)


def test_W7_an_unknown_venue_list_stops_openings_and_only_openings() -> None:
    tell("""
    policy: layered@1
    09:00  intent h BTC +100                      -> permit h
    =      filled h
    =      tradable BTC unknown
    =      intent i BTC +100                      -> deny POLICY_UNIVERSE_FILTER
    =      close BTC                              -> permit reduce-only
    """)


READ: str = """
import sys
from pathlib import Path
from interlock.policy import load_policy
policy = load_policy(Path(sys.argv[1]))
print(policy.digest, policy.verified, load_policy(policy.to_json()).digest)
"""


def test_W9_a_digest_is_of_the_content_whoever_computes_it(tmp_path: Path) -> None:
    policy = make_policy("layered@1").publish(START_NS)
    saved = tmp_path / "policy.json"
    saved.write_text(policy.to_json())
    indented = tmp_path / "indented.json"
    indented.write_text(json.dumps(json.loads(policy.to_json()), indent=4, sort_keys=True, ensure_ascii=True))
    for path in (saved, indented):
        done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True)
        assert done.stdout.split() == [policy.digest, "True", policy.digest]


def test_W9_a_field_of_an_older_policy_that_was_left_in_opens_nothing() -> None:
    policy = make_policy("layered@1").publish(START_NS)
    bench = open_bench(policy=policy, holdings={"BTC": (1.0, 100.0)})
    left = json.loads(policy.to_json())
    left["sizing"] = {"fraction": {"value": "50 %"}}
    mixed = load_policy(json.dumps(left))
    assert not mixed.verified
    bench.send(mixed.compile(START_NS))
    opening, close = (
        next(each for each in bench.send(wish).outputs if isinstance(each, Decision))
        for wish in (bench.intent("ETH", 1, quantity=1.0), bench.intent("BTC", -1, quantity=1.0, reduce_only=True))
    )
    assert (opening.headline, close.headline) == (Code.POLICY_INVALID, Code.ALLOWED)
    left["size"] = 200
    with pytest.raises(PolicyInvalid, match="unknown key"):
        load_policy(json.dumps(left))


def test_W20_neither_loss_nor_lock_blocks_a_close() -> None:
    tell("""
    policy: crypto-futures@1
    09:00  intent h BTC +9000 at mark             -> permit h
    =      filled h
    =      equity 5000                            -> lock EMERGENCY_FLATTEN, lock TOTAL_DRAWDOWN, goal BTC
    =      kill by alice
    =      close BTC by controller                -> deny NOTHING_TO_REDUCE     # the flattening is under way
    +6s    silent all, close BTC by controller    -> permit reduce-only
    """)


def test_W21_closes_count_against_no_rate_no_cap_and_no_kill() -> None:
    tell("""
    policy: layered@1
      rules.ORDER_RATE = { interval = "1 h", burst = 1 }
      rules.ORDER_NOTIONAL.notional = "1000 USDT"
    09:00  intent h BTC +1000 at mark             -> permit h
    =      filled h
    =      mark BTC 109
    =      intent i ETH +100                      -> deny ORDER_RATE
    =      kill by alice "burst"
    =      close BTC size 1u                      -> permit reduce-only
    =      close BTC size 1u                      -> permit reduce-only
    =      close BTC                              -> permit 8u reduce-only
    """)


def test_W24_an_unknown_position_is_not_flat() -> None:
    tell("""
    policy: layered@1
    09:00  intent h BTC +100 at mark              -> permit h
    =      filled h
    =      silent all, quarantine Executed BTC    -> alert QUARANTINED
    =      intent i ETH +100                      -> deny EQUITY_IMPLAUSIBLE, objects POSITION_UNRECONCILED 0
    =      close BTC                              -> permit reduce-only
    """)


def test_W25_an_exit_needs_no_fresh_snapshot() -> None:
    tell("""
    policy: layered@1
    09:00  intent h BTC +100 at mark              -> permit h
    =      filled h, silent all
    +5h    close BTC                              -> permit 1u reduce-only
    """)


def test_W26_a_failed_close_is_tried_again_under_its_id() -> None:
    tell("""
    policy: layered@1
    09:00  intent h BTC +100 at mark              -> permit h
    =      filled h
    =      close BTC id x size 1u                 -> permit a
    =      rejected a
    =      close BTC id x size 1u                 -> permit b reduce-only
    """)


def test_W26_a_failed_flattening_is_tried_again() -> None:
    tell("""
    policy: layered@1
    09:00  intent h BTC +100 at mark              -> permit h
    =      filled h
    =      kill flatten by alice                  -> permit a reduce-only
    =      rejected a
    +2s    tick                                   -> permit b reduce-only
    =      rejected b
    +4s    tick                                   -> permit reduce-only, position BTC 1
    """)


def test_W30_the_same_wish_under_one_id_is_permitted_once() -> None:
    tell("""
    policy: layered@1
    09:00  intent i BTC +100 at mark              -> permit p
    =      again                                  -> repeat p, no permit
    =      filled p
    +1m    intent i BTC +100 at mark              -> repeat p FILLED, no permit, position BTC 1
    """)


def test_W31_twenty_copies_reserve_only_what_the_symbol_may_hold() -> None:
    run = tell("""
    policy: layered@1
      rules.ORDER_RATE.burst = 30
    09:00  intent a BTC +1000 at mark             -> permit
    =      intent b BTC +1000 at mark             -> permit
    =      intent c BTC +1000 at mark             -> permit
    =      intent d BTC +1000 at mark             -> deny SYMBOL_EXPOSURE cap 0
    =      intent e BTC +1000 at mark             -> deny SYMBOL_EXPOSURE, pending BTC 30
    """)
    assert sum(isinstance(each, PermitIssued) for step in run.bench.steps for each in step.outputs) == 3


def test_W32_two_closers_at_once_close_once() -> None:
    tell("""
    policy: layered@1
    09:00  intent h BTC +100 at mark              -> permit h
    =      filled h
    =      close BTC by bot                       -> permit a 1u
    =      close BTC by exit                      -> deny NOTHING_TO_REDUCE, no permit
    =      filled a                               -> position BTC 0
    """)


def test_W33_a_pending_permit_is_a_position() -> None:
    tell("""
    policy: layered@1
      rules.CONCURRENT_POSITIONS.positions = 2
    09:00  intent a BTC +100                      -> permit
    =      intent b ETH +100                      -> permit
    =      intent c SOL +100                      -> deny CONCURRENT_POSITIONS
    """)


def test_W34_a_permit_spent_before_it_is_known_puts_positions_in_doubt() -> None:
    tell("""
    policy: layered@1
    09:00  intent h BTC +100                      -> permit h
    =      filled h
    =      silent positions, spent permit:99            -> alert POSITION_UNRECONCILED
    =      intent i ETH +100                      -> deny POSITION_UNRECONCILED
    =      close BTC                              -> permit reduce-only
    """)


def test_W35_one_id_has_one_decision_and_another_content_is_denied() -> None:
    tell("""
    policy: layered@1
    09:00  intent i BTC +100 at mark              -> permit p
    =      intent i BTC +200 at mark              -> deny INTENT_CONFLICT
    =      intent i BTC -100 at mark              -> deny INTENT_CONFLICT
    """)


def test_W36_no_position_is_closed_to_make_room() -> None:
    tell("""
    policy: layered@1
      rules.CONCURRENT_POSITIONS.positions = 1
    09:00  intent a BTC +100 at mark              -> permit a
    =      filled a
    =      intent b ETH +100                      -> deny CONCURRENT_POSITIONS, no permit, no goal, position BTC 1
    """)


def test_W37_an_acknowledgement_of_nothing_leaves_the_position() -> None:
    tell("""
    policy: layered@1
    09:00  intent h BTC +100 at mark              -> permit h
    =      filled h
    =      close BTC                              -> permit x
    =      working x                              -> position BTC 1
    =      cancelled x                            -> position BTC 1
    =      close BTC                              -> permit reduce-only
    """)


def test_W38_only_executions_are_counted_as_executions() -> None:
    tell("""
    policy: layered@1
      rules.RUNAWAY.orders = 2
    09:00  intent a BTC +100                      -> permit a
    =      filled a
    =      intent b BTC +100                      -> permit b
    =      spent b, cancelled b                   -> no lock RUNAWAY
    =      intent c BTC +100                      -> permit c
    =      filled c                               -> lock RUNAWAY
    """)


def test_W40_a_cool_down_hides_no_emergency() -> None:
    tell("""
    policy: crypto-futures@1
      rules.DAILY_LOSS = "off: another rule"
    09:00  intent h BTC +3000 at mark             -> permit h
    =      filled h
    =      equity 9199                            -> lock DRAWDOWN until +3600s, no goal
    +1m    equity 8000                            -> lock EMERGENCY_FLATTEN, goal BTC, permit reduce-only
    """)


def test_W41_three_losses_lock_for_an_hour_and_not_for_ever() -> None:
    tell("""
    policy: crypto-futures@1
      rules.CONSEC_LOSS.losses = 1
    09:00  intent h SOL +100                      -> permit h
    =      intent a BTC +100 at mark              -> permit a
    =      filled h, filled a, mark BTC 99
    =      close BTC                              -> permit x
    =      filled x                               -> lock CONSEC_LOSS until +1h
    +3601s  intent b BTC +100                     -> permit
    """)


def test_W42_the_daily_loss_is_of_the_day_s_open_unrealised_included() -> None:
    tell("""
    policy: layered@1
    09:00  intent h BTC +3000 at mark             -> permit h
    =      filled h
    =      mark BTC 92                            -> own 9760, no lock
    =      mark BTC 84                            -> own 9520, no lock
    =      mark BTC 83.33                         -> lock DAILY_LOSS until 2027-01-16T00:00
    =      deposit 1000                           -> state REDUCING             # money paid in is no profit
    2027-01-16T00:01  intent i ETH +100           -> permit
    """)


def test_W43_a_withdrawal_moves_the_peak() -> None:
    tell("""
    policy: crypto-futures@1
    09:00  intent h BTC +100                      -> permit h
    =      filled h
    =      withdrawal -5000                       -> peak 5000, drawdown-ref 5000, no lock, no goal
    """)


def test_W44_an_emergency_needs_no_order_to_be_seen() -> None:
    tell("""
    policy: crypto-futures@1
    09:00  intent h BTC +20000 at mark            -> permit h
    =      filled h
    =      mark BTC 94                            -> lock EMERGENCY_FLATTEN, goal BTC EMERGENCY_FLATTEN, permit reduce-only
    """)


def test_W56_rounding_never_exceeds_the_position_or_the_allowance() -> None:
    tell("""
    policy: layered@1
    symbol: BTC 100 step 0.3 min 0
    symbol: ETH 50
    09:00  intent h BTC +99 at mark               -> permit h 0.9u
    =      filled h
    =      intent x BTC -200 at mark reduce-only  -> permit a 0.9u reduce-only
    =      rejected a
    =      intent y BTC -0.89u reduce-only        -> permit 0.6u reduce-only
    """)


def test_W60_every_exit_is_reduce_only_at_the_venue() -> None:
    run = tell("""
    policy: layered@1
    09:00  intent h BTC +100 at mark              -> permit h
    =      filled h
    =      intent x BTC -1u at mark               -> permit a
    =      rejected a
    =      kill flatten by alice                  -> permit b
    """)
    assert [run.bench.permits[run.names[name]].reduce_only for name in "hab"] == [False, True, True]


def test_W61_no_news_is_not_flat_and_an_old_stop_serves_no_new_trade() -> None:
    run = tell("""
    policy: layered@1
      rules.STOP_HIT = "off: another rule"
    09:00  intent h BTC +100 at mark stop 90      -> permit h
    =      filled h
    =      silent all, quarantine PositionsReported  -> alert QUARANTINED, position BTC 1
    =      intent n ETH +100                      -> deny POSITION_UNRECONCILED
    =      live all
    +1s    close BTC                              -> permit x
    =      filled x                               -> position BTC 0
    +1s    intent i BTC -100 at mark stop 103     -> permit j
    =      filled j
    """)
    assert run.row("BTC").stop_price == 103.0


def test_W61_a_position_that_the_venue_shows_anew_has_no_stop_of_ours() -> None:
    run = tell("""
    policy: layered@1
    09:00  intent h BTC +100 at mark stop 90      -> permit h
    =      filled h, silent positions
    =      positions BTC -1, positions BTC -1     -> lock RECONCILE_MISMATCH, position BTC -1
    """)
    assert run.row("BTC").stop_price != 90.0


def test_W62_a_process_that_dies_leaves_its_stop_at_the_venue() -> None:
    run = tell("""
    policy: layered@1
    account: 10000 stops
    09:00  intent h BTC +100 at mark stop 95      -> permit h
    =      filled h                               -> stop s 1u at 95
    =      working s
    +3d    takeover                               -> no revoked, no cancel, no stop
    =      filled s at 94                         -> position BTC 0
    =      policy
    +1s    intent i ETH +100 at mark              -> permit p
    =      filled p                               -> stop 2u at 47.5
    """)
    assert run.row("ETH").position > 0


def test_W24_a_position_in_doubt_keeps_its_stop() -> None:
    tell("""
    policy: layered@1
    account: 10000 stops
    09:00  intent h BTC +100 at mark              -> permit h
    =      filled h                               -> stop s
    =      working s, silent positions
    =      quarantine Executed BTC                -> alert QUARANTINED, no cancel, no stop
    =      tick                                   -> no cancel, no stop
    """)


def test_W54_a_stop_on_the_wrong_side_of_the_market_is_no_order() -> None:
    tell("""
    policy: layered@1
    account: 10000 stops
    09:00  intent a BTC +100 at mark stop 101     -> deny STOP_REQUIRED
    =      intent h BTC +100 at mark stop 99      -> permit h
    =      mark BTC 98
    =      filled h                               -> no stop, goal BTC STOP_HIT, permit 1u reduce-only
    """)
