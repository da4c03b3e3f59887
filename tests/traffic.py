"""Intents of every kind, sensible and not, from a seed: what strategies, agents and people send to a gateway."""

import random
from collections.abc import Callable, Iterator
from math import inf, nan

import msgspec

from interlock.core.codes import Action, Partial
from interlock.core.messages import Cancel, Instruction, Intent, Rebalance

Sent = Intent | Rebalance | Cancel

SYMBOLS = ("BTC", "ETH", "SOL")


class Traffic:
    """
    An endless mix. `mark` is a symbol's price, `held` its signed base units, `now_ns` the sender's clock.

    `live` names permits that a sender may want to cancel.
    """

    def __init__(
        self,
        seed: int,
        mark: Callable[[str], float],
        held: Callable[[str], float],
        now_ns: Callable[[], int],
        live: Callable[[], list[int]] = list,
    ) -> None:
        self.chance = random.Random(seed)
        self.mark, self.held, self.now_ns, self.live = mark, held, now_ns, live
        self.number = 0
        self.sent: list[Intent] = []

    def __iter__(self) -> Iterator[Sent]:
        makers, weights = zip(*KINDS, strict=True)
        while True:
            self.number += 1
            made = self.chance.choices(makers, weights)[0](self)
            if isinstance(made, Intent):
                self.sent.append(made)
                del self.sent[:-50]
            yield made

    def intent(self, kind: str, symbol: str, side: int, **changes: object) -> Intent:
        fields: dict[str, object] = {
            "id": f"{kind}-{self.number}",
            "source": "bot",
            "strategy": "trend",
            "stop_price": self.mark(symbol) * (1.0 - side * 0.05),
            "created_at_ns": self.now_ns(),
            "partial": self.chance.choice((Partial.SCALE, Partial.REFUSE)),
        }
        return Intent(symbol=symbol, side=side, **{**fields, **changes})  # type: ignore[arg-type]

    def symbol(self) -> str:
        return self.chance.choice(SYMBOLS)


def opens(t: Traffic) -> Sent:
    """Opens, or adds to what is held."""
    symbol = t.symbol()
    side = 1 if t.held(symbol) > 0.0 else -1 if t.held(symbol) < 0.0 else t.chance.choice((1, -1))
    return t.intent("open", symbol, side, notional=t.chance.choice((50.0, 200.0, 900.0, 5_000.0)))


def opens_at_a_limit(t: Traffic) -> Sent:
    symbol, side = t.symbol(), t.chance.choice((1, -1))
    price = t.mark(symbol) * (1.0 + side * t.chance.uniform(-0.004, 0.004))
    return t.intent("limit", symbol, side, notional=200.0, limit_price=price)


def reduces(t: Traffic) -> Sent:
    symbol = t.symbol()
    held = t.held(symbol)
    share = t.chance.choice((0.1, 0.5, 1.0, 3.0))
    return t.intent(
        "reduce", symbol, -1 if held > 0.0 else 1, quantity=max(abs(held), 0.01) * share, stop_price=nan, reduce_only=True
    )


def flips(t: Traffic) -> Sent:
    symbol = t.symbol()
    held = t.held(symbol)
    return t.intent("flip", symbol, -1 if held > 0.0 else 1, quantity=max(abs(held), 0.01) * t.chance.choice((1.5, 2.0)))


def says_again(t: Traffic) -> Sent:
    if not t.sent:
        return opens(t)
    again = t.chance.choice(t.sent)
    if t.chance.random() < 0.3:
        again = msgspec.structs.replace(again, quantity=0.5, notional=nan)
    return msgspec.structs.replace(again, created_at_ns=t.now_ns())


def garbage(t: Traffic) -> Sent:
    symbol, side = t.symbol(), t.chance.choice((1, -1))
    wrong = t.chance.choice((nan, inf, -inf, -1.0, 0.0, 1e300))
    field = t.chance.choice(("quantity", "notional", "limit_price", "stop_price", "margin_leverage"))
    return t.intent("garbage", symbol, t.chance.choice((side, 0, 7)), **{"quantity": 0.1, field: wrong})


def unknown(t: Traffic) -> Sent:
    """A symbol, source or strategy that nobody knows, or an age that cannot be."""
    field, value = t.chance.choice(
        (("symbol", "DOGE"), ("symbol", ""), ("source", "stranger"), ("strategy", "none"), ("created_at_ns", 0))
    )
    made = t.intent("unknown", t.symbol(), 1, notional=100.0)
    return msgspec.structs.replace(made, **{field: value})


def rebalances(t: Traffic) -> Sent:
    instructions = tuple(
        Instruction(
            symbol,
            t.chance.choice((Action.OPEN, Action.SCALE, Action.CLOSE, Action.VETO)),
            t.chance.choice((-0.05, 0.0, 0.05)),
            sl_price=t.mark(symbol) * t.chance.choice((0.95, 1.05)),
        )
        for symbol in SYMBOLS
        if t.chance.random() < 0.7
    )
    return Rebalance(f"book-{t.number}", "bot", "trend", instructions, created_at_ns=t.now_ns())


def cancels(t: Traffic) -> Sent:
    live = t.live()
    return Cancel(f"cancel-{t.number}", "bot", t.chance.choice(live) if live else 12_345)


KINDS: tuple[tuple[Callable[[Traffic], Sent], int], ...] = (
    (opens, 30),
    (opens_at_a_limit, 6),
    (reduces, 22),
    (flips, 8),
    (says_again, 8),
    (garbage, 10),
    (unknown, 8),
    (rebalances, 4),
    (cancels, 4),
)
