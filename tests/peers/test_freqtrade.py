"""freqtrade: its stoploss guard, its cool-down and its drawdown protection, against our locks."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from interlock.policy import Policy
from peers import ours
from peers.asking import ask
from peers.differences import Intended, unexplained
from peers.ours import PAIRS, Event, alone, asks, closes

MINUTE_S: Final = 60
HOUR_S: Final = 3600
STOP: Final = "stop_loss"
Meant = dict[Intended, list[int]]


@dataclass
class Story:
    """A history, and the places among its questions at which the two are meant to differ."""

    history: list[Event] = field(default_factory=list)
    meant: Meant = field(default_factory=dict)

    def ask(self, at_s: int, pair: str, side: int, why: Intended | None = None) -> None:
        if why is not None:
            self.meant.setdefault(why, []).append(sum(event["does"] == "asks" for event in self.history))
        self.history.append(asks(at_s, pair, side))

    def ask_around(self, until_s: int, pair: str, side: int) -> None:
        """Before the lock's end, at it, in the candle that the peer adds, and after."""
        self.ask(until_s - 30, pair, side)
        self.ask(until_s, pair, side)
        self.ask(until_s + 30, pair, side, Intended.ENDS_ON_THE_SECOND)
        self.ask(until_s + 60, pair, side)


def story(*lines: Event | tuple[Event, Intended]) -> Story:
    """A history as written; a question with a reason is one on which the two differ."""
    told = Story()
    for line in lines:
        event, why = line if isinstance(line, tuple) else (line, None)
        if event["does"] == "asks":
            told.ask(event["at_s"], event["pair"], event["side"], why)
        else:
            told.history.append(event)
    return told


def stopped(at_s: int, pnl: str = "-50", pair: str = "BTC", side: int = 1) -> Event:
    return closes(at_s, pnl, STOP, pair=pair, side=side)


# ---------------------------------------------------------------- histories


def stops_of_one_side() -> Story:
    """Two days of trades on both sides of two pairs; some end at their stops and lock their side for an hour."""
    chance = random.Random(5)
    told, at_s = Story(), 0
    for _ in range(40):
        at_s += MINUTE_S * chance.randint(1, 20)
        pair, side = chance.choice(PAIRS), chance.choice((1, -1))
        if chance.random() < 0.4:
            told.history.append(stopped(at_s, f"-{chance.randint(5, 60)}", pair, side))
            told.ask(at_s + 30, pair, side)
            told.ask(at_s + 30, pair, -side)
            told.ask(at_s + 30, next(each for each in PAIRS if each != pair), side)
            told.ask_around(at_s + HOUR_S, pair, side)
            at_s += 2 * HOUR_S
        else:
            told.history.append(closes(at_s, str(chance.choice((-30, -5, 5, 40))), pair=pair, side=side))
            told.ask(at_s + 30, pair, side)
    return told


def stops_and_cool_downs() -> Story:
    """Trades that all end at their stops, each followed by half an hour in which neither side of the pair opens."""
    chance = random.Random(6)
    told, at_s = Story(), 0
    for _ in range(20):
        at_s += MINUTE_S * chance.randint(1, 20)
        pair, side = chance.choice(PAIRS), chance.choice((1, -1))
        told.history.append(stopped(at_s, f"-{chance.randint(5, 60)}", pair, side))
        told.ask(at_s + 30, pair, side)
        told.ask(at_s + 30, pair, -side)
        told.ask(at_s + 30, next(each for each in PAIRS if each != pair), side)
        told.ask_around(at_s + HOUR_S // 2, pair, chance.choice((side, -side)))
        at_s += HOUR_S
    return told


def three_stops() -> list[Story]:
    """Three stops within a day lock everything for an hour."""
    chance = random.Random(7)
    stories = []
    for _ in range(6):
        told, at_s = Story(), 0
        for _ in range(3):
            told.ask(at_s + 30, chance.choice(PAIRS), chance.choice((1, -1)))
            at_s += MINUTE_S * chance.randint(1, 300)
            told.history.append(stopped(at_s, f"-{chance.randint(5, 60)}", chance.choice(PAIRS), chance.choice((1, -1))))
        told.ask(at_s + 30, chance.choice(PAIRS), chance.choice((1, -1)))
        told.ask_around(at_s + HOUR_S, chance.choice(PAIRS), chance.choice((1, -1)))
        stories.append(told)
    return stories


def drawdowns() -> list[Story]:
    """Trades until more than 8 % below the peak are lost; some first lose exactly 8 %, then a cent more."""
    chance = random.Random(8)
    stories = []
    for number in range(8):
        told, at_s, equity, peak = Story(), 0, 1_000_000, 1_000_000
        while 100 * equity >= 92 * peak:
            at_s += MINUTE_S * chance.randint(1, 90)
            pnl = chance.randint(-25_000, 20_000)
            if number % 2 and at_s > 8 * HOUR_S:
                pnl = -(100 * equity - 92 * peak) // 100 or -1
            equity, peak = equity + pnl, max(peak, equity + pnl)
            told.history.append(closes(at_s, f"{pnl / 100:.2f}"))
            told.ask(at_s + 30, chance.choice(PAIRS), chance.choice((1, -1)))
        told.ask_around(at_s + HOUR_S, chance.choice(PAIRS), chance.choice((1, -1)))
        stories.append(told)
    return stories


WIN_BETWEEN: Final = story(
    stopped(60), stopped(120), closes(180, "10"), stopped(240), (asks(270), Intended.WINS_END_A_STREAK)
)
NOT_AT_THE_STOP: Final = story(*(closes(60 * number, "-50") for number in (1, 2, 3)), (asks(270), Intended.ANY_LOSS_COUNTS))
OVER_A_DAY: Final = story(
    *(stopped(13 * HOUR_S * number) for number in (1, 2, 3)), (asks(40 * HOUR_S), Intended.STREAKS_HAVE_NO_WINDOW)
)
AGAIN: Final = story(
    *(stopped(60 * number) for number in (1, 2, 3)),
    asks(270),
    asks(2 * HOUR_S),
    stopped(2 * HOUR_S + 60),
    (asks(2 * HOUR_S + 90), Intended.A_LOCK_STARTS_AFRESH),
)
TAKEN_PROFIT: Final = story(
    closes(60, "40"), (asks(90), Intended.STOPS_ARE_LOOKED_AT_ALONE), stopped(3 * HOUR_S), asks(3 * HOUR_S + 30)
)
RECOVERS: Final = story(
    closes(60, "-900"),
    asks(90),
    asks(2 * HOUR_S),
    closes(2 * HOUR_S + 60, "10"),
    (asks(2 * HOUR_S + 90), Intended.NEW_REFERENCE),
)
HOLDS: Final = story(asks(30), (asks(90), Intended.OPEN_LOSS_COUNTS))
"""What the peer is told of a position that falls by 9 % of equity and stays open: nothing."""


# ---------------------------------------------------------------- rules, theirs and ours


def guard_of(**settings: Any) -> dict[str, Any]:
    return {"method": "StoplossGuard", "lookback_period": 1440, "stop_duration": 60, **settings}


SIDE_GUARD: Final = guard_of(trade_limit=1, only_per_pair=True, only_per_side=True, lookback_period=60)
COOL_DOWN: Final = {"method": "CooldownPeriod", "stop_duration": 30}
COUNT_GUARD: Final = guard_of(trade_limit=3)
DRAWDOWN: Final = {
    "method": "MaxDrawdown",
    "calculation_mode": "equity",
    "max_allowed_drawdown": 0.08,
    "trade_limit": 1,
    "lookback_period": 10_080,
    "stop_duration": 60,
}


def stop_hit(lock: str = "3600 s", both_sides: str = "no") -> Policy:
    return alone({"STOP_HIT": {"lock": lock, "both_sides": both_sides}})


def streak(losses: int = 3, lock: str = "3600 s") -> Policy:
    return alone({"CONSEC_LOSS": {"losses": losses, "lock": lock}})


def drawdown(loss: str = "8 %", lock: str = "3600 s") -> Policy:
    rules = {"DRAWDOWN": {"loss": loss, "lock": lock}, "TOTAL_DRAWDOWN": {"loss": "90 %"}}
    return alone(rules, {"account.rebase_after_drawdown": "yes"})


PROTECTIONS: Final[dict[str, tuple[dict[str, Any], list[Story]]]] = {
    "one side": (SIDE_GUARD, [stops_of_one_side()]),
    "cool-down": (COOL_DOWN, [stops_and_cool_downs(), TAKEN_PROFIT]),
    "streak": (COUNT_GUARD, [*three_stops(), WIN_BETWEEN, NOT_AT_THE_STOP, OVER_A_DAY, AGAIN]),
    "drawdown": (DRAWDOWN, [*drawdowns(), RECOVERS]),
    "falls": (DRAWDOWN, [HOLDS]),
}
"""Each protection alone, and the histories that it is asked about."""

Answers = dict[str, list[list[bool]]]


@pytest.fixture(scope="module")
def theirs(peers: None) -> Answers:
    """Every answer of freqtrade's, one process for all of them."""
    questions = [
        {"protections": [protection], "balance": ours.BALANCE, "history": told.history}
        for protection, stories in PROTECTIONS.values()
        for told in stories
    ]
    answers = iter(ask("freqtrade", questions))
    return {name: [next(answers) for _ in stories] for name, (_, stories) in PROTECTIONS.items()}


def differing(theirs: Answers, name: str, policy: Policy) -> list[dict[int, tuple[bool, bool]]]:
    """What differs without being meant to, for each history under the policy."""
    pairs = zip(PROTECTIONS[name][1], theirs[name], strict=True)
    found = [unexplained(ours.play(policy, told.history), others, told.meant) for told, others in pairs]
    return [each for each in found if each]


SAME: Final[list[tuple[str, Callable[[], Policy]]]] = [
    ("one side", stop_hit),
    ("cool-down", lambda: stop_hit("1800 s", "yes")),
    ("streak", streak),
    ("drawdown", drawdown),
]
CHANGED: Final[list[tuple[str, Callable[[], Policy]]]] = [
    ("one side", lambda: stop_hit("3660 s")),
    ("one side", lambda: stop_hit("3599 s")),
    ("one side", lambda: stop_hit(both_sides="yes")),
    ("cool-down", lambda: stop_hit("1799 s", "yes")),
    ("cool-down", lambda: stop_hit("1800 s", "no")),
    ("streak", lambda: streak(4)),
    ("streak", lambda: streak(2)),
    ("streak", lambda: streak(lock="3660 s")),
    ("drawdown", lambda: drawdown("8.0001 %")),
    ("drawdown", lambda: drawdown("7.9999 %")),
    ("drawdown", lambda: drawdown(lock="3599 s")),
]


@pytest.mark.parametrize(("name", "policy"), SAME)
def test_entries_are_allowed_alike_but_where_we_mean_to_differ(
    theirs: Answers, name: str, policy: Callable[[], Policy]
) -> None:
    assert differing(theirs, name, policy()) == []
    answers = [each for told in theirs[name] for each in told]
    assert min(answers.count(True), answers.count(False)) > 10


@pytest.mark.parametrize(("name", "policy"), CHANGED)
def test_a_limit_a_little_off_would_be_found(theirs: Answers, name: str, policy: Callable[[], Policy]) -> None:
    assert differing(theirs, name, policy())


def test_a_drawdown_that_is_not_realised_counts(theirs: Answers) -> None:
    bench = ours.bench_with(drawdown())
    answers = [ours.admits(bench, bench.intent("ETH", 1, quantity=1.0))]
    ours.hold(bench, "BTC", 1, quantity=ours.QUANTITY)
    bench.mark("BTC", ours.PRICE - 900.0 / ours.QUANTITY)
    answers.append(ours.admits(bench, bench.intent("ETH", 1, quantity=1.0)))
    assert unexplained(answers, theirs["falls"][0], HOLDS.meant) == {}
