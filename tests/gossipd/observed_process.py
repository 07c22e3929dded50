"""A daemon's process as it can be seen from outside."""

import os
import subprocess
from pathlib import Path

from tests.harness import processes


class ObservedProcess:
    """What the system knows of `process`, and what it has written into `log_file`."""

    process: subprocess.Popen[bytes]
    log_file: Path

    def fds(self) -> int:
        """How many fds the process has open; 0 if we may not know."""
        return processes.fd_count(self.process.pid)

    def workers(self) -> list[int]:
        """The pids of its signature workers, which its one child has started."""
        return [pid for nursery in processes.children(self.process.pid) for pid in processes.children(nursery)]

    def rss(self) -> int:
        """Resident bytes of the process."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def log(self) -> str:
        """What it has logged."""
        return self.log_file.read_text()
