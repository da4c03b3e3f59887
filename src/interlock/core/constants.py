"""
Constants of definition: numbers that say what a word means, never how much is allowed.

Whatever a person may want to tune is a limit and lives in `limits`; a literal elsewhere in the core may only be
0, 1, -1, 0.5, 2, 1e4, inf or nan.
"""

from typing import Final

NS_PER_S: Final = 1_000_000_000
NS_PER_S_FLOAT: Final = 1e9

OPERATOR_NS: Final = 2**63 - 1
"""The end of a lock that only an operator ends."""

MICROS: Final = 1_000_000
"""Cash is kept in millionths of its currency, as integers."""

MONEY_SCALE: Final = 1e6
"""Comparisons of money round both sides to 1e-6 of account currency."""

SUM_UNIT: Final = 2.0**-64
"""Sums over positions are kept in whole numbers of so much account currency: finer than any price times any step."""

SUM_MAX: Final = 2.0**512
UNKNOWN_AMOUNT: Final = 2**1024
"""Known amounts are less than the first, in those units; an unknown one counts as the second: no sum of others hides it."""

MAX_STEPS: Final = 2**31 - 1
"""Largest position or order, in venue steps: products of two step counts stay inside 64 bits."""

MAX_CASH: Final = 1e12
"""Largest amount of money believed, in account currency: a million times it stays inside 64 bits."""

STEP_TOLERANCE: Final = 1e-12
"""
Relative room for the float error of `quantity / step` before it is rounded down (0.3 / 0.1 is three steps).

For the most steps that are possible it comes to two thousandths of one: what is not whole is never rounded up.
"""

FIRST_REACH: Final = 1e-9
"""How far from a number its guard's edge is looked for first, as a share of the number."""

PRICE_TOLERANCE: Final = 1e-9
"""A market order's collar price keeps this share of the collar clear, so that rounding never leaves the collar."""

CHOP: Final = 1.0
BASE: Final = 2.0
TREND: Final = 3.0
"""Regimes as numbers, the one that allows least first."""

SCORE_WIDTH: Final = 0.05
"""How far from a threshold of the score a regime is still in doubt: one such width is odds of e to one."""

CLOSES: Final = 257
RETURNS: Final = 256
"""A market state is computed from so many closes of equal bars, and the returns between them; from fewer it is unknown."""

CORRELATION_RETURNS: Final = 128
"""Returns that a correlation looks back on."""

CORRELATION_RETURNS_MIN: Final = 30
"""A correlation of fewer returns is not known."""

WEIGHED_SPARE: Final = 512
"""Symbols that are not open and whose weighed returns are kept all the same."""

GRIDS: Final = 16
"""Sequences of bars that are held once for all symbols that have them."""

ATR_BARS: Final = 14
"""Bars of the average true range, as Wilder has it (New Concepts in Technical Trading Systems, 1978)."""

EWMA_DECAY: Final = 0.94
EWMA_SEED: Final = 10
"""Weight of the past in a moving variance, as RiskMetrics (1996) has it for days; its start is that of so many returns."""

WINSOR_FRAC: Final = 0.01
"""Share of returns at either end that count as no larger than the next ones."""

MAD_SCALE: Final = 1.4826
"""A median absolute deviation, so many times, is the standard deviation of normal returns."""

SPIKE_MAX: Final = 5.0
SPIKE_MIDDLE: Final = 1.2
SPIKE_WIDTH: Final = 0.3
"""From which ratio of robust to moving deviation on the robust one is believed, and how gradually."""

SIGMA_MIN: Final = 1e-6
"""Smallest deviation of a return: a market that does not move is still no certainty."""

SHORT_CLOSES: Final = 64
MIDDLE_CLOSES: Final = 128
LONG_CLOSES: Final = 256
SHORT_WEIGHT: Final = 0.5
MIDDLE_WEIGHT: Final = 0.3
LONG_WEIGHT: Final = 0.2
"""The spans over which a drift is looked for, and what each counts."""

STRENGTH_BARS: Final = 8.0
STRENGTH_SIGMAS: Final = 3.0
"""A drift that covers so many deviations in so many bars is as strong as trends are counted."""

SIGN_PAIRS: Final = 255.0
"""Pairs of returns that follow each other."""

SPIKE_TOLD: Final = 0.5
DROP_TOLD: Final = 0.2
AGE_TOLD: Final = 0.5
"""Components of the kill score beyond which they are told as reasons."""

R_NEUTRAL_FRAC: Final = 0.05
"""A trade within this share of its risk R is neither a win nor a loss."""

SLICE_TOLERANCE: Final = 1e-9
"""A risk that exceeds whole slices by no more of one is rounding."""

SLICES_MAX: Final = 1_000_000
"""Slices that one order can take; a smaller slice counts as if it took so many."""

RING: Final = 32
"""Events a sliding window can count; a policy that asks for more is invalid."""

OUTCOMES: Final = 256
"""Closed trades of a strategy that are remembered; a policy whose window is longer is invalid."""

EPOCH_BITS: Final = 40
"""Ids begin with their epoch; so many bits are left to count within it."""

INTENT_WINDOW: Final = 4096
"""Intent ids remembered for idempotency."""

PERMIT_WINDOW: Final = 4096
"""Ended permits kept, so that a late or repeated result still finds its permit."""

CLOSE_PATIENCE_S_MAX: Final = 5.0
"""A close that is silent for longer never holds up the next one."""

MISMATCH_COUNT: Final = 2
"""Consecutive disagreements between venue and ledger that prove a mismatch."""

TRUST_READS_S: Final = 10.0
"""Two venue clock reads at least this far apart restore trust in the clock."""

UNEXPLAINED_READS_S: Final = 60.0
"""Two joint reads of balance and positions at least this far apart prove an unexplained balance change."""

MARK_FUTURE_S_MAX: Final = 5.0
"""A quote stamped later than this after core time is not believed."""

OWNER_RETURN_S: Final = 60.0
"""An exit owner that was succeeded is believed again after so long a run of heartbeats."""

SILENCES: Final = 2.0
"""How many times its heartbeat limit an exit owner may be silent before the built-in rules succeed it."""

FREEZE_ALERT_NS: Final = 300 * NS_PER_S
"""How often a freeze of exits is announced again while a position is open."""

DOUBLINGS_MAX: Final = 32
"""How often a pause between attempts is doubled at most, whatever its longest is."""

JITTER_STEP: Final = 2654435761
"""Knuth's multiplicative constant: spreads retry delays without chance."""

JITTER_RANGE: Final = 1024
"""Distinct jitters; a retry waits up to half as long again."""

JITTER_SHARE: Final = 1.0 / JITTER_RANGE
"""One jitter as a share of all."""
