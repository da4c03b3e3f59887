"""
The public test kit: everything a user needs to try a policy or a strategy against the real engine.

`clock` is time that tests move, `builders` gives a healthy engine in one call, `bench` holds it together with the venue's
side of the story, `scenario` runs stories written as text. For a whole gateway: `unruly` is a venue that misbehaves, `disk`
a disk that does as it is told, `journal` what a paper venue's file remembers, and `auditor` compares venue, spent-set and
ledger. Nothing here replaces a part of the engine.
"""

from interlock.testing.bench import Bench
from interlock.testing.builders import make_instrument, make_policy, open_bench
from interlock.testing.clock import FakeClock
from interlock.testing.scenario import Story, StoryFailed, StoryInvalid, read_stories, tell

__all__ = [
    "Bench",
    "FakeClock",
    "Story",
    "StoryFailed",
    "StoryInvalid",
    "make_instrument",
    "make_policy",
    "open_bench",
    "read_stories",
    "tell",
]
