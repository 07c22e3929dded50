"""`python -S -P -m gossipd MASTER_FD HSM_FD LINK_FD LOGLEVEL`: started by the master, with its sockets inherited."""

import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from wire.start.python import loading, without_tls


def main() -> int:
    """Fork the nursery of signature workers, then run the loop."""
    without_tls()
    with loading():
        from gossipd.control import Control
        from gossipd.ingest.workers import Workers
        from wire.control.daemon import inherited_socket, prepare, run
        from wire.control.landlock import restrict_files
        from wire.control.status import Status

    *fds, log_level = sys.argv[1:]
    prepare(log_level)
    master, hsm, link = map(inherited_socket, fds)
    # Before there is a loop, a store or a peer: a worker must not have a copy of any of their fds.
    workers = Workers(max(1, min(os.cpu_count() or 1, 4)))
    chance = random.Random()  # noqa: S311 - which peer is asked is no secret

    def start(stop: Callable[[int], None]) -> Callable[[], None]:
        def restrict(kept: Path, readable: list[Path]) -> None:
            restrict_files(Status("gossipd"), readable, kept=[kept])

        return Control(master, hsm, link, workers, stop, time.time, chance, restrict).close

    return run("gossipd", start)


if __name__ == "__main__":
    sys.exit(main())
