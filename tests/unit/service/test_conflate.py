"""A second of prices as one input: the last of them, their extremes, and nothing hidden."""

from math import isnan, nan

import pytest

from interlock.core.constants import NS_PER_S
from interlock.core.messages import MarketBatch, Quote
from interlock.service.shell.conflate import APART_MAX, INTERVAL_NS, Conflater

T = 1_800_000_000 * NS_PER_S


def quote(mark: float, at_s: float = 0.0, symbol: str = "BTC", **fields: float) -> Quote:
    return Quote(symbol, mark - 0.5, mark + 0.5, mark, T + int(at_s * NS_PER_S), **fields)  # type: ignore[arg-type]


def conflater(*wanted: str) -> Conflater:
    return Conflater(lambda symbol: symbol in wanted)


def take(waiting: Conflater, mono_ns: int) -> tuple[Quote, ...]:
    batch = waiting.take(mono_ns)
    return () if batch is None else batch.quotes


def test_the_first_quote_is_told_at_once_and_the_next_a_second_later() -> None:
    waiting = conflater("BTC")
    assert waiting.due_mono_ns() is None
    waiting.add([quote(100.0)])
    assert take(waiting, 5) == (quote(100.0),)
    waiting.add([quote(101.0)])
    assert waiting.due_mono_ns() == 5 + INTERVAL_NS
    assert take(waiting, 4 + INTERVAL_NS) == ()
    assert take(waiting, 5 + INTERVAL_NS) == (quote(101.0),)
    assert take(waiting, 5 + 9 * INTERVAL_NS) == ()


def test_of_an_interval_the_last_prices_and_the_extremes_of_the_marks_are_told() -> None:
    waiting = conflater("BTC", "ETH")
    waiting.add([quote(100.0, 0), quote(104.0, 1), quote(50.0, 1, "ETH"), quote(97.0, 2), quote(101.0, 3)])
    bitcoin, ether = take(waiting, 0)
    assert (bitcoin.mark, bitcoin.bid, bitcoin.high, bitcoin.low, bitcoin.at_ns) == (
        101.0,
        100.5,
        104.0,
        97.0,
        T + 3 * NS_PER_S,
    )
    assert ether == quote(50.0, 1, "ETH")


def test_extremes_that_the_venue_told_count() -> None:
    waiting = conflater("BTC")
    waiting.add([quote(100.0, 0, high=110.0, low=95.0), quote(101.0, 1)])
    (told,) = take(waiting, 0)
    assert (told.high, told.low) == (110.0, 95.0)


def test_the_last_rate_that_was_told_is_kept_with_its_time() -> None:
    waiting = conflater("BTC")
    waiting.add([quote(100.0, 0, rate=1.1), quote(100.0, 1, rate=1.2, rate_at_ns=7), quote(100.0, 2)])
    (told,) = take(waiting, 0)
    assert (told.rate, told.rate_at_ns) == (1.2, 7)
    waiting.add([quote(100.0, 3, rate=1.3), quote(100.0, 4)])
    (told,) = take(waiting, INTERVAL_NS)
    assert (told.rate, told.rate_at_ns) == (1.3, T + 3 * NS_PER_S)


@pytest.mark.parametrize(
    "garbage",
    [
        quote(nan, 1),
        Quote("BTC", 103.0, 101.0, 102.0, T + NS_PER_S),
        Quote("BTC", 99.5, 100.5, 1e400, T + NS_PER_S),
        Quote("BTC", -1.0, 100.5, 100.0, T + NS_PER_S),
    ],
)
def test_garbage_is_told_as_it_came_and_its_mark_is_in_nobodys_extremes(garbage: Quote) -> None:
    waiting = conflater("BTC")
    waiting.add([quote(100.0, 0), garbage, quote(101.0, 2), quote(102.0, 3)])
    told = take(waiting, 0)
    assert told[0] == quote(100.0, 0)
    assert told[1] is garbage
    assert (told[2].mark, told[2].high, told[2].low) == (102.0, 102.0, 101.0)
    waiting.add([quote(100.0, 4), garbage])
    assert take(waiting, INTERVAL_NS)[-1] == quote(100.0, 4)
    waiting.add([quote(100.0, 0), garbage])
    assert take(waiting, 2 * INTERVAL_NS)[-1] is garbage


def test_a_flood_of_garbage_is_bounded_and_ends_with_the_newest() -> None:
    waiting = conflater("BTC")
    waiting.add(quote(nan if number % 2 else 100.0 + number, number) for number in range(101))
    told = take(waiting, 0)
    assert len(told) == APART_MAX
    assert told[-1].mark == 200.0


def test_a_quote_older_than_the_last_is_dropped() -> None:
    waiting = conflater("BTC")
    waiting.add([quote(100.0, 2), quote(90.0, 1)])
    assert take(waiting, 0) == (quote(100.0, 2),)


def test_what_nobody_needs_is_kept_back_and_only_its_last_prices() -> None:
    needed = {"BTC"}
    waiting = Conflater(needed.__contains__)
    waiting.add([quote(50.0, 0, "ETH"), quote(70.0, 1, "ETH"), quote(60.0, 2, "ETH")])
    assert waiting.due_mono_ns() is None
    waiting.add([quote(100.0, 3)])
    assert take(waiting, 0) == (quote(100.0, 3),)
    needed.add("ETH")
    waiting.add([quote(61.0, 4, "ETH")])
    (told,) = take(waiting, INTERVAL_NS)
    assert (told.mark, told.high, told.low) == (61.0, 61.0, 60.0)


def test_it_is_told_at_once_to_whoever_asks() -> None:
    waiting = conflater("BTC")
    waiting.add([quote(50.0, 0, "ETH"), quote(100.0, 0)])
    assert waiting.take_now(["ETH", "SOL"]) == MarketBatch((quote(50.0, 0, "ETH"),))
    assert waiting.take_now(["ETH"]) is None
    assert take(waiting, 0) == (quote(100.0, 0),)


def test_what_was_told_to_somebody_who_asked_is_not_told_again() -> None:
    waiting = conflater("BTC")
    waiting.add([quote(100.0, 0)])
    assert waiting.take_now(["BTC"]) is not None
    assert waiting.take(0) is None


def test_a_quote_alone_is_passed_on_untouched() -> None:
    waiting = conflater("BTC")
    waiting.add([quote(100.0)])
    (told,) = take(waiting, 0)
    assert isnan(told.high)
    assert isnan(told.rate)
