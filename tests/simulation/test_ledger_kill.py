"""A writing process is killed at random moments: whatever it had acknowledged is there, and the chain holds."""

import hashlib
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from interlock.ledger import Ledger, latest_snapshot, read, verify

SCHEMA = 1
DAY_NS = 86_400_000_000_000
START_NS = 20_000 * DAY_NS
PER_DAY = 400

WRITER = """
import hashlib, sys
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from interlock.ledger import Ledger

directory, anchor, key = Path(sys.argv[1]), Path(sys.argv[2]), bytes.fromhex(sys.argv[3])
day_ns, start_ns, per_day = 86_400_000_000_000, 20_000 * 86_400_000_000_000, int(sys.argv[4])
with Ledger.open(directory, account="main", schema=1, key=Ed25519PrivateKey.from_private_bytes(key), anchor=anchor,
                 head_every_records=50) as ledger:
    told = ledger.durable_seq
    while True:
        seq = ledger.last_seq + 1
        assert ledger.append(start_ns + seq // per_day * day_ns, seq % 5, hashlib.sha512(b"%d" % seq).digest()) == seq
        if seq % 100 == 0:
            ledger.snapshot(b"after %d" % seq)
        if seq % 7 == 0:
            ledger.wait(seq - seq % 3, 10.0)
        if ledger.durable_seq > told:
            told = ledger.durable_seq
            print(told, flush=True)
"""


def payload(seq: int) -> bytes:
    return hashlib.sha512(b"%d" % seq).digest()


def kill_one(place: Path, key: Ed25519PrivateKey, chance: random.Random) -> int:
    """Starts a writer, kills it at a random moment, returns the last number it acknowledged."""
    command: list[str | Path] = [
        sys.executable,
        "-c",
        WRITER,
        place / "ledger",
        place / "anchor.jsonl",
        key.private_bytes_raw().hex(),
    ]
    with subprocess.Popen([*command, str(PER_DAY)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        acknowledged = 0
        for _ in range(chance.randrange(1, 60)):
            acknowledged = int(process.stdout.readline())
        if chance.random() < 0.5:
            os.sched_yield()
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split(b"\n")[:-1]
        return int(rest[-1]) if rest else acknowledged


@pytest.mark.parametrize("kills", [10, pytest.param(200, marks=pytest.mark.long)])
def test_what_was_acknowledged_survives_a_kill(kills: int, tmp_path: Path) -> None:
    chance = random.Random(kills)
    key = Ed25519PrivateKey.generate()
    directory, anchor = tmp_path / "ledger", tmp_path / "anchor.jsonl"
    last = 0
    for _ in range(kills):
        acknowledged = kill_one(tmp_path, key, chance)
        records = list(read(directory, schema=SCHEMA, after_seq=last))
        end = last + len(records)
        assert end >= acknowledged > last
        assert [record.payload for record in records] == [payload(seq) for seq in range(last + 1, end + 1)]
        found = latest_snapshot(directory, schema=SCHEMA, public_key=key.public_key())
        assert found.problems == ()
        due = (end - 1) // 100 * 100
        if due > last:  # a later record is there, and so is what was in line before it
            assert found.snapshot is not None
            assert found.snapshot.seq >= due
        assert found.snapshot is None or found.snapshot.payload == b"after %d" % found.snapshot.seq
        last = end
    report = verify(directory, public_key=key.public_key(), anchor=anchor)
    assert report.problems == ()
    assert report.records == last
    with Ledger.open(directory, account="main", schema=SCHEMA, key=key, anchor=anchor) as ledger:
        assert ledger.durable_seq == last
    closed = verify(directory, public_key=key.public_key(), anchor=anchor)
    assert closed.problems == ()
    assert closed.vouched_seq == last
