"""How two series of returns move together: arithmetic over flat numbers that runs interpreted and compiled alike."""

from math import nan, sqrt


def correlation(x: list[float], y: list[float], count: int, decay: float) -> float:
    """
    The exponentially weighted correlation around zero of `count` pairs of returns; NaN unless both move.

    It starts from the products of the first pair.
    """
    xx = yy = xy = nan
    for i in range(count):
        a, b = x[i], y[i]
        if i == 0:
            xx, yy, xy = a * a, b * b, a * b
        else:
            xx = decay * xx + (1.0 - decay) * a * a
            yy = decay * yy + (1.0 - decay) * b * b
            xy = decay * xy + (1.0 - decay) * a * b
    below = sqrt(xx * yy) if xx * yy > 0.0 else nan
    return xy / below if below > 0.0 else nan
