"""
The way out: when a position is left, in which parts, and with which stop.

`kernel` and `rules` compute, `watch` looks at every held position and proposes, `pursuit` gets what was proposed closed.
"""
