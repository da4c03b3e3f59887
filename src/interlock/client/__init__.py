"""What a strategy, an agent or a script uses to ask a running gateway: `Client`, typed and synchronous."""

from interlock.client.client import Client
from interlock.client.errors import CommandRefused, GatewayUnreachable
from interlock.core.messages import BUY, SELL, Executed, Intent
from interlock.service.api import Answer, Status
from interlock.service.desk.desk import PolicyView
from interlock.service.desk.wire import KeyUnreadable

__all__ = [
    "BUY",
    "SELL",
    "Answer",
    "Client",
    "CommandRefused",
    "Executed",
    "GatewayUnreachable",
    "Intent",
    "KeyUnreadable",
    "PolicyView",
    "Status",
]
