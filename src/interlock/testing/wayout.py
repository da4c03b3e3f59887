"""The two published parameter sets of the way out, as TOML to lay over a policy."""

from typing import Final

_PROTECTION: Final = """
[market]
age = "3 h"
trend = "90 %"
chop = "65 %"
[rules]
STOP_EXIT = "on"
TARGET_EXIT = "on"
[rules.TAKE_PROFIT]
distance = "1.2 x"
trend = "60 %"
[rules.TRAILING_STOP]
distance = "1 x"
[rules.TIME_EXIT]
bar = "15 min"
young_idle = 12
young = 24
old_idle = 24
[rules.REGIME_EXIT]
loss = "1 %"
[rules.LOSS_EXIT]
loss = "12.5 %"
"""

_HARVEST: Final = """
[exits]
cost = "{cost}"
[rules.HARVEST]
first = "{first}"
second = "{second}"
third = "{third}"
[rules.PROFIT_LOCK]
from = "{lock}"
beyond = "{beyond}"
[rules.KILL_EXIT]
score = "{kill}"
[score]
flip_weight = "{k1}"
sigma_weight = "{k2}"
strength_weight = "{k3}"
age_weight = "{k4}"
sigma_cap = "{sigma_cap}"
strength_cap = "{strength_cap}"
age = "{age}"
"""

_A: Final = {
    "cost": "10 bps", "first": "2 x", "second": "4 x", "third": "6 x", "lock": "1.5 x", "beyond": "0.2 %",
    "kill": "60 %", "k1": "1 x", "k2": "0.5 x", "k3": "0.5 x", "k4": "0.3 x",
    "sigma_cap": "2 x", "strength_cap": "50 %", "age": "86400 s",
}  # fmt: skip
_B: Final = {
    "cost": "12 bps", "first": "1.8 x", "second": "3.5 x", "third": "5.8 x", "lock": "1.2 x", "beyond": "0.3 %",
    "kill": "55 %", "k1": "0.8 x", "k2": "0.6 x", "k3": "0.4 x", "k4": "0.2 x",
    "sigma_cap": "1.8 x", "strength_cap": "45 %", "age": "72000 s",
}  # fmt: skip

_BY_ENTRY: Final = 'flip = "label"\nsigma = "entry"\nstrength = "entry"\n'
_IN_NUMBERS: Final = {
    "A": 'flip = "30 %"\nsigma = "1 %"\nstrength = "30 %"\n',
    "B": 'flip = "25 %"\nsigma = "1.2 %"\nstrength = "35 %"\n',
}

EXITS: Final[dict[str, str]] = {
    name: f"{_PROTECTION}{_HARVEST.format(**numbers)}{references}"
    for letter, numbers in (("A", _A), ("B", _B))
    for name, references in ((letter, _BY_ENTRY), (f"{letter}-numbers", _IN_NUMBERS[letter]))
}
"""By name: `A` and `B` compare the market with that at entry, `A-numbers` and `B-numbers` with their own references."""
