"""The pure engine: rules, state and messages; no clock, no chance, no input or output."""
