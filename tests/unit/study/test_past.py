"""A history becomes orders: what opened, what closed, in whole numbers, and what cannot be is refused."""

from pathlib import Path

import pytest

from interlock.adapters.history import HistoryInvalid
from interlock.study.past import Past
from interlock.study.plausible import quoted_in
from unit.study.past_texts import FILLS, TRADES, past


def told(of: Past) -> list[tuple[str, int, bool, list[tuple[int, int]]]]:
    """Each order: symbol, side, whether it opens, and its pieces as steps and trades."""
    return [
        (order.symbol, order.side, order.opens, [(piece.steps, piece.trade) for piece in order.pieces])
        for order in of.orders
    ]


def test_fills_open_add_close_and_turn(tmp_path: Path) -> None:
    of = past(
        tmp_path, FILLS, "1709294400,A,buy,1,10", "1709294410,A,buy,2,11", "1709294420,A,sell,5,12", "1709294430,A,buy,2,9"
    )
    assert told(of) == [
        ("A", 1, True, [(1, 0)]),
        ("A", 1, True, [(2, 0)]),
        ("A", -1, False, [(3, 0)]),
        ("A", -1, True, [(2, 1)]),
        ("A", 1, False, [(2, 1)]),
    ]
    assert [(trade.side, trade.steps, bool(trade.closed_ns)) for trade in of.trades] == [(1, 3, True), (-1, 2, True)]


def test_pieces_of_one_order_are_one_wish_for_five_seconds(tmp_path: Path) -> None:
    of = past(
        tmp_path,
        f"{FILLS},order id",
        "1709294400,A,buy,1,10,o1",
        "1709294405,A,buy,1,10,o1",
        "1709294406,A,buy,1,10,o1",
        "1709294407,A,buy,1,10,o2",
    )
    assert [len(order.pieces) for order in of.orders] == [2, 1, 1]


def test_without_order_numbers_fills_of_one_instant_and_side_are_one_wish(tmp_path: Path) -> None:
    of = past(
        tmp_path, FILLS, "1709294400,A,buy,1,10", "1709294400,A,buy,1,10", "1709294400,B,buy,1,10", "1709294401,A,buy,1,10"
    )
    assert [(order.symbol, len(order.pieces)) for order in of.orders] == [("A", 2), ("B", 1), ("A", 1)]


def test_each_closed_trade_is_closed_by_its_own_exit(tmp_path: Path) -> None:
    of = past(
        tmp_path,
        TRADES,
        "A,buy,1,2024-03-01 12:00:00,10,2024-03-01 15:00:00,9",
        "A,buy,2,2024-03-01 13:00:00,9,2024-03-01 14:00:00,8",
        "A,sell,4,2024-03-01 15:00:00,9,2024-03-01 15:00:00,8",
    )
    assert told(of) == [
        ("A", 1, True, [(1, 0)]),
        ("A", 1, True, [(2, 1)]),
        ("A", -1, False, [(2, 1)]),
        ("A", -1, False, [(1, 0)]),
        ("A", -1, True, [(4, 2)]),
        ("A", 1, False, [(4, 2)]),
    ]


def test_trades_on_both_sides_at_once_are_counted_net(tmp_path: Path) -> None:
    of = past(
        tmp_path,
        TRADES,
        "A,buy,3,2024-03-01 12:00:00,10,2024-03-01 15:00:00,9",
        "A,sell,2,2024-03-01 13:00:00,9,2024-03-01 16:00:00,8",
    )
    assert told(of) == [
        ("A", 1, True, [(3, 0)]),
        ("A", -1, False, [(2, 0)]),
        ("A", -1, False, [(1, 0)]),
        ("A", -1, True, [(2, 1)]),
        ("A", 1, False, [(2, 1)]),
    ]
    assert any("A: held on both sides at once" in note for note in of.notes)


def test_steps_and_ticks_are_the_files_finest(tmp_path: Path) -> None:
    of = past(tmp_path, f"{FILLS},fee", "1709294400,A,buy,0.001,10.25,0.00000012", "1709294401,A,sell,0.1,10.5,0")
    contract = of.contracts["A"]
    assert (str(contract.step), str(contract.tick)) == ("0.001", "0.01")
    assert of.unit == 10**8
    assert contract.grain * 100_000 == of.unit
    assert [piece.fee for order in of.orders for piece in order.pieces] == [12, 0, 0]


def test_a_fill_that_turns_shares_its_fee(tmp_path: Path) -> None:
    of = past(tmp_path, f"{FILLS},fee", "1709294400,A,buy,1,10,0", "1709294401,A,sell,4,10,1")
    assert [piece.fee for order in of.orders for piece in order.pieces] == [0, 250_000, 750_000]


def test_a_stop_on_the_winning_side_is_none(tmp_path: Path) -> None:
    header = f"{FILLS},stop"
    assert past(tmp_path, header, "1709294400,A,buy,1,10,9").openings_without_stop == 0
    assert past(tmp_path, header, "1709294400,A,buy,1,10,11").openings_without_stop == 1
    assert past(tmp_path, header, "1709294400,A,sell,1,10,").openings_without_stop == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            [FILLS, "1709294400,A,open long,1,10", "1709294401,A,close long,2,10"],
            "found 2 to close, with 1 held on that side",
        ),
        ([FILLS, "1709294400,A,close long,2,10"], "a file that begins flat"),
        ([FILLS, "1709294400,A,buy,300.00000001,10"], "two billion steps"),
        ([FILLS, "1709294400,USDJPY,buy,1,150"], "seems to be quoted in JPY"),
        ([FILLS, "1709294400,ETH/BTC,buy,1,0.05"], "seems to be quoted in BTC"),
    ],
)
def test_what_cannot_be_is_refused(lines: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(HistoryInvalid, match=message):
        past(tmp_path, *lines)


def test_the_worth_of_a_point_settles_the_currency(tmp_path: Path) -> None:
    of = past(tmp_path, FILLS, "1709294400,USDJPY,buy,1,150", multipliers={"USDJPY": "0.0067"})
    assert of.contracts["USDJPY"].instrument.multiplier == 0.0067


def test_a_history_that_begins_with_a_sale_says_how_it_is_taken(tmp_path: Path) -> None:
    of = past(tmp_path, FILLS, "1709294400,A,sell,1,10", "1709294401,A,buy,1,10", "1709294402,B,buy,1,10")
    assert [note[0] for note in of.notes if "begins with a sale" in note] == ["A"]


def test_a_stablecoin_is_taken_as_a_dollar_and_told(tmp_path: Path) -> None:
    assert "one USDT is taken as one USD" in past(tmp_path, FILLS, "1709294400,BTCUSDT,buy,1,150").notes


@pytest.mark.parametrize(
    ("symbol", "currency"),
    [
        ("BTCUSDT", "USDT"),
        ("BTC/USDT:USDT", "USDT"),
        ("BTC-USD-SWAP", "USD"),
        ("EURUSD.m", "USD"),
        ("ETHBTC", "BTC"),
        ("AAPL", ""),
        ("GBTC", ""),
        ("USD", ""),
        ("黄金", ""),
    ],
)
def test_what_a_symbol_is_quoted_in(symbol: str, currency: str) -> None:
    assert quoted_in(symbol) == currency


PROFITS = f"{TRADES},fee,pnl"
ONE = "A,buy,2,2024-03-01 12:00:00,10,2024-03-01 13:00:00,11,0.5"
OTHER = "A,sell,1,2024-03-02 12:00:00,10,2024-03-02 13:00:00,11,0.25"


@pytest.mark.parametrize(("profits", "note"), [((2, -1), "before costs"), ((1.5, -1.25), "prices and costs")])
def test_profits_before_and_after_costs_agree(profits: tuple[float, float], note: str, tmp_path: Path) -> None:
    of = past(tmp_path, PROFITS, f"{ONE},{profits[0]}", f"{OTHER},{profits[1]}")
    assert any(note in each for each in of.notes)


@pytest.mark.parametrize("costs", [0.0, 1.0])
def test_profits_that_are_a_multiple_ask_for_the_multiplier(costs: float, tmp_path: Path) -> None:
    rows = (f"{ONE},{200 - costs * 0.5}", f"{OTHER},{-100 - costs * 0.25}")
    with pytest.raises(HistoryInvalid, match=r"--multiplier A=100$"):
        past(tmp_path, PROFITS, *rows)
    assert past(tmp_path, PROFITS, *rows, multipliers={"A": "100"}).contracts["A"].grain == 10**8


def test_profits_that_nothing_explains_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HistoryInvalid, match=r"line 3, column pnl: found a profit of 7 \(A\), expected -1.25"):
        past(tmp_path, PROFITS, f"{ONE},1.5", f"{OTHER},7")
