"""The engine in time: what comes in is put in line, decided step by step, and recorded."""
