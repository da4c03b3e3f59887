"""Openpit: order size, order rate, and the bound on realised losses."""

import random
from decimal import Decimal
from typing import Any, Final

import pytest

from interlock.core.codes import PermitState
from interlock.core.constants import NS_PER_S
from interlock.testing.builders import START_NS
from peers import ours
from peers.asking import ask
from peers.differences import Intended, unexplained
from peers.ours import Event, alone, asks, closes

MAX_QUANTITY: Final = "5"
MAX_NOTIONAL: Final = "600"
BOUND: Final = "-250"
WINDOW_S: Final = 0.25
SAYS: Final = {
    "OrderQtyExceedsLimit": {"ORDER_QUANTITY"},
    "OrderNotionalExceedsLimit": {"ORDER_NOTIONAL"},
    "OrderExceedsLimit": {"ORDER_QUANTITY", "ORDER_NOTIONAL"},
    "OrderValueCalculationFailed": {"no price"},
}
"""Their codes in our words."""

Asked = dict[str, Any]
Rates = tuple[int, list[tuple[float, int]]]


def priced(side: int, steps: int, cents: int) -> Asked:
    """An order for so many ten-thousandths at that price."""
    return {"side": side, "quantity": f"{steps / 10_000:.4f}", "price": f"{cents / 100:.2f}"}


def orders() -> list[Asked]:
    """Orders around both caps, on both sides: most of them within a few steps of a cap or exactly at it."""
    chance = random.Random(1)
    asked = []
    for _ in range(300):
        side, near = chance.choice((1, -1)), chance.randint(-2, 2)
        cents = chance.choice((10_000, 11_999, 12_000, 12_001, chance.randint(8_000, 13_000)))
        at_notional = round(600 * 1_000_000 / cents)
        steps = chance.choice((50_000 + near, at_notional + near, chance.randint(1, 80_000)))
        asked.append(priced(side, steps, cents))
    return asked


ODD_ORDERS: Final[list[tuple[Asked, Intended]]] = [
    ({"side": 1, "quantity": "1"}, Intended.MARKET_ORDERS_ARE_MEASURED),
    ({"side": -1, "quantity": "1"}, Intended.MARKET_ORDERS_ARE_MEASURED),
    ({"side": 1, "quantity": "5.00005", "price": "100"}, Intended.WHOLE_STEPS),
    ({"side": 1, "notional": "600.005", "price": "120"}, Intended.WHOLE_STEPS),
    ({"side": 1, "quantity": "0", "price": "100"}, Intended.NOTHING_IS_NO_ORDER),
]
"""Orders that we judge otherwise, and why."""


def histories() -> list[list[Event]]:
    """Days of trades with fees, asked about after each; a third of them touch the bound exactly, then lose a cent."""
    chance = random.Random(2)
    told = []
    for number in range(12):
        history, cents = [asks(0)], 0
        for at_s in range(60, 60 * 16, 60):
            pnl, fee = chance.randint(-9_000, 5_000), chance.randint(0, 200)
            if number % 3 == 0 and at_s == 600:
                pnl = -25_000 - cents + fee
            if number % 3 == 0 and at_s == 660:
                pnl, fee = 0, 1
            cents += pnl - fee
            history += [closes(at_s, f"{pnl / 100:.2f}", fee=f"{fee / 100:.2f}"), asks(at_s + 10)]
        told.append(history)
    return told


def rates() -> list[Rates]:
    """Bursts with a pause after each that is longer than the window."""
    chance = random.Random(3)
    return [(each, [(1.1 * WINDOW_S, chance.randint(1, 2 * each)) for _ in range(8)]) for each in (1, 3, 6)]


IMPATIENT: Final[Rates] = (4, [(1.1 * WINDOW_S, 4), (0.5 * WINDOW_S, 4), (0.6 * WINDOW_S, 4)])
"""Half a window after a full burst, and again when that burst has left the window."""


@pytest.fixture(scope="module")
def theirs(peers: None) -> dict[str, list[Any]]:
    """Every answer of openpit's, one process for all of them."""
    sizes = {"asks": "sizes", "quantity": MAX_QUANTITY, "notional": MAX_NOTIONAL}
    questions = [
        {**sizes, "orders": orders()},
        {**sizes, "orders": [order for order, _ in ODD_ORDERS]},
        *[{"asks": "losses", "bound": BOUND, "history": history} for history in [*histories(), *UNLIKE]],
        *[
            {"asks": "rates", "orders": most, "window_s": WINDOW_S, "bursts": bursts}
            for most, bursts in (*rates(), IMPATIENT)
        ],
    ]
    answers = ask("openpit", questions)
    losses = answers[2 : 2 + len(histories()) + len(UNLIKE)]
    return {"sizes": answers[0], "odd": answers[1], "losses": losses, "rates": answers[2 + len(losses) :]}


# ---------------------------------------------------------------- size


def our_sizes(asked: list[Asked], quantity: str = MAX_QUANTITY, notional: str = MAX_NOTIONAL) -> list[set[str]]:
    """What speaks against each order; "no order" where it is none."""
    rules = {"ORDER_QUANTITY": {"quantity": quantity}}
    bench = ours.bench_with(alone(rules, {"rules.ORDER_NOTIONAL.notional": f"{notional} USDT"}))
    answers = []
    for each in asked:
        given = {"quantity": "quantity", "notional": "notional", "price": "limit_price"}
        numbers = {name: float(each[key]) for key, name in given.items() if key in each}
        intent = bench.intent("BTC", each["side"], stop_price=50.0 if each["side"] > 0 else 200.0, **numbers)
        decision, permit = ours.decide(bench, intent)
        if permit is not None:
            bench.result(permit.id, PermitState.CANCELLED)
        codes = {str(each.code) for each in decision.objections}
        answers.append({"no order"} if codes == {"MALFORMED"} else codes)
    return answers


def their_sizes(answers: list[list[str]]) -> list[set[str]]:
    return [set().union(*(SAYS[code] for code in codes)) for codes in answers]


def under_the_mark() -> list[int]:
    """Orders within the cap at their own price, and beyond it at the mark."""
    cap, mark = Decimal(MAX_NOTIONAL), Decimal(ours.PRICE)
    sizes = [(Decimal(each["quantity"]), Decimal(each["price"])) for each in orders()]
    return [place for place, (quantity, price) in enumerate(sizes) if quantity * price <= cap < quantity * mark]


MEASURED: Final = Intended.MEASURED_AT_THE_MARK


def test_orders_around_the_caps_are_judged_alike(theirs: dict[str, list[Any]]) -> None:
    answers = our_sizes(orders())
    assert under_the_mark()
    assert unexplained(answers, their_sizes(theirs["sizes"]), {MEASURED: under_the_mark()}) == {}
    assert all({code} in answers for code in ("ORDER_QUANTITY", "ORDER_NOTIONAL"))
    assert set() in answers


@pytest.mark.parametrize("caps", [("5.0001", MAX_NOTIONAL), ("4.9999", MAX_NOTIONAL), (MAX_QUANTITY, "600.01")])
def test_a_cap_one_step_off_would_be_found(theirs: dict[str, list[Any]], caps: tuple[str, str]) -> None:
    assert unexplained(our_sizes(orders(), *caps), their_sizes(theirs["sizes"]), {MEASURED: under_the_mark()})


def test_odd_orders_are_judged_otherwise(theirs: dict[str, list[Any]]) -> None:
    answers, others = our_sizes([order for order, _ in ODD_ORDERS]), their_sizes(theirs["odd"])
    meant = {reason: [n for n, (_, why) in enumerate(ODD_ORDERS) if why is reason] for _, reason in ODD_ORDERS}
    assert unexplained(answers, others, meant) == {}
    assert answers == [set(), set(), set(), set(), {"no order"}]


# ---------------------------------------------------------------- realised loss


def our_losses(history: list[Event], loss: str = "2.5 %") -> list[bool]:
    return ours.play(alone({"DAILY_LOSS": {"loss": loss}}), history)


def test_a_realised_loss_stops_openings_at_the_same_trade(theirs: dict[str, list[Any]]) -> None:
    for history, others in zip(histories(), theirs["losses"], strict=False):
        assert unexplained(our_losses(history), others, {}) == {}
    assert sum(not all(each) for each in theirs["losses"][: len(histories())]) > 4


@pytest.mark.parametrize("loss", ["2.499 %", "2.501 %"])
def test_a_loss_limit_ten_cents_off_would_be_found(theirs: dict[str, list[Any]], loss: str) -> None:
    assert any(
        unexplained(our_losses(history, loss), others, {})
        for history, others in zip(histories(), theirs["losses"], strict=False)
    )


LOSES_AND_CLOSES: Final = [closes(60, "-251"), asks(70), asks(80, side=-1)]
NEXT_DAY: Final = [closes(60, "-251"), asks(70), asks(86_400)]
FALLS: Final = [asks(0), Event(does="holds", at_s=60, pair="BTC", side=1, pnl="-251", fee="0", reason=""), asks(70)]
UNLIKE: Final = [LOSES_AND_CLOSES, NEXT_DAY, FALLS]
"""Histories in which we differ: a close after the loss, the day after it, and a loss that is not realised."""


def test_a_close_leaves_after_a_loss(theirs: dict[str, list[Any]]) -> None:
    """The loss is made on one pair while another is still held; its close is the second question."""
    bench = ours.bench_with(alone({"DAILY_LOSS": {"loss": "2.5 %"}}))
    ours.hold(bench, "ETH", 1, quantity=1.0)
    ours.trade(bench, LOSES_AND_CLOSES[0])
    answers = [ours.admits(bench, bench.intent("BTC", 1, quantity=1.0))]
    answers.append(ours.admits(bench, bench.intent("ETH", -1, quantity=1.0, reduce_only=True)))
    assert unexplained(answers, theirs["losses"][len(histories())], {Intended.EXITS_PASS: [1]}) == {}


def test_a_new_risk_day_opens_again(theirs: dict[str, list[Any]]) -> None:
    others = theirs["losses"][len(histories()) + 1]
    assert unexplained(our_losses(NEXT_DAY), others, {Intended.DAYS_END: [1]}) == {}


def test_a_loss_that_is_not_realised_counts(theirs: dict[str, list[Any]]) -> None:
    bench = ours.bench_with(alone({"DAILY_LOSS": {"loss": "2.5 %"}}))
    answers = [ours.admits(bench, bench.intent("BTC", 1, quantity=1.0))]
    ours.hold(bench, "BTC", 1, quantity=ours.QUANTITY)
    bench.mark("BTC", ours.PRICE - 251.0 / ours.QUANTITY)
    answers.append(ours.admits(bench, bench.intent("BTC", 1, quantity=1.0)))
    assert unexplained(answers, theirs["losses"][len(histories()) + 2], {Intended.OPEN_LOSS_COUNTS: [1]}) == {}


# ---------------------------------------------------------------- rate


def our_rates(most: int, bursts: list[tuple[float, int]], burst: int = 0) -> list[bool]:
    """What the bucket of as many orders, refilled once in a window, lets through."""
    rate = {"interval": f"{WINDOW_S / most:.6f} s", "burst": burst or most}
    bench = ours.bench_with(alone({"ORDER_RATE": rate}))
    answers, at_s = [], 0.0
    for pause_s, size in bursts:
        at_s += pause_s
        bench.pass_until(START_NS + round(at_s * NS_PER_S))
        answers += [ours.admits(bench, bench.intent("BTC", 1, quantity=1.0)) for _ in range(size)]
    return answers


def flat(answers: list[list[bool]]) -> list[bool]:
    return [each for burst in answers for each in burst]


def test_bursts_from_rest_are_cut_at_the_same_order(theirs: dict[str, list[Any]]) -> None:
    for (most, bursts), others in zip(rates(), theirs["rates"], strict=False):
        assert unexplained(our_rates(most, bursts), flat(others), {}) == {}


def test_a_burst_of_one_more_would_be_found(theirs: dict[str, list[Any]]) -> None:
    for (most, bursts), others in zip(rates(), theirs["rates"], strict=False):
        assert unexplained(our_rates(most, bursts, most + 1), flat(others), {})


def test_the_bucket_refills_steadily_and_refusals_take_nothing_out_of_it(theirs: dict[str, list[Any]]) -> None:
    """Half of a burst is free again after half a window; what was refused there keeps the peer's window full."""
    answers, others = our_rates(*IMPATIENT), flat(theirs["rates"][-1])
    assert unexplained(answers, others, {Intended.RATE_REFILLS: [4, 5], Intended.REFUSALS_ARE_FREE: [8, 9]}) == {}
