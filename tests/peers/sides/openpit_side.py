"""Answers for openpit: orders, closed trades and bursts go through its built-in policies."""

import json
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import openpit
from openpit.param import AccountId, Fee, Pnl, Price, Quantity, Side, TradeAmount, Volume
from openpit.pretrade import policies

ACCOUNT = AccountId.from_int(1)
INSTRUMENT = openpit.Instrument("BTC", "USDT")


def engine(policy: Any) -> Any:
    """An engine with that policy alone."""
    return openpit.Engine.builder().no_sync().builtin(policy).build()


def order(side: int, quantity: str = "", price: str = "", notional: str = "") -> openpit.Order:
    """An order for one quantity, or for one notional."""
    return openpit.Order(
        operation=openpit.OrderOperation(
            instrument=INSTRUMENT,
            account_id=ACCOUNT,
            side=Side.BUY if side > 0 else Side.SELL,
            trade_amount=TradeAmount.quantity(quantity) if quantity else TradeAmount.volume(notional),
            price=Price(price) if price else None,
        )
    )


def sizes(asked: dict[str, Any]) -> list[list[str]]:
    """The codes of what speaks against each order."""
    limit = policies.OrderSizeLimit(max_quantity=Quantity(asked["quantity"]), max_notional=Volume(asked["notional"]))
    one = engine(policies.build_order_size_limit().broker_barrier(policies.OrderSizeBrokerBarrier(limit=limit)))
    answers = []
    for each in asked["orders"]:
        result = one.execute_pre_trade(order=order(**each))
        answers.append([] if result.ok else [reject.code for reject in result.rejects])
    return answers


def losses(asked: dict[str, Any]) -> list[bool]:
    """Whether a buy, and a sell, is let through before each closed trade and after the last."""
    barrier = policies.PnlBoundsBrokerBarrier(settlement_asset="USDT", lower_bound=Pnl(asked["bound"]))
    one = engine(policies.build_pnl_bounds_killswitch().broker_barriers(barrier))
    answers = []
    for event in asked["history"]:
        if event["does"] == "asks":
            answers.append(one.execute_pre_trade(order=order(event["side"], "1", "100")).ok)
        elif event["does"] == "closes":
            operation = openpit.ExecutionReportOperation(instrument=INSTRUMENT, account_id=ACCOUNT, side=Side.SELL)
            impact = openpit.FinancialImpact(pnl=Pnl(event["pnl"]), fee=Fee(event["fee"]))
            one.apply_execution_report(openpit.ExecutionReport(operation=operation, financial_impact=impact))
    return answers


def rates(asked: dict[str, Any]) -> list[list[bool]]:
    """
    Whether each order of each burst is let through; every burst is sent at once, so long after the one before.

    The limiter reads the machine's own clock. A history is played again if a burst, with the one before it where the
    pause is shorter than the window, did not fit into one window: its answers then say how fast the machine was.
    """
    for _ in range(TRIES):
        answers, slack_s = _play(asked)
        if slack_s > 0.0:
            return answers
    raise RuntimeError(f"this machine was never fast enough in {TRIES} tries")


TRIES = 50


def _play(asked: dict[str, Any]) -> tuple[list[list[bool]], float]:
    limit = policies.RateLimit(asked["orders"], timedelta(seconds=asked["window_s"]))
    barrier = policies.RateLimitAccountBarrier(limit=limit, account_id=ACCOUNT)
    one = engine(policies.build_rate_limit().account_barriers(barrier))
    answers = []
    slack_s = asked["window_s"]
    began = time.monotonic()
    for pause_s, size in asked["bursts"]:
        time.sleep(pause_s)
        before, began = began, time.monotonic()
        answers.append([one.execute_pre_trade(order=order(1, "1", "100")).ok for _ in range(size)])
        since = began if pause_s > asked["window_s"] else before
        slack_s = min(slack_s, asked["window_s"] - (time.monotonic() - since))
    return answers, slack_s


ANSWERS: dict[str, Callable[[dict[str, Any]], Any]] = {"sizes": sizes, "losses": losses, "rates": rates}

json.dump([ANSWERS[each["asks"]](each) for each in json.load(sys.stdin)], sys.stdout)
