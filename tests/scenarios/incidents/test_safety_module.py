# ruff: noqa: N802
"""Incidents of a trading bot's safety module; `docs/incidents.md` lists them."""

import pytest

from interlock.core.errors import PolicyInvalid
from interlock.policy.windows import WindowsInvalid, parse_windows
from interlock.testing import make_policy, tell


def test_Y2_kill_switch_and_breaker_survive_a_restart() -> None:
    tell("""
    policy: layered@1
    09:00  intent h BTC +1000 at mark             -> permit h
    =      filled h
    =      kill by alice
    =      error, error, error                    -> lock API_ERRORS until OPERATOR
    =      restart                                -> state REDUCING
    =      reset by alice                         -> state REDUCING
    =      intent i ETH +100                      -> deny TRADING_REDUCING lock API_ERRORS
    """)


def test_Y4_the_kill_switch_blocks_no_close() -> None:
    tell("""
    policy: layered@1
    09:00  intent h BTC +1000 at mark             -> permit h
    =      filled h
    =      kill by alice
    =      close BTC                              -> permit reduce-only
    """)


def test_Y5_a_loss_is_measured_against_the_peak_it_fell_from() -> None:
    tell("""
    policy: layered@1
      rules.DAILY_LOSS = "off: another rule"
      rules.WEEKLY_LOSS = "off: another rule"
    09:00  equity 8000                            -> no lock, peak 10000
    =      intent i BTC +100                      -> permit
    =      equity 7999.99                         -> lock TOTAL_DRAWDOWN
    """)


def test_Y6_after_a_reset_the_same_history_does_not_trip_again() -> None:
    tell("""
    policy: layered@1
    09:00  error, error, error                    -> lock API_ERRORS
    =      release API_ERRORS by alice            -> unlock API_ERRORS, no lock
    =      error, error                           -> no lock
    =      error                                  -> lock API_ERRORS
    """)


def test_Y8_rejected_orders_reach_the_breaker() -> None:
    tell("""
    policy: layered@1
      rules.ORDER_FAILURES.failures = 2
    09:00  intent a BTC +100                      -> permit a
    =      rejected a                             -> no lock
    =      intent b BTC +100                      -> permit b
    =      unknown b                              -> lock ORDER_FAILURES
    """)


def test_Y9_an_outage_trips_the_breaker_without_any_trade() -> None:
    tell("""
    policy: layered@1
    09:00  error, error                           -> no lock
    =      error                                  -> lock API_ERRORS, event API_ERRORS VETO
    """)


def test_Y10_closed_positions_leave_the_limits() -> None:
    run = tell("""
    policy: layered@1
      rules.CONCURRENT_POSITIONS.positions = 1
    09:00  intent a BTC +3000 at mark             -> permit a
    =      filled a
    =      close BTC                              -> permit x
    =      filled x
    +1s    intent b ETH +3000 at mark             -> permit b
    =      filled b
    =      close ETH                              -> permit y
    =      filled y
    +1s    tick
    """)
    assert run.bench.engine.state.open_rows == []


def test_Y12_no_time_is_local_to_whoever_reads_it() -> None:
    make_policy(changes={"created_at": "2027-01-15T08:00:00Z"})
    with pytest.raises(PolicyInvalid, match="created_at"):
        make_policy(changes={"created_at": "2027-01-15T08:00:00"})
    parse_windows("kind,from,until,zone,symbols\nno-open,16:45,17:00,Europe/Prague,*")
    with pytest.raises(WindowsInvalid, match="zone"):
        parse_windows("kind,from,until,zone,symbols\nno-open,16:45,17:00,,*")


def test_Y13_a_streak_of_nothing_is_no_streak() -> None:
    tell("""
    policy: crypto-futures@1
    09:00  tick                                   -> streak 0, no lock
    =      intent i BTC +100                      -> permit
    =      positions none                         -> no lock, no goal
    """)


def test_Y14_exposure_follows_the_mark_and_counts_orders_in_flight() -> None:
    tell("""
    policy: layered@1
      rules.STRATEGY_EXPOSURE.exposure = "60 %"
    09:00  intent h BTC +2800 at mark             -> permit h
    =      filled h
    =      mark BTC 110                           -> own 10280
    =      intent i BTC +10 at mark               -> deny SYMBOL_EXPOSURE, objects SYMBOL_EXPOSURE 4
    =      intent a ETH +2000 at mark             -> permit a
    =      spent a
    =      intent b ETH +1084.02 at mark          -> deny SYMBOL_EXPOSURE cap 1084
    =      intent c ETH +1084 at mark             -> permit
    """)
