"""The command ``interlock``, also as ``python -m interlock``."""

import sys


def main() -> None:
    """
    The process has ended with the exit code of the command that was asked for.

    `panic` is found before anything else is imported: it has to work when the rest does not.
    """
    if sys.argv[1:2] == ["panic"]:
        from interlock.panic import alone  # noqa: PLC0415

        alone()
    else:
        from interlock.cli import main as all_commands  # noqa: PLC0415

        all_commands()


if __name__ == "__main__":
    main()
