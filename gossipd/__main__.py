"""`python -P -m gossipd MASTER_FD HSM_FD LINK_FD LOGLEVEL`: started by the master, with its sockets inherited."""

import gc
import os
import random
import sys
import time

from gossipd.control import Control
from gossipd.sigcheck import start_worker
from wire.daemon import inherited_socket, prepare, run


def main() -> int:
    """Fork the signature workers, then run the loop."""
    *fds, log_level = sys.argv[1:]
    prepare(log_level)
    # A first sync makes and drops a few small objects for each message, none in a cycle: with Python's own figures
    # the collector took a tenth of the time. What is there now stays, also in the workers, who share its pages.
    gc.set_threshold(20_000, 20, 50)
    gc.freeze()
    master, hsm, link = map(inherited_socket, fds)
    # Before there is a loop, a store or a peer: a worker must not have a copy of any of their fds.
    workers = [start_worker() for _ in range(max(1, min(os.cpu_count() or 1, 4)))]
    chance = random.Random()  # noqa: S311 - which peer is asked is no secret
    return run("gossipd", lambda stop: Control(master, hsm, link, workers, stop, time.time, chance).close)


if __name__ == "__main__":
    sys.exit(main())
