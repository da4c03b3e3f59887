"""From a permit to its one order at the venue, and from what the venue says back to the engine."""
