# ruff: noqa: N802
"""Incidents of a portfolio risk engine; `docs/incidents.md` lists them."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from interlock.core.messages import SCHEMA
from interlock.ledger import LedgerBroken, read
from interlock.testing import make_policy, open_bench, tell
from lawkit import gate_on_disk


def test_X1_the_initial_balance_is_not_overwritten_with_the_present_one() -> None:
    tell("""
    policy: layered@1
    09:00  intent h BTC +1000 at mark             -> permit h
    =      filled h
    =      equity 9600                            -> initial 10000, peak 10000
    2027-01-18T09:00  restart                     -> initial 10000, peak 10000, day-open 9600
    =      policy                                 -> initial 10000, peak 10000
    """)


def test_X2_a_restart_in_the_middle_of_the_day_forgives_no_breach() -> None:
    tell("""
    policy: layered@1
    09:00  intent h BTC +1000 at mark             -> permit h
    =      filled h
    =      equity 9400                            -> lock DAILY_LOSS
    12:00  restart                                -> day-open 10000, state REDUCING
    =      release DAILY_LOSS by alice            -> alert DAILY_LOSS
    =      intent i ETH +100                      -> deny DAILY_LOSS
    """)


def test_X3_a_baseline_that_is_not_above_zero_proves_nothing() -> None:
    tell("""
    policy: layered@1
    silent: equity
    09:00  venue equity 0                         -> day-open nan, peak nan
    =      intent i BTC +100                      -> deny EQUITY_IMPLAUSIBLE, objects DAILY_LOSS 0, objects TOTAL_DRAWDOWN 0
    =      venue equity -100                      -> day-open nan, peak nan
    =      intent j BTC +100                      -> deny EQUITY_IMPLAUSIBLE, objects DAILY_LOSS 0, objects TOTAL_DRAWDOWN 0
    """)


def test_X4_a_vetoed_symbol_still_closes() -> None:
    tell("""
    policy: layered@1
    09:00  intent h BTC +1000 at mark             -> permit h
    =      filled h
    =      lock symbol BTC until OPERATOR by alice
    =      rebalance r BTC=close ETH=0.1          -> permit x 10u reduce-only, permit e
    """)


def test_X5_weight_zero_is_a_target_close_flattens_and_open_at_zero_is_an_error() -> None:
    tell("""
    policy: layered@1
    09:00  intent h BTC +1000 at mark             -> permit h
    =      filled h
    =      rebalance r1 BTC=open:0                -> deny MALFORMED, no permit
    =      rebalance r2 BTC=veto                  -> left BTC, no permit, no deny MALFORMED
    =      rebalance r3 BTC=0                     -> permit x 10u reduce-only
    =      rejected x
    =      rebalance r4 BTC=close                 -> permit 10u reduce-only
    """)


def test_X6_caps_and_vetoes_hold_in_a_rebalance_as_anywhere() -> None:
    tell("""
    policy: layered@1
      universe.BTC.cluster = "majors"
      universe.ETH.cluster = "majors"
      rules.CLUSTER_CAP.exposure = "25 %"
      rules.PRICE_COLLAR.collar = "0.001 %"
    09:00  lock symbol SOL until OPERATOR by alice
    =      rebalance r BTC=0.2 ETH=0.2 SOL=0.1    -> event CLUSTER_CAP SCALE of majors, deny SYMBOL_VETO
           -> permit b 12.4998u, permit e 24.9997u
    =      filled b, filled e
    =      rebalance q BTC=0.2                    -> no permit
    """)


def test_X7_a_lock_that_has_no_length_is_refused() -> None:
    tell("""
    policy: layered@1
    09:00  lock until = by alice                  -> invalid "must end in the future"
    =      lock until -1s by alice                -> invalid "must end in the future", state ACTIVE
    =      lock until +1ns by alice               -> state REDUCING
    +2ns   intent i BTC +100                      -> permit
    """)


def test_X8_nothing_left_is_nothing_and_not_what_was_there_before() -> None:
    tell("""
    policy: layered@1
    09:00  intent h BTC +3000 at mark             -> permit h
    =      filled h
    =      intent i BTC +10 at mark scale         -> deny SYMBOL_EXPOSURE cap 0, no permit
    """)


def test_X9_a_stop_at_the_entry_is_no_stop() -> None:
    tell("""
    policy: layered@1
    09:00  intent i BTC +100 at mark stop 100     -> deny STOP_REQUIRED
    =      intent j BTC -100 at mark stop 100     -> deny STOP_REQUIRED
    """)


def test_X10_an_id_that_was_denied_is_judged_anew_on_a_later_day() -> None:
    tell("""
    policy: layered@1
    09:00  intent h SOL +100                      -> permit h
    =      filled h
    =      equity 9400                            -> lock DAILY_LOSS
    =      intent daily BTC +100                  -> deny TRADING_REDUCING
    2027-01-16T09:00  intent daily BTC +100       -> permit
    """)


def test_X11_a_budget_is_spent_by_every_order_and_refuses_the_one_that_exceeds_it() -> None:
    tell("""
    policy: layered@1
      account.cost = "0 %"
      rules.DAILY_RISK_QUOTA.slice = "0.5 %"
      rules.DAILY_RISK_QUOTA.order_slices = 2
      rules.DAILY_RISK_QUOTA.day_entries = 2
      rules.DAILY_RISK_QUOTA.day_slices = 2
      rules.DAILY_RISK_QUOTA.campaign_slices = 10
    09:00  rebalance r BTC=0.05                   -> permit b
    =      filled b
    =      intent e ETH +500 at mark stop -10%    -> permit e
    =      intent s SOL +100                      -> deny DAILY_RISK_QUOTA cap 0
    =      filled e
    =      restart
    =      intent t SOL +100                      -> deny DAILY_RISK_QUOTA cap 0
    """)


def test_X12_a_broken_record_is_not_skipped_and_nothing_after_it_is_read(tmp_path: Path) -> None:
    with gate_on_disk(tmp_path, open_bench(policy=make_policy("layered@1"))):
        pass
    (segment,) = (tmp_path / "ledger").glob("*.sqlite")
    sound = [record.seq for record in read(tmp_path / "ledger", schema=SCHEMA)]
    broken = sound[len(sound) // 2]
    with closing(sqlite3.connect(segment)) as connection:
        connection.execute("UPDATE records SET payload = x'00' WHERE seq = ?", (broken,))
        connection.commit()
    seen: list[int] = []
    with pytest.raises(LedgerBroken):
        seen.extend(record.seq for record in read(tmp_path / "ledger", schema=SCHEMA))
    assert all(seq < broken for seq in seen)


def test_X13_asking_about_a_lock_changes_no_lock() -> None:
    run = tell("""
    policy: layered@1
    09:00  lock symbol BTC until +1h by alice
    """)
    row = run.row("BTC")
    before = list(row.lock_until)
    run.bench.clock.advance(7200)
    assert run.bench.engine.trading_state == 0
    assert row.lock_until == before
