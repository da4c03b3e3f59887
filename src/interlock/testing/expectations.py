"""What a line of a story may expect: outputs of its steps, and figures of the state after them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from interlock.core.codes import Code, PermitState, RiskAction, Scope, TradingState
from interlock.core.locks import trading_state
from interlock.core.messages import (
    Alert,
    BaselineSet,
    CancelOrders,
    Decision,
    ExitProposed,
    FenceRaised,
    FlattenGoal,
    LockChanged,
    Output,
    PermitIssued,
    PermitRevoked,
    RiskEvent,
)
from interlock.core.state import is_stop
from interlock.testing.happenings import scope
from interlock.testing.words import Words, instant_ns, number

if TYPE_CHECKING:
    from interlock.testing.scenario import Run

CLOSE: Final = 1e-6
"""Two amounts of money are the same up to this; notionals, up to one venue step."""

Matcher = Callable[[Output], bool]


def same(a: float, b: float, room: float = CLOSE) -> bool:
    """Whether two figures are the same; NaN is the same as NaN."""
    return abs(a - b) <= room or (a != a and b != b) or a == b


def _permit(run: "Run", words: Words) -> Matcher:
    name = words.next("a name") if words and not _is_size(words.peek()) and words.peek() != "reduce-only" else ""
    size = words.next("a size") if words and _is_size(words.peek()) else ""
    reduce_only = bool(words.options("", "reduce-only"))

    def matches(output: Output) -> bool:
        if not isinstance(output, PermitIssued) or is_stop(output) or output.reduce_only < reduce_only:
            return False
        if size and not run.is_size(words.line, output, size):
            return False
        if name:
            run.names[name] = output.id
        return True

    return matches


def _stop(run: "Run", words: Words) -> Matcher:
    """A protective stop for the venue, of that size and with that trigger."""
    name = words.next("a name") if words and not _is_size(words.peek()) and words.peek() != "at" else ""
    size = words.next("a size") if words and _is_size(words.peek()) else ""
    price = words.options("at").get("at", "")

    def matches(output: Output) -> bool:
        if not isinstance(output, PermitIssued) or not is_stop(output):
            return False
        if size and not run.is_size(words.line, output, size):
            return False
        if price and not same(output.trigger_price, run.price(words.line, output.symbol, price)):
            return False
        if name:
            run.names[name] = output.id
        return True

    return matches


def _is_size(word: str) -> bool:
    return word[:1].isdigit() or word[:1] == "."


def _deny(run: "Run", words: Words) -> Matcher:
    code = run.code(words)
    told = words.options("cap by lock")

    def matches(output: Output) -> bool:
        if not isinstance(output, Decision) or output.granted_steps or output.headline != code:
            return False
        capped = same(output.allowance, number(words.line, told["cap"])) if "cap" in told else True
        return capped and told.get("by", output.source) == output.source and told.get("lock", output.lock) == output.lock

    return matches


def _left(run: "Run", words: Words) -> Matcher:
    symbol = run.symbol(words)
    return lambda output: (
        isinstance(output, Decision)
        and (output.symbol, output.headline, output.requested_steps, output.granted_steps) == (symbol, Code.ALLOWED, 0, 0)
    )


def _objects(run: "Run", words: Words) -> Matcher:
    code = run.code(words)
    allowance = words.number("an allowance") if words else None
    return lambda output: (
        isinstance(output, Decision)
        and any(each.code == code and (allowance is None or same(each.allowance, allowance)) for each in output.objections)
    )


def _repeat(run: "Run", words: Words) -> Matcher:
    permit = run.permit(words)
    state = PermitState[words.next("a permit's state")] if words else None
    return lambda output: (
        isinstance(output, Decision)
        and output.repeats != 0
        and output.permit == permit
        and state in (None, output.permit_state)
    )


def _revoked(state: PermitState) -> Callable[["Run", Words], Matcher]:
    def ended(run: "Run", words: Words) -> Matcher:
        permit = run.permit(words)
        code = run.code(words) if words else None
        return lambda output: (
            isinstance(output, PermitRevoked)
            and (output.permit, output.state) == (permit, state)
            and code in (None, output.code)
        )

    return ended


def _cancel(run: "Run", words: Words) -> Matcher:
    permit = run.permit(words)
    code = run.code(words) if words else None
    return lambda output: isinstance(output, CancelOrders) and permit in output.permits and code in (None, output.code)


def _lock(run: "Run", words: Words) -> Matcher:
    code = run.code(words)
    severity = TradingState[words.next("a severity")] if words.peek() in TradingState.__members__ else None
    where = _where(words)
    until_ns = instant_ns(words.line, words.next("a time"), run.bench.clock.true_ns) if words.take("until") else None
    words.options("")
    return lambda output: (
        isinstance(output, LockChanged)
        and output.until_ns != 0
        and output.code == code
        and severity in (None, output.severity)
        and where in (None, (output.scope, output.scope_key, output.side))
        and until_ns in (None, output.until_ns)
    )


def _unlock(run: "Run", words: Words) -> Matcher:
    code = run.code(words)
    where = _where(words)
    return lambda output: (
        isinstance(output, LockChanged)
        and output.until_ns == 0
        and output.code == code
        and where in (None, (output.scope, output.scope_key, output.side))
    )


def _where(words: Words) -> tuple[Scope, str, int] | None:
    if not words.take("on"):
        return None
    place = scope(words)
    return (*place, 1 if words.take("buy") else -1 if words.take("sell") else 0)


def _goal(run: "Run", words: Words) -> Matcher:
    """A position is to be flattened, for a code if one is named; `reached`: no longer."""
    symbol = run.symbol(words)
    reached = words.take("reached")
    code = run.code(words) if words else None
    return lambda output: (
        isinstance(output, FlattenGoal)
        and output.symbol == symbol
        and output.active != reached
        and code in (None, output.code)
    )


def _baseline(_run: "Run", words: Words) -> Matcher:
    name = words.next("a baseline's name")
    equity = words.number("equity") if words else None
    how = words.next("how") if words else None
    return lambda output: (
        isinstance(output, BaselineSet)
        and output.name == name
        and (equity is None or same(output.equity, equity))
        and how in (None, output.how)
    )


def _event(run: "Run", words: Words) -> Matcher:
    code = run.code(words)
    action = RiskAction[words.next("an action")] if words else None
    of = words.next("a code") if words.take("of") else None
    return lambda output: (
        isinstance(output, RiskEvent)
        and output.trigger == code
        and action in (None, output.action)
        and of in (None, output.metadata)
    )


def _alert(run: "Run", words: Words) -> Matcher:
    code = run.code(words)
    text = words.next("text") if words else ""
    return lambda output: isinstance(output, Alert) and output.code == code and text in output.message


def _exit(run: "Run", words: Words) -> Matcher:
    """A proposal: its rung, and as far as they are told its share, its stop, and a part of its reason."""
    symbol, rung = run.symbol(words), words.next("a rung")
    fraction = words.number("a share") if words and _is_size(words.peek()) else None
    told = words.options("stop because", "advice")
    stop = run.price(words.line, symbol, told["stop"]) if "stop" in told else None
    return lambda output: (
        isinstance(output, ExitProposed)
        and (output.symbol, output.rung, output.acting) == (symbol, rung, "advice" not in told)
        and (fraction is None or same(output.fraction, fraction))
        and (stop is None or same(output.stop_price, stop))
        and told.get("because", "") in output.reason
    )


def _fence(run: "Run", words: Words) -> Matcher:
    code = run.code(words) if words else None
    return lambda output: isinstance(output, FenceRaised) and code in (None, output.code)


OUTPUTS: Final[dict[str, Callable[["Run", Words], Matcher]]] = {
    "permit": _permit,
    "stop": _stop,
    "deny": _deny,
    "left": _left,
    "objects": _objects,
    "repeat": _repeat,
    "revoked": _revoked(PermitState.REVOKED),
    "expired": _revoked(PermitState.EXPIRED),
    "cancel": _cancel,
    "lock": _lock,
    "unlock": _unlock,
    "goal": _goal,
    "baseline": _baseline,
    "event": _event,
    "alert": _alert,
    "fence": _fence,
    "exit": _exit,
}
"""Outputs that a line may expect, or with `no` before it must not see, by the first word of the clause."""

SHARED: Final = ("objects", "cancel", "fence")
"""Outputs of which one can meet several expectations: the objections of one decision, the orders of one cancellation."""

KINDS: Final[dict[str, Matcher]] = {
    "decision": lambda output: isinstance(output, Decision),
    "permit": lambda output: isinstance(output, PermitIssued) and not is_stop(output),
    "stop": lambda output: isinstance(output, PermitIssued) and is_stop(output),
    "lock": lambda output: isinstance(output, LockChanged) and output.until_ns != 0,
    "unlock": lambda output: isinstance(output, LockChanged) and output.until_ns == 0,
    "revoked": lambda output: isinstance(output, PermitRevoked),
    "goal": lambda output: isinstance(output, FlattenGoal) and output.active,
    "baseline": lambda output: isinstance(output, BaselineSet),
    "event": lambda output: isinstance(output, RiskEvent),
    "alert": lambda output: isinstance(output, Alert),
    "fence": lambda output: isinstance(output, FenceRaised),
    "cancel": lambda output: isinstance(output, CancelOrders),
    "exit": lambda output: isinstance(output, ExitProposed),
}
"""What `no KIND` alone excludes; the end of a lock or goal is none."""


def _period(name: str) -> Callable[["Run"], float]:
    return lambda run: next(row.open_equity for row in run.bench.engine.state.calendars if row.name == name)


FIGURES: Final[dict[str, Callable[["Run"], float]]] = {
    "peak": lambda run: run.bench.engine.state.account.equity_peak,
    "drawdown-ref": lambda run: run.bench.engine.state.account.drawdown_ref,
    "initial": lambda run: run.bench.engine.state.account.initial_balance,
    "own": lambda run: run.bench.engine.state.account.own_equity,
    "streak": lambda run: float(run.bench.engine.state.account.loss_streak),
    "day-open": _period("day"),
    "week-open": _period("week"),
}
"""Figures of the account that a line may expect, in account currency."""


def figure_of_symbol(run: "Run", what: str, symbol: str) -> float:
    """What a line may expect of a symbol: its `position`, its `pending` openings in base units, its `stop-of`."""
    row = run.row(symbol)
    if what == "stop-of":
        return row.stop_price
    steps = row.position if what == "position" else row.pending_buy + row.pending_sell
    return run.bench.book.instruments[symbol].quantity(steps)


def state_is(run: "Run", name: str) -> bool:
    """Whether the account's trading state has the name."""
    return trading_state(run.bench.engine.state) is TradingState[name]


def code_named(words: Words) -> Code:
    """The next word as a reason code."""
    word = words.next("a code")
    if word not in Code.__members__:
        raise words.line.invalid(f"{word!r} is no code: `interlock guards` lists them")
    return Code[word]
