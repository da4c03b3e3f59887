"""`python -m benchmarks`: the table of all measures, each as soon as it is known; ends with 1 where a bound is broken."""

import sys

from rich.console import Console
from rich.table import Table

from benchmarks import base_import, compiled, engine, exits, gateway, history, ledger, open_rows, shell, together
from benchmarks.measure import Measure

SUBJECTS = (base_import, engine, open_rows, together, exits, compiled, ledger, shell, gateway, history)
WIDTHS = {"what": 50, "against": 26, "measured": 13, "reference": 13, "ratio": 8, "at most": 7}


def row(*cells: str, style: str | None = None) -> Table:
    """One line of the table, its columns as wide as in every other."""
    table = Table.grid(padding=(0, 1))
    for name, width in WIDTHS.items():
        table.add_column(width=width, justify="left" if name in ("what", "against") else "right")
    table.add_row(*cells, style=style)
    return table


def cells(m: Measure) -> tuple[str, ...]:
    """What the line says of the measure."""
    bound = "" if m.ratio_max is None else f"{m.ratio_max:g}"
    return m.what, m.against, f"{m.measured:.4g} {m.unit}", f"{m.reference:.4g} {m.unit}", f"{m.ratio:.2f}", bound


def main() -> int:
    console = Console(width=sum(WIDTHS.values()) + len(WIDTHS))
    console.print(row(*WIDTHS, style="bold"))
    holds = True
    for subject in SUBJECTS:
        for measure in subject.measures():
            console.print(row(*cells(measure), style=None if measure.holds else "bold red"))
            holds = holds and measure.holds
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
