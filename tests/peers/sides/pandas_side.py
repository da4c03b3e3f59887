"""Answers for pandas: the correlation around zero of its exponentially weighted means, told once for each pair."""

import json
import sys
from typing import Any

import pandas as pd


def answer(asked: dict[str, Any]) -> float:
    """The correlation after the last pair."""
    x, y = pd.Series(asked["x"]), pd.Series(asked["y"])
    means = [(a * b).ewm(alpha=1.0 - asked["decay"], adjust=False).mean().iloc[-1] for a, b in ((x, y), (x, x), (y, y))]
    return float(means[0] / (means[1] * means[2]) ** 0.5)


json.dump([answer(each) for each in json.load(sys.stdin)], sys.stdout)
