"""The hash-chained record of every step."""
