"""What the kernel says of processes."""

import os
import subprocess
import sys
import time

from lightningd_py.metrics.processes import descendants, together, usage


def test_of_this_process() -> None:
    before = usage(os.getpid())
    assert before is not None and before.fds is not None
    begun = time.process_time()
    while time.process_time() - begun < 0.05:
        pass
    reading, writing = os.pipe()
    after = usage(os.getpid())
    os.close(reading)
    os.close(writing)
    assert after is not None and after.fds == before.fds + 2
    assert after.cpu_seconds >= before.cpu_seconds + 0.03
    assert 10 << 20 < after.resident_bytes < 10 << 30
    assert abs(after.started - before.started) < 0.1
    assert time.time() - 86_400 < after.started < time.time()


def test_of_none() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert usage(child.pid) is None
    assert together([child.pid]) is None
    assert list(descendants(child.pid)) == []


def test_of_children_together() -> None:
    program = "import subprocess\nwith subprocess.Popen(['cat']):\n    print(flush=True)"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdin is not None
        child.stdout.readline()
        (grandchild,) = descendants(child.pid)
        assert {child.pid, grandchild} <= set(descendants(os.getpid()))
        one, both = usage(child.pid), together([child.pid, grandchild])
        child.stdin.close()
    assert one is not None and both is not None and one.fds is not None and both.fds is not None
    assert both.resident_bytes >= one.resident_bytes, "the kernel's figure for a small young one may be 0"
    assert both.fds > one.fds and abs(both.started - one.started) < 0.1
