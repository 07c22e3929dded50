"""What a daemon has given up, seen from a process of an ordinary user."""

import subprocess
import sys

CHILD = """
import os, resource
from gossipd.ingest.workers import Workers
from wire.control.privilege import give_up_privileges, name_process
from wire.control.status import Status

if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
give_up_privileges(Status("test"))
give_up_privileges(Status("test"))
name_process("a-name")
print(open("/proc/self/comm").read().strip())
print(*resource.getrlimit(resource.RLIMIT_CORE), *resource.getrlimit(resource.RLIMIT_DATA))
workers = Workers(1)
pid, sock = workers.start()
sock.close()
workers._sock.close()
print(os.waitstatus_to_exitcode(os.waitpid(workers.nursery, 0)[1]))
"""


def test_a_process_that_cannot_be_dumped_still_works_for_any_user() -> None:
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["a-name", f"0 0 {4 << 30} {4 << 30}", "0"], done.stderr
