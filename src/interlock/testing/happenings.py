"""What may happen in a story: each verb of an input clause, and the input it becomes."""

from collections.abc import Callable
from math import nan
from typing import TYPE_CHECKING, Final

import msgspec

from interlock.core.codes import Action, CloseAction, Code, KillMode, Partial, PermitState, Scope
from interlock.core.constants import NS_PER_S
from interlock.core.messages import (
    AccountOpened,
    Adopted,
    Amend,
    BarClosed,
    BlackoutSet,
    Cancel,
    CashFlow,
    ClockChecked,
    EquityMarked,
    FlattenSet,
    Heartbeat,
    Instruction,
    InstrumentSet,
    KillReset,
    KillSet,
    LockReleased,
    LockSet,
    MarketState,
    ModeSet,
    OrderAt,
    OrdersReported,
    OwnerSet,
    PositionsReported,
    Quarantined,
    Rebalance,
    Rebased,
    Spent,
    Tick,
    VenueError,
)
from interlock.testing.bench import FEEDS, YEAR_NS, picture
from interlock.testing.words import Line, StoryFailed, Words, instant_ns, length_ns, number

if TYPE_CHECKING:
    from interlock.testing.scenario import Run

Verb = Callable[["Run", Words], None]


# ---------------------------------------------------------------- time and feeds


def _tick(run: "Run", words: Words) -> None:
    words.options("")
    run.bench.send(Tick())


def _silent(run: "Run", words: Words) -> None:
    run.bench.feeds -= _feeds(words)


def _live(run: "Run", words: Words) -> None:
    run.bench.feeds |= _feeds(words)


def _feeds(words: Words) -> set[str]:
    feeds = set[str]()
    while words:
        feed = words.next("a feed")
        if feed != "all" and feed not in FEEDS:
            raise words.line.invalid(f"{feed!r} is no feed: they are all, {', '.join(sorted(FEEDS))}")
        feeds |= FEEDS if feed == "all" else {feed}
    return feeds


def _clock(run: "Run", words: Words) -> None:
    what = words.next("jump or check")
    if what == "jump":
        seconds = (length_ns(words.next("a length of time")) or 0) / NS_PER_S
        run.bench.clock.jump(seconds)
        run.bench.send(Tick())
    elif what == "check":
        alone = words.take("alone")
        ahead_ns = length_ns(words.next("how far")) or 0 if words else 0
        run.bench.send(ClockChecked(0 if alone else run.bench.clock.true_ns + ahead_ns))
    else:
        raise words.line.invalid(f"the clock can jump or check, not {what!r}")
    words.options("")


def _heartbeat(run: "Run", words: Words) -> None:
    run.bench.send(Heartbeat(words.next("who is alive")))


def _restart(run: "Run", words: Words) -> None:
    words.options("")
    folded = run.bench.folded()
    if picture(folded.state) != picture(run.bench.engine.state):
        raise StoryFailed(f"{words.line.where}: {words.line.text.strip()}\n  the folded record is another state")
    run.bench.engine = folded


def _takeover(run: "Run", words: Words) -> None:
    _restart(run, words)
    first = run.bench.steps[0].input
    assert isinstance(first, AccountOpened)
    run.bench.send(msgspec.structs.replace(first, epoch=run.bench.engine.state.account.epoch + 1))


# ---------------------------------------------------------------- market and money


def _mark(run: "Run", words: Words) -> None:
    symbol = run.symbol(words)
    mark = words.number("the mark")
    told = words.options("bid ask high low rate")
    run.bench.mark(symbol, mark, **{name: number(words.line, value) for name, value in told.items()})


def _market(run: "Run", words: Words) -> None:
    """A market state; what is left out stays as it was."""
    symbol = run.symbol(words)
    told = words.options("atr label score trend base chop sigma strength")
    known = run.bench.markets.get(symbol, MarketState(symbol, 0))
    fields = {"atr": "atr", "score": "score", "trend": "p_trend", "base": "p_base", "chop": "p_chop"}
    fields |= {"sigma": "sigma", "strength": "trend_strength"}
    changes: dict[str, object] = {fields[key]: number(words.line, told[key]) for key in fields if key in told}
    changes |= {"label": told["label"].replace("none", "")} if "label" in told else {}
    run.bench.tell_market(msgspec.structs.replace(known, **changes))


def _equity(run: "Run", words: Words) -> None:
    """Both sources: the difference is booked as a cost, and the venue tells the figure."""
    wanted = words.number("equity")
    book = run.bench.book
    change = round(wanted - run.bench.engine.state.account.nominal_base - book.equity, 6)
    if change:
        book.balance += change
        run.bench.send(CashFlow("fee", change))
    run.bench.send(EquityMarked(book.equity, book.balance, run.bench.clock.true_ns))


def _venue(run: "Run", words: Words) -> None:
    what = words.next("equity or balance")
    amount = words.number(what)
    book = run.bench.book
    if what == "equity":
        run.bench.send(EquityMarked(amount, book.balance, run.bench.clock.true_ns))
    elif what == "balance":
        book.balance = amount
        run.bench.send(EquityMarked(book.equity, amount, run.bench.clock.true_ns))
    else:
        raise words.line.invalid(f"the venue tells equity or balance, not {what!r}")


def _flow(kind: str) -> Verb:
    def flow(run: "Run", words: Words) -> None:
        amount = words.number("the amount, signed for the account")
        told = words.options("on id")
        if told.get("id", "") not in run.flows:
            run.bench.book.balance += amount
        run.flows.add(told.get("id", "-"))
        run.bench.send(CashFlow(kind, amount, told.get("on", ""), told.get("id", "")))
        run.bench.tell_equity()

    return flow


# ---------------------------------------------------------------- intents


def _intent(run: "Run", words: Words) -> None:
    name, symbol, size = words.next("an id"), run.symbol(words), words.next("a size")
    if size[0] not in "+-":
        raise words.line.invalid(f"a size has a sign, + to buy and - to sell, found {size!r}")
    side = 1 if size[0] == "+" else -1
    told = words.options("at stop target leverage by for age", "reduce-only scale")
    changes: dict[str, object] = {"id": name, **_size(words, size[1:])}
    changes["limit_price"] = run.price(words.line, symbol, told.get("at", "nan"))
    if "stop" in told:
        changes["stop_price"] = run.price(words.line, symbol, told["stop"].replace("none", "nan"))
    if "target" in told:
        changes["target_price"] = run.price(words.line, symbol, told["target"])
    if "leverage" in told:
        changes["margin_leverage"] = number(words.line, told["leverage"])
    if "reduce-only" in told:
        changes.setdefault("stop_price", nan)
        changes["reduce_only"] = True
    if "scale" in told:
        changes["partial"] = Partial.SCALE
    changes |= {field: told[key] for key, field in (("by", "source"), ("for", "strategy")) if key in told}
    changes["created_at_ns"] = _made_ns(run, words, told.get("age", "0s"))
    run.bench.send(run.bench.intent(symbol, side, **changes))


def _size(words: Words, size: str) -> dict[str, object]:
    """`policy` asks for the policy's size, `3u` is base units, a plain number is account currency."""
    if size == "policy":
        return {}
    if size.endswith("u"):
        return {"quantity": number(words.line, size[:-1])}
    return {"notional": number(words.line, size)}


def _made_ns(run: "Run", words: Words, age: str) -> int:
    if age == "unknown":
        return 0
    length = length_ns(age)
    if length is None:
        raise words.line.invalid(f"an age is a length of time or unknown, found {age!r}")
    return run.bench.clock.true_ns - length


def _close(run: "Run", words: Words) -> None:
    symbol = run.symbol(words)
    told = words.options("size by for id at")
    row = run.row(symbol)
    side = -1 if row.position > 0 else 1
    size = run.bench.book.instruments[symbol].quantity(abs(row.position)) or 1.0
    owner = run.bench.engine.state.account.exit_owner
    changes: dict[str, object] = {"reduce_only": True, "source": "bot" if owner == "any" else owner, "quantity": size}
    changes |= {field: told[key] for key, field in (("by", "source"), ("for", "strategy"), ("id", "id")) if key in told}
    if "size" in told:
        changes["quantity"] = number(words.line, told["size"].removesuffix("u"))
    if "at" in told:
        changes["limit_price"] = run.price(words.line, symbol, told["at"])
    run.bench.send(run.bench.intent(symbol, side, **changes))


def _rebalance(run: "Run", words: Words) -> None:
    name = words.next("an id")
    instructions = []
    while "=" in words.peek():
        symbol, _, target = words.next("a target").partition("=")
        action = {"close": Action.CLOSE, "veto": Action.VETO}.get(target)
        weight = nan if action else number(words.line, target.removeprefix("open:"))
        stop = run.price(words.line, symbol, "-5%" if weight > 0 else "5%" if weight < 0 else "nan")
        action = action or (Action.OPEN if target.startswith("open:") else Action.SCALE)
        instructions.append(Instruction(symbol, action, weight, stop))
    told = words.options("by for", "refuse")
    partial = Partial.REFUSE if "refuse" in told else Partial.SCALE
    source, strategy = told.get("by", "bot"), told.get("for", "trend")
    run.bench.send(Rebalance(name, source, strategy, tuple(instructions), partial, run.bench.clock.true_ns))


def _again(run: "Run", words: Words) -> None:
    words.options("")
    run.bench.send(run.bench.steps[run.last_input].input)


def _exit(run: "Run", words: Words) -> None:
    """A proposal of an exit owner for the side that closes."""
    symbol = run.symbol(words)
    rung = words.next("a rung")
    close = CloseAction[words.next("how much")] if words.peek() in CloseAction.__members__ else CloseAction.NONE
    told = words.options("stop by")
    known = symbol in run.bench.engine.state.names.symbol_index
    side = 1 if known and run.row(symbol).position < 0 else -1
    stop = run.price(words.line, symbol, told["stop"]) if "stop" in told else nan
    source = told.get("by", "exit")
    run.bench.send(run.bench.intent(symbol, side, source=source, reduce_only=True, stop_price=stop, rung=rung, close=close))


def _bars(run: "Run", words: Words) -> None:
    """Bars pass, and the feeds speak at the end of each before it is told."""
    symbol = run.symbol(words)
    count = int(words.number("how many"))
    length = length_ns(words.next("a length")) if words else 15 * 60 * NS_PER_S
    words.options("")
    for _ in range(count):
        opened_ns = run.bench.clock.true_ns
        run.bench.pass_until(opened_ns + (length or 0))
        mark = run.bench.book.prices[symbol].mark
        run.bench.send(BarClosed(symbol, opened_ns, (length or 0) / NS_PER_S, mark, mark, mark, mark))


def _windows(run: "Run", words: Words) -> None:
    """What the calendar file says of one symbol from now on."""
    symbol = run.symbol(words)
    told = words.options("no-close no-open flat known")
    now_ns = run.bench.clock.true_ns
    closing, opening, flat = (_window(words.line, told.get(kind), now_ns) for kind in ("no-close", "no-open", "flat"))
    known_ns = instant_ns(words.line, told["known"], now_ns) if "known" in told else now_ns + YEAR_NS
    run.bench.send(BlackoutSet(symbol, closing, opening, flat, known_ns))


def _window(line: Line, text: str | None, now_ns: int) -> tuple[tuple[int, int], ...]:
    """The instants between which something is forbidden, written `10:00..10:30`; none where nothing is."""
    if text is None:
        return ()
    begins, dots, ends = text.partition("..")
    if not dots:
        raise line.invalid(f"{text!r} is no window: write 10:00..10:30")
    return ((instant_ns(line, begins, now_ns), instant_ns(line, ends, now_ns)),)


def _adopt(run: "Run", words: Words) -> None:
    symbol = run.symbol(words)
    told = words.options("stop target for by")
    prices = {key: run.price(words.line, symbol, told[key]) if key in told else nan for key in ("stop", "target")}
    run.bench.send(Adopted(symbol, told.get("for", "trend"), prices["stop"], told.get("by", ""), prices["target"]))


def _cancel(run: "Run", words: Words) -> None:
    permit = run.permit(words)
    run.bench.send(Cancel(f"cancel-{permit}", words.options("by").get("by", "bot"), permit))


def _amend(run: "Run", words: Words) -> None:
    permit = run.permit(words)
    run.bench.send(Amend(f"amend-{permit}", words.options("by").get("by", "bot"), permit, 1.0, nan))


# ---------------------------------------------------------------- orders and positions


def _spent(run: "Run", words: Words) -> None:
    permit = run.permit(words)
    by = words.options("by").get("by", "")
    run.bench.send(Spent(permit, run.bench.engine.state.account.epoch, by))


def _filled(run: "Run", words: Words) -> None:
    permit = run.permit(words)
    steps = run.steps(words, permit) if words.peek().endswith("u") else None
    told = words.options("at fee")
    price = run.price(words.line, run.bench.permits[permit].symbol, told.get("at", "nan"))
    run.bench.fill(permit, steps, price, number(words.line, told.get("fee", "0")))


def _result(state: PermitState) -> Verb:
    def result(run: "Run", words: Words) -> None:
        permit = run.permit(words)
        done = run.bench.filled.get(permit)
        steps = run.steps(words, permit) if words.peek().endswith("u") else done.steps if done else 0
        benign = "benign" in words.options("", "benign")
        run.bench.result(permit, state, steps, benign=benign)

    return result


def _positions(run: "Run", words: Words) -> None:
    """What the venue holds from now on, however it came about; it is reported at once."""
    book = run.bench.book
    if words.take("none"):
        book.holdings.clear()
    while words:
        symbol = run.symbol(words)
        quantity, _, price = words.next("units@price").partition("@")
        size = number(words.line, quantity.removesuffix("u"))
        steps = book.instruments[symbol].steps_down(abs(size)) * (1 if size > 0 else -1)
        book.place(symbol, steps, number(words.line, price or str(book.prices[symbol].mark)))
    run.bench.send(PositionsReported(book.positions(), run.bench.clock.true_ns))


def _orders(run: "Run", words: Words) -> None:
    orders = []
    while words:
        permit = run.bench.permits[run.permit(words)]
        orders.append(OrderAt(permit.id, permit.symbol, permit.side, permit.steps, 0, permit.reduce_only))
    run.bench.send(OrdersReported(tuple(orders), run.bench.clock.true_ns))


def _error(run: "Run", words: Words) -> None:
    run.bench.send(VenueError("a call timed out", "reducing" in words.options("", "reducing")))


def _tradable(run: "Run", words: Words) -> None:
    symbol = run.symbol(words)
    told = {"yes": 1.0, "no": 0.0, "unknown": nan}[words.next("yes, no or unknown")]
    run.bench.send(InstrumentSet(run.bench.book.instruments[symbol], told))


def _quarantine(run: "Run", words: Words) -> None:
    kind = words.next("the kind of input")
    symbol = words.next("a symbol") if words else ""
    run.bench.send(Quarantined(kind, "it could not be read", b"", symbol))


# ---------------------------------------------------------------- operators


def scope(words: Words) -> tuple[Scope, str]:
    """The scope that the next words name; the account where they name none."""
    if words.take("strategy"):
        return Scope.STRATEGY, words.next("a strategy")
    if words.take("symbol"):
        return Scope.SYMBOL, words.next("a symbol")
    words.take("account")
    return Scope.ACCOUNT, ""


def _by(words: Words) -> tuple[str, str]:
    """Who, and why."""
    if not words.take("by"):
        raise words.line.invalid('an operator has a name: by alice "reason"')
    by = words.next("a name")
    return by, words.next("a reason") if words else "as the story says"


def _kill(run: "Run", words: Words) -> None:
    modes = {"flatten": KillMode.FLATTEN, "freeze": KillMode.FREEZE, "reduce-only": KillMode.REDUCE_ONLY}
    mode = modes[words.next("a mode")] if words.peek() in modes else KillMode.REDUCE_ONLY
    where = scope(words)
    by, reason = _by(words)
    run.bench.send(KillSet(mode, *where, reason, by))


def _reset(run: "Run", words: Words) -> None:
    where = scope(words)
    by, reason = _by(words)
    run.bench.send(KillReset(*where, by, reason))


def _lock(run: "Run", words: Words) -> None:
    where = scope(words)
    side = 1 if words.take("buy") else -1 if words.take("sell") else 0
    if not words.take("until"):
        raise words.line.invalid("a lock ends: until 11:00, until +1h or until OPERATOR")
    until_ns = instant_ns(words.line, words.next("a time"), run.bench.clock.true_ns)
    by, reason = _by(words)
    run.bench.send(LockSet(*where, side, until_ns, reason, by))


def _release(run: "Run", words: Words) -> None:
    code = run.code(words)
    where = scope(words)
    by, reason = _by(words)
    run.bench.send(LockReleased(*where, Code(code), by, reason))


def _flatten(run: "Run", words: Words) -> None:
    symbol = words.next("a symbol or all")
    by, reason = _by(words)
    run.bench.send(FlattenSet("" if symbol == "all" else symbol, reason, by))


def _rebase(run: "Run", words: Words) -> None:
    run.bench.send(Rebased(*_by(words)))


def _owner(run: "Run", words: Words) -> None:
    owner = words.next("the exit owner")
    run.bench.send(OwnerSet(owner, _by(words)[0]))


def _mode(run: "Run", words: Words) -> None:
    told = words.options("armed rollout kill symbols")
    armed, rollout, kill = (number(words.line, told.get(name, "nan")) for name in ("armed", "rollout", "kill"))
    symbols = tuple(told["symbols"].split("+")) if "symbols" in told else ()
    run.bench.send(ModeSet(armed, rollout, kill, symbols=symbols))


def _policy(run: "Run", words: Words) -> None:
    """The story's policy, made anew now; `unverified` has a wrong digest, `with KEY VALUE` changes a number."""
    unverified = words.take("unverified")
    changes = {}
    while words.take("with"):
        path = words.next("a dotted path")
        changes[path] = words.next("a value")
    words.options("")
    run.publish(changes, verified=not unverified)


VERBS: Final[dict[str, Verb]] = {
    "tick": _tick,
    "silent": _silent,
    "live": _live,
    "clock": _clock,
    "heartbeat": _heartbeat,
    "restart": _restart,
    "takeover": _takeover,
    "mark": _mark,
    "market": _market,
    "equity": _equity,
    "venue": _venue,
    **{kind: _flow(kind) for kind in ("deposit", "withdrawal", "payout", "funding", "swap", "fee")},
    "intent": _intent,
    "close": _close,
    "rebalance": _rebalance,
    "exit": _exit,
    "bars": _bars,
    "windows": _windows,
    "adopt": _adopt,
    "again": _again,
    "cancel": _cancel,
    "amend": _amend,
    "spent": _spent,
    "filled": _filled,
    "working": _result(PermitState.WORKING),
    "rejected": _result(PermitState.REJECTED),
    "cancelled": _result(PermitState.CANCELLED),
    "unknown": _result(PermitState.UNKNOWN),
    "positions": _positions,
    "orders": _orders,
    "error": _error,
    "tradable": _tradable,
    "quarantine": _quarantine,
    "kill": _kill,
    "reset": _reset,
    "lock": _lock,
    "release": _release,
    "flatten": _flatten,
    "rebase": _rebase,
    "owner": _owner,
    "mode": _mode,
    "policy": _policy,
}
"""What may happen, by the first word of an input clause."""
