"""A disk that fills up, is freed, and is read-only at the next start: real mounts, in a child's own namespace."""

import subprocess
import sys
from pathlib import Path

from required_parts import NAMESPACE, Requires

CHILD = """
import os, subprocess, sys, time
from pathlib import Path
from interlock.ledger import Ledger, LedgerUnwritable, read, verify

disk = Path(sys.argv[1])
START_NS = 20_000 * 86_400_000_000_000


def mount(*options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "none", disk], check=True)


def until(condition):
    end_s = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < end_s, "it never happened"
        time.sleep(0.01)


mount("size=1m")
ledger = Ledger.open(disk / "ledger", account="main", schema=1)
payloads = [os.urandom(10_000) for _ in range(300)]
for payload in payloads[:200]:
    ledger.append(START_NS, 1, payload)
until(lambda: ledger.problem is not None)
assert isinstance(ledger.problem, LedgerUnwritable), ledger.problem
assert "free space" in ledger.problem.remedy, ledger.problem
acknowledged = ledger.durable_seq
assert acknowledged < 200
assert [record.payload for record in read(disk / "ledger", schema=1)][:acknowledged] == payloads[:acknowledged]
mount("remount", "size=50m")
assert ledger.wait(200, 30.0)
until(lambda: ledger.problem is None)

for payload in payloads[200:]:
    ledger.append(START_NS, 1, payload)
ledger.close()

mount("remount", "ro")
assert [record.payload for record in read(disk / "ledger", schema=1)] == payloads
assert verify(disk / "ledger").problems == ()
try:
    Ledger.open(disk / "ledger", account="main", schema=1)
except LedgerUnwritable as error:
    assert "writable" in error.remedy, error
else:
    raise AssertionError("opened on a read-only disk")
mount("remount", "rw")
with Ledger.open(disk / "ledger", account="main", schema=1) as again:
    assert again.append(START_NS, 1, b"goes on") == 301
assert verify(disk / "ledger").records == 301
print("done")
"""


def test_a_disk_that_fills_up_and_one_that_is_read_only(requires: Requires, tmp_path: Path) -> None:
    requires("mounts")
    child = subprocess.run(
        [*NAMESPACE, sys.executable, "-c", CHILD, tmp_path], capture_output=True, text=True, timeout=120, check=False
    )
    assert child.stdout == "done\n", child.stderr
