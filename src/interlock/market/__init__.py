"""
Market state from bars: how far a symbol ranges, how much it moves, and whether it goes somewhere.

`MarketSeries` turns the closed bars of one symbol into inputs for the engine, which never computes any of it. `kernel`
holds the arithmetic: plain functions over flat numbers that run interpreted and compiled, to the same bit.
"""

from interlock.market.series import MarketSeries

__all__ = ["MarketSeries"]
