"""A history is read exactly, whoever exported it, or refused with every problem, its place and what was expected."""

import gzip
from decimal import Decimal
from math import isnan
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.adapters.columns import Numbers, decimal_mark, instant_ns
from interlock.adapters.history import (
    BUY,
    SELL,
    ColumnUnknown,
    History,
    HistoryInvalid,
    read_history,
    read_marks,
)
from interlock.adapters.problems import PROBLEMS_SHOWN_MAX

UTC = ZoneInfo("UTC")
NOON_NS = 1_709_294_400_000_000_000  # 2024-03-01 12:00 UTC
S = 1_000_000_000
FILLS = "time,symbol,side,quantity,price"
FIRST = "2024-03-01T12:00:00Z,BTCUSDT,buy,0.5,40000"
TRADES = "symbol,side,quantity,entry time,entry price,exit time,exit price"
TRADE = "BTCUSDT,buy,0.5,2024-03-01 12:00:00,40000,2024-03-01 13:00:00,41000"


def read(
    folder: Path,
    *lines: str,
    zone: str = "UTC",
    currency: str = "",
    decimal: str = "",
    columns: dict[str, str] | None = None,
) -> History:
    path = folder / "trades.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_history(path, zone=ZoneInfo(zone), currency=currency, columns=columns, decimal=decimal)


def refused(folder: Path, *lines: str, currency: str = "", columns: dict[str, str] | None = None) -> str:
    with pytest.raises(HistoryInvalid) as caught:
        read(folder, *lines, currency=currency, columns=columns)
    assert caught.value.problem_count >= 1
    return str(caught.value)


# ---------------------------------------------------------------- what exporters write


def test_fills_are_read_exactly(tmp_path: Path) -> None:
    history = read(tmp_path, f"{FILLS},fee,order id", f"{FIRST},0.0100,o1", "1709294460,BTCUSDT,SELL,0.250,40100.50,,o2")
    first, second = history.fills
    assert (first.at_ns, first.side, first.quantity, first.price) == (NOON_NS, BUY, Decimal("0.5"), Decimal(40000))
    assert (first.fee, first.order, first.stop) == (Decimal("0.01"), "o1", None)
    assert (second.at_ns, second.side, second.price) == (NOON_NS + 60 * S, SELL, Decimal("40100.5"))
    assert (second.line, second.fee) == (3, Decimal(0))
    assert dict(history.columns)["order"] == "order id"
    assert history.symbols == ("BTCUSDT",)
    assert history.trades == ()


def test_a_terminal_s_positions_with_doubled_columns_and_semicolons(tmp_path: Path) -> None:
    history = read(
        tmp_path,
        "Time;Position;Symbol;Type;Volume;Price;S / L;T / P;Time;Price;Commission;Swap;Profit",
        "2024.03.01 12:00:00;4711;XAUUSD;buy;0,10;2 040,55;2 030,00;;2024.03.01 14:00:00;2 050,55;-0,70;-1,20;100,00",
        "2024.03.01 13:00:00;4712;XAUUSD;sell;0,20;2 041,00;0,00;;2024.03.01 15:00:00;2 043,00;-1,40;0,00;-40,00",
        zone="Etc/GMT-2",
    )
    first, second = history.trades
    assert (first.entry_ns, first.exit_ns) == (NOON_NS - 7200 * S, NOON_NS)
    assert (first.quantity, first.entry_price, first.exit_price) == (Decimal("0.1"), Decimal("2040.55"), Decimal("2050.55"))
    assert (first.stop, first.fee, first.swap, first.pnl) == (Decimal(2030), Decimal("0.7"), Decimal("-1.2"), Decimal(100))
    assert (second.stop, second.side) == (None, SELL)
    assert any("decimal comma" in note for note in history.notes)
    assert any("Etc/GMT-2" in note for note in history.notes)
    assert any("negative fees are taken as costs" in note for note in history.notes)


@pytest.mark.parametrize(
    "text",
    [
        "2024-03-01T12:00:00Z",
        "2024-03-01 12:00:00",
        "2024-03-01 12:00",
        "2024-03-01 12:00:00.000",
        "2024-03-01T13:00:00+01:00",
        "2024-03-01 12:00:00 UTC",
        "2024.03.01 12:00:00",
        "2024/03/01 12:00:00",
        "1709294400",
        "1709294400.0",
        "1709294400000",
        "1709294400000000",
        "1709294400000000000",
    ],
)
def test_every_way_of_writing_an_instant(text: str) -> None:
    assert instant_ns(text, UTC) == NOON_NS


@pytest.mark.parametrize(
    "text", ["", "noon", "2024-03-01", "03/01/2024 12:00", "2024-13-01 12:00:00", "12345", "NaN", "-5"]
)
def test_what_is_no_instant(text: str) -> None:
    with pytest.raises(ValueError, match=r"instant|time of day"):
        instant_ns(text, UTC)


def test_an_instant_is_in_the_zone_only_where_it_names_none() -> None:
    prague = ZoneInfo("Europe/Prague")
    assert instant_ns("2024-07-01 14:00:00", prague) == instant_ns("2024-07-01 12:00:00Z", prague)


@pytest.mark.parametrize(
    ("cells", "mark"),
    [
        (["1.5"], "."),
        (["1,5"], ","),
        (["1,234.5", "12"], "."),
        (["1.234,5", "1.234"], ","),
        (["1,234,567"], "."),
        (["1.234.567"], ","),
        (["0,125"], ","),
        (["12"], "."),
        (["1,234"], ""),
        (["1,234", "7,5"], ","),
        (["1.234"], "."),
    ],
)
def test_the_decimal_mark(cells: list[str], mark: str) -> None:
    assert decimal_mark(cells) == mark


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1234.5", "1234.5"),
        ("1,234.50", "1234.5"),
        ("-1 234.5", "-1234.5"),
        ("1'234", "1234"),
        ("5e-05", "0.00005"),
        (".5", "0.5"),
    ],
)
def test_a_number_is_read_exactly(cell: str, value: str) -> None:
    assert Numbers(".").read(cell) == Decimal(value)


@pytest.mark.parametrize(
    "cell", ["nan", "inf", "1_000", "0x1", "1,23", "12,34.5", "$5", "5 BTC", "٣", "1e99", "-", "1.2.3", "1.,5"]
)
def test_what_is_no_number(cell: str) -> None:
    assert Numbers(".").read(cell) is None


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=8))
def test_every_decimal_is_read_back(number: Decimal) -> None:
    for mark, group in ((".", ","), (",", ".")):
        written = f"{number:,f}".replace(",", "_").replace(".", mark).replace("_", group)
        assert Numbers(mark).read(written) == number


def test_tabs_and_gzip_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "deals.csv.gz"
    with gzip.open(path, "wt", encoding="utf-8-sig") as text:
        text.write(f"{FILLS}\n{FIRST}".replace(",", "\t"))
    (fill,) = read_history(path, zone=UTC).fills
    assert fill.at_ns == NOON_NS


def test_sides_by_many_names(tmp_path: Path) -> None:
    words = {"Buy": BUY, "LONG": BUY, "sell_short": SELL, "Close Long": SELL, "b": BUY, "-1": SELL}
    rows = [f"{NOON_NS // S + row},X,{word},1,5" for row, word in enumerate(words)]
    history = read(tmp_path, FILLS, *rows)
    assert [fill.side for fill in history.fills] == [*words.values()]
    assert [fill.closes for fill in history.fills] == [False, False, False, True, False, False]


def test_signed_quantities_need_no_side(tmp_path: Path) -> None:
    history = read(tmp_path, "time,symbol,qty,price", "1709294400,X,2,5", "1709294401,X,-1.5,5")
    assert [(fill.side, fill.quantity) for fill in history.fills] == [(BUY, 2), (SELL, Decimal("1.5"))]


def test_columns_can_be_named_and_left_out(tmp_path: Path) -> None:
    header = "Date,Which,Way,How much,Px,Fee,Fee Coin"
    row = "2024-03-01 12:00:00,X,buy,1,5,0.001,BNB"
    named = {"time": "Date", "symbol": "Which", "side": "Way", "quantity": "How much", "price": "px", "fee": ""}
    history = read(tmp_path, header, row, columns=named)
    assert history.fills[0].fee == 0
    assert "fee" not in dict(history.columns)


# ---------------------------------------------------------------- order


def test_the_newest_first_is_turned_round_with_what_came_in_one_instant(tmp_path: Path) -> None:
    rows = [f"{NOON_NS // S + second},X,buy,{number},5" for number, second in ((4, 9), (3, 5), (2, 5), (1, 0))]
    history = read(tmp_path, FILLS, *rows)
    assert [fill.quantity for fill in history.fills] == [1, 2, 3, 4]
    assert any("newest row came first" in note for note in history.notes)


def test_rows_out_of_order_are_sorted_and_told(tmp_path: Path) -> None:
    rows = [f"{NOON_NS // S + second},X,buy,{second + 1},5" for second in (0, 1, 3, 2, 4)]
    history = read(tmp_path, FILLS, *rows)
    assert [fill.quantity for fill in history.fills] == [1, 2, 3, 4, 5]
    assert any("1 rows were out of order" in note for note in history.notes)


def test_equal_rows_are_told(tmp_path: Path) -> None:
    history = read(tmp_path, FILLS, FIRST, FIRST)
    assert len(history.fills) == 2
    assert any("1 rows are equal to another row" in note for note in history.notes)


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("yesterday,X,buy,1,5", "line 2, column time: found 'yesterday'"),
        ("1709294400,,buy,1,5", "line 2, column symbol: found nothing"),
        ("1709294400,X,balance,1,5", "line 2, column side: found 'balance', expected buy or sell"),
        ("1709294400,X,,1,5", "column side: found nothing"),
        ("1709294400,X,buy,0,5", "column quantity: found '0', expected a number above 0"),
        ("1709294400,X,buy,-1,5", "column quantity: found '-1'"),
        ("1709294400,X,buy,nan,5", "column quantity: found 'nan'"),
        ("1709294400,X,buy,1,inf", "column price: found 'inf'"),
        ("1709294400,X,buy,1,", "column price: found nothing"),
        ("1709294400,X,buy,1", "line 2: found 4 values, expected 5, as in the header"),
    ],
)
def test_a_bad_row_names_its_place(row: str, told: str, tmp_path: Path) -> None:
    assert told in refused(tmp_path, FILLS, row)


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    told = refused(tmp_path, FILLS, "x,,up,0,nan", FIRST, "y,,up,0,nan")
    assert "10 problems" in told
    many = refused(tmp_path, FILLS, *["x,,up,0,nan"] * 10)
    assert f"and {50 - PROBLEMS_SHOWN_MAX} more" in many


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([""], "found nothing, expected a header"),
        ([FILLS], "found no rows"),
        (["a,b,c", "1,2,3"], "--map time=NAME"),
        ([f"{FILLS},id", f"{FIRST},7", f"{FIRST},7"], "line 3, column id: found '7' a second time (first on line 2)"),
        ([f"{FILLS},currency", f"{FIRST},USD", f"{FIRST},EUR"], "USD in 1 rows, EUR in 1 rows, expected one currency"),
        ([f"{FILLS},fee,fee coin", f"{FIRST},0.1,BNB"], "--map fee="),
        ([FILLS.replace("side,", ""), "1709294400,X,1,5"], "--map side=NAME"),
        ([FILLS, '1709294400,X,buy,"1,234",5'], "--decimal comma"),
        ([f"{TRADES},fee", f"{TRADE},x"], "line 2, column fee: found 'x'"),
        (
            [TRADES, TRADE.replace("13:00:00", "11:00:00")],
            "column exit time: found 2024-03-01 11:00:00 UTC, before the entry",
        ),
        ([f"{TRADES},sl", f"{TRADE},-5"], "column sl: found '-5', expected a price, or nothing"),
    ],
)
def test_a_bad_file_says_what_to_do(lines: list[str], told: str, tmp_path: Path) -> None:
    assert told in refused(tmp_path, *lines)


def test_a_currency_that_contradicts_the_account_is_refused(tmp_path: Path) -> None:
    assert "EUR, as --currency says" in refused(tmp_path, f"{FILLS},currency", f"{FIRST},USD", currency="EUR")
    assert read(tmp_path, f"{FILLS},currency", f"{FIRST},usd").currency == "USD"


def test_a_fee_of_nothing_may_be_in_any_coin(tmp_path: Path) -> None:
    assert read(tmp_path, f"{FILLS},fee,fee coin", f"{FIRST},0.00,BNB").fills[0].fee == 0


def test_a_mapping_that_cannot_be_meant(tmp_path: Path) -> None:
    with pytest.raises(ColumnUnknown, match="entry_time"):
        read(tmp_path, FILLS, FIRST, columns={"colour": "x"})
    assert "the column that --map time=Nope names" in refused(tmp_path, FILLS, FIRST, columns={"time": "Nope"})
    assert "a mapping in a file of fills" in refused(tmp_path, FILLS, FIRST, columns={"time": "time", "pnl": "price"})


def test_what_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "x.csv", tmp_path / "absent.csv"):
        with pytest.raises(HistoryInvalid, match="expected CSV in UTF-8"):
            read_history(path, zone=UTC)


# ---------------------------------------------------------------- equity marks


def test_equity_marks_are_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "equity.csv"
    path.write_text("Time;Equity;Balance\n2024-03-02 00:00;9 900,5;10000\n2024-03-01 12:00;10000;\n")
    marks = read_marks(path, zone=UTC)
    assert marks.at_ns[0] == NOON_NS
    assert marks.equity == (10000.0, 9900.5)
    assert isnan(marks.balance[0])
    assert marks.balance[1] == 10000.0
    assert marks.notes


@pytest.mark.parametrize(
    ("text", "told"),
    [("time,value\n1,2\n", "--map equity=NAME"), ("time,equity\n1709294400,\n", "equity: found nothing"), ("", "nothing")],
)
def test_bad_marks_are_refused(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "equity.csv"
    path.write_text(text)
    with pytest.raises(HistoryInvalid, match=told):
        read_marks(path, zone=UTC)
