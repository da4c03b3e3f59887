"""The same rules over history and over many futures: the only package that compiles."""
