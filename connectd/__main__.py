"""`python -S -P -m connectd MASTER_FD HSM_FD LINK_FD LOGLEVEL`: how the master starts connectd."""

import sys
from collections.abc import Callable

from wire.start.python import loading, without_tls


def main() -> int:
    """Run until the master closes its socket; the exit status."""
    without_tls()
    with loading():
        from connectd.connectd import Connectd
        from wire.control.daemon import inherited_socket, prepare, run
        from wire.control.landlock import restrict_files
        from wire.control.status import Status

    *fds, level = sys.argv[1:]
    prepare(level)
    master, hsm, link = map(inherited_socket, fds)

    def start(stop: Callable[[int], None]) -> Callable[[], None]:
        return Connectd(master, hsm, link, stop, lambda: restrict_files(Status("connectd"))).close

    return run("connectd", start)


if __name__ == "__main__":
    sys.exit(main())
