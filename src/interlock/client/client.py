"""
Asking the gate from a program.

What matters here is what is said when nothing is known: an order is answered by an `Answer`, always. Where the gateway is
down, slow, refuses the key or says something unreadable, its headline is UNANSWERED and nothing is granted. No order is
ever sent twice by itself; one with the same id may be sent again by the caller, and is not executed twice.
"""

import asyncio
from collections.abc import Iterable
from math import nan
from pathlib import Path
from time import time_ns
from types import TracebackType
from typing import Final, Self, TypedDict, Unpack
from uuid import uuid4

from interlock.client.errors import CommandRefused, GatewayUnreachable
from interlock.client.ways import InsideWay, SocketWay, Way
from interlock.core.codes import CloseAction, Code, Partial
from interlock.core.envelope import Envelope
from interlock.core.messages import BUY, SELL, BarClosed, Executed, Instruction, Intent, MarketState, Rebalance
from interlock.service.api import Answer, Cancelled, Exits, Rebalanced, Status
from interlock.service.desk.desk import (
    Beat,
    CancelOrder,
    Desk,
    DryRun,
    DryRunRebalance,
    GetAllowed,
    GetExits,
    GetPolicy,
    GetStatus,
    PolicyView,
    Question,
    Report,
    Submit,
    SubmitRebalance,
    TellMarket,
    Told,
)
from interlock.service.desk.wire import SOCKET_NAME, read_key

TIMEOUT_S: Final = 5.0
TIMEOUT_S_MAX: Final = 3600.0


class Wish(TypedDict, total=False):
    """The rest of an intent: `quantity` in base units or `notional` in account currency, prices, what else it wants."""

    quantity: float
    notional: float
    limit_price: float
    stop_price: float
    target_price: float
    margin_leverage: float
    reduce_only: bool
    partial: Partial


class Client:
    """One source's way to a running gateway; any number of threads may share it."""

    def __init__(self, way: Way, source: str, timeout_s: float = TIMEOUT_S) -> None:
        if not 0.0 < timeout_s <= TIMEOUT_S_MAX:
            raise ValueError(f"timeout_s is a number of seconds, more than 0 and at most {TIMEOUT_S_MAX:g}")
        self.source = source
        self._way = way
        self._timeout_s = timeout_s

    @classmethod
    def connect(
        cls, where: Path | str, *, source: str, key: Path | bytes | None = None, timeout_s: float = TIMEOUT_S
    ) -> Self:
        """
        A client over the local socket. The gateway need not run yet, and may come and go.

        Args:
            where: the gateway's home, or its socket.
            source: who asks, as the policy names it.
            key: the source's key or the file that holds it; by default the one in the home.
            timeout_s: how long to wait for any answer.

        Raises:
            KeyUnreadable: there is no such key, or others can read it.
        """
        place = Path(where)
        path = place if place.suffix == ".sock" else place / SOCKET_NAME
        if not isinstance(key, bytes):
            key = read_key(path.parent / "keys" / "sources" / f"{source}.key" if key is None else key)
        return cls(SocketWay(path, source, key), source, timeout_s)

    @classmethod
    def inside(cls, desk: Desk, loop: asyncio.AbstractEventLoop, *, source: str, timeout_s: float = TIMEOUT_S) -> Self:
        """A client in the gateway's own process, for use from any other thread than the event loop's."""
        return cls(InsideWay(desk, loop, source), source, timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """No connection is held open; the next question opens one."""
        self._way.close()

    # ------------------------------------------------------------ orders

    def decide(self, intent: Intent) -> Answer:
        """What the answer would be now. Nothing is consumed or recorded, and nothing leaves."""
        return self._answer(intent, DryRun(intent))

    def submit(self, intent: Intent, *, execute_here: bool = False) -> Answer:
        """
        The gate's answer; what it granted is on its way to the venue.

        With `execute_here` it is not: the answer's permits are then the caller's to execute, each exactly once and no
        larger, and what became of each is to be told with `report`.
        """
        return self._answer(intent, Submit(intent, execute_here))

    def decide_rebalance(self, rebalance: Rebalance) -> Rebalanced:
        """What the answer would be now. Nothing is consumed or recorded, and nothing leaves."""
        return self._rebalanced(rebalance, DryRunRebalance(rebalance))

    def rebalance(self, rebalance: Rebalance) -> Rebalanced:
        """
        The gate's answer to the instructions as a whole; what it granted is on its way to the venue.

        What reduces leaves first. An opening that does not fit before reductions have filled `waits` in the gateway, which
        decides and executes it then; nobody needs to be there. A later rebalance of the strategy ends what waits.
        Told again, with the same id or as the next one, nothing is opened or reduced twice.
        """
        return self._rebalanced(rebalance, SubmitRebalance(rebalance))

    def cancel(self, name: str) -> Cancelled:
        """
        The intent or rebalance of that id opens no more than it has, but for what fills before the venue has cancelled it.

        What closes is not cancelled, and an order cannot be amended: cancel it and send a new intent.

        Raises:
            GatewayUnreachable: it may still open.
            CommandRefused: the gateway cannot tell, and why.
        """
        told = self.ask(CancelOrder(name))
        assert isinstance(told, Cancelled)
        return told

    def report(self, executed: Executed) -> None:
        """
        What became of a permit that was executed here is on record. Amounts are cumulative: repeats change nothing.

        Raises:
            GatewayUnreachable: it may not be on record; report it again.
            CommandRefused: the permit is not this source's.
        """
        self.ask(Report(executed))

    def heartbeat(self) -> None:
        """
        The gate knows that this source is alive; whoever owns the exits tells it more often than the policy's patience.

        Raises:
            GatewayUnreachable: it may not know.
        """
        self.ask(Beat())

    def tell_market(self, event: MarketState | BarClosed) -> None:
        """
        The engine knows the market state, or the bar; of states of one symbol the newest counts.

        Raises:
            GatewayUnreachable: it may not know.
            CommandRefused: the policy does not know this source, or the symbol is not known.
        """
        self.ask(TellMarket(event))

    def propose_exit(
        self,
        symbol: str,
        side: int,
        *,
        rung: str,
        close: CloseAction = CloseAction.NONE,
        stop_price: float = nan,
        strategy: str = "",
    ) -> Answer:
        """
        The gate's answer to an exit proposal: the position is reduced, its stop moves, or both.

        The headline is ALLOWED where it stands; then what is to be closed is closed, however often an order for it fails.
        `granted_steps` is what leaves now, 0 where only the stop moves.

        Args:
            symbol: whose position.
            side: the side that closes it, BUY or SELL: a position that was turned round meanwhile is left alone.
            rung: what the proposal answers to; each name of the built-in rungs acts once in the life of a position.
            close: how much is to be closed in all, of the largest quantity held.
            stop_price: the new stop, which is only ever tightened; NaN leaves it.
            strategy: whose position, where nothing is held for one.
        """
        intent = Intent(
            uuid4().hex, self.source, strategy, symbol, side, stop_price=stop_price, reduce_only=True,
            created_at_ns=time_ns(), rung=rung, close=close,
        )  # fmt: skip
        if not rung:
            return Answer(intent.id, Code.MALFORMED, note="an exit proposal names its rung")
        return self.submit(intent)

    def buy(self, symbol: str, strategy: str, **wish: Unpack[Wish]) -> Intent:
        """An intent to buy, made now, with an id of its own."""
        return self._intent(symbol, strategy, BUY, wish)

    def sell(self, symbol: str, strategy: str, **wish: Unpack[Wish]) -> Intent:
        """An intent to sell, made now, with an id of its own."""
        return self._intent(symbol, strategy, SELL, wish)

    def instruct(
        self, strategy: str, instructions: Iterable[Instruction], *, partial: Partial = Partial.SCALE
    ) -> Rebalance:
        """A rebalance of these instructions, made now, with an id of its own."""
        return Rebalance(uuid4().hex, self.source, strategy, tuple(instructions), partial, time_ns())

    # ------------------------------------------------------------ reading

    def policy(self) -> PolicyView | None:
        """
        The policy in force as this source sees it; None where none is verified and unexpired.

        Raises:
            GatewayUnreachable: nothing is known.
        """
        told = self.ask(GetPolicy())
        assert told is None or isinstance(told, PolicyView)
        return told

    def status(self) -> Status:
        """
        Everything that a person on duty wants to see.

        Raises:
            GatewayUnreachable: nothing is known.
        """
        told = self.ask(GetStatus())
        assert isinstance(told, Status)
        return told

    def exits(self) -> Exits:
        """
        The way out of every position: who acts, each rule with its threshold, and how far it is.

        Raises:
            GatewayUnreachable: nothing is known.
        """
        told = self.ask(GetExits())
        assert isinstance(told, Exits)
        return told

    def allowed(self, symbol: str = "", *, stop_frac: float = nan) -> Envelope:
        """
        What this source may open now: for each strategy, symbol and side the largest order, what binds it, until when.

        Nothing is reserved by it, so an order of that size is answered for itself when it comes.

        Args:
            symbol: only this one.
            stop_frac: distance of the orders' stops, as a share of the mark; without it they name none.

        Raises:
            GatewayUnreachable: nothing is known, so nothing may be opened.
            CommandRefused: the gateway cannot tell, and why.
        """
        told = self.ask(GetAllowed(symbol, stop_frac))
        assert isinstance(told, Envelope)
        return told

    def ask(self, question: Question) -> Told:
        """
        What the gateway says to any question; commands are for the operator's key.

        Raises:
            GatewayUnreachable: nothing is known, not even whether the question was heard.
            CommandRefused: the gateway said no, and why.
        """
        return self._way.ask(question, self._timeout_s)

    def _answer(self, intent: Intent, question: Submit | DryRun) -> Answer:
        try:
            answer = self.ask(question)
        except (GatewayUnreachable, CommandRefused) as error:
            return Answer(intent.id, Code.UNANSWERED, note=str(error))
        if not isinstance(answer, Answer) or answer.intent_id != intent.id:
            return Answer(intent.id, Code.UNANSWERED, note="the gateway answered to something else")
        return answer

    def _rebalanced(self, rebalance: Rebalance, question: SubmitRebalance | DryRunRebalance) -> Rebalanced:
        try:
            told = self.ask(question)
        except (GatewayUnreachable, CommandRefused) as error:
            return Rebalanced(rebalance.id, Code.UNANSWERED, note=str(error))
        if not isinstance(told, Rebalanced) or told.rebalance_id != rebalance.id:
            return Rebalanced(rebalance.id, Code.UNANSWERED, note="the gateway answered to something else")
        return told

    def _intent(self, symbol: str, strategy: str, side: int, wish: Wish) -> Intent:
        return Intent(uuid4().hex, self.source, strategy, symbol, side, created_at_ns=time_ns(), **wish)
