"""`python -S -P -m lightningd_py.listingd MASTER_FD LOGLEVEL`: listingd as the master starts it."""

import sys

from wire.start.python import loading, without_tls


def main() -> int:
    """Run until the master closes its end; the exit status."""
    without_tls()
    with loading():
        from lightningd_py.listingd.listingd import Listingd
        from wire.control.daemon import inherited_socket, prepare, run
        from wire.control.landlock import restrict_files
        from wire.control.status import Status

    fd, level = sys.argv[1:]
    prepare(level)
    restrict_files(Status("listingd"))
    return run("listingd", lambda stop: Listingd(inherited_socket(fd), stop).close)


if __name__ == "__main__":
    sys.exit(main())
