"""Run one simulated history with every fault and every law: `python -m interlock.testing --seed 7`."""

import argparse
import sys
import tempfile
from pathlib import Path

from interlock.testing.faults import FAULTS
from interlock.testing.simulator import LawBroken, Simulation


def main(arguments: list[str] | None = None) -> int:
    """0 when every law held; 1 after telling the story of the one that did not."""
    parser = argparse.ArgumentParser(prog="python -m interlock.testing", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="chooses the history")
    parser.add_argument("--steps", type=int, default=2_000, help="how long it is")
    parser.add_argument("--no-faults", action="store_true", help="nothing goes wrong")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as place:
        sim = Simulation(chosen.seed, Path(place), faults=() if chosen.no_faults else FAULTS)
        try:
            outcome = sim.run(chosen.steps)
        except LawBroken as story:
            sys.stdout.write(f"{story}\n")
            return 1
        finally:
            sim.abandon()
    sys.stdout.write(
        f"seed {chosen.seed}: {outcome.steps} steps, {outcome.permits} permits, {outcome.crashes} crashes, "
        f"equity {outcome.equity:.2f}, every law held\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
