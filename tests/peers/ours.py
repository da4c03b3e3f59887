"""Our side of a comparison: one rule alone on an engine that is healthy otherwise, played through its inputs."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypedDict

from interlock.core.codes import PermitState
from interlock.core.constants import NS_PER_S
from interlock.core.limits import SWITCHABLE
from interlock.core.messages import Decision, Intent, PermitIssued
from interlock.policy import Policy
from interlock.testing.bench import Bench
from interlock.testing.builders import START_NS, make_policy, open_bench

WIDE: Final = {
    "rules.ORDER_NOTIONAL.notional": "1000000000 USDT",
    "rules.TOTAL_EXPOSURE.exposure": "100000 %",
    "rules.PRICE_COLLAR.collar": "50 %",
    "rules.MARKET_STALE.jump": "50 %",
    "account.rebase_after_drawdown": "no",
    "exits.owner": "any",
}
"""Limits of the rules that no policy can switch off, so wide that they never speak."""

BALANCE: Final = 10_000.0
QUANTITY: Final = 50.0
"""Base units of each trade in a history; at a price of 100, one percent of it is half a percent of the balance."""

PRICE: Final = 100.0
PAIRS: Final = ("BTC", "ETH")


class Event(TypedDict):
    """One line of a history: a trade that closes, or an entry that is asked for. Money as text, in account currency."""

    does: str
    at_s: int
    pair: str
    side: int
    pnl: str
    fee: str
    reason: str


def asks(at_s: int, pair: str = "BTC", side: int = 1) -> Event:
    """May this entry be made?"""
    return Event(does="asks", at_s=at_s, pair=pair, side=side, pnl="0", fee="0", reason="")


def closes(at_s: int, pnl: str, reason: str = "roi", *, pair: str = "BTC", side: int = 1, fee: str = "0") -> Event:
    """A trade ends with this profit before its fee, at its stop if the reason says so."""
    return Event(does="closes", at_s=at_s, pair=pair, side=side, pnl=pnl, fee=fee, reason=reason)


def alone(rules: Mapping[str, Any], settings: Mapping[str, Any] = MappingProxyType({})) -> Policy:
    """A policy with these rules and no other that can be switched off."""
    off = {f"rules.{code}": "off: the peer has nothing like it" for code in SWITCHABLE}
    given = {f"rules.{code}": numbers for code, numbers in rules.items()}
    return make_policy(changes={**off, **WIDE, **given, **settings})


def bench_with(policy: Policy) -> Bench:
    """A healthy engine under the policy; every symbol costs 100."""
    return open_bench(balance=BALANCE, policy=policy, prices=dict.fromkeys(PAIRS, PRICE))


def decide(bench: Bench, intent: Intent) -> tuple[Decision, PermitIssued | None]:
    """What is decided of the intent, and its permit."""
    outputs = bench.send(intent).outputs
    decision = next(each for each in outputs if isinstance(each, Decision))
    return decision, next((each for each in outputs if isinstance(each, PermitIssued)), None)


def admits(bench: Bench, intent: Intent) -> bool:
    """Whether the intent gets a permit; nothing comes of it."""
    _, permit = decide(bench, intent)
    if permit is not None:
        bench.result(permit.id, PermitState.CANCELLED)
    return permit is not None


def hold(bench: Bench, pair: str, side: int, quantity: float) -> None:
    """So much of the pair is held, at the present price."""
    _, permit = decide(bench, bench.intent(pair, side, quantity=quantity))
    assert permit is not None
    bench.fill(permit.id)


def play(policy: Policy, history: Iterable[Event]) -> list[bool]:
    """Whether each entry that the history asks about is allowed; its trades are made as far as entries are."""
    bench = bench_with(policy)
    allowed = []
    for event in history:
        bench.pass_until(START_NS + event["at_s"] * NS_PER_S)
        if event["does"] == "asks":
            allowed.append(admits(bench, bench.intent(event["pair"], event["side"], quantity=1.0)))
        else:
            trade(bench, event)
    return allowed


def trade(bench: Bench, event: Event) -> None:
    """A trade is opened and closed at once, where it may be opened."""
    pair, side = event["pair"], event["side"]
    exit_price = PRICE + side * float(event["pnl"]) / QUANTITY
    stop = exit_price if event["reason"] == "stop_loss" else side * min(side * exit_price, side * PRICE) - side * 0.1
    _, permit = decide(bench, bench.intent(pair, side, quantity=QUANTITY, stop_price=stop))
    if permit is None:
        return
    bench.fill(permit.id, price=PRICE)
    bench.mark(pair, exit_price)
    _, closing = decide(bench, bench.intent(pair, -side, quantity=QUANTITY, reduce_only=True))
    assert closing is not None
    bench.fill(closing.id, fee=float(event["fee"]))
    bench.mark(pair, PRICE)
