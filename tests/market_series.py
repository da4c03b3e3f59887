"""Series of closes for tests of the market state, as logarithms."""

import random
from itertools import accumulate

from hypothesis import strategies as st

KINDS = ("walk", "trend", "flat", "jumps", "alternating", "coarse")


def a_walk(kind: str, seed: int, length: int) -> list[float]:
    """So many logarithms of closes of a market of that kind."""
    chance = random.Random(seed)
    scale: float = 10.0 ** chance.uniform(-5.0, -1.5)

    def move(number: int) -> float:
        if kind == "flat":
            return 0.0
        if kind == "alternating":
            return scale if number % 2 else -scale
        if kind == "coarse":
            return scale * chance.choice((-1, 0, 0, 0, 1))
        jump = 30.0 if kind == "jumps" and chance.random() < 0.02 else 1.0
        return scale * (chance.gauss(0.4 if kind == "trend" else 0.0, 1.0) * jump)

    return list(accumulate((move(number) for number in range(length - 1)), initial=chance.uniform(-3.0, 12.0)))


def walks(length: int) -> st.SearchStrategy[list[float]]:
    """Any such series."""
    return st.builds(a_walk, st.sampled_from(KINDS), st.integers(0, 2**32), st.just(length))
