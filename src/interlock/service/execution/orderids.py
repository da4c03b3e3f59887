"""
The names under which our orders are known at the venue.

A name says whose order it is and which permit it carries out, so that what the venue tells finds its permit, and so that
one permit can never become two open orders. A close that an operator sends past the engine has a name without a permit.
"""

from base64 import b32encode
from hashlib import sha256
from typing import Final

from interlock.service.execution.signing import Realm

CLIENT_ID_CHARS_MAX: Final = 36
"""The longest name that venues take."""

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_TAG_CHARS: Final = 12
_PERMIT: Final = "p"
_DIRECT: Final = "d"


def _text(number: int) -> str:
    """The number in base 36; at most 13 characters for 64 bits."""
    digits = ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits or "0"


def _number(text: str) -> int | None:
    """The number, where the text is exactly how we would write it."""
    if not text or not all(digit in _DIGITS for digit in text):
        return None
    number = int(text, len(_DIGITS))
    return number if number < 1 << 64 and _text(number) == text else None


class OrderIds:
    """
    Names of one account's orders: `il` for us, twelve characters of the account, a letter, and a number.

    They hold only lower-case letters, digits and hyphens, and differ between accounts, environments and venues.
    """

    def __init__(self, realm: Realm) -> None:
        whose = b"\0".join(part.encode() for part in (realm.environment, realm.account, realm.venue))
        self._prefix = f"il-{b32encode(sha256(whose).digest()).decode().lower()[:_TAG_CHARS]}-"

    def of(self, permit: int) -> str:
        """The name of the permit's one order."""
        assert 0 <= permit < 1 << 64
        return f"{self._prefix}{_PERMIT}{_text(permit)}"

    def permit_in(self, client_id: str) -> int | None:
        """The permit that an order of this name carries out; None where it is another's, or carries out none."""
        head = self._prefix + _PERMIT
        return _number(client_id[len(head) :]) if client_id.startswith(head) else None

    def direct(self, at_ns: int, count: int) -> str:
        """A name for the `count`-th close that is sent past the engine at that instant."""
        return f"{self._prefix}{_DIRECT}{_text(at_ns // 1000)}-{_text(count % 1000)}"

    def is_ours(self, client_id: str) -> bool:
        """Whether the order is this account's by name."""
        return client_id.startswith(self._prefix)
