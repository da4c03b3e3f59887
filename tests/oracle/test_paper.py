"""The paper venue against a slow model of itself, to the micro, through its file and with two users taking turns."""

import tempfile
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from math import nan
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.adapters.paper_file import PaperFile
from interlock.adapters.paper_market import BY_OWNER, CUT, OPEN, Order, PaperMarket, PaperTerms
from interlock.adapters.venue import OrderReport, VenueOrder, VenueRejected
from interlock.core.codes import PermitState
from interlock.core.constants import MICROS
from interlock.core.instrument import Instrument
from interlock.core.messages import Quote
from oracle.paper_model import Model, Refused, Traded, Wish

TICK = Fraction(1, 100)
BALANCE, FEE_BPS = 20_000, 4
INSTRUMENTS = tuple(
    Instrument(symbol, "paper", "USDT", step=step, tick=0.01, min_notional=20.0, bracket_leverage=50.0)
    for symbol, step in (("A", 0.1), ("B", 1.0))
)

Act = tuple[object, ...]
KINDS = ("market", "limit", "resting", "stop")


def an_act(chance: Random) -> Act:
    """Something that happens at a venue; more orders than anything else, near enough to the market to matter."""
    symbol = chance.choice("AB")
    match chance.choices(("quote", "place", "cancel", "leverage"), (6, 8, 2, 1))[0]:
        case "quote":
            mid, half = chance.randint(9_800, 10_200), chance.randint(1, 3)
            return "quote", symbol, mid, half, chance.choice((0, 120)), chance.choice((0, 120))
        case "place":
            steps = chance.randint(1, chance.choice((5, 60, 4_000)))
            what = chance.choice((1, -1)), steps, chance.choice(KINDS), chance.randint(9_800, 10_200)
            return "place", symbol, *what, chance.random() < 0.4, chance.randint(0, 12)
        case "cancel":
            return "cancel", chance.randint(0, 12)
        case _:
            return "leverage", symbol, chance.randint(1, 50)


def history(seed: int, length: int) -> list[Act]:
    chance = Random(seed)
    opening: list[Act] = [("quote", symbol, 10_000, 1, 0, 0) for symbol in "AB"]
    return opening + [an_act(chance) for _ in range(length)]


histories = st.builds(history, st.integers(0, 2**32), st.integers(0, 80))


def terms(partial_frac: float = 0.0, seed: int = 0) -> PaperTerms:
    return PaperTerms(
        account="test",
        currency="USDT",
        balance=float(BALANCE),
        environment="testnet",
        fee_bps=float(FEE_BPS),
        latency_s=0.0,
        partial_frac=partial_frac,
        seed=seed,
        instruments=INSTRUMENTS,
    )


def wish_of(act: Act) -> Wish:
    _, symbol, side, steps, kind, ticks, reduce_only, name = act
    assert isinstance(ticks, int)
    price = ticks * TICK
    return Wish(
        name=str(name),
        symbol=symbol,  # type: ignore[arg-type]
        side=side,  # type: ignore[arg-type]
        steps=steps,  # type: ignore[arg-type]
        limit=price if kind in ("limit", "resting") else None,
        trigger=price if kind == "stop" else None,
        reduce_only=reduce_only,  # type: ignore[arg-type]
        immediate=kind in ("market", "limit"),
    )


def quote_of(act: Act) -> tuple[str, tuple[Fraction, Fraction, Fraction, Fraction, Fraction]]:
    _, symbol, mid, half, up, down = act
    assert isinstance(symbol, str)
    assert isinstance(mid, int)
    assert isinstance(half, int)
    assert isinstance(up, int)
    assert isinstance(down, int)
    return symbol, ((mid - half) * TICK, (mid + half) * TICK, mid * TICK, (mid + up) * TICK, (mid - down) * TICK)


def do_in_model(model: Model, act: Act) -> None:
    match act:
        case ("quote", *_):
            model.quote(*quote_of(act))
        case ("place", *_):
            model.place(wish_of(act))
        case ("cancel", name):
            model.cancel(str(name))
        case ("leverage", str(symbol), int(leverage)):
            model.set_leverage(symbol, leverage)


def do_in_market(market: PaperMarket, act: Act) -> None:
    match act:
        case ("quote", *_):
            symbol, told = quote_of(act)
            bid, ask, mark, high, low = map(float, told)
            market.quote(Quote(symbol, bid, ask, mark, 1, high, low), 1)
        case ("place", *_):
            w = wish_of(act)
            limit, trigger = (nan if price is None else float(price) for price in (w.limit, w.trigger))
            market.place(
                VenueOrder(w.name, w.symbol, w.side, w.steps, limit, trigger, w.reduce_only, immediate=w.immediate), 1
            )
        case ("cancel", name):
            for order in [each for each in market.open.values() if each.client_id == str(name)]:
                market.cancel(order, 1)
        case ("leverage", str(symbol), int(leverage)):
            market.set_leverage(symbol, float(leverage))


def refused(do: Callable[[], None]) -> bool:
    try:
        do()
    except (Refused, VenueRejected):
        return True
    return False


def act_in_file(file: PaperFile, act: Act) -> None:
    with file.writing() as market:
        do_in_market(market, act)


def orders_in(file: PaperFile) -> list[Order]:
    with file.reading():
        return sorted(file.changed_since(0), key=lambda order: order.number)


@settings(max_examples=60)
@given(histories)
def test_the_venue_is_what_the_slow_model_says(acts: list[Act]) -> None:
    play(acts)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_so_it_is_over_long_histories_in_which_everything_happens(seed: int) -> None:
    happened = play(history(seed, 500))
    assert min(happened[each] for each in (*KINDS, "reduce_only", "cut", "triggered", "refused", "cancelled")) >= 3


def play(acts: list[Act]) -> Counter[str]:
    """The venue has gone through the history and was always what the model said; returns how often what happened."""
    happened: Counter[str] = Counter()
    model = Model(BALANCE, FEE_BPS, {i.symbol: Traded(Fraction(str(i.step)), Fraction(20)) for i in INSTRUMENTS})
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "account"
        PaperFile.create(path, terms())
        files = [PaperFile.open(path), PaperFile.open(path)]
        try:
            for number, act in enumerate(acts):
                if number % 7 == 0:
                    files[0].close()
                    files[0] = PaperFile.open(path)
                actor, onlooker = files if number % 3 else reversed(files)
                no = refused(partial(do_in_model, model, act))
                assert refused(partial(act_in_file, actor, act)) == no, act
                happened["refused" if no else str(act[4]) if act[0] == "place" else str(act[0])] += 1
                assert_same(onlooker, model)
            for order in orders_in(files[0]):
                happened["reduce_only"] += order.reduce_only
                happened["cut"] += order.reason == CUT
                happened["cancelled"] += order.reason == BY_OWNER
                happened["triggered"] += order.triggered
        finally:
            for file in files:
                file.close()
    return happened


def assert_same(file: PaperFile, model: Model) -> None:
    orders = orders_in(file)
    assert [(o.state.name, o.filled) for o in orders] == [(held.state, held.filled) for held in model.orders]
    for order, held in zip(orders, model.orders, strict=True):
        step = model.symbols[order.symbol].step
        assert order.value == sum((steps * step * price for steps, price in held.fills), Fraction(0)) * MICROS
        assert (order.state == PermitState.FILLED) == (order.remaining == 0)
    with file.reading() as market:
        assert {n for n, o in market.open.items()} == {o.number for o in orders if o.state in OPEN}
        for symbol, book in market.books.items():
            assert book.position == model.position(symbol)
        assert market.account.equity_at_mark == model.equity * MICROS
        assert market.account.fees == model.fees * MICROS == sum(order.fees for order in orders)


@settings(max_examples=100)
@given(st.floats(0.0, 1.0), st.integers(0, 1_000), histories)
def test_fills_in_part_add_up(partial_frac: float, seed: int, acts: list[Act]) -> None:
    """Nothing but reports: what each order says it filled is the positions, the money and never more than it asked."""
    market = PaperMarket(terms(partial_frac, seed))
    reports: dict[int, OrderReport] = {}
    cash = Fraction(BALANCE)
    for act in acts:
        before = {symbol: book.position for symbol, book in market.books.items()}
        refused(partial(do_in_market, market, act))
        for number, order in market.changed.items():
            old, new = reports.get(number), order.report(market.books[order.symbol])
            reports[number] = new
            assert new.filled_steps <= new.steps
            assert old is None or new.filled_steps >= old.filled_steps
            cash -= new.side * exact(new.filled_value) + exact(new.fees)
            cash += new.side * exact(old.filled_value) + exact(old.fees) if old is not None else 0
        only_reduced = all(order.reduce_only for order in market.changed.values())
        market.changed.clear()
        equity = cash
        for symbol, book in market.books.items():
            filled = [each.side * each.filled_steps for each in reports.values() if each.symbol == symbol]
            assert book.position == sum(filled)
            assert not only_reduced or 0 <= book.position * before[symbol] <= before[symbol] ** 2
            equity += Fraction(book.value(book.position, book.mark), MICROS)
        assert market.account.equity_at_mark == equity * MICROS


def exact(amount: float) -> Fraction:
    return Fraction(round(amount * MICROS), MICROS)
