"""`python -S -P -m connectd.websocketd MASTER_FD LOGLEVEL`: websocketd as the master starts it."""

import sys

from wire.start.python import loading, without_tls


def main() -> int:
    """Run until the master closes its socket; the exit status."""
    without_tls()
    with loading():
        from connectd.websocketd.websocketd import Websocketd
        from wire.control.daemon import inherited_socket, prepare, run
        from wire.control.landlock import restrict_files
        from wire.control.status import Status

    fd, level = sys.argv[1:]
    prepare(level)
    restrict_files(Status("websocketd"))
    master = inherited_socket(fd)
    return run("websocketd", lambda stop: Websocketd(master, stop).close)


if __name__ == "__main__":
    sys.exit(main())
