"""The edges of the engine: readers of files, venues and hosts. Nothing here decides."""
