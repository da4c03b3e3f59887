"""What a strategy, an agent or a script uses to ask a running gateway: `Client`, typed and synchronous."""

from interlock.client.client import Client
from interlock.client.errors import CommandRefused, GatewayUnreachable
from interlock.core.codes import Action, CloseAction, Partial
from interlock.core.envelope import Envelope, Room
from interlock.core.messages import (
    BUY,
    SELL,
    BarClosed,
    Executed,
    Instruction,
    Intent,
    MarketState,
    Provenance,
    Rebalance,
)
from interlock.service.api import Answer, Cancelled, Exits, Instructed, Rebalanced, Status
from interlock.service.desk.desk import PolicyView
from interlock.service.desk.wire import KeyUnreadable

__all__ = [
    "BUY",
    "SELL",
    "Action",
    "Answer",
    "BarClosed",
    "Cancelled",
    "Client",
    "CloseAction",
    "CommandRefused",
    "Envelope",
    "Executed",
    "Exits",
    "GatewayUnreachable",
    "Instructed",
    "Instruction",
    "Intent",
    "KeyUnreadable",
    "MarketState",
    "Partial",
    "PolicyView",
    "Provenance",
    "Rebalance",
    "Rebalanced",
    "Room",
    "Status",
]
