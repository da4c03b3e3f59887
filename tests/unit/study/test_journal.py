from datetime import UTC, datetime

import pytest

from interlock.core.codes import Code, Scope, TradingState
from interlock.core.constants import OPERATOR_NS
from interlock.core.messages import LockChanged
from interlock.study.journal import Journal, monthly, peaks, spans, worst_day

HOUR_NS = 3_600_000_000_000


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def journal(*closes: tuple[str, float]) -> Journal:
    made = Journal(100_000.0)
    for text, equity in closes:
        made.at_ns.append(ns(text))
        made.equity.append(equity)
    return made


def lock(until_ns: int, code: Code = Code.DAILY_LOSS) -> LockChanged:
    return LockChanged(Scope.ACCOUNT, "", 0, code, TradingState.REDUCING, 0, until_ns, 0.0, 0.0, "why", "engine")


def test_the_worst_day_ends_at_17_in_new_york() -> None:
    told = journal(
        ("2013-01-02T21:59:59", 110_000.0),  # 16:59:59 there
        ("2013-01-02T22:59:59", 88_000.0),
        ("2013-01-03T21:59:59", 99_000.0),  # the day lost 10 %, whatever it fell in between
        ("2013-01-04T21:59:59", 98_000.0),
    )
    assert worst_day(told, "America/New_York", "17:00") == pytest.approx(-0.1)


def test_a_day_still_open_at_the_end_counts() -> None:
    told = journal(("2013-01-02T21:59:59", 100_000.0), ("2013-01-03T10:00:00", 70_000.0))
    assert worst_day(told, "America/New_York", "17:00") == pytest.approx(-0.3)


def test_months_return_on_what_they_began_with() -> None:
    told = journal(("2013-01-05T00:00", 90_000.0), ("2013-01-31T00:00", 120_000.0), ("2013-02-01T00:00", 60_000.0))
    assert monthly(told) == pytest.approx([0.2, -0.5])


def test_the_initial_balance_is_a_peak() -> None:
    told = journal(("2013-01-05T00:00", 90_000.0), ("2013-01-06T00:00", 130_000.0), ("2013-01-07T00:00", 100.0))
    assert peaks(told) == [100_000.0, 130_000.0, 130_000.0]


def test_a_lock_set_again_while_it_holds_is_one_span() -> None:
    told = journal(("2013-01-10T00:00", 1.0))
    told.locks = [(10, lock(100)), (50, lock(200)), (90, lock(200)), (201, lock(0)), (300, lock(400))]
    assert [(span.start_ns, span.end_ns) for span in spans(told)] == [(10, 200), (300, 400)]


def test_a_lock_released_early_ends_then_and_one_in_force_has_no_end() -> None:
    told = journal(("2013-01-10T00:00", 1.0))
    told.locks = [(10, lock(OPERATOR_NS)), (50, lock(0)), (60, lock(OPERATOR_NS, Code.TOTAL_DRAWDOWN))]
    assert [(span.code, span.start_ns, span.end_ns) for span in spans(told)] == [
        ("DAILY_LOSS", 10, 50),
        ("TOTAL_DRAWDOWN", 60, None),
    ]


def test_a_lock_that_ended_by_itself_and_is_set_again_is_two_spans() -> None:
    told = journal(("2013-01-10T00:00", 1.0))
    told.locks = [(10, lock(100)), (150, lock(200))]
    assert [(span.start_ns, span.end_ns) for span in spans(told)] == [(10, 100), (150, 200)]
