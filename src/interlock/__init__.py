"""A fail-closed, never-trapping gate between trading strategies and venues."""
