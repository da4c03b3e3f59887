"""A history of five thousand fills walked again behind a gate, against the engine's bare steps."""

import random
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.measure import Measure
from interlock.adapters.history import History, read_history
from interlock.core.engine import Engine
from interlock.ledger.steps import read_steps
from interlock.study.hindsight import Free, Gated, Plan, walk
from interlock.study.past import past
from interlock.study.presets import preset_policy
from interlock.study.proof import open_gate

FILLS = 5_000
BALANCE = 1_000_000.0
WITHOUT_GATE_MAX = 0.2


def write(path: Path) -> None:
    """A trader of one symbol who adds, turns and pays fees."""
    chance = random.Random(3)
    lines = ["time,symbol,side,quantity,price,fee"]
    at_s, price, held = 1_500_000_000, 4_000_000, 0
    for _ in range(FILLS):
        at_s += chance.randint(30, 9_000)
        price = max(10_000, price + round(price * chance.gauss(0.0, 0.003)))
        side = -1 if held > 40 else 1 if held < -40 else chance.choice((-1, 1))
        quantity = abs(held) or 1 if abs(held) > 40 else chance.randint(1, 9)
        held += side * quantity
        cost = Decimal(price * quantity) / 10_000_000
        lines.append(f"{at_s},X,{'buy' if side > 0 else 'sell'},{quantity / 10},{Decimal(price) / 100},{cost:.4f}")
    path.write_text("\n".join(lines) + "\n")


def taken_s(folder: Path, history: History) -> tuple[float, float, int]:
    """Seconds of the walk without a gate and with one, and the steps that this one took."""
    mine = past(history, {}, "USD")
    start_s = time.perf_counter()
    for _ in walk(Free(mine, BALANCE)):
        pass
    free_s = time.perf_counter() - start_s
    policy = preset_policy("crypto-futures", history.symbols, "USD", stops_known=False)
    gate = open_gate(folder, "gate", Ed25519PrivateKey.generate())
    start_s = time.perf_counter()
    for _ in walk(Gated(mine, BALANCE, gate, Plan("gate", policy, "UTC", 90))):
        pass
    gate.close()
    return free_s, time.perf_counter() - start_s, gate.engine.state.account.seq


def bare_s(folder: Path) -> float:
    """Seconds that an engine alone takes for the same steps."""
    inputs = [(step.input, step.at_ns) for step in read_steps(folder / "gate")]
    engine = Engine()
    start_s = time.perf_counter()
    for event, at_ns in inputs:
        engine.step(event, at_ns)
    return time.perf_counter() - start_s


def measures() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        write(folder / "fills.csv")
        start_s = time.perf_counter()
        history = read_history(folder / "fills.csv", zone=ZoneInfo("UTC"))
        read_s = time.perf_counter() - start_s
        free_s, gated_s, steps = taken_s(folder, history)
        engine_s = bare_s(folder)
    bare = f"its {steps / FILLS:.1f} bare engine steps"
    yield Measure("a fill of a history, gated", bare, gated_s / FILLS, engine_s / FILLS)
    yield Measure("a fill of a history, ungated", "gated", free_s / FILLS, gated_s / FILLS, WITHOUT_GATE_MAX)
    yield Measure("a fill of a history, read", "gated", read_s / FILLS, gated_s / FILLS)
