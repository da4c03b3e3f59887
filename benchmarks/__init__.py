"""Speed, measured side by side in one run: a ratio means the same on every machine, a time does not."""
