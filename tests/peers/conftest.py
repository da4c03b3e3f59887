"""The peers' environment, where it is there."""

import pytest

from required_parts import Requires


@pytest.fixture(scope="module")
def peers(requires: Requires) -> None:
    """The peers are installed in an environment of their own."""
    requires("peers")
