import asyncio
import shutil
import threading
from collections.abc import Callable
from math import isnan
from pathlib import Path

import pytest

from interlock.core.codes import AccountKind, Code, KillMode, Scope
from interlock.core.messages import BUY, SELL, Decision, KillSet
from interlock.service.home.conditions import Conditions, LiveConditions, Tightening, kill_by_environment
from interlock.service.home.home import Home
from interlock.service.home.latch import KillLatch, KillState
from interlock.service.home.lookout import BLIND, Lookout, Sight
from interlock.service.home.runtime import parse
from interlock.testing.builders import make_policy, open_bench
from unit.service.homes import RUNTIME, made

SHADOW, PAPER, LIVE = AccountKind
SYMBOLS = ("BTCUSDT", "ETHUSDT", "XAUUSD", "EURUSD")
OPEN = RUNTIME.replace('"paper"\narmed = false\nrollout_percent = 0', '"live"\narmed = true\nrollout_percent = 100')


def write(home: Home, text: str) -> None:
    home.runtime.write_text(text)


def judged(home: Home, *, kind: AccountKind = LIVE, kill: KillState | None = None, **environ: str) -> Conditions:
    live = LiveConditions(home, parse(OPEN), kind, Tightening.of(environ))
    return live.read(SYMBOLS, KillLatch(home).state() if kill is None else kill)


def asked(conditions: Conditions, kind: AccountKind, symbol: str, side: int, held: float = 0.0) -> Decision:
    """What an engine that was told the conditions answers, everything else being in order."""
    prices = dict.fromkeys(SYMBOLS, 100.0)
    holdings = {symbol: (held, 100.0)} if held else {}
    bench = open_bench(kind=kind, policy=make_policy(symbols=SYMBOLS), prices=prices, holdings=holdings)
    bench.send(conditions.told)
    step = bench.send(bench.intent(symbol, side, quantity=5.0, source="operator" if held else "bot"))
    return next(output for output in step.outputs if isinstance(output, Decision))


def may_open(conditions: Conditions, kind: AccountKind = LIVE, symbol: str = "BTCUSDT") -> bool:
    decision = asked(conditions, kind, symbol, BUY)
    assert decision.headline in (Code.ALLOWED, Code.NOT_LIVE), decision
    return decision.allowed


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return made(tmp_path, OPEN)


def test_a_live_account_opens_when_all_four_are_met(home: Home) -> None:
    conditions = judged(home)
    assert may_open(conditions)
    assert conditions.told.reason == ""
    assert conditions.shown == (
        ("mode", True, "runtime.toml: mode = live"),
        ("armed", True, "runtime.toml: armed = true"),
        ("rollout", True, "runtime.toml: rollout_percent = 100, covers all symbols"),
        ("kill switch off", True, "latch and sentinel"),
    )


@pytest.mark.parametrize(
    ("old", "new", "unmet"),
    [
        ('mode = "live"', 'mode = "paper"', {"mode"}),
        ('mode = "live"', 'mode = "shadow"', {"mode"}),
        ("armed = true", "armed = false", {"armed"}),
        ("rollout_percent = 100", "rollout_percent = 0", {"rollout"}),
        ('mode = "live"', 'mode = "lve"', {"mode", "armed", "rollout"}),
        ("armed = true", 'armed = "true"', {"mode", "armed", "rollout"}),
        ("armed = true", "armd = true", {"mode", "armed", "rollout"}),
        ("rollout_percent = 100", "rollout_percent = 1000", {"mode", "armed", "rollout"}),
        ("armed = true", "armed = ", {"mode", "armed", "rollout"}),
        ('account = "main"', 'account = "other"', {"mode", "armed", "rollout"}),
        ('environment = "testnet"', 'environment = "mainnet"', {"mode", "armed", "rollout"}),
    ],
)
def test_a_change_of_the_file_closes_openings_and_says_why(home: Home, old: str, new: str, unmet: set[str]) -> None:
    assert may_open(judged(home))
    write(home, OPEN.replace(old, new))
    conditions = judged(home)
    assert not may_open(conditions)
    assert {name for name, met, _ in conditions.shown if not met} == unmet
    assert "runtime.toml" in conditions.told.reason
    write(home, OPEN)
    assert may_open(judged(home))


def test_a_file_that_says_another_account_names_both(home: Home) -> None:
    write(home, OPEN.replace('account = "main"', 'account = "other"'))
    assert "account was main at the start and is other now: change it back, or restart" in judged(home).told.reason


@pytest.mark.parametrize("kind", [*AccountKind])
def test_a_file_that_cannot_be_read_closes_every_kind_of_account(home: Home, kind: AccountKind) -> None:
    home.runtime.unlink()
    conditions = judged(home, kind=kind)
    assert not may_open(conditions, kind)
    assert isnan(conditions.told.environment_kill)
    assert isnan(conditions.told.armed)
    assert isnan(conditions.told.rollout)


@pytest.mark.parametrize("kind", [*AccountKind])
@pytest.mark.parametrize(
    "text", ["", OPEN, OPEN.replace("armed = true", "armed = false"), OPEN.replace('mode = "live"', "mode = 1")]
)
@pytest.mark.parametrize("killed", ["true", "false"])
def test_whatever_they_say_a_position_can_be_closed(home: Home, kind: AccountKind, text: str, killed: str) -> None:
    write(home, text)
    conditions = judged(home, kind=kind, INTERLOCK_KILL_SWITCH=killed)
    decision = asked(conditions, kind, "BTCUSDT", SELL, held=5.0)
    assert (decision.headline, decision.reducing) == (Code.ALLOWED, True)


@pytest.mark.parametrize("mode", [*AccountKind])
@pytest.mark.parametrize("kind", [*AccountKind])
def test_an_account_opens_in_its_own_mode_only(home: Home, mode: AccountKind, kind: AccountKind) -> None:
    write(home, OPEN.replace('mode = "live"', f'mode = "{mode}"'))
    assert may_open(judged(home, kind=kind), kind) == (mode is kind)


def test_part_of_the_rollout_is_not_the_whole_of_it(home: Home) -> None:
    write(home, OPEN.replace("rollout_percent = 100", "rollout_percent = 0\nrollout = { BTCUSDT = 100, ETHUSDT = 100 }"))
    conditions = judged(home)
    assert (conditions.told.rollout, conditions.told.symbols) == (0.0, ("BTCUSDT", "ETHUSDT"))
    assert [symbol for symbol in SYMBOLS if may_open(conditions, symbol=symbol)] == ["BTCUSDT", "ETHUSDT"]
    assert conditions.shown[2] == ("rollout", True, "runtime.toml: rollout_percent = 0, covers BTCUSDT, ETHUSDT")


def test_no_symbol_is_not_every_symbol(home: Home) -> None:
    write(home, OPEN.replace("rollout_percent = 100", "rollout_percent = 0"))
    live = LiveConditions(home, parse(OPEN), LIVE, Tightening())
    told = live.read((), KillState()).told
    assert (told.rollout, told.symbols) == (0.0, ())


def test_many_symbols_are_told_shortly(home: Home) -> None:
    symbols = tuple(f"S{i}" for i in range(30))
    covered = ", ".join(f'"S{i}" = 100' for i in range(20))
    write(home, OPEN.replace("rollout_percent = 100", f"rollout_percent = 0\nrollout = {{ {covered} }}"))
    live = LiveConditions(home, parse(OPEN), LIVE, Tightening())
    assert live.read(symbols, KillState()).shown[2][2].endswith("S6, S7 and 12 more")


# ---------------------------------------------------------------- the environment


@pytest.mark.parametrize("value", ["false", "0", "no", "off", "FALSE", " Off ", "No"])
def test_w13_words_for_off_are_off(home: Home, value: str) -> None:
    assert not kill_by_environment({"INTERLOCK_KILL_SWITCH": value})
    assert may_open(judged(home, INTERLOCK_KILL_SWITCH=value))


def test_unset_is_off() -> None:
    assert not kill_by_environment({})


@pytest.mark.parametrize("value", ["true", "1", "yes", "on", "", " ", "flase", "nein", "none", "00", "null", "2"])
@pytest.mark.parametrize("kind", [*AccountKind])
def test_everything_else_is_on(home: Home, value: str, kind: AccountKind) -> None:
    write(home, OPEN.replace('mode = "live"', f'mode = "{kind}"'))
    assert may_open(judged(home, kind=kind), kind)
    conditions = judged(home, kind=kind, INTERLOCK_KILL_SWITCH=value)
    assert conditions.told.environment_kill == 1.0
    assert not may_open(conditions, kind)
    assert conditions.shown[3] == ("kill switch off", False, f"INTERLOCK_KILL_SWITCH={value}")


@pytest.mark.parametrize("value", ["false", "0", "", "ture", "armed"])
def test_the_environment_disarms(home: Home, value: str) -> None:
    conditions = judged(home, INTERLOCK_ARMED=value)
    assert (conditions.told.armed, may_open(conditions)) == (0.0, False)
    assert conditions.shown[1] == ("armed", False, f"INTERLOCK_ARMED={value}")


def test_the_environment_arms_nothing(home: Home) -> None:
    assert may_open(judged(home, INTERLOCK_ARMED="true", INTERLOCK_MODE="live"))
    write(home, OPEN.replace("armed = true", "armed = false"))
    assert not may_open(judged(home, INTERLOCK_ARMED="true", INTERLOCK_MODE="live"))
    write(home, OPEN.replace('mode = "live"', 'mode = "paper"'))
    assert not may_open(judged(home, INTERLOCK_ARMED="true", INTERLOCK_MODE="live"))


@pytest.mark.parametrize("value", ["shadow", "paper", "Paper ", "", "lve", "none"])
def test_the_environments_mode_is_the_tighter_or_unknown(home: Home, value: str) -> None:
    conditions = judged(home, INTERLOCK_MODE=value)
    assert not may_open(conditions)
    assert "INTERLOCK_MODE=" in conditions.told.reason


# ---------------------------------------------------------------- kill switch


def test_the_latch_is_one_of_them(home: Home) -> None:
    KillLatch(home).trigger(KillSet(KillMode.FLATTEN, Scope.ACCOUNT, "", "bad feed", "alice"), 1)
    assert judged(home).shown[3] == ("kill switch off", False, "bad feed")
    KillLatch(home).trigger(KillSet(KillMode.FLATTEN, Scope.SYMBOL, "BTCUSDT", "bad book", "alice"), 1)


def test_a_symbol_that_is_killed_kills_no_account(home: Home) -> None:
    KillLatch(home).trigger(KillSet(KillMode.FLATTEN, Scope.SYMBOL, "BTCUSDT", "bad book", "alice"), 1)
    assert judged(home).shown[3][1]


# ---------------------------------------------------------------- the lookout


class HangingConditions(LiveConditions):
    """Conditions on a disk that answers when it is told to."""

    def __init__(self, home: Home) -> None:
        super().__init__(home, parse(OPEN), LIVE, Tightening())
        self.answers = threading.Event()
        self.answers.set()
        self.asked = threading.Event()
        self.readings = 0

    def read(self, symbols: object, kill: KillState) -> Conditions:
        self.readings += 1
        self.asked.set()
        assert self.answers.wait(60)
        return super().read(SYMBOLS, kill)


def run(story: Callable[[Lookout, HangingConditions], object], home: Home, patience_s: float = 60.0) -> None:
    disk = HangingConditions(home)
    seconds = [0.0]

    async def told() -> None:
        lookout = Lookout(KillLatch(home), disk, lambda: SYMBOLS, patience_s=patience_s, mono_s=lambda: seconds[0])
        outcome = story(lookout, disk)
        assert asyncio.iscoroutine(outcome)
        await outcome

    try:
        asyncio.run(told())
    finally:
        disk.answers.set()


def test_it_sees_what_the_disk_says_now(home: Home) -> None:
    async def story(lookout: Lookout, _: HangingConditions) -> None:
        assert lookout.sight is BLIND
        assert lookout.killed() == KillMode.REDUCE_ONLY
        assert may_open((await lookout.look()).conditions)
        assert lookout.killed() is None
        home.sentinel.write_text("flatten")
        assert (await lookout.look()).kill.account == KillMode.FLATTEN
        assert lookout.killed() == KillMode.FLATTEN
        shutil.rmtree(home.path)
        assert (await lookout.look()).kill.account == KillMode.REDUCE_ONLY

    run(story, home)


def test_a_disk_that_hangs_closes_openings_and_is_asked_once(home: Home) -> None:
    async def story(lookout: Lookout, disk: HangingConditions) -> None:
        disk.answers.clear()
        seen = await asyncio.gather(*(lookout.look() for _ in range(20)))
        assert seen == [BLIND] * 20
        assert disk.readings == 1
        assert isnan(BLIND.conditions.told.environment_kill)
        disk.answers.set()
        while (await lookout.look()).blind:
            assert disk.readings <= 2

    run(story, home, patience_s=0.05)


def test_an_answer_is_never_older_than_the_question(home: Home) -> None:
    async def story(lookout: Lookout, disk: HangingConditions) -> None:
        disk.answers.clear()
        early = asyncio.create_task(lookout.look())
        await asyncio.to_thread(disk.asked.wait)
        home.sentinel.touch()
        late = [asyncio.create_task(lookout.look()) for _ in range(5)]
        await asyncio.sleep(0)
        disk.answers.set()
        assert (await early).kill.account is None
        assert [(await each).kill.account for each in late] == [KillMode.REDUCE_ONLY] * 5
        assert disk.readings == 2

    run(story, home)


def test_what_was_seen_is_relied_on_for_a_while_only(home: Home) -> None:
    async def story() -> None:
        seconds = [0.0]
        live = LiveConditions(home, parse(OPEN), LIVE, Tightening())
        lookout = Lookout(KillLatch(home), live, lambda: SYMBOLS, patience_s=60.0, mono_s=lambda: seconds[0])
        await lookout.look()
        seconds[0] = 60.0
        assert lookout.killed() is None
        seconds[0] = 60.1
        assert lookout.killed() == KillMode.REDUCE_ONLY
        assert lookout.sight is BLIND

    asyncio.run(story())


def test_a_reading_that_fails_is_blind_and_the_next_one_sees(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failures.append)

    async def story(lookout: Lookout, disk: HangingConditions) -> None:
        with monkeypatch.context() as broken:
            broken.setattr(disk, "read", lambda *_: 1 / 0)
            assert (await lookout.look()).blind
        assert not (await lookout.look()).blind

    run(story, home)
    assert len(failures) == 1


def test_a_loop_that_has_ended_hurts_no_reading(home: Home) -> None:
    live = LiveConditions(home, parse(OPEN), LIVE, Tightening())
    lookout = Lookout(KillLatch(home), live, lambda: SYMBOLS)
    loop = asyncio.new_event_loop()
    reading: asyncio.Future[Sight] = loop.create_future()
    loop.close()
    lookout._read(loop, reading, SYMBOLS)
    assert not reading.done()
