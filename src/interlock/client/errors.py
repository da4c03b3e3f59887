"""How asking a gateway fails, each named for its remedy."""

from interlock.core.errors import InterlockError


class GatewayUnreachable(InterlockError):
    """No gateway answered, or none that holds the source's key; nothing may be assumed to have happened."""


class CommandRefused(InterlockError):
    """The gateway said no; the message is its own and names the remedy."""
