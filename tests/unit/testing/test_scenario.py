from pathlib import Path

import pytest

from interlock.testing import StoryFailed, StoryInvalid, read_stories, tell
from interlock.testing import scenario as manual

HELD = """
policy: layered@1
09:00  intent h BTC +1000 at mark             -> permit h
=      filled h
"""


def test_the_story_in_the_manual_is_true() -> None:
    assert manual.__doc__ is not None
    example = manual.__doc__.split("\n\n")[1:3]
    run = tell("\n\n".join(example))
    assert run.proven_closes > 0


@pytest.mark.parametrize(
    "line",
    [
        "09:01  tick -> permit",
        "09:01  tick -> deny DAILY_LOSS",
        "09:01  tick -> position BTC 11",
        "09:01  tick -> position BTC 10.0001",
        "09:01  tick -> pending BTC 1",
        "09:01  tick -> peak 9999.999",
        "09:01  tick -> peak nan",
        "09:01  tick -> state REDUCING",
        "09:01  tick -> invalid",
        "09:01  tick -> goal BTC",
        "09:01  tick -> alert EQUITY_STALE",
        "09:01  tick -> baseline day 10000",
        "09:01  kill by a -> no lock",
        "09:01  kill by a -> only",
        "09:01  kill by a -> lock KILL_SWITCH HALTED",
        "09:01  kill by a -> lock KILL_SWITCH until +1s",
        "09:01  kill by a -> lock KILL_SWITCH on symbol BTC",
        "09:01  kill by a -> no fence KILL_SWITCH",
        "09:01  kill by a -> unlock KILL_SWITCH",
        "09:01  kill freeze by a -> no alert TRADING_HALTED",
        "09:01  kill flatten by a -> goal BTC reached",
        "09:01  kill flatten by a -> no goal BTC KILL_SWITCH",
        "09:01  equity 9400 -> event DAILY_LOSS FLATTEN",
        "09:01  intent i ETH +100 -> permit 101",
        "09:01  intent i ETH +100 -> permit 99",
        "09:01  intent i ETH +100 -> permit 3u",
        "09:01  intent i ETH +100 -> permit reduce-only",
        "09:01  intent i ETH +100 -> no permit",
        "09:01  intent i ETH +100 -> permit, permit",
        "09:01  intent i ETH +100 -> no decision",
        "09:01  intent i BTC +5000 at mark -> deny SYMBOL_EXPOSURE cap 2000.01",
        "09:01  intent i BTC +5000 at mark -> deny TOTAL_EXPOSURE",
        "09:01  intent i BTC +5000 at mark -> deny SYMBOL_EXPOSURE lock DAILY_LOSS",
        "09:01  intent i BTC +5000 at mark -> deny SYMBOL_EXPOSURE by rival",
        "09:01  intent i BTC +5000 at mark -> objects ORDER_RATE",
        "09:01  intent h BTC +1000 at mark -> repeat h ISSUED",
        "09:01  lock symbol GHOST until +1h by a",
        '09:01  lock symbol GHOST until +1h by a -> invalid "another text"',
        "09:01  quarantine Executed",
    ],
)
def test_an_expectation_that_is_not_met_fails_and_names_its_line(line: str) -> None:
    with pytest.raises(StoryFailed, match=r"story:5: 09:01") as failed:
        tell(HELD + line)
    assert "what came out:" in str(failed.value)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("09:01  dance", "'dance' is nothing that happens"),
        ("09:01  tick tock", "'tock' is not known here"),
        ("09:01  tick -> joy", "'joy' cannot be expected"),
        ("09:01  tick -> no joy", "'joy' cannot be expected"),
        ("09:01  tick -> peak", "expected a figure"),
        ("09:01  tick -> peak 10000 2", "'2' is more than 'peak' takes"),
        ("09:01  tick -> deny NONSENSE", "'NONSENSE' is no code"),
        ("09:01  filled p9", "no permit was called 'p9' before"),
        ("08:59  tick", "time does not go back"),
        ("9:01   tick", "'9:01' is not a time"),
        ("2027-02-30T09:01  tick", "'2027-02-30' is not a date"),
        ("09:01  equity much", "'much' is not a number"),
        ("09:01  equity", "expected equity at the end"),
        ("09:01  equity 1 2", "'2' is more than 'equity' takes"),
        ("09:01  intent i BTC 100", "a size has a sign"),
        ("09:01  intent i BTC +100 age old", "an age is a length of time"),
        ("09:01  intent i BTC +100 at", "expected a value for 'at'"),
        ("09:01  silent gossip", "'gossip' is no feed"),
        ("09:01  windows BTC flat 10:00", "is no window"),
        ("09:01  clock stop", "the clock can jump or check"),
        ("09:01  venue fees 1", "the venue tells equity or balance"),
        ("09:01  kill", "an operator has a name"),
        ("09:01  lock by alice", "a lock ends"),
        ("  tick", "an indented line goes on"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_with_what_was_expected(line: str, problem: str) -> None:
    with pytest.raises(StoryInvalid, match=r"^story:5: ") as invalid:
        tell(HELD + line)
    assert problem in str(invalid.value)


@pytest.mark.parametrize("text", ["09:00  tick", "-> permit", "story: a\n-> permit"])
def test_a_file_has_stories_and_stories_have_lines(text: str) -> None:
    with pytest.raises(StoryInvalid, match="story:"):
        read_stories(text)


def test_one_story_is_told_at_a_time() -> None:
    with pytest.raises(StoryInvalid, match="found 2"):
        tell("story: a\n09:00  tick\nstory: b\n09:00  tick")


def test_a_file_is_named_in_its_errors(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("story: a\n\n# nothing\n09:00  tick  -> peak 1  # wrong\n")
    with pytest.raises(StoryFailed, match=r"^mine.txt:4: 09:00"):
        read_stories(path)[0].run()


def test_a_story_is_the_same_every_time() -> None:
    runs = [tell(HELD + "09:05  kill flatten by alice\n2027-01-16T03:00  tick") for _ in range(2)]
    assert runs[0].bench.steps == runs[1].bench.steps or repr(runs[0].bench.steps) == repr(runs[1].bench.steps)


def test_an_exit_that_is_shut_fails_the_story() -> None:
    run = tell(HELD)
    run.bench.engine.state.account.exit_owner = "nobody-here"
    run.bench.engine.state.instruments[0] = None
    with pytest.raises(StoryFailed, match="operator cannot close BTC"):
        run.tell(manual.Line("story:9", "09:01", "=", (), ()))


def test_a_restart_that_forgets_fails_the_story() -> None:
    run = tell(HELD)
    run.bench.engine.state.account.fence += 1
    with pytest.raises(StoryFailed, match="another state"):
        run.tell(manual.Line("story:9", "09:01  restart", "=", (("restart",),), ()))
