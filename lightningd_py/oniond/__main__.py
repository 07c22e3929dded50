"""`python -S -P -m lightningd_py.oniond MASTER_FD HSM_FD LOGLEVEL`: oniond as the master starts it."""

import sys

from wire.start.python import loading, without_tls


def main() -> int:
    """Run until the master closes its end; the exit status."""
    without_tls()
    with loading():
        from lightningd_py.oniond.oniond import Oniond
        from wire.control.daemon import inherited_socket, prepare, run
        from wire.control.landlock import restrict_files
        from wire.control.status import Status

    *fds, level = sys.argv[1:]
    prepare(level)
    restrict_files(Status("oniond"))
    master, hsm = map(inherited_socket, fds)
    return run("oniond", lambda stop: Oniond(master, hsm, stop).close)


if __name__ == "__main__":
    sys.exit(main())
