# ruff: noqa: N802
"""Incidents on the way out: exits that fired twice, too early, too late or never; `docs/incidents.md` lists them."""

from math import nan

import pytest

from interlock.core.codes import CloseAction
from interlock.core.errors import PolicyInvalid
from interlock.core.limits import NO_LIMITS
from interlock.core.sizing import model_stop, quantity_at_risk
from interlock.testing import make_policy, tell
from interlock.testing.wayout import EXITS

LADDER_ALONE = """
      [rules]
      TAKE_PROFIT = "off: a story of the ladder alone"
      TRAILING_STOP = "off: a story of the ladder alone"
"""


def test_W20_kill_score_never_blocks_a_close() -> None:
    tell("""
    policy: layered@1
    exits: A
          [rules]
          KILL_SCORE = { shrink = "55 %", critical = "65 %", decay = "2 x", least = "20 %" }
          KILL_EXIT = "off: a story of closes that somebody asks for"
          REGIME_EXIT = "off: a story of closes that somebody asks for"
          [score]
          flip = "30 %"
          sigma = "1 %"
          strength = "30 %"
    09:00  market BTC label TREND trend 0.8 base 0.1 chop 0.1 sigma 0.01 strength 0.6
    =      intent i BTC +1000 at mark stop 98     -> permit p 10u
    =      filled p
    =      market BTC label CHOP trend 0.1 base 0.1 chop 0.8 sigma 0.05 strength 0.1
    =      intent j BTC +100 at mark stop 98      -> deny KILL_SCORE
    =      close BTC size 4u                      -> permit x 4u reduce-only
    =      exit BTC house_rule FULL_CLOSE         -> permit y 6u reduce-only
    """)


@pytest.mark.parametrize(
    ("action", "units"),
    [("PARTIAL_25", "2.5u"), ("PARTIAL_33", "3.3u"), ("PARTIAL_50", "5u"), ("PARTIAL_75", "7.5u"), ("FULL_CLOSE", "10u")],
)
def test_W22_a_partial_close_means_one_thing_to_everybody(action: str, units: str) -> None:
    tell(f"""
    policy: layered@1
    exits: A
    09:00  intent i BTC +1000 at mark stop 98     -> permit p 10u
    =      filled p
    =      exit BTC house_rule {action}           -> permit {units} reduce-only
    """)


def test_W22_every_action_has_its_fraction() -> None:
    assert [each.fraction for each in CloseAction if each.name.startswith("PARTIAL")] == [0.25, 0.33, 0.5, 0.75]


def test_W23_a_stop_that_moves_is_moved_at_the_venue() -> None:
    tell("""
    policy: layered@1
    exits: A
          [rules]
          TAKE_PROFIT = "off: a story of the lock alone"
          TRAILING_STOP = "off: a story of the lock alone"
    account: 10000 stops
    09:00  intent i BTC +1000 at mark stop 98     -> permit p 10u
    =      filled p                               -> stop s 10u at 98
    =      working s
    =      mark BTC 104                           -> exit BTC profit_lock stop 100.2, stop t 10u at 100.2, no cancel
    =      working t                              -> cancel s
    """)


def test_W30_a_rung_fires_once_however_long_its_price_stays() -> None:
    tell(f"""
    policy: layered@1
    exits: A{LADDER_ALONE.replace(chr(10), chr(10) + "    ").rstrip()}
    09:00  intent i BTC +1000 at mark stop 98     -> permit p 10u
    =      filled p
    =      mark BTC 105.1                         -> exit BTC partial_25 0.25, permit x 2.5u
    =      filled x
    +1m    mark BTC 105.1                         -> no exit, no permit
    +1m    mark BTC 105.2                         -> no exit, no permit
    =      takeover
    +1m    mark BTC 105.1                         -> no exit, no permit
    """)


def test_W31_an_exit_s_name_has_no_clock_and_no_amount_in_it() -> None:
    run = tell("""
    policy: layered@1
    exits: A
    09:00  intent i BTC +1000 at mark stop 98     -> permit p 10u
    =      filled p
    =      mark BTC 97.9                          -> permit x 10u
    =      rejected x
    +2s    mark BTC 97.5                          -> permit y 10u
    """)
    assert {permit.goal for permit in run.bench.permits.values() if permit.reduce_only} == {"exit:BTC:1:stop"}


def test_W36_an_opening_that_finds_no_room_closes_nothing_with_exits_on() -> None:
    tell("""
    policy: layered@1
    exits: A
      rules.CONCURRENT_POSITIONS.positions = 1
    09:00  intent i BTC +1000 at mark stop 98     -> permit p 10u
    =      filled p
    =      intent j ETH +1000 at mark stop 49     -> deny CONCURRENT_POSITIONS, no exit, no permit
    """)


def test_W37_a_close_of_nothing_leaves_the_position_and_is_followed() -> None:
    tell("""
    policy: layered@1
    exits: A
    09:00  intent i BTC +1000 at mark stop 98     -> permit p 10u
    =      filled p
    =      mark BTC 97.9                          -> permit x 10u
    =      working x, cancelled x                 -> position BTC 10
    +2s    tick                                   -> permit y 10u reduce-only
    """)


def test_W50_bars_are_bars_and_not_turns_of_a_loop() -> None:
    tell(f"""
    policy: layered@1
    exits: A
    09:00  intent i BTC +1000 at mark stop 95     -> permit p
    =      filled p
    =      {", ".join(["tick"] * 40)}             -> no exit
    =      bars BTC 40 60s                        -> no exit
    =      bars BTC 11                            -> no exit
    =      bars BTC 1                             -> exit BTC time 1
    """)


def test_W51_nothing_trails_before_its_first_profit_and_no_range_moves_nothing() -> None:
    tell("""
    policy: layered@1
    exits: A
    09:00  market BTC atr 1 trend 0.7 base 0.2 chop 0.1 label TREND
    =      intent i BTC +1000 at mark stop 98.2   -> permit p
    =      filled p
    =      mark BTC 100.5                         -> no exit, stop-of BTC 98.2
    =      mark BTC 101.2                         -> permit x, stop-of BTC 100.2
    =      filled x
    =      market BTC atr 0
    =      mark BTC 103                           -> no exit BTC trailing, stop-of BTC 100.2
    =      market BTC atr nan
    =      mark BTC 104                           -> no exit BTC trailing, stop-of BTC 100.2
    """)


@pytest.mark.parametrize("units", ["0.1u", "1u", "10u"])
def test_W52_profit_in_units_of_risk_is_the_same_for_every_quantity(units: str) -> None:
    tell(f"""
    policy: layered@1
    exits: A
          [rules]
          TAKE_PROFIT = "off: a story of the ladder alone"
          TRAILING_STOP = "off: a story of the ladder alone"
    09:00  intent i BTC +{units} at mark stop 98  -> permit p
    =      filled p
    =      mark BTC 104.09                        -> no exit BTC partial_25
    =      mark BTC 104.11                        -> exit BTC partial_25 0.25
    """)


@pytest.mark.parametrize("threshold", ["40 %", "50 %", "99 %"])
def test_W53_a_threshold_that_the_score_never_or_always_meets_is_no_policy(threshold: str) -> None:
    changes = {"rules.KILL_EXIT": {"score": threshold}}

    with pytest.raises(PolicyInvalid, match=r"KILL_EXIT"):
        make_policy("layered@1", toml=EXITS["A-numbers"], changes=changes)


def test_W54_a_trailing_stop_beyond_the_market_is_a_close_and_no_order() -> None:
    tell("""
    policy: layered@1
    exits: A
    account: 10000 stops
    09:00  market BTC atr 2 trend 0.7 base 0.2 chop 0.1 label TREND
    =      intent i BTC +1000 at mark stop 97     -> permit p
    =      filled p                               -> stop s
    =      working s
    =      mark BTC 103                           -> permit x, stop t at 101
    =      working t, filled x
    =      mark BTC 102
    =      market BTC atr 0.5                     -> exit BTC stop 1 because "beyond_market", permit y, no stop
    """)


@pytest.mark.parametrize("cost", [0.0, 0.1, 2.0, 100.0])
def test_W55_what_is_lost_at_the_stop_costs_included_is_the_budget(cost: float) -> None:
    quantity = quantity_at_risk(50.0, 2.0, cost)
    assert quantity * (2.0 + cost) == pytest.approx(50.0)


def test_W57_a_score_that_shrinks_openings_shrinks_what_may_leave() -> None:
    tell("""
    policy: layered@1
    exits: A-numbers
          [rules]
          KILL_SCORE = { shrink = "60 %", critical = "75 %", decay = "2 x", least = "20 %" }
    09:00  market BTC label TREND trend 0.8 base 0.1 chop 0.1 sigma 0.02 strength 0.3
    =      intent i BTC +3000 at mark stop 98     -> deny KILL_SCORE
    =      intent j BTC +3000 at mark stop 98 scale -> permit 28.6822u
    """)


def test_W59_a_range_is_a_price_and_a_stop_from_it_lies_beside_the_market() -> None:
    p = NO_LIMITS.__class__(*[1.8 if name == "size_stop_atr" else nan for name in NO_LIMITS.__struct_fields__])
    assert model_stop(1, 100_000.0, 1_200.0, p) == pytest.approx(97_840.0)
    assert not model_stop(1, 100_000.0, 120_000.0, p) > 0.0
