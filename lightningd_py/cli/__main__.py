"""`lightning-cli-py`, the command; `python -m lightningd_py.cli` is the same."""

import signal
import sys

from wire.command import console


def main() -> int:
    """The console script."""
    console.begin({signal.SIGINT: 130})
    from lightningd_py.cli.cli import command  # a fifth of a second, in which Ctrl-C may come

    return command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
