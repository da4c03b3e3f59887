"""Answers for freqtrade: histories of closed trades go through its protections, and entries are asked about in between."""

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from freqtrade.persistence import LocalTrade, PairLocks, disable_database_use
from freqtrade.plugins.protectionmanager import ProtectionManager

START = datetime(2027, 1, 15, 8, tzinfo=UTC)
TIMEFRAME = "1m"


def close(trade: dict[str, Any], number: int, now: datetime) -> None:
    """The trade is over, with the profit that it is told to have had."""
    closed = LocalTrade(
        id=number,
        pair=trade["pair"],
        exchange="paper",
        is_open=True,
        is_short=trade["side"] < 0,
        open_date=now - timedelta(seconds=30),
        open_rate=100.0,
        amount=1.0,
        stake_amount=100.0,
        fee_open=0.0,
        fee_close=0.0,
        leverage=1.0,
    )
    closed.is_open = False
    closed.close_date = now
    closed.close_profit_abs = float(trade["pnl"])
    closed.close_profit = closed.close_profit_abs / 10_000.0
    closed.exit_reason = trade["reason"]
    LocalTrade.bt_trades.append(closed)


def answer(question: dict[str, Any]) -> list[bool]:
    """Whether each entry that the history asks about is allowed."""
    LocalTrade.reset_trades()
    PairLocks.reset_locks()
    manager = ProtectionManager({"timeframe": TIMEFRAME}, question["protections"])
    allowed = []
    for number, event in enumerate(question["history"]):
        now = START + timedelta(seconds=event["at_s"])
        side = "long" if event["side"] > 0 else "short"
        if event["does"] == "closes":
            close(event, number, now)
            manager.stop_per_pair(event["pair"], now=now, side=side, starting_balance=question["balance"])
            manager.global_stop(now=now, side=side, starting_balance=question["balance"])
        else:
            allowed.append(not PairLocks.is_pair_locked(event["pair"], now, side))
    return allowed


disable_database_use(TIMEFRAME)
json.dump([answer(each) for each in json.load(sys.stdin)], sys.stdout)
