"""NautilusTrader: the quantity that loses a fixed share of equity at the stop."""

import random
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Final

import msgspec
import pytest

from interlock.testing.bench import Bench
from interlock.testing.book import Price
from interlock.testing.builders import make_instrument, open_bench
from peers import ours
from peers.asking import ask
from peers.differences import Intended, unexplained

MIN_NOTIONAL: Final = Decimal(5)
STEPS_MAX: Final = 2_000_000_000
STOP_ATR: Final = 2


@dataclass(frozen=True)
class Case:
    """One entry to be sized, numbers as text; `batch` 0 has the peer round by itself."""

    entry: str = "50000.00"
    stop: str = "48200.00"
    equity: str = "10000.00"
    risk: str = "0.005"
    step: str = "0.0001"
    tick: str = "0.01"
    rate: str = "1"
    commission: str = "0"
    multiplier: str = "1"
    batch: str = ""

    def number(self, name: str) -> Decimal:
        """One of the fields as a number."""
        return Decimal(getattr(self, name))

    @property
    def distance(self) -> Decimal:
        """What one unit loses at the stop, in account currency."""
        return abs(self.number("entry") - self.number("stop")) * self.number("rate") * self.number("multiplier")

    @property
    def budget(self) -> Decimal:
        """What may be lost."""
        return self.number("equity") * self.number("risk")

    def lost(self, quantity: str) -> Decimal:
        """What such a quantity loses at its stop, commission included."""
        notional = self.number("entry") * self.number("rate") * self.number("multiplier")
        return Decimal(quantity) * (self.distance + 2 * self.number("commission") * notional)


def chosen(chance: random.Random) -> Case:
    """A case as it may come up: prices from cents to tens of thousands, stops from 0.1 % to 8 % away, on either side."""
    tick = chance.choice(("0.01", "0.0001", "0.5"))
    ticks = chance.randint(2_000, 200_000)
    away = STOP_ATR * chance.randint(ticks // 2_000, ticks // 25) * chance.choice((1, -1))
    return Case(
        entry=str(ticks * Decimal(tick)),
        stop=str((ticks - away) * Decimal(tick)),
        equity=f"{chance.randint(100_000, 100_000_000) / 100:.2f}",
        risk=f"{chance.randint(10, 100) / 10_000:.4f}",
        step=chance.choice(("0.0001", "0.001", "0.1")),
        tick=tick,
        rate=chance.choice(("1", "1.25", "0.0075")),
    )


def changed(case: Case, **fields: str) -> Case:
    return Case(**{**asdict(case), **fields})


def fits(case: Case) -> bool:
    """Whether the size is worth an order, and one that a venue would take."""
    steps = case.budget / case.distance // case.number("step")
    notional = steps * case.number("step") * case.number("entry") * case.number("rate")
    return steps < STEPS_MAX and notional >= MIN_NOTIONAL


def ordinary() -> list[Case]:
    chance = random.Random(4)
    exact = [Case(stop="49000.00"), Case(stop="51000.00"), Case(stop="49000.00", equity="20000.00", risk="0.0075")]
    return exact + [case for case in (chosen(chance) for _ in range(160)) if fits(case)]


ORDINARY: Final = ordinary()
FINE: Final = [changed(case, step="0.0001") for case in ORDINARY if case.rate == "1"]
WITH_COMMISSION: Final = [changed(case, commission="0.0004") for case in FINE]
WITH_MULTIPLIER: Final = [changed(case, multiplier="10") for case in FINE]
UNBATCHED: Final = [changed(case, batch="0") for case in ORDINARY]
SMALL: Final = [Case(entry="10000.00", stop=stop, equity="60.00") for stop in ("9000.00", "11000.00", "9200.00")]
ALL: Final = [*ORDINARY, *WITH_COMMISSION, *WITH_MULTIPLIER, *UNBATCHED, *SMALL]

Sizes = dict[Case, str]


@pytest.fixture(scope="module")
def theirs(peers: None) -> Sizes:
    asked = [{**asdict(case), "batch": case.batch or case.step} for case in ALL]
    return dict(zip(ALL, ask("nautilus", asked), strict=True))


def bench_of(case: Case, risk: Decimal) -> Bench:
    """An engine that sizes by risk at the stop, and knows an ATR that puts the stop where the case has it."""
    risks = dict.fromkeys(("chop", "base", "trend"), f"{100 * risk} %")
    cost = {"account.cost": f"{200 * case.number('commission')} %"}
    policy = ours.alone({"TRADE_RISK": risks}, {"sizing.stop": f"{STOP_ATR} x", **cost})
    numbers = {name: float(case.number(name)) for name in ("step", "tick", "multiplier")}
    entry, rate = float(case.entry), float(case.rate)
    quote = {} if rate == 1.0 else {"quote_currency": "EUR"}
    instrument = make_instrument("BTC", min_notional=float(MIN_NOTIONAL), **numbers, **quote)
    bench = open_bench(
        balance=float(case.equity), policy=policy, prices={"BTC": entry}, instruments=[instrument], rates={"BTC": rate}
    )
    bench.book.prices["BTC"] = Price(entry, entry, entry, rate=rate)
    bench.refresh()
    atr = float(abs(case.number("entry") - case.number("stop")) / STOP_ATR)
    bench.tell_market(msgspec.structs.replace(bench.markets["BTC"], atr=atr))
    return bench


def our_size(case: Case, risk_factor: str = "1") -> str:
    """The quantity that is permitted, as text; 0 where the order is refused."""
    bench = bench_of(case, case.number("risk") * Decimal(risk_factor))
    side = 1 if case.number("stop") < case.number("entry") else -1
    intent = bench.intent("BTC", side, limit_price=float(case.entry), stop_price=float("nan"))
    _, permit = ours.decide(bench, intent)
    return str((permit.steps if permit is not None else 0) * case.number("step"))


def compare(
    cases: list[Case], theirs: Sizes, meant: dict[Intended, Iterable[int]], risk_factor: str = "1"
) -> dict[int, tuple[Decimal, Decimal]]:
    sizes = [Decimal(our_size(case, risk_factor)) for case in cases]
    return unexplained(sizes, [Decimal(theirs[case]) for case in cases], {key: [*each] for key, each in meant.items()})


def test_a_size_without_costs_is_the_same_to_the_step(theirs: Sizes) -> None:
    assert len(ORDINARY) > 60
    assert compare(ORDINARY, theirs, {}) == {}


@pytest.mark.parametrize("risk_factor", ["1.01", "0.99"])
def test_a_risk_of_one_hundredth_more_or_less_would_be_found(theirs: Sizes, risk_factor: str) -> None:
    assert len(compare(ORDINARY, theirs, {}, risk_factor)) > len(ORDINARY) // 2


def test_commission_is_part_of_what_is_lost(theirs: Sizes) -> None:
    """The peer takes commission on the risk and not on the notional: what it sizes loses more than its budget."""
    assert compare(WITH_COMMISSION, theirs, {Intended.COST_IS_LOST_TOO: range(len(WITH_COMMISSION))}) == {}
    for case in WITH_COMMISSION:
        assert case.lost(our_size(case)) <= case.budget < case.lost(theirs[case])


def test_the_multiplier_is_part_of_what_is_lost(theirs: Sizes) -> None:
    assert compare(WITH_MULTIPLIER, theirs, {Intended.MULTIPLIER_COUNTS: range(len(WITH_MULTIPLIER))}) == {}
    for case in WITH_MULTIPLIER:
        assert case.lost(our_size(case)) <= case.budget < case.lost(theirs[case])


def test_a_size_is_never_rounded_up(theirs: Sizes) -> None:
    """Without a batch size the peer rounds to the nearest step."""
    up = [
        place
        for place, case in enumerate(UNBATCHED)
        if case.budget / case.distance % case.number("step") > case.number("step") / 2
    ]
    assert compare(UNBATCHED, theirs, {Intended.ROUNDED_DOWN: up}) == {}
    assert len(up) > 10


def test_a_size_that_the_venue_would_refuse_is_no_order(theirs: Sizes) -> None:
    assert compare(SMALL, theirs, {Intended.TOO_SMALL_FOR_THE_VENUE: range(len(SMALL))}) == {}
    assert {our_size(case) for case in SMALL} == {"0.0000"}
