"""The words in which stories are told, and what may have gone before them: long beginnings, told once each."""

from math import exp
from random import Random
from typing import Any, Final

from bite_search import BALANCE, DAY_S, OTHERS, PRICES, Trial
from interlock.core.codes import Partial
from interlock.core.constants import CORRELATION_RETURNS_MIN
from interlock.core.limits import Limits
from interlock.core.messages import BarClosed, CashFlow, MarketState
from lawkit import permits

SOME: Final = ("ALT0", "ALT1")
"""Symbols that stand for any others."""


# ---------------------------------------------------------------- words of the stories


def ask(bench: Trial, symbol: str = "BTC", side: int = 1, **changes: Any) -> None:
    """A small order, unless it is changed."""
    bench.send(bench.intent(symbol, side, **{"quantity": 0.5, "margin_leverage": 5.0, **changes}))


def closely(bench: Trial, symbol: str, side: int = 1, **changes: Any) -> Any:
    """An order at the mark with its stop close by, so that it risks little and may be large."""
    mark = bench.book.prices[symbol].mark
    fields: dict[str, Any] = {"limit_price": mark, "stop_price": mark * (1.0 - side * 0.002), "margin_leverage": 10.0}
    fields["partial"] = Partial.SCALE
    return bench.intent(symbol, side, **{**fields, **changes})


def wait(bench: Trial, seconds: float, *silent: str) -> None:
    """Time passes, and all feeds but the silent ones speak."""
    bench.clock.advance(seconds)
    bench.feeds -= set(silent)
    bench.refresh()


def pay(bench: Trial, amount: float, kind: str = "fee") -> None:
    """Money is lost (or gained, where it is more than nothing), and everybody knows why."""
    bench.book.balance += amount
    bench.send(CashFlow(kind, amount))
    bench.refresh()


def closer(bench: Trial) -> str:
    """Who may close."""
    owner = bench.engine.state.account.exit_owner
    return "bot" if owner == "any" else owner


def hold(bench: Trial, symbol: str = "BTC", quantity: float = 10.0, **changes: Any) -> bool:
    """The order was filled as far as it was allowed; whether it was at all."""
    issued = permits(bench.send(closely(bench, symbol, quantity=quantity, **changes)))
    for permit in issued:
        bench.fill(permit.id, price=permit.limit_price)
    wait(bench, 7.0)
    return bool(issued)


def close(bench: Trial, symbol: str, price: float) -> None:
    """What is held is closed at that price."""
    row = bench.engine.state.symbols[bench.engine.state.names.symbol_index[symbol]]
    units = bench.book.instruments[symbol].quantity(abs(row.position))
    if not units:
        return
    side = -1 if row.position > 0 else 1
    (permit,) = permits(bench.send(bench.intent(symbol, side, quantity=units, source="operator", reduce_only=True)))
    bench.fill(permit.id, price=price)
    bench.refresh()


def fill_up(bench: Trial, symbol: str, share: float, **changes: Any) -> None:
    """As much is held of the symbol as is allowed, at most that share of the balance."""
    units = share * BALANCE / bench.book.prices[symbol].mark
    while units > 1.0:
        before = abs(bench.book.holdings[symbol].steps) if symbol in bench.book.holdings else 0
        if not hold(bench, symbol, units, **changes):
            return
        units -= bench.book.instruments[symbol].quantity(abs(bench.book.holdings[symbol].steps) - before)


def move(bench: Trial, price: float, symbol: str = "BTC") -> None:
    """The market goes there in steps that are believed."""
    old = bench.book.prices[symbol].mark
    while abs(price - old) > 0.04 * old:
        old *= 1.04 if price > old else 0.96
        bench.mark(symbol, old)
    bench.mark(symbol, price)


def limits_of(bench: Trial) -> Limits:
    """What the policy asks, which says how long some stories have to be."""
    return bench.engine.state.account_limits()


def orphan(bench: Trial) -> None:
    """The built-in rules act on exits: whoever owned them has been silent for long."""
    if bench.engine.state.account.exit_owner != "any":
        wait(bench, 100.0, "heartbeat")


def of_regime(label: str, p: float = 0.75, **changes: float) -> MarketState:
    """A market of that label, which is so probable."""
    rest = {f"p_{name.lower()}": (1.0 - p) / 2 for name in ("TREND", "BASE", "CHOP")} | {f"p_{label.lower()}": p}
    return MarketState("BTC", 0, label=label, **{"atr": 1.0, "sigma": 0.01, "trend_strength": 0.3, **rest, **changes})


# ---------------------------------------------------------------- what went before


def at_first(bench: Trial) -> None:
    """Nothing has happened yet."""


def trade(bench: Trial, quantity: float, pnl: float = 0.0) -> None:
    """A trade of at most that quantity, with its stop 5 % away, that came to so much."""
    fields = {"limit_price": 100.0, "stop_price": 95.0, "margin_leverage": 5.0, "partial": Partial.SCALE}
    for permit in permits(bench.send(bench.intent("BTC", 1, quantity=quantity, **fields))):
        bench.fill(permit.id, price=100.0)
        units = bench.book.instruments["BTC"].quantity(permit.steps)
        close(bench, "BTC", 100.0 + pnl / units)


def won_and_lost(bench: Trial, count: float, won: float) -> None:
    """So many trades until yesterday, of which every other one won that much, and the others lost a little."""
    if count == count:
        for number in range(int(count)):
            trade(bench, 1.0, (won, -1.0)[number % 2])
            wait(bench, 10_000.0)
        wait(bench, DAY_S)


def proven(bench: Trial) -> None:
    """A strategy has as many trades as say something, and they say that it is a good one."""
    won_and_lost(bench, limits_of(bench).kelly_trade_count_min, 4.0)


def promising(bench: Trial) -> None:
    """They say that it has a small edge."""
    won_and_lost(bench, limits_of(bench).kelly_trade_count_min, 1.2)


def known(bench: Trial) -> None:
    """It has had a small edge for longer than anybody remembers."""
    won_and_lost(bench, limits_of(bench).kelly_window_count_max + 1.0, 1.2)


def nearly_judged(bench: Trial) -> None:
    """It has no edge, which one trade more will show."""
    won_and_lost(bench, limits_of(bench).kelly_trade_count_min - 1.0, 0.9)


def nearly_spent(bench: Trial) -> None:
    """Good days have spent what a campaign may risk, but for half a day's."""
    proven(bench)
    limits = limits_of(bench)
    left = limits.quota_campaign_slice_count_max - limits.quota_day_slice_count_max / 2.0
    for number in range(int(left) if left == left else 0):
        if bench.engine.state.account.campaign_slices >= left:
            break
        trade(bench, 1_000.0, (10.0, -2.0)[number % 2])
        wait(bench, 10_000.0)
    wait(bench, DAY_S)


def usual(length_s: float) -> float:
    """The usual length of bars that is nearest, those of a quarter of an hour where none is asked for."""
    return min((60.0, 900.0, 3_600.0, 14_400.0), key=lambda each: abs(each - length_s)) if length_s > 0.0 else 900.0


def compared_bars(bench: Trial) -> list[float]:
    """The lengths of as many bars as say how closely symbols move together, none where the policy does not ask."""
    length_s = limits_of(bench).correlation_bar_s
    return [usual(length_s)] * (2 * CORRELATION_RETURNS_MIN) if length_s == length_s else []


def strangers(bench: Trial) -> None:
    """Bars of symbols that have nothing in common."""
    chances = {symbol: Random(symbol) for symbol in (*PRICES, *SOME)}
    levels = PRICES | OTHERS
    for length_s in compared_bars(bench):
        opened_ns = bench.clock.true_ns
        bench.clock.advance(length_s)
        for symbol, chance in chances.items():
            levels[symbol] *= exp(chance.gauss(0.0, 0.01))
            bench.send(BarClosed(symbol, opened_ns, length_s, *(levels[symbol],) * 4))
    bench.refresh()


ALIKE: Final = ("ETH", "SOL", "ALT")
"""What moves as one."""


def compared(bench: Trial, share: float) -> None:
    """Bars of what moves as one, some of which is held, and of BTC, which follows it to that share."""
    levels = dict(PRICES)
    for number, length_s in enumerate(compared_bars(bench)):
        opened_ns = bench.clock.true_ns
        bench.clock.advance(length_s)
        theirs, own = 0.01 if number % 3 else -0.02, 0.01 if number % 2 else -0.01
        moves = dict.fromkeys(ALIKE, theirs) | {"BTC": share * theirs + (1.0 - share) * own}
        for symbol, moved in moves.items():
            levels[symbol] *= 1.0 + moved
            bench.send(BarClosed(symbol, opened_ns, length_s, *(levels[symbol],) * 4))
    bench.refresh()
    for symbol in ALIKE:
        fill_up(bench, symbol, 0.49)
    bench.quiet()


def alike(bench: Trial) -> None:
    """It follows them in everything."""
    compared(bench, 1.0)


def apart(bench: Trial) -> None:
    """It follows them in nothing."""
    compared(bench, 0.0)
