"""`connectiond`, the command: exit status 0 when told to stop, 1 for a failure, 2 for a wrong command line."""

import sys

from wire.command import console
from wire.start.python import loading


def main() -> int:
    """The console script."""
    console.begin(dict.fromkeys(console.END_SIGNALS, 0))
    with loading():  # half a second, in which signals may come
        from connectd.connectiond.alone.standalone import command

    return command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
