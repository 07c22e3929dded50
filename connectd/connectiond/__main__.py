"""`python -P -m connectd.connectiond CONTROL_FD LOGLEVEL`: connectiond as the master starts it."""

import sys

from connectd.connectiond.daemon import Connectiond
from wire.control.daemon import inherited_socket, prepare, run


def main() -> int:
    """Run until the master closes its socket; the exit status."""
    fd, level = sys.argv[1:]
    prepare(level)
    control = inherited_socket(fd)
    return run("connectiond", lambda stop: Connectiond(control, stop).close)


if __name__ == "__main__":
    sys.exit(main())
