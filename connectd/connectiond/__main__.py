"""`python -S -P -m connectd.connectiond CONTROL_FD LOGLEVEL`: connectiond as the master starts it."""

import sys
from collections.abc import Callable

from wire.start.python import loading, without_tls


def main() -> int:
    """Run until the master closes its socket; the exit status."""
    without_tls()
    with loading():
        from connectd.connectiond.daemon import Connectiond
        from wire.control.daemon import inherited_socket, prepare, run
        from wire.control.landlock import restrict_files
        from wire.control.status import Status

    fd, level = sys.argv[1:]
    prepare(level)
    control = inherited_socket(fd)

    def start(stop: Callable[[int], None]) -> Callable[[], None]:
        return Connectiond(control, stop, lambda readable: restrict_files(Status("connectiond"), readable)).close

    return run("connectiond", start)


if __name__ == "__main__":
    sys.exit(main())
