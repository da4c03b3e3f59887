"""Margin leverage at the venue: as the permit says before anything is opened, or nothing is."""

from interlock.adapters.venue import VenueRejected
from interlock.core.errors import InterlockError
from interlock.service.execution.budget import WEIGHT_LEVERAGE, WEIGHT_POSITIONS, WEIGHT_QUERY
from interlock.service.execution.line import Line


class LeverageUnset(InterlockError):
    """The venue's margin leverage is not the permitted one; `benign` where that says nothing about anybody's health."""

    def __init__(self, reason: str, *, benign: bool) -> None:
        self.benign = benign
        super().__init__(reason)


async def ensure_leverage(line: Line, symbol: str, leverage: float, *, moving: bool) -> None:
    """
    The venue has read back the permitted leverage; NaN permits whatever it is.

    It is set only while the symbol is flat and no opening is under way in it (`moving`).

    Raises:
        LeverageUnset: it is another, and could not be changed.
        VenueUnreachable: the venue did not say.
    """
    if leverage != leverage:
        return
    found = await line.ask(line.venue.leverage(symbol), WEIGHT_QUERY)
    if found == leverage:
        return
    differs = f"margin leverage of {symbol} is {found:g} at the venue, permitted is {leverage:g}"
    positions = await line.ask(line.venue.positions(), WEIGHT_POSITIONS)
    if moving or any(each.symbol == symbol and each.steps for each in positions.positions):
        raise LeverageUnset(f"{differs}, and it can only be changed while flat", benign=True)
    try:
        await line.act(line.venue.set_leverage(symbol, leverage), WEIGHT_LEVERAGE)
    except VenueRejected as error:
        raise LeverageUnset(f"{differs}, and the venue refused the change: {error}", benign=False) from error
    found = await line.ask(line.venue.leverage(symbol), WEIGHT_QUERY)
    if found != leverage:
        raise LeverageUnset(f"{differs}, and after the change it reads {found:g}", benign=False)
