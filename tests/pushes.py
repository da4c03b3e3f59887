"""
What moves each fact on the production path, a tick at a time: one small story per fact, whatever limits look at it.

A story is told in several circumstances and after several beginnings, because which limit is met first depends on them.
"""

from collections.abc import Callable
from math import nan
from typing import Any, Final, NamedTuple

import msgspec

from beginnings import (
    SOME,
    alike,
    apart,
    ask,
    at_first,
    close,
    closely,
    closer,
    compared,
    fill_up,
    hold,
    known,
    limits_of,
    move,
    nearly_judged,
    nearly_spent,
    of_regime,
    orphan,
    pay,
    promising,
    proven,
    strangers,
    trade,
    usual,
    wait,
)
from bite_search import BALANCE, OTHERS, PRICES, Beginning, Push, Story, Trial
from interlock.core.codes import Action, KillMode, Partial, PermitState, Scope
from interlock.core.constants import NS_PER_S
from interlock.core.messages import (
    BarClosed,
    CashFlow,
    ClockChecked,
    EquityMarked,
    Instruction,
    KillSet,
    MarketState,
    OwnerSet,
    Rebalance,
    Tick,
    VenueError,
)
from interlock.testing.builders import around
from lawkit import permits

CENT: Final = 0.01
MS: Final = 1e-3
STEP: Final = 1e-4
"""Of what a frac is told in, and of a quantity."""

DAY_MS: Final = 86_400_000
HUNDREDTHS: Final = 10_000
MOST_STEPS: Final = int(10.0 * BALANCE / 100.0 / STEP)

PUSHES: Final[list[Push]] = []


def pushes(
    fact: str, most: int, *circumstances: Any, after: tuple[Beginning, ...] = (at_first,)
) -> Callable[[Story], Story]:
    """The story moves that fact, by at most so many ticks, after each of these beginnings."""

    def register(story: Story) -> Story:
        PUSHES.append(Push(fact, story, most, circumstances or (None,), after))
        return story

    return register


# ---------------------------------------------------------------- how old and how true the figures are


@pushes("ms since the intent was made", HUNDREDTHS * 10)
def old_intent(bench: Trial, ticks: int, _: Any) -> None:
    ask(bench, created_at_ns=bench.clock.true_ns - ticks * 10**6)


@pushes("ms that a feed is silent", DAY_MS, "equity", "marks", "positions", "market")
def old_news(bench: Trial, ticks: int, feed: str) -> None:
    wait(bench, ticks * MS, feed)
    ask(bench)


@pushes("ms that the exit owner is silent", DAY_MS)
def silent_owner(bench: Trial, ticks: int, _: Any) -> None:
    bench.send(OwnerSet("exit", "alice"))
    bench.refresh()
    hold(bench)
    bench.refresh()
    wait(bench, ticks * MS, "heartbeat")
    bench.send(bench.intent("BTC", -1, quantity=1.0, reduce_only=True))
    ask(bench)


@pushes("cents between two equities", int(BALANCE * 50), -1, 1)
def two_equities(bench: Trial, ticks: int, sign: int) -> None:
    bench.send(EquityMarked(BALANCE + sign * ticks * CENT, nan, bench.clock.true_ns))
    ask(bench)


@pushes("ms since the balance changed for no reason", DAY_MS // 20, 0.051, 0.055, 0.065, 0.025)
def unexplained_loss(bench: Trial, ticks: int, share: float) -> None:
    """After a profit, so that the loss itself breaks nothing."""
    pay(bench, 0.2 * BALANCE, "funding")
    bench.book.balance -= share * bench.book.balance
    wait(bench, 1.0)
    wait(bench, ticks * MS, "positions")
    bench.feeds.add("positions")
    bench.feeds.discard("equity")
    bench.refresh()
    ask(bench)


@pushes("cents that the mark jumps", HUNDREDTHS // 2)
def jump(bench: Trial, ticks: int, _: Any) -> None:
    bench.mark("BTC", 100.0 + ticks * CENT)
    ask(bench)


@pushes("ms that the wall clock jumps", HUNDREDTHS)
def clock_jump(bench: Trial, ticks: int, _: Any) -> None:
    bench.clock.jump(ticks * MS)
    ask(bench)


@pushes("ms between the venue's clock and ours", HUNDREDTHS * 10)
def venue_clock(bench: Trial, ticks: int, _: Any) -> None:
    bench.send(ClockChecked(bench.clock.true_ns - ticks * 10**6))
    ask(bench)


# ---------------------------------------------------------------- losses


@pushes("cents lost", int(BALANCE * 60))
def loss(bench: Trial, ticks: int, _: Any) -> None:
    pay(bench, -ticks * CENT)
    ask(bench)


LOSSES: Final = (0.009, 0.02, 0.03, 0.045, 0.06, 0.09, 0.11, 0.15, 0.25)
"""Shares of equity that are lost: one of them lies between any two limits that are some way apart."""


@pushes("cents gained after a loss", int(BALANCE * 20), *LOSSES)
def eased_loss(bench: Trial, ticks: int, share: float) -> None:
    pay(bench, -share * BALANCE)
    pay(bench, ticks * CENT, "funding")


@pushes("ms since a loss late in the day", 4 * DAY_MS, *LOSSES)
def after_a_loss(bench: Trial, ticks: int, share: float) -> None:
    midnight_ns = (bench.clock.true_ns // (86_400 * NS_PER_S) + 1) * 86_400 * NS_PER_S
    bench.pass_until(midnight_ns - 60 * NS_PER_S)
    pay(bench, -share * BALANCE)
    bench.pass_until(midnight_ns + 60 * NS_PER_S)
    wait(bench, ticks * MS)
    ask(bench)


def unconfirmed(bench: Trial, marks: int, seconds: float) -> None:
    """A loss that the venue does not tell, and marks of a position over a time."""
    hold(bench)
    bench.feeds.discard("equity")
    bench.book.balance -= 0.6 * BALANCE
    bench.send(CashFlow("fee", -0.6 * BALANCE))
    for _ in range(marks):
        bench.clock.advance(seconds)
        bench.send(ClockChecked(bench.clock.true_ns))
        bench.mark("BTC", 100.0)
    bench.refresh()


@pushes("marks that show a loss", 30)
def marks_of_a_loss(bench: Trial, ticks: int, _: Any) -> None:
    unconfirmed(bench, ticks, 12.0)


@pushes("ms over which marks show a loss", HUNDREDTHS * 10, 4, 12)
def time_of_a_loss(bench: Trial, ticks: int, marks: int) -> None:
    unconfirmed(bench, marks, ticks * MS / marks)


@pushes("steps that somebody else holds without a stop", MOST_STEPS)
def unstopped(bench: Trial, ticks: int, _: Any) -> None:
    bench.book.place("ETH", ticks, 50.0)
    for _ in range(4):
        wait(bench, 10.0)
    bench.quiet()
    ask(bench)


# ---------------------------------------------------------------- the order, its price and its market


@pushes("cents of spread", HUNDREDTHS // 5)
def spread(bench: Trial, ticks: int, _: Any) -> None:
    bench.mark("BTC", 100.0, bid=100.0 - ticks * CENT / 2, ask=100.0 + ticks * CENT / 2)
    ask(bench)


@pushes("cents from the mark to the limit price", HUNDREDTHS // 2)
def limit_price(bench: Trial, ticks: int, _: Any) -> None:
    ask(bench, limit_price=100.0 + ticks * CENT)


@pushes("cents from the mark to the stop", HUNDREDTHS, 1.0, 5.0, 10.0, 15.0)
def stop_distance(bench: Trial, ticks: int, leverage: float) -> None:
    ask(bench, limit_price=100.0, stop_price=100.0 - ticks * CENT, margin_leverage=leverage)


@pushes("hundredths of margin leverage", HUNDREDTHS)
def leverage(bench: Trial, ticks: int, _: Any) -> None:
    bench.send(closely(bench, "BTC", quantity=0.5, margin_leverage=ticks / 100))


@pushes("cents of average true range", HUNDREDTHS // 5)
def range_of_the_market(bench: Trial, ticks: int, _: Any) -> None:
    bench.tell_market(of_regime("BASE", atr=ticks * CENT))
    ask(bench)


UNJUDGED: Final = MarketState("BTC", 0, atr=1.0)
MARKETS: Final = (of_regime("BASE"), of_regime("CHOP"), of_regime("CHOP", 1.0), of_regime("TREND"), of_regime("TREND", 1.0))


@pushes("steps asked for", MOST_STEPS, *MARKETS, UNJUDGED, after=(at_first, proven, promising, known))
def size(bench: Trial, ticks: int, market: MarketState) -> None:
    bench.tell_market(market)
    ask(bench, quantity=ticks * STEP, limit_price=100.0)
    bench.send(closely(bench, "BTC", quantity=ticks * STEP, partial=Partial.REFUSE))


@pushes("steps asked for by somebody rich", MOST_STEPS)
def size_for_the_rich(bench: Trial, ticks: int, _: Any) -> None:
    pay(bench, 99.0 * BALANCE, "deposit")
    ask(bench, quantity=ticks * STEP)


BOOKS: Final = (
    (("BTC", 1, "trend", 1.8),),
    (("BTC", 1, "trend", 4.0),),
    (("BTC", 1, "trend", 5.0),),
    (("ETH", 1, "trend", 1.0),),
    (("ETH", 1, "trend", 9.0), ("SOL", 1, "trend", 0.2)),
    (("ETH", 1, "trend", 9.0), ("SOL", 1, "trend", 2.0)),
    (("ETH", 1, "trend", 9.0), ("SOL", -1, "trend", 0.2)),
    (("ETH", 1, "trend", 9.0), ("SOL", -1, "mean", 9.0), ("ALT", -1, "mean", 0.1)),
)
"""What is held before an order, at most so many times the balance: who holds it decides which exposure is met first."""


COMPANY: Final = [(book, MARKETS[0]) for book in BOOKS] + [(book, market) for market in MARKETS[1:] for book in BOOKS[:3]]


@pushes("steps asked for beside what is held", MOST_STEPS, *COMPANY)
def size_beside(bench: Trial, ticks: int, circumstance: tuple[Any, MarketState]) -> None:
    book, market = circumstance
    for symbol in ("BTC", *(symbol for symbol, *_ in book)):
        bench.tell_market(msgspec.structs.replace(market, symbol=symbol, atr=0.01 * bench.book.prices[symbol].mark))
    for symbol, side, strategy, share in book:
        fill_up(bench, symbol, share, side=side, strategy=strategy, source="bot" if strategy == "trend" else "rival")
    bench.quiet()
    bench.send(closely(bench, "BTC", quantity=ticks * STEP, partial=Partial.REFUSE))


STRANGERS: Final = (
    (1, (("ETH", 1), ("SOL", 1), ("ALT", 1), ("ALT0", 1))),
    (-1, (("ETH", 1), ("SOL", 1), ("ALT", 1), ("ALT0", 1), ("ALT1", -1))),
)
"""An order's side, and what is held besides, each half as large as the balance: by two strategies, in any direction."""


@pushes("steps asked for beside what has nothing to do with it", MOST_STEPS, *STRANGERS, after=(strangers,))
def size_beside_strangers(bench: Trial, ticks: int, circumstance: tuple[int, Any]) -> None:
    side, book = circumstance
    bench.book.prices.update({symbol: around(OTHERS[symbol]) for symbol in SOME})
    bench.refresh()
    for symbol, its in book:
        who = {"strategy": "mean", "source": "rival"} if symbol in SOME else {}
        fill_up(bench, symbol, 0.49, side=its, **who)
    bench.quiet()
    ordered = {"quantity": ticks * STEP, "partial": Partial.REFUSE, "strategy": "mean", "source": "rival"}
    bench.send(closely(bench, "BTC", side, **ordered))


WANTS: Final = tuple(10.0 * 1.2**power for power in range(30))


@pushes("hundredths of a percent of the market's score", HUNDREDTHS, *WANTS, after=(at_first, proven))
def score(bench: Trial, ticks: int, quantity: float) -> None:
    bench.tell_market(MarketState("BTC", 0, atr=1.0, score=ticks / HUNDREDTHS))
    ask(bench, quantity=quantity / 10.0)


@pushes("whether anybody judged the market", 1)
def unjudged(bench: Trial, ticks: int, _: Any) -> None:
    bench.tell_market(of_regime("BASE") if ticks else UNJUDGED)
    ask(bench)


@pushes("positions opened one after the other", len(PRICES | OTHERS))
def positions(bench: Trial, ticks: int, _: Any) -> None:
    bench.book.prices.update({symbol: around(price) for symbol, price in OTHERS.items()})
    bench.refresh()
    for symbol in list(bench.book.prices)[:ticks]:
        hold(bench, symbol, 20.0 / bench.book.prices[symbol].mark)


@pushes("orders at once", 40)
def burst(bench: Trial, ticks: int, _: Any) -> None:
    for _ in range(ticks):
        ask(bench, quantity=0.02)


@pushes("ms between orders", HUNDREDTHS * 10)
def interval(bench: Trial, ticks: int, _: Any) -> None:
    for _ in range(20):
        ask(bench, quantity=0.02)
        wait(bench, ticks * MS)


@pushes("ms that a permit is not used", HUNDREDTHS * 100)
def unused_permit(bench: Trial, ticks: int, _: Any) -> None:
    ask(bench)
    bench.clock.advance(ticks * MS)
    bench.send(Tick())


@pushes("ms that an order rests while the market moves away", HUNDREDTHS * 100)
def resting_order(bench: Trial, ticks: int, _: Any) -> None:
    for permit in permits(bench.send(bench.intent("BTC", 1, quantity=0.5, limit_price=100.0, margin_leverage=5.0))):
        bench.result(permit.id, PermitState.WORKING)
    bench.mark("BTC", 105.0)
    bench.clock.advance(ticks * MS)
    bench.send(Tick())


@pushes("steps asked for beside an order of the policy's size", MOST_STEPS)
def beside_the_policys_size(bench: Trial, ticks: int, _: Any) -> None:
    for permit in permits(bench.send(bench.intent("BTC", 1, limit_price=100.0, margin_leverage=5.0))):
        bench.fill(permit.id, price=100.0)
    bench.refresh()
    bench.quiet()
    bench.send(closely(bench, "BTC", quantity=ticks * STEP, partial=Partial.REFUSE))


@pushes("cents that the market moves after an order of the policy's size", HUNDREDTHS // 20, -1, 1)
def after_the_policys_size(bench: Trial, ticks: int, sign: int) -> None:
    own(bench, quantity=nan, stop_price=nan)
    move(bench, 100.0 + sign * ticks * CENT)


WILD: Final = ((0.018, 0.3), (0.02, 0.3), (0.03, 0.3), (0.03, 0.1))
"""Volatility and trend strength of markets that are ever worse to be in."""


@pushes("steps asked for beside what a wild market left of an order", MOST_STEPS, *WILD)
def size_beside_a_shrunk_order(bench: Trial, ticks: int, wild: tuple[float, float]) -> None:
    fill_up(bench, "ETH", 2.8)
    fill_up(bench, "SOL", 2.2)
    bench.tell_market(of_regime("BASE", sigma=wild[0], trend_strength=wild[1]))
    hold(bench, "BTC", 50.0, stop_price=98.0)
    bench.tell_market(of_regime("BASE"))
    bench.quiet()
    bench.send(closely(bench, "BTC", quantity=ticks * STEP, partial=Partial.REFUSE))


@pushes("hundredths of a percent of trend strength, before an order", HUNDREDTHS)
def wild_market(bench: Trial, ticks: int, _: Any) -> None:
    bench.tell_market(of_regime("BASE", sigma=0.03, trend_strength=ticks / HUNDREDTHS))
    ask(bench, partial=Partial.SCALE)


# ---------------------------------------------------------------- what moves together


def join(bench: Trial, quantity: float) -> None:
    """Another strategy asks for that much of what follows."""
    who: dict[str, Any] = {"strategy": "mean", "source": "rival"}
    bench.send(closely(bench, "BTC", quantity=quantity, partial=Partial.REFUSE, **who))


@pushes("hundredths of a percent to which one symbol follows others", HUNDREDTHS)
def company(bench: Trial, ticks: int, _: Any) -> None:
    compared(bench, ticks / HUNDREDTHS)
    join(bench, 100.0)


@pushes("steps asked for beside what moves with it", MOST_STEPS, after=(alike,))
def size_in_company(bench: Trial, ticks: int, _: Any) -> None:
    join(bench, ticks * STEP)


@pushes("ms since the last bars", DAY_MS, after=(apart,))
def old_bars(bench: Trial, ticks: int, _: Any) -> None:
    wait(bench, ticks * MS)
    join(bench, 100.0)


# ---------------------------------------------------------------- counting


@pushes("calls that failed", 32, 1.0)
def failed_calls(bench: Trial, ticks: int, seconds: float) -> None:
    for _ in range(ticks):
        bench.clock.advance(seconds)
        bench.send(VenueError("timeout"))


@pushes("ms between calls that failed", DAY_MS)
def failing_calls(bench: Trial, ticks: int, _: Any) -> None:
    for _ in range(12):
        bench.clock.advance(ticks * MS)
        bench.send(VenueError("timeout"))


def ended(bench: Trial, state: PermitState, count: int, seconds: float) -> None:
    """So many orders that ended so, and filled nothing."""
    for _ in range(count):
        for permit in permits(bench.send(bench.intent("BTC", 1, quantity=0.1, margin_leverage=5.0))):
            bench.result(permit.id, state)
        wait(bench, seconds)


@pushes(
    "orders that ended without a fill",
    32,
    *((state, gap) for gap in (7.0, 90_000.0) for state in ("REJECTED", "CANCELLED")),
)
def failed_orders(bench: Trial, ticks: int, circumstance: tuple[str, float]) -> None:
    state, seconds = circumstance
    ended(bench, PermitState[state], ticks, seconds)


@pushes("ms between orders that ended without a fill", 2 * DAY_MS, "REJECTED", "CANCELLED")
def failing_orders(bench: Trial, ticks: int, state: str) -> None:
    ended(bench, PermitState[state], 8, 7.0 + ticks * MS)


def trip(bench: Trial) -> None:
    """So many calls failed that the breaker is open."""
    for _ in range(12):
        bench.send(VenueError("timeout"))


@pushes("ms since the breaker opened", DAY_MS)
def open_breaker(bench: Trial, ticks: int, _: Any) -> None:
    trip(bench)
    wait(bench, ticks * MS)
    ask(bench)


@pushes("times that the breaker opened", 12, 3_600.0)
def trips(bench: Trial, ticks: int, seconds: float) -> None:
    for _ in range(ticks):
        trip(bench)
        wait(bench, seconds)


@pushes("ms between the breaker's openings", DAY_MS)
def tripping(bench: Trial, ticks: int, _: Any) -> None:
    for _ in range(6):
        trip(bench)
        wait(bench, ticks * MS)


def round_trip(bench: Trial, price: float, quantity: float = 1.0) -> None:
    """A trade from 100 to that price."""
    move(bench, 100.0)
    bench.refresh()
    issued = permits(bench.send(bench.intent("BTC", 1, quantity=quantity, limit_price=100.0, margin_leverage=5.0)))
    for permit in issued:
        bench.fill(permit.id, price=100.0)
        close(bench, "BTC", price)


@pushes("losing trades in a row", 14, 4_000.0, 20_000.0)
def losing_trades(bench: Trial, ticks: int, seconds: float) -> None:
    for _ in range(ticks):
        round_trip(bench, 99.0)
        wait(bench, seconds)


@pushes("ms since losing trades in a row", DAY_MS // 4, 12)
def pause_after_losing(bench: Trial, ticks: int, count: int) -> None:
    for _ in range(count):
        round_trip(bench, 99.0)
        wait(bench, 7.0)
    wait(bench, ticks * MS)
    ask(bench)


@pushes("openings of one side", 32)
def same_side(bench: Trial, ticks: int, _: Any) -> None:
    for _ in range(ticks):
        for permit in permits(bench.send(bench.intent("BTC", 1, quantity=0.1, margin_leverage=5.0))):
            bench.fill(permit.id)


@pushes("ms between openings of one side", HUNDREDTHS * 100)
def same_side_again(bench: Trial, ticks: int, _: Any) -> None:
    for _ in range(25):
        for permit in permits(bench.send(bench.intent("BTC", 1, quantity=0.1, margin_leverage=5.0))):
            bench.fill(permit.id)
        bench.clock.advance(ticks * MS)
        bench.refresh()


@pushes("ms since a stop was hit, before either side", DAY_MS)
def after_a_stop(bench: Trial, ticks: int, _: Any) -> None:
    round_trip(bench, 94.0)
    wait(bench, ticks * MS)
    ask(bench)
    ask(bench, side=-1)


@pushes("cents from the entry to where it was closed, before an order of the other side", HUNDREDTHS // 10)
def other_side(bench: Trial, ticks: int, _: Any) -> None:
    round_trip(bench, 100.0 - ticks * CENT)
    wait(bench, 7.0)
    ask(bench, side=-1)


# ---------------------------------------------------------------- closing


@pushes("ms that a close is silent", HUNDREDTHS)
def silent_close(bench: Trial, ticks: int, _: Any) -> None:
    hold(bench)
    for _ in range(2):
        bench.send(bench.intent("BTC", -1, quantity=10.0, source=closer(bench), reduce_only=True))
        bench.clock.advance(ticks * MS)


@pushes("ms since an attempt to flatten", HUNDREDTHS * 10, 0, 10)
def flattening(bench: Trial, ticks: int, before: int) -> None:
    hold(bench)
    bench.send(KillSet(KillMode.FLATTEN, Scope.ACCOUNT, "", "", "alice"))
    for _ in range(before):
        bench.clock.advance(100.0)
        bench.send(Tick())
    bench.clock.advance(ticks * MS)
    bench.send(Tick())


# ---------------------------------------------------------------- the way out


def own(bench: Trial, distance: float = 0.01, **changes: Any) -> None:
    """Five bought at 100 with a stop so far away, of which the built-in rules take care."""
    fields = {"quantity": 5.0, "limit_price": 100.0, "stop_price": 100.0 * (1.0 - distance), "margin_leverage": 2.0}
    for permit in permits(bench.send(bench.intent("BTC", 1, **fields | changes))):
        bench.fill(permit.id, price=100.0)
    bench.refresh()
    orphan(bench)


@pushes("cents that the market rises", HUNDREDTHS // 5, *((p, d) for p in (0.1, 0.9) for d in (0.01, 0.002)))
def rise(bench: Trial, ticks: int, circumstance: tuple[float, float]) -> None:
    p_trend, distance = circumstance
    own(bench, distance)
    bench.tell_market(of_regime("TREND", p_trend))
    move(bench, 100.0 + ticks * CENT)


@pushes("hundredths of a percent of a trend's probability", HUNDREDTHS)
def trending(bench: Trial, ticks: int, _: Any) -> None:
    own(bench)
    bench.tell_market(of_regime("TREND", ticks / HUNDREDTHS))
    move(bench, 104.0)


@pushes(
    "cents that the market falls back after a rise",
    HUNDREDTHS // 20,
    *((p, c) for p in (0.1, 0.9) for c in (1.7, 2.5, 5.0)),
)
def fall_back(bench: Trial, ticks: int, circumstance: tuple[float, float]) -> None:
    p_trend, cents = circumstance
    own(bench)
    bench.tell_market(of_regime("TREND", p_trend))
    move(bench, 100.0 + cents)
    move(bench, 100.0 + cents - ticks * CENT)


@pushes("cents that the market falls", HUNDREDTHS // 5, ("BASE", 2.0, 0.3), ("CHOP", 2.0, 0.3), ("BASE", 10.0, 0.085))
def fall(bench: Trial, ticks: int, circumstance: tuple[str, float, float]) -> None:
    label, leverage, distance = circumstance
    bench.tell_market(of_regime(label))
    own(bench, distance, margin_leverage=leverage)
    move(bench, 100.0 - ticks * CENT)


def bar_s(bench: Trial) -> float:
    """How long the bars are that the policy counts."""
    return usual(limits_of(bench).exit_bar_s)


def bars(bench: Trial, count: int, seconds: float, *, rising: int = 0) -> None:
    """So many bars, at the first of which the price still rises."""
    for number in range(count):
        opened_ns = bench.clock.true_ns
        bench.clock.advance(seconds)
        price = 100.0 + CENT * min(number, rising)
        bench.mark("BTC", price)
        bench.send(BarClosed("BTC", opened_ns, seconds, price, price, price, price))


@pushes("bars without a new best price", 40, 0, 30)
def idle_bars(bench: Trial, ticks: int, rising: int) -> None:
    own(bench, 0.3)
    bars(bench, rising + ticks, bar_s(bench), rising=rising)


@pushes("bars that made a new best price, before others that did not", 32)
def young_bars(bench: Trial, ticks: int, _: Any) -> None:
    own(bench, 0.3)
    bars(bench, ticks + 20, bar_s(bench), rising=ticks)


@pushes("seconds of a bar", 20_000)
def length_of_bars(bench: Trial, ticks: int, _: Any) -> None:
    own(bench, 0.3)
    bars(bench, 30, float(ticks))


class Changed(NamedTuple):
    """How choppy, volatile and strong a market is now, how strong it was when bought in, and for how long that is held."""

    p_chop: float
    sigma: float
    bought_in: float
    strength: float
    held_s: float


CHANGED: Final = tuple(
    Changed(*each)
    for each in (
        (0.1, 0.01, 0.3, 0.3, 1_000.0),
        (0.1, 0.016, 0.3, 0.3, 40_000.0),
        (0.1, 0.02, 0.3, 0.2, 1_000.0),
        (0.1, 0.01, 0.9, 0.0, 40_000.0),
        (0.1, 0.01, 0.9, 0.0, 100_000.0),
        (0.1, 0.01, 0.9, 0.5, 100_000.0),
        (0.1, 0.1, 0.3, 0.3, 1_000.0),
        (0.9, 0.01, 0.3, 0.3, 1_000.0),
    )
)


def in_a_changed_market(bench: Trial, now: Changed) -> None:
    """What was bought in one market is held in another, and more is asked for."""
    bench.tell_market(of_regime("BASE", trend_strength=now.bought_in))
    own(bench, 0.3)
    bench.clock.advance(now.held_s)
    label = "CHOP" if now.p_chop > 0.5 else "BASE"
    rest = {"p_chop": now.p_chop, "p_trend": 0.05, "p_base": 0.95 - now.p_chop}
    bench.quiet()
    bench.tell_market(of_regime(label, sigma=now.sigma, trend_strength=now.strength, **rest))
    bench.refresh()
    ask(bench, "BTC", quantity=5.0, partial=Partial.SCALE)


@pushes("hundredths of a percent of the probability of chop", HUNDREDTHS * 95 // 100, *CHANGED)
def chop(bench: Trial, ticks: int, now: Changed) -> None:
    in_a_changed_market(bench, now._replace(p_chop=ticks / HUNDREDTHS))


@pushes("hundredths of a percent of volatility", HUNDREDTHS // 10, *CHANGED)
def volatility(bench: Trial, ticks: int, now: Changed) -> None:
    in_a_changed_market(bench, now._replace(sigma=ticks / HUNDREDTHS))


@pushes("hundredths of a percent of trend strength", HUNDREDTHS, *CHANGED)
def strength(bench: Trial, ticks: int, now: Changed) -> None:
    in_a_changed_market(bench, now._replace(strength=ticks / HUNDREDTHS))


@pushes("seconds that a position is held", 400_000, *CHANGED)
def age(bench: Trial, ticks: int, now: Changed) -> None:
    in_a_changed_market(bench, now._replace(held_s=float(ticks)))


# ---------------------------------------------------------------- budgets, records, windows


@pushes(
    "entries",
    40,
    *((quantity, gap) for gap in (7.0, 1_000.0, 30_000.0) for quantity in (0.1, 1_000.0)),
    after=(at_first, proven, nearly_spent),
)
def entries(bench: Trial, ticks: int, circumstance: tuple[float, float]) -> None:
    quantity, seconds = circumstance
    for number in range(ticks):
        trade(bench, quantity, (CENT, -CENT)[number % 2])
        wait(bench, seconds)
    bench.quiet()
    ask(bench, quantity=0.1)


@pushes("hundredths of a percent of a target", HUNDREDTHS // 4, after=(proven, promising))
def target(bench: Trial, ticks: int, _: Any) -> None:
    wish = Instruction("BTC", Action.OPEN, ticks / HUNDREDTHS, 95.0)
    bench.send(Rebalance("r", "bot", "trend", (wish,), created_at_ns=bench.clock.true_ns))


@pushes("ms since trades without an edge", 10 * DAY_MS, after=(nearly_judged,))
def rest(bench: Trial, ticks: int, _: Any) -> None:
    trade(bench, 1.0, -1.0)
    bench.quiet()
    bench.pass_until(bench.clock.true_ns + ticks * 10**6)
    ask(bench)


@pushes("ms until a symbol has to be flat", DAY_MS)
def session_end(bench: Trial, ticks: int, _: Any) -> None:
    bench.tell_windows("BTC", flat=[(ticks * MS, ticks * MS + 600.0)])
    ask(bench)


@pushes("steps asked for beside positions with far stops", MOST_STEPS // 10, *range(len(PRICES)))
def size_beside_risk(bench: Trial, ticks: int, count: int) -> None:
    for symbol in list(PRICES)[1 : 1 + count]:
        price = PRICES[symbol]
        hold(bench, symbol, 0.25 * BALANCE / price, stop_price=0.95 * price)
    bench.quiet()
    ask(bench, quantity=ticks * STEP, limit_price=100.0)
