"""`lightningd-py`: the command. What keeps the node from starting is one sentence on standard error, exit status 1."""

import sys

from wire.command import console
from wire.start.python import loading

COMMAND = "lightningd-py"


def main() -> int:
    """The console script. Ended while it loads it ends as the node does: with status 0."""
    console.begin(dict.fromkeys(console.END_SIGNALS, 0))
    with loading():  # half a second, in which signals may come
        from lightningd_py.master import start

    return start(COMMAND, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
