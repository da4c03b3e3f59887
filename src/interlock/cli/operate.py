"""`interlock close`, `release`, `rebase`, `adopt`: what reasons tell a user to have an operator do."""

from math import nan
from typing import Annotated

import typer

from interlock.cli.gateway import ByOption, HomeOption, asking, found, operator, scope_text, scoped, who
from interlock.cli.kill import JsonOption, ScopeOption, show_started
from interlock.cli.output import Mistake, show_json
from interlock.core.codes import Code
from interlock.service.desk.desk import TEXT_MAX, Adopt, Close, Question, Rebase, Release, Started, Told
from interlock.service.home.home import Home

NamedBy = Annotated[str, typer.Option(help="Who answers for it.")]
Reason = Annotated[str, typer.Option(help="Why; it goes on record.")]


def close(
    symbol: Annotated[str, typer.Argument(help="Whose position to close.")],
    *,
    reason: Reason = "closed by hand",
    by: ByOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """
    Send one closing order for a whole position. Openings go on; `interlock flatten` insists until it is flat.

    For example:

        interlock close BTCUSDT --reason "before the weekend"

    Exit codes: 0 sent, 1 the gateway refused, 2 bad input, 3 the gateway does not answer.
    """
    with asking():
        told = _told(found(home), Close(symbol, who(by), reason[:TEXT_MAX]))
        assert isinstance(told, Started)
        show_started(told, as_json=as_json)


def release(
    lock: Annotated[
        str, typer.Argument(metavar="LOCK", help="Its code, such as WEEKLY_LOSS; `interlock status` lists them.")
    ],
    *,
    scope: ScopeOption = "account",
    by: NamedBy,
    reason: Reason = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """
    End a lock that waits for an operator: the circuit breaker, a stopped strategy, a vetoed symbol.

    Its counters start afresh; a loss limit that is still broken locks again. The kill switch is reset, not released.

    For example:

        interlock release WEEKLY_LOSS --by alice --reason "reviewed the week"
        interlock release RUNAWAY --scope strategy:trend --by alice

    Exit codes: 0 released, 1 the gateway refused, 2 bad input, 3 the gateway does not answer: nothing is released.
    """
    with asking():
        place, (kind, key) = found(home), scoped(scope)
        if lock.upper() not in Code.__members__:
            raise Mistake(f"there is no lock {lock!r}: `interlock status` lists those in force")
        code = Code[lock.upper()]
        _told(place, Release(kind, key, code, who(by), reason[:TEXT_MAX]))
        say(
            f"Released {code} of {scope_text(kind, key)}.",
            {"released": code, "scope": kind, "scope_key": key},
            as_json=as_json,
        )


def rebase(
    *,
    by: NamedBy,
    reason: Reason = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """
    Take present equity as the new peak and drawdown reference. What was lost before no longer counts.

    For example:

        interlock rebase --by alice --reason "new month, reviewed"

    Exit codes: 0 done, 1 the gateway refused, 2 bad input, 3 the gateway does not answer: nothing is changed.
    """
    with asking():
        _told(found(home), Rebase(who(by), reason[:TEXT_MAX]))
        say("Present equity is the reference.", {"rebased": True}, as_json=as_json)


def adopt(
    symbol: Annotated[str, typer.Argument(help="Whose position.")],
    *,
    stop: Annotated[float, typer.Option(help="The price of its protective stop, which then rests at the venue.", min=0.0)],
    target: Annotated[float | None, typer.Option(help="The price at which it is closed with a profit.", min=0.0)] = None,
    strategy: Annotated[str, typer.Option(help="For which strategy; the policy's only one by default.")] = "",
    reason: Reason = "",
    by: ByOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """
    Have a position looked after that was opened outside the gate: with that stop, and by the policy's exit rules.

    Until then the engine neither closes nor stops it. Its age and its market at entry count from here.

    For example:

        interlock adopt BTCUSDT --stop 59000
        interlock adopt ETHUSDT --stop 2100 --target 1800 --strategy trend --by alice

    Exit codes: 0 adopted, 1 the gateway refused (the stop lies on the wrong side, nothing is held), 2 bad input, 3 the
    gateway does not answer: nothing is adopted.
    """
    with asking():
        wanted = nan if target is None else target
        _told(found(home), Adopt(symbol, stop, who(by), strategy, wanted, reason[:TEXT_MAX]))
        say(f"{symbol} is looked after, with its stop at {stop:,.8g}.", {"adopted": symbol, "stop": stop}, as_json=as_json)


def _told(place: Home, question: Question) -> Told:
    with operator(place) as gateway:
        return gateway.ask(question)


def say(line: str, told: dict[str, object], *, as_json: bool) -> None:
    """What was done is on standard output."""
    if as_json:
        show_json(told)
    else:
        typer.echo(line)
