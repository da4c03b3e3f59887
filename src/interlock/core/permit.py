"""
The life of a permit, as one table.

ISSUED becomes SPENT, EXPIRED or REVOKED, exactly one of them. What was spent ends FILLED, CANCELLED or REJECTED, if need
be by way of UNKNOWN. A result may arrive late, so an order that was believed over can still turn out to have worked or
filled: the venue's truth wins, and the amounts are cumulative.
"""

from typing import Final

from interlock.core.codes import PermitState as P

ENDED: Final = frozenset({P.FILLED, P.CANCELLED, P.REJECTED, P.EXPIRED, P.REVOKED})
"""States in which nothing of the permit is reserved any more."""

IN_FLIGHT: Final = frozenset({P.SPENT, P.WORKING, P.PARTIAL, P.UNKNOWN})
"""States in which an order is, or may be, at the venue."""

RESTING: Final = frozenset({P.WORKING, P.PARTIAL})
"""States in which an order is known to be at the venue."""

TRANSITIONS: Final[dict[P, frozenset[P]]] = {
    P.ISSUED: frozenset({P.SPENT, P.EXPIRED, P.REVOKED}),
    P.SPENT: frozenset({P.WORKING, P.PARTIAL, P.FILLED, P.CANCELLED, P.REJECTED, P.UNKNOWN}),
    P.WORKING: frozenset({P.PARTIAL, P.FILLED, P.CANCELLED, P.REJECTED, P.UNKNOWN}),
    P.PARTIAL: frozenset({P.PARTIAL, P.FILLED, P.CANCELLED, P.UNKNOWN}),
    P.UNKNOWN: frozenset({P.WORKING, P.PARTIAL, P.FILLED, P.CANCELLED, P.REJECTED}),
    P.FILLED: frozenset(),
    P.CANCELLED: frozenset(),
    P.REJECTED: frozenset(),
    P.EXPIRED: frozenset(),
    P.REVOKED: frozenset(),
}
