"""`python -m benchmarks`: the table of all measures; ends with 1 where a ratio is above its bound."""

import sys

from rich.console import Console
from rich.table import Table

from benchmarks import base_import, compiled, engine, exits, gateway, history, ledger, shell, together

SUBJECTS = (base_import, engine, together, exits, compiled, ledger, shell, gateway, history)


def main() -> int:
    found = [measure for subject in SUBJECTS for measure in subject.measures()]
    table = Table("what", "against", "measured", "reference", "ratio", "at most")
    for m in found:
        bound = "" if m.ratio_max is None else f"{m.ratio_max:g}"
        cells = (m.what, m.against, f"{m.measured:.4g} {m.unit}", f"{m.reference:.4g} {m.unit}", f"{m.ratio:.2f}", bound)
        table.add_row(*cells, style=None if m.holds else "bold red")
    Console().print(table)
    return 0 if all(m.holds for m in found) else 1


if __name__ == "__main__":
    sys.exit(main())
