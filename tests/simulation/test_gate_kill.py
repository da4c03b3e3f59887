"""A trading process is killed at random moments: what it acknowledged is there, and folds to the state it had."""

import hashlib
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from interlock.core import snapshot
from interlock.core.engine import Engine
from interlock.ledger import verify
from interlock.ledger.fold import fold
from interlock.ledger.steps import read_steps

TRADER = """
import hashlib, sys
from pathlib import Path
from interlock.core import snapshot
from interlock.core.codes import AccountKind
from interlock.core.messages import SCHEMA, AccountOpened, ClockChecked, EquityMarked, MarketBatch, PositionsReported
from interlock.ledger import Ledger
from interlock.ledger.fold import fold
from interlock.service.shell.gate import Gate
from interlock.testing import open_bench, make_policy
from interlock.testing.builders import START_NS

directory = Path(sys.argv[1])
ledger = Ledger.open(directory, account="test", schema=SCHEMA)
gate = Gate(fold(directory), ledger, snapshot_every=150)
bench = open_bench(policy=make_policy())
first = gate.engine.state.account
digests, told = {}, ledger.durable_seq
bench.clock.advance(1_000.0 * first.epoch)
if not first.opened:
    events = [step.input for step in bench.steps]
else:
    events = [AccountOpened("test", AccountKind.PAPER, "USDT", 10_000.0, epoch=first.epoch + 1)]


def submit(event):
    tell(gate.submit(event, bench.clock.wall_ns, bench.clock.mono_ns))


def tell(handed):
    global told
    digests[handed.step.seq] = hashlib.sha256(snapshot.encode(gate.engine.state)).hexdigest()
    durable = ledger.durable_seq
    if durable > told:
        told = durable
        print(durable, digests[durable], flush=True)


for event in events:
    submit(event)
for number in range(10**9):
    bench.clock.advance(0.5)
    now_ns = bench.clock.true_ns
    submit(ClockChecked(now_ns))
    submit(PositionsReported((), now_ns))
    submit(MarketBatch(tuple(bench.book.quote(symbol, now_ns) for symbol in bench.book.prices)))
    submit(EquityMarked(10_000.0, 10_000.0, now_ns))
    submit(bench.intent("BTC", 1, quantity=1.0, id=f"{first.epoch}-{number}"))
    submit(bench.intent("BTC", -1, quantity=1.0, id=f"c{first.epoch}-{number}", source="operator", reduce_only=True))
    for permit in gate.due():
        tell(gate.spend(permit, bench.clock.wall_ns, bench.clock.mono_ns))
    if number % 5 == 0:
        ledger.wait(ledger.last_seq, 10.0)
"""


def kill_one(directory: Path, chance: random.Random) -> tuple[int, str]:
    """Starts a trader, kills it at a random moment; returns the last step it acknowledged and the state's digest then."""
    with subprocess.Popen([sys.executable, "-c", TRADER, directory], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = ""
        for _ in range(chance.randrange(1, 60)):
            line = process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split("\n")[:-1]
    seq, digest = (rest[-1] if rest else line).split()
    return int(seq), digest


def digest_of(engine: Engine) -> str:
    return hashlib.sha256(snapshot.encode(engine.state)).hexdigest()


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("kills", [8, pytest.param(200, marks=pytest.mark.long)])
def test_a_killed_trader_is_where_it_was(kills: int, tmp_path: Path) -> None:
    chance = random.Random(kills)
    engine, seq = Engine(), 0
    for _ in range(kills):
        acknowledged, digest = kill_one(tmp_path, chance)
        assert acknowledged > seq
        at_acknowledged = ""
        for step in read_steps(tmp_path, after_seq=seq):
            engine.fold(step)
            seq = step.seq
            if seq == acknowledged:
                at_acknowledged = digest_of(engine)
        assert seq >= acknowledged
        assert at_acknowledged == digest
        assert digest_of(fold(tmp_path)) == digest_of(engine)
    assert verify(tmp_path).problems == ()


def test_control_a_ledger_that_loses_a_step_is_found_out(tmp_path: Path) -> None:
    acknowledged, digest = kill_one(tmp_path, random.Random(1))
    engine = Engine()
    for step in read_steps(tmp_path):
        if step.seq <= acknowledged and step.seq != acknowledged // 2:
            engine.fold(step)
    assert digest_of(engine) != digest
