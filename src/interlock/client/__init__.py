"""What a strategy, an agent or a script uses to ask a running gateway: `Client`, typed and synchronous."""

from interlock.client.client import Client
from interlock.client.errors import CommandRefused, GatewayUnreachable
from interlock.core.codes import CloseAction
from interlock.core.envelope import Envelope, Room
from interlock.core.messages import BUY, SELL, BarClosed, Executed, Intent, MarketState
from interlock.service.api import Answer, Exits, Status
from interlock.service.desk.desk import PolicyView
from interlock.service.desk.wire import KeyUnreadable

__all__ = [
    "BUY",
    "SELL",
    "Answer",
    "BarClosed",
    "Client",
    "CloseAction",
    "CommandRefused",
    "Envelope",
    "Executed",
    "Exits",
    "GatewayUnreachable",
    "Intent",
    "KeyUnreadable",
    "MarketState",
    "PolicyView",
    "Room",
    "Status",
]
