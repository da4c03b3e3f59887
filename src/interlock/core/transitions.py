"""
How numbers in rows change: plain functions over flat scalars, the only ones that write to a row.

They are total: any input leaves a consistent row. An integer meets a float only as `float(...)`: the interpreter would
compare the two exactly, compiled code cannot. They know no text, no messages and no tables, so that a batch kernel
can call the same functions on record arrays.
"""

from math import floor, inf, nan

from interlock.core.constants import (
    CLOSE_PATIENCE_S_MAX,
    DOUBLINGS_MAX,
    JITTER_RANGE,
    JITTER_SHARE,
    JITTER_STEP,
    MARK_FUTURE_S_MAX,
    MONEY_SCALE,
    NS_PER_S_FLOAT,
    OPERATOR_NS,
    OUTCOMES,
    R_NEUTRAL_FRAC,
    RING,
    SLICE_TOLERANCE,
    SLICES_MAX,
)
from interlock.core.numbers import share
from interlock.core.state import AccountRow, CalendarRow, ClusterRow, PermitRow, StrategyRow, SymbolRow


def micros(amount: float) -> int:
    """The amount in millionths, rounded half up. Needs |amount| <= MAX_CASH."""
    return floor(amount * MONEY_SCALE + 0.5)


def money(amount: int) -> float:
    """Millionths as a float amount."""
    return float(amount) / MONEY_SCALE


# ---------------------------------------------------------------- time


def core_time(a: AccountRow, wall_ns: int, mono_ns: int, step_s_max: float) -> tuple[int, float]:
    """
    Core time, and whether the clock is trusted (1.0, 0.0; NaN while it was never checked).

    Trust ends when the wall clock runs backwards or parts from the monotonic clock; time then goes on from the last
    trusted instant by the monotonic clock alone.
    """
    trusted = a.clock_trusted
    if trusted == 1.0:
        drift = (wall_ns - a.ref_wall_ns) - (mono_ns - a.ref_mono_ns)
        if drift < 0:
            drift = -drift
        if wall_ns >= a.wall_ns and mono_ns >= a.mono_ns and float(drift) <= step_s_max * NS_PER_S_FLOAT:
            return wall_ns, 1.0
        trusted = 0.0
    if a.now_ns == 0:
        return wall_ns, trusted
    elapsed = mono_ns - a.mono_ns
    return a.now_ns + (elapsed if elapsed > 0 else 0), trusted


def on_time(a: AccountRow, wall_ns: int, mono_ns: int, now_ns: int, trusted: float) -> None:
    """The step's clocks are the last ones seen."""
    a.wall_ns = wall_ns
    a.mono_ns = mono_ns
    a.now_ns = now_ns
    if trusted != a.clock_trusted:
        a.clock_trusted = trusted
        a.trust_read_ns = 0


def on_clock_check(a: AccountRow, venue_ns: int, venue_gap_s_max: float, reads_s: float) -> None:
    """
    The clock is trusted again when the evidence suffices: a first check, or two venue reads far enough apart.

    Where the venue tells time (`venue_ns` > 0) the wall clock must agree with it; where it does not, the first check
    is all the evidence there is.
    """
    agrees = venue_ns <= 0 or float(abs(a.wall_ns - venue_ns)) <= venue_gap_s_max * NS_PER_S_FLOAT
    if not agrees:
        a.clock_trusted = 0.0
        a.trust_read_ns = 0
        return
    if a.clock_trusted != 1.0:
        first_ever = a.clock_trusted != 0.0
        if not first_ever:
            if venue_ns <= 0:
                return
            if a.trust_read_ns == 0:
                a.trust_read_ns = a.mono_ns
                return
            if float(a.mono_ns - a.trust_read_ns) < reads_s * NS_PER_S_FLOAT:
                return
        a.clock_trusted = 1.0
        a.trust_read_ns = 0
        if a.wall_ns > a.now_ns:
            a.now_ns = a.wall_ns
    a.ref_wall_ns = a.wall_ns
    a.ref_mono_ns = a.mono_ns


def trust_clock(a: AccountRow) -> None:
    """The clock is trusted from here on because an operator said so."""
    a.clock_trusted = 1.0
    a.trust_read_ns = 0
    a.ref_wall_ns = a.wall_ns
    a.ref_mono_ns = a.mono_ns
    if a.wall_ns > a.now_ns:
        a.now_ns = a.wall_ns


def is_fresh(now_ns: int, at_ns: int, age_s_max: float) -> bool:
    """Whether something that happened at `at_ns` (0: never) is within its age limit."""
    return at_ns > 0 and float(now_ns - at_ns) <= age_s_max * NS_PER_S_FLOAT


def is_ahead(now_ns: int, at_ns: int) -> bool:
    """Whether something claims to be of a time that has not come, beyond what clocks may differ."""
    return float(at_ns - now_ns) > MARK_FUTURE_S_MAX * NS_PER_S_FLOAT


def patience_s(close_patience_s: float) -> float:
    """How long an order at the venue may be silent; as long as is borne at all where no policy says it."""
    return close_patience_s if 0.0 <= close_patience_s <= CLOSE_PATIENCE_S_MAX else CLOSE_PATIENCE_S_MAX


def patience_ends_ns(issued_ns: int, close_patience_s: float) -> int:
    """When an order of which nothing was heard since its permit has been silent for too long."""
    return issued_ns + int(patience_s(close_patience_s) * NS_PER_S_FLOAT)


def backoff_s(attempts: int, shortest_s: float, longest_s: float, salt: int) -> float:
    """The pause before the next attempt: doubled with each from the shortest to the longest, spread by up to half."""
    shortest = shortest_s if shortest_s > 0.0 else 1.0
    longest = longest_s if longest_s >= shortest else shortest
    delay = shortest * float(1 << (attempts if 0 <= attempts <= DOUBLINGS_MAX else DOUBLINGS_MAX))
    if delay > longest:
        delay = longest
    jitter = float(salt % JITTER_RANGE * JITTER_STEP % JITTER_RANGE) * JITTER_SHARE
    return delay * (1.0 + 0.5 * jitter)


# ---------------------------------------------------------------- prices


def on_quote(
    r: SymbolRow, bid: float, ask: float, mark: float, at_ns: int, collar: float, jump: float, unjudged: float
) -> None:
    """
    The row's prices are the quote's, where it is plausible; else the last accepted ones stand and are in doubt.

    A mark outside bid and ask by more than `collar`, or further than `jump` from the last accepted one, waits until a
    second mark agrees with it. While no policy gives those numbers (`unjudged` 1.0) only the order of prices is judged.
    """
    if not (0.0 < bid <= ask < inf and 0.0 < mark < inf):
        r.doubt = 1.0
        return
    if unjudged != 1.0 and not (bid * (1.0 - collar) <= mark <= ask * (1.0 + collar)):
        r.doubt = 1.0
        return
    if unjudged != 1.0 and r.mark > 0.0 and not abs(mark - r.mark) <= jump * r.mark:
        agreed = r.candidate > 0.0 and abs(mark - r.candidate) <= jump * r.candidate
        if not agreed:
            r.candidate = mark
            r.doubt = 1.0
            return
    r.bid = bid
    r.ask = ask
    r.mark = mark
    r.mark_at_ns = at_ns
    r.candidate = nan
    r.doubt = 0.0


def on_extremes(r: SymbolRow, high: float, low: float, jump: float) -> None:
    """The row holds the extremes of the interval; the mark itself where none were told, or one further than `jump`."""
    r.high = high if high >= r.mark and high - r.mark <= jump * r.mark else r.mark
    r.low = low if 0.0 < low <= r.mark and r.mark - low <= jump * r.mark else r.mark


# ---------------------------------------------------------------- money


def on_fill(r: SymbolRow, signed_steps: int, value: int) -> tuple[int, int]:
    """
    Position and cost hold the fill; returns the P&L it realised (settlement micros) and the steps it closed.

    `value` is the sum of quantity times instrument value, unsigned by side, in micros. A fill that crosses zero closes
    with its first steps and opens with the rest.
    """
    if signed_steps == 0:
        return 0, 0
    steps = signed_steps if signed_steps > 0 else -signed_steps
    side = 1 if signed_steps > 0 else -1
    held = r.position if r.position > 0 else -r.position
    if r.position * side >= 0:
        r.position += signed_steps
        r.cost += side * value
        return 0, 0
    closed = steps if steps < held else held
    closed_value = share(value, closed, steps)
    released = share(r.cost, closed, held)
    realised = -side * closed_value - released
    r.cost -= released
    r.position += side * closed
    if steps > closed:
        r.position = side * (steps - closed)
        r.cost = side * (value - closed_value)
    return realised, closed


def on_trade_closed(a: AccountRow, pnl: int, risk: float) -> float:
    """
    The account's losing streaks count the trade; returns 1.0 for a win, -1.0 for a loss, 0.0 for neither.

    `pnl` is net of fees and funding, in micros; `risk` is what entries lose at their stops, in account currency, and
    while it is unknown (NaN) only exactly nothing is neither.
    """
    neutral = R_NEUTRAL_FRAC * risk
    if -neutral < money(pnl) < neutral:
        return 0.0
    if pnl < 0:
        a.loss_streak += 1
        a.loss_streak_total += 1
        return -1.0
    if pnl > 0:
        a.loss_streak = 0
        a.loss_streak_total = 0
        return 1.0
    return 0.0


def scale_references(a: AccountRow, factor: float) -> None:
    """Every reference of the account has moved by the factor by which a cash flow changed equity."""
    a.initial_balance *= factor
    a.equity_peak *= factor
    a.drawdown_ref *= factor


def scale_calendar(c: CalendarRow, factor: float) -> None:
    """The period's opening figures have moved by the factor by which a cash flow changed equity."""
    c.open_equity *= factor
    c.open_balance *= factor
    c.before_equity *= factor
    c.before_balance *= factor


# ---------------------------------------------------------------- reservation


def hold(a: AccountRow, s: StrategyRow, c: ClusterRow, r: SymbolRow, p: PermitRow, steps: int) -> None:
    """
    So many steps of the permit are pending, in every sum that counts them.

    Reserved amounts are integers and each permit's share is taken from the whole, so the sums come back to exactly 0.
    """
    notional = share(p.reserved, steps, p.steps) - share(p.reserved, p.pending, p.steps)
    if p.side > 0:
        r.pending_buy += steps - p.pending
        r.pending_buy_reserved += notional
        a.pending_buy_reserved += notional
    else:
        r.pending_sell += steps - p.pending
        r.pending_sell_reserved += notional
        a.pending_sell_reserved += notional
    s.pending_reserved += notional
    c.pending_reserved += notional
    a.pending_margin += share(p.margin, steps, p.steps) - share(p.margin, p.pending, p.steps)
    a.pending_risk += share(p.risk, steps, p.steps) - share(p.risk, p.pending, p.steps)
    entered = p.filled + p.pending > 0
    spend_quota(a, p, p.filled + steps, entered)
    p.pending = steps


def spend_quota(a: AccountRow, p: PermitRow, steps: int, entered: bool) -> None:
    """
    Day and campaign have spent the slices that so many of the permit's steps take, and its entry if any step is left.

    What never fills comes back; `entered` is whether the entry had been counted.
    """
    slices = slices_of(money(share(p.risk, steps, p.steps)), p.slice_risk)
    a.day_slices += slices - p.slices
    a.campaign_slices += slices - p.slices
    p.slices = slices
    if steps > 0 and not entered:
        a.day_entries += 1
    if steps == 0 and entered:
        a.day_entries -= 1


def slices_of(risk: float, slice_risk: float) -> int:
    """Whole slices that the risk takes, both in account currency; 0 where there is no risk, or no slice is known."""
    if not (risk > 0.0 and slice_risk > 0.0):
        return 0
    exact = risk / slice_risk - SLICE_TOLERANCE
    return int(-(-exact // 1.0)) if exact < float(SLICES_MAX) else SLICES_MAX


def begin_quota_day(a: AccountRow, entries: int, slices: int) -> None:
    """The day has spent nothing but the entries and slices of orders that may still fill."""
    a.day_entries = entries
    a.day_slices = slices


def begin_campaign(a: AccountRow, slices: int) -> None:
    """The campaign has spent nothing but the slices of orders that may still fill."""
    a.campaign_slices = slices


def reserve(a: AccountRow, s: StrategyRow, c: ClusterRow, r: SymbolRow, p: PermitRow) -> None:
    """The permit's steps and notional count as pending from now on."""
    r.issued += p.steps
    hold(a, s, c, r, p, p.steps)


def settle(a: AccountRow, s: StrategyRow, c: ClusterRow, r: SymbolRow, p: PermitRow, filled: int) -> None:
    """The permit has filled so many steps in all (never fewer than before), and no longer reserves them."""
    r.settled += filled - p.filled
    p.filled = filled
    hold(a, s, c, r, p, p.steps - filled)


def release(a: AccountRow, s: StrategyRow, c: ClusterRow, r: SymbolRow, p: PermitRow) -> None:
    """Nothing of the permit is pending any more."""
    r.released += p.pending
    hold(a, s, c, r, p, 0)


def reclaim(a: AccountRow, s: StrategyRow, c: ClusterRow, r: SymbolRow, p: PermitRow) -> None:
    """What was released is pending again: the order turned out to be alive."""
    r.released -= p.steps - p.filled
    hold(a, s, c, r, p, p.steps - p.filled)


def on_order(a: AccountRow, now_ns: int, interval_s: float) -> None:
    """The rate limiter (GCRA) has counted one more opening order; nothing to count while no interval is known."""
    start = a.order_tat_ns if a.order_tat_ns > now_ns else now_ns
    if 0.0 <= interval_s * NS_PER_S_FLOAT < float(OPERATOR_NS - start):
        a.order_tat_ns = start + int(interval_s * NS_PER_S_FLOAT)


# ---------------------------------------------------------------- counting


def push(times: list[int], count: int, at_ns: int) -> int:
    """The ring holds the event; returns the new count."""
    times[count % RING] = at_ns
    return count + 1


def within(times: list[int], count: int, needed: float, window_s: float, now_ns: int) -> bool:
    """Whether the last `needed` events (a proven number in 1..RING) all lie within the window up to now."""
    if not (1.0 <= needed <= RING and window_s > 0.0) or float(count) < needed:
        return False
    first = times[(count - int(needed)) % RING]
    return window_s == inf or float(now_ns - first) <= window_s * NS_PER_S_FLOAT


def recent(times: list[int], count: int, window_s: float, now_ns: int) -> int:
    """How many of the remembered events lie within the window up to now."""
    seen = 0
    for back in range(count if count < RING else RING):
        if window_s == inf or float(now_ns - times[(count - 1 - back) % RING]) <= window_s * NS_PER_S_FLOAT:
            seen += 1
    return seen


def confirm(a: AccountRow, slot: int, broken: bool, now_ns: int) -> None:
    """The slot counts one more accepted mark on which the own estimate shows the loss, or starts over."""
    if not broken:
        a.confirm_count[slot] = 0
        a.confirm_since_ns[slot] = 0
        return
    if a.confirm_count[slot] == 0:
        a.confirm_since_ns[slot] = now_ns
    a.confirm_count[slot] += 1


def confirmed(a: AccountRow, slot: int, count_min: float, s_min: float, now_ns: int) -> bool:
    """Whether enough marks over enough time agree; False while a limit is unknown."""
    return (
        float(a.confirm_count[slot]) >= count_min
        and a.confirm_count[slot] > 0
        and float(now_ns - a.confirm_since_ns[slot]) >= s_min * NS_PER_S_FLOAT
    )


def on_outcome(s: StrategyRow, pnl: int, window_count: float) -> None:
    """The strategy's record holds the trade's win or loss, in micros; the row's ring is there."""
    s.outcomes[s.outcome_count % OUTCOMES] = pnl
    s.outcome_count += 1
    recount(s, window_count)


def recount(s: StrategyRow, window_count: float) -> None:
    """
    The row's recent figures are those of its last trades within the window; of all remembered where none is known.

    They are summed in whole millionths, so that as much won as lost is exactly as much.
    """
    count = s.outcome_count if s.outcome_count < OUTCOMES else OUTCOMES
    if 0.0 <= window_count < float(count):
        count = int(window_count)
    s.recent_wins = 0
    s.recent_losses = 0
    won = 0.0
    lost = 0.0
    for back in range(count):
        pnl = s.outcomes[(s.outcome_count - 1 - back) % OUTCOMES]
        if pnl > 0:
            s.recent_wins += 1
            won += float(pnl)
        else:
            s.recent_losses += 1
            lost -= float(pnl)
    s.recent_won = won / MONEY_SCALE
    s.recent_lost = lost / MONEY_SCALE


# ---------------------------------------------------------------- stops


def on_stop_lost(
    r: SymbolRow,
    now_ns: int,
    seen_ns: int,
    shortest_s: float,
    longest_s: float,
    close_patience_s: float,
    naked: float,
    salt: int,
) -> None:
    """
    The venue is proven not to have the stop that the position needs: another is due after a pause.

    Where no other protects it meanwhile (`naked` 1.0) the patience runs, after which it is closed. It runs from the first
    loss on, and stops that rested for no longer than the patience (`seen_ns` is when it was last there) do not end it: a
    venue that takes every stop and drops it again protects nothing.
    """
    if naked == 1.0:
        rested = r.stop_rests_ns > 0 and seen_ns > patience_ends_ns(r.stop_rests_ns, close_patience_s)
        if r.stop_close_ns == 0 or rested:
            r.stop_close_ns = patience_ends_ns(now_ns, close_patience_s)
        r.stop_rests_ns = 0
    r.stop_next_ns = lock_end(now_ns, backoff_s(r.stop_refusals, shortest_s, longest_s, salt))
    r.stop_refusals += 1


def on_stop_rests(r: SymbolRow, now_ns: int) -> None:
    """No stop of the position is missing, as far as is known; whether that lasts is yet to be seen."""
    r.stop_refusals = 0
    r.stop_next_ns = 0
    if r.stop_rests_ns == 0:
        r.stop_rests_ns = now_ns


# ---------------------------------------------------------------- the way out


def on_episode(r: SymbolRow, managed: float, now_ns: int, fresh: float) -> None:
    """
    The row's position is a new one, entered now: nothing of an earlier way out is left.

    Where its market state is `fresh` (1.0), that is the state at entry; else it is unknown.
    """
    r.managed = managed
    r.episode_ns = now_ns
    r.stop_refusals = 0
    r.stop_next_ns = 0
    r.stop_close_ns = 0
    r.stop_rests_ns = 0
    r.entry_stop = r.stop_price
    r.entry_leverage = r.margin_leverage
    r.entry_atr = r.atr if fresh == 1.0 else nan
    r.entry_sigma = r.sigma if fresh == 1.0 else nan
    r.entry_trend_strength = r.trend_strength if fresh == 1.0 else nan
    r.entry_regime = r.regime if fresh == 1.0 else nan
    r.best = nan
    r.best_at_ns = 0
    r.lived = 0.0
    r.bar_count = 0
    r.idle_bar_count = 0
    r.bar_opened_ns = 0
    r.rungs = 0
    r.advised = 0
    r.exit_left = -1
    r.exit_waits = 0.0
    r.exit_attempts = 0
    r.exit_next_ns = 0
    r.score_unknown = 0.0


def on_best(r: SymbolRow) -> None:
    """The most favourable mark since the entry is known; extremes of an interval count if it began after the entry."""
    if r.position == 0:
        return
    r.lived = 1.0 if r.best == r.best else 0.0
    price = r.mark
    if r.lived == 1.0:
        price = r.high if r.position > 0 else r.low
    gain = price - r.best if r.position > 0 else r.best - price
    if r.lived != 1.0 or gain > 0.0:
        r.best = price
        r.best_at_ns = r.mark_at_ns


def on_bar(r: SymbolRow, opened_ns: int) -> None:
    """
    One more bar of the position's life is complete, idle unless it brought a new best mark.

    A bar that began before the position, that was counted, or in which no mark was accepted says nothing.
    """
    if r.position == 0 or opened_ns < r.episode_ns or opened_ns <= r.bar_opened_ns or r.mark_at_ns < opened_ns:
        return
    r.bar_opened_ns = opened_ns
    r.bar_count += 1
    r.idle_bar_count = 0 if r.best_at_ns >= opened_ns else r.idle_bar_count + 1


def on_left(r: SymbolRow) -> None:
    """What was to be closed is no longer to be closed once it is."""
    held = r.position if r.position > 0 else -r.position
    if held <= r.exit_left:
        r.exit_left = -1


def on_exit_sent(r: SymbolRow, now_ns: int, shortest_s: float, longest_s: float, salt: int) -> None:
    """An order of the way out was permitted; should it come to nothing, the next is due after a growing pause."""
    r.exit_next_ns = lock_end(now_ns, backoff_s(r.exit_attempts, shortest_s, longest_s, salt))
    r.exit_attempts += 1


# ---------------------------------------------------------------- locks


def lock_end(now_ns: int, length_s: float) -> int:
    """The instant a lock of that length ends; infinity, NaN and less than nothing end only by an operator."""
    if 0.0 <= length_s * NS_PER_S_FLOAT < float(OPERATOR_NS - now_ns):
        return now_ns + int(length_s * NS_PER_S_FLOAT)
    return OPERATOR_NS


def in_force(until_ns: int, now_ns: int, trusted: float) -> bool:
    """Whether a lock holds: until its end has passed on a trusted clock."""
    return until_ns != 0 and (until_ns == OPERATOR_NS or now_ns <= until_ns or trusted != 1.0)
