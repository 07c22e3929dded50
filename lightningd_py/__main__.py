"""`lightningd-py`: the node's process. What keeps it from starting is one sentence on standard error, exit status 1."""

import asyncio
import sys
from collections.abc import Callable

from lightningd_py.config.daemonize import daemonize, open_standard_files
from lightningd_py.config.options import Options, parse
from lightningd_py.errors import StartError
from lightningd_py.log import NodeLog
from lightningd_py.node import Node
from lightningd_py.pid_lock import PidLock, make_directory
from wire.control.daemon import calm_collector
from wire.control.landlock import landlock_version
from wire.control.status import Status, end_logging, set_up_logging


def main() -> int:
    """The console script."""
    open_standard_files()
    try:
        options = parse(sys.argv[1:])
        started = daemonize() if options.daemon else lambda: None
        return _run(options, started)
    except StartError as error:
        print(f"lightningd-py: {error}", file=sys.stderr)
        return 1


def _run(options: Options, started: Callable[[], None]) -> int:
    make_directory(options.network_dir)
    lock = PidLock(options.pid_file)
    try:
        log = NodeLog(options.log_file)
        set_up_logging(options.log_level)
        calm_collector()
        if not landlock_version():
            Status("lightningd").info("this kernel has no Landlock: our daemons may open what this user may")
        try:
            return asyncio.run(_node(options, log, started))
        finally:
            end_logging()
            log.close()
    finally:
        lock.release()


async def _node(options: Options, log: NodeLog, started: Callable[[], None]) -> int:
    return await Node(options, log).run(started)


if __name__ == "__main__":
    sys.exit(main())
