"""A gateway's folder: what is written there once, and what is read there before every opening."""
