"""`interlock status`: how a running gateway stands, and UNKNOWN where none answers."""

from collections.abc import Iterator
from typing import Annotated, Final

import typer

from interlock.cli.gateway import UNREACHABLE, HomeOption, asking, found, operator
from interlock.cli.kill import JsonOption, switch_text, switch_told
from interlock.cli.live import page
from interlock.cli.output import out, show_json, utc
from interlock.client import GatewayUnreachable
from interlock.core.codes import Code, TradingState
from interlock.core.wording import measured, money, share
from interlock.service.api import LimitStatus, Status
from interlock.service.home.home import Home
from interlock.service.home.latch import KillLatch

LIMITS: Final = (
    ("per symbol", (Code.SYMBOL_EXPOSURE,)),
    ("per strategy", (Code.STRATEGY_EXPOSURE,)),
    ("portfolio-wide", (Code.TOTAL_EXPOSURE, Code.NET_EXPOSURE)),
    ("max positions", (Code.CONCURRENT_POSITIONS,)),
)
"""The limits that people ask for first, under the names they use."""

_OF_THE_WHOLE: Final = {Code.TOTAL_EXPOSURE: "gross", Code.NET_EXPOSURE: "net"}


def status(
    *,
    safety: Annotated[
        bool, typer.Option("--safety", help="Only kill switch, circuit breaker and position limits.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """
    Say how the running gateway stands: what may leave, equity, positions and their stops, locks, the last decisions.

    Nothing is guessed: a gateway that does not answer is UNKNOWN, never INACTIVE.

    For example:

        interlock status
        interlock status --safety
        interlock status --json --home interlock-home

    Exit codes: 0 the gateway has answered, 2 no such home, 3 it has not: nothing is known.
    """
    with asking():
        place = found(home)
        try:
            with operator(place) as gateway:
                told = gateway.status()
        except GatewayUnreachable as error:
            _show_unknown(place, error, as_json=as_json)
            raise typer.Exit(UNREACHABLE) from None
        if as_json:
            show_json(_safety_told(told) | ({} if safety else {"status": told}))
            return
        for line in _safety(told):
            typer.echo(line)
        if not safety:
            console = out()
            console.print(page(told, _currency(told), console.width))


def _show_unknown(place: Home, silence: GatewayUnreachable, *, as_json: bool) -> None:
    """UNKNOWN for everything, and what the disk says of the kill switch meanwhile."""
    on_disk = KillLatch(place).state()
    if as_json:
        disk = {"switch": on_disk.switch.value, "entries": [switch_told(entry) for entry in on_disk.entries]}
        show_json({"kill_switch": "UNKNOWN", "circuit_breaker": "UNKNOWN", "why": str(silence), "on_disk": disk})
        return
    typer.echo("Kill Switch: UNKNOWN")
    typer.echo("Circuit Breaker: UNKNOWN")
    typer.echo("Position Limits: UNKNOWN")
    typer.echo(f"Why: {silence}")
    for entry in on_disk.entries:
        typer.echo(f"On the disk: {switch_text(entry)}")


def _safety(told: Status) -> Iterator[str]:
    killed = [switch for switch in told.kill if switch.active]
    yield "Kill Switch: " + ("; ".join(map(switch_text, killed)) or "INACTIVE")
    yield f"Circuit Breaker: {_breaker(told)}"
    yield "Position Limits:"
    for name, codes in LIMITS:
        limits = [limit for limit in told.limits if limit.code in codes]
        for limit in limits:
            yield f"  {name:<15} {_limit(limit)}"
        if not limits:
            yield f"  {name:<15} no limit in force"


def _breaker(told: Status) -> str:
    if told.breaker:
        return f"OPEN ({', '.join(f'{lock.code} until {utc(lock.until_ns)}' for lock in told.breaker)})"
    if told.trading_state is TradingState.ACTIVE:
        return "CLOSED (trading enabled)"
    return f"CLOSED (but trading is {told.trading_state.name})"


def _limit(limit: LimitStatus) -> str:
    whose = limit.scope or _OF_THE_WHOLE.get(limit.code, "")
    used = share(limit.use / limit.limit) if limit.use >= 0.0 and limit.limit > 0.0 else ""
    return f"{whose:<12} {_amount(limit.use, limit):>16} of {_amount(limit.limit, limit):>16}  {used:>6}".rstrip()


def _amount(value: float, limit: LimitStatus) -> str:
    return measured(value, "count") if limit.unit == "count" else money(value, limit.unit)


def _safety_told(told: Status) -> dict[str, object]:
    return {
        "kill_switch": "ACTIVE" if any(switch.active for switch in told.kill) else "INACTIVE",
        "circuit_breaker": "OPEN" if told.breaker else "CLOSED",
        "trading_state": told.trading_state.name,
        "kill": [switch_told(switch) for switch in told.kill],
        "breaker": told.breaker,
        "limits": told.limits,
    }


def _currency(told: Status) -> str:
    """The account's, as its limits are told in it; empty where there are none."""
    return next((limit.unit for limit in told.limits if limit.unit != "count"), "")
