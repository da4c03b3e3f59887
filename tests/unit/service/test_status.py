"""What a person on duty is told of windows, spent risk, records and clusters: what matters tonight, and no more."""

from io import StringIO
from typing import Any

import msgspec
import pytest
from rich.console import Console

from interlock.cli.live import page
from interlock.core.codes import Code
from interlock.core.constants import OPERATOR_NS
from interlock.core.limits import BITS
from interlock.core.messages import BlackoutSet, PolicySet
from interlock.core.together import cluster_exposure
from interlock.service.api import LimitStatus, Status
from interlock.service.desk.status import Around, status_of
from interlock.testing import Bench
from lawkit import bench_under, hold, limits_of_everything, permits, policy_of

HOUR = 3600.0


def told(made: Bench) -> Status:
    return status_of(made.engine.state, made.clock.true_ns, Around())


def shown(status: Status, width: int = 120) -> str:
    console = Console(file=StringIO(), width=width)
    console.print(page(status, "USDT", width))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= width
    return text


def limits_told(status: Status, code: Code) -> list[LimitStatus]:
    return [each for each in status.limits if each.code == code]


def clustered(**clusters: str) -> PolicySet:
    policy = policy_of(limits_of_everything(cluster_exposure_frac_max=0.5))
    universe = tuple(msgspec.structs.replace(symbol, cluster=clusters.get(symbol.symbol, "")) for symbol in policy.universe)
    return msgspec.structs.replace(policy, universe=universe)


def without(*codes: str, **changes: Any) -> Bench:
    """A bench under every rule but these."""
    limits = limits_of_everything(**changes)
    off = sum(BITS[Code(code)] for code in codes)
    return bench_under(msgspec.structs.replace(limits, active=limits.active & ~off))


# ---------------------------------------------------------------- windows


def test_windows_of_the_next_day_are_told_with_their_symbols_together() -> None:
    made = bench_under()
    for symbol in ("BTC", "ETH"):
        made.tell_windows(symbol, opening=[(HOUR, 2 * HOUR)], flat=[(30 * HOUR, 40 * HOUR)])
    made.tell_windows("SOL", flat=[(-HOUR, HOUR), (3 * HOUR, 4 * HOUR)], closing=[(5 * HOUR, 6 * HOUR)])
    now_ns = made.clock.true_ns
    found = [(each.kind, each.symbols, (each.from_ns - now_ns) / 3.6e12) for each in told(made).windows]
    assert found == [
        ("flat", ("SOL",), -1.0),
        ("no-open", ("BTC", "ETH"), 1.0),
        ("flat", ("SOL",), 3.0),
        ("no-close", ("SOL",), 5.0),
    ]


def test_a_window_that_is_over_or_that_no_rule_reads_is_not_told() -> None:
    made = without("NEWS_WINDOW", "SESSION_FLAT")
    made.tell_windows("BTC", opening=[(HOUR, 2 * HOUR)], flat=[(3 * HOUR, 4 * HOUR)], closing=[(-2 * HOUR, -HOUR)])
    status = told(made)
    assert (status.windows, status.windows_until_ns) == ((), OPERATOR_NS)
    assert "Windows" not in shown(status)


@pytest.mark.parametrize("width", [80, 120])
def test_windows_are_shown_with_how_far_away_they_are(width: int) -> None:
    made = bench_under()
    for symbol in ("BTC", "ETH", "SOL"):
        made.tell_windows(symbol, opening=[(-60.0, 600.0), (HOUR, 2 * HOUR)], flat=[(12 * HOUR, 14 * HOUR)])
    text = shown(told(made), width)
    lines = [" ".join(line.strip("│ ").split()) for line in text.splitlines()]
    (open_now,) = [line for line in lines if line.startswith("no-open now")]
    assert open_now.endswith("BTC, ETH, SOL")
    assert any(line.startswith("no-open 60 min") for line in lines)
    assert any(line.startswith("flat 12 h") for line in lines)


def test_many_windows_and_symbols_do_not_flood() -> None:
    made = bench_under(prices=dict.fromkeys(("A", "B", "C", "D", "E"), 100.0))
    for symbol in made.book.instruments:
        made.tell_windows(symbol, opening=[(at * HOUR, (at + 0.5) * HOUR) for at in range(1, 9)])
    text = shown(told(made))
    assert text.count("no-open") == 4
    assert "A, B, C and 2 more" in text
    assert "4 more within a day" in text


def test_a_calendar_file_that_ends_soon_is_told_before_it_does() -> None:
    made = bench_under()
    assert "calendar file" not in shown(told(made))
    now_ns = made.clock.true_ns
    made.send(BlackoutSet("BTC", (), (), (), now_ns + int(20 * HOUR * 1e9)))
    assert told(made).windows_until_ns == now_ns + int(20 * HOUR * 1e9)
    assert "! the calendar file ends in 20 h" in shown(told(made))
    made.send(BlackoutSet("BTC", (), (), (), now_ns))
    assert "! the calendar file has ended" in shown(told(made))
    made.send(BlackoutSet("BTC", ()))
    assert "! nothing is known of windows, so nothing opens" in shown(told(made), 80)


# ---------------------------------------------------------------- spent risk, clusters, records


def test_what_is_spent_of_the_quota_is_told_beside_its_limits() -> None:
    made = bench_under(limits_of_everything(quota_day_slice_count_max=40.0))
    hold(made, "BTC", 1, 1.0)
    a = made.engine.state.account
    entries, today, campaign = limits_told(told(made), Code.DAILY_RISK_QUOTA)
    assert (entries.use, today.use, campaign.use) == (1.0, float(a.day_slices), float(a.campaign_slices))
    assert (today.name, today.limit, today.unit) == ("quota_day_slice_count_max", 40.0, "count")
    text = shown(told(made))
    assert all(words in text for words in ("entries today", "slices today", "slices in all"))
    assert limits_told(told(without("DAILY_RISK_QUOTA")), Code.DAILY_RISK_QUOTA) == []


def test_clusters_in_which_something_is_held_are_told_by_name() -> None:
    made = bench_under()
    made.send(clustered(BTC="majors", ETH="majors"))
    assert limits_told(told(made), Code.CLUSTER_CAP) == []
    for symbol in ("BTC", "ETH", "SOL"):
        hold(made, symbol, 1, 1.0)
    (majors,) = limits_told(told(made), Code.CLUSTER_CAP)
    state = made.engine.state
    assert majors.scope == "majors"
    assert majors.use == pytest.approx(
        cluster_exposure(state.clusters[state.symbols[state.names.symbol_index["ETH"]].cluster])
    )
    assert majors.limit == pytest.approx(0.5 * state.account.equity)
    assert "majors" in shown(told(made))
    assert limits_told(told(without("CLUSTER_CAP")), Code.CLUSTER_CAP) == []


def traded(*prices: float, **changes: float) -> Bench:
    """A bench whose strategy has closed trades at these prices, entered at 100."""
    made = bench_under(limits_of_everything(**{"kelly_trade_count_min": 2.0, "consec_loss_count_max": 30.0, **changes}))
    for price in prices:
        hold(made, "BTC", 1, 0.1)
        (permit,) = permits(made.send(made.intent("BTC", -1, quantity=0.1, source="operator", reduce_only=True)))
        made.fill(permit.id, price=price)
        made.clock.advance(10.0)
        made.refresh()
    return made


def test_a_record_is_told_with_what_it_deserves() -> None:
    status = told(traded(110.0))
    trend = next(each for each in status.records if each.strategy == "trend")
    assert (trend.wins, trend.losses, trend.enough) == (1, 0, False)
    assert trend.won == pytest.approx(1.0)
    assert "too few trades" in shown(status)
    status = told(traded(110.0, 98.0))
    trend = next(each for each in status.records if each.strategy == "trend")
    assert (trend.enough, trend.edgeless, trend.deserved_frac > 0.0) == (True, False, True)
    assert f"{trend.deserved_frac:.1%}" in shown(status)
    status = told(traded(101.0, 98.0))
    trend = next(each for each in status.records if each.strategy == "trend")
    assert (trend.edgeless, trend.deserved_frac) == (True, 0.0)
    assert "no edge" in shown(status, 80)


def test_records_that_no_rule_reads_are_not_told() -> None:
    assert told(without("KELLY_CAP", "KELLY_ZERO")).records == ()
    assert "Records" not in shown(told(bench_under()))
