"""The demo: an example strategy with leverage on shipped market data, with and without the gate."""
