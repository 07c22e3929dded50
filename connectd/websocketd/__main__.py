"""`python -P -m connectd.websocketd CONNECTD_FD LOGLEVEL`: websocketd as the master starts it."""

import logging
import sys

from connectd.websocketd.websocketd import Websocketd
from wire.control.daemon import prepare, run
from wire.control.landlock import restrict_files
from wire.control.status import Status


def main() -> int:
    """Run until every other end of the socket is closed; the exit status."""
    fd, level = sys.argv[1:]
    prepare(level)
    logging.getLogger("websockets").setLevel(logging.ERROR)  # a stranger's faults are nothing to it, its own bugs are
    restrict_files(Status("websocketd"))
    return run("websocketd", lambda stop: Websocketd(fd, stop).close)


if __name__ == "__main__":
    sys.exit(main())
