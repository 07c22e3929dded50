"""`lightning-cli-py`, the command; `python -m lightningd_py.cli` is the same."""

import signal
import sys

from wire.command import console
from wire.start.python import loading


def main() -> int:
    """The console script."""
    console.begin({signal.SIGINT: 130})
    with loading():  # a fifth of a second, in which Ctrl-C may come
        from lightningd_py.cli.cli import command

    return command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
