"""Going to the background."""

import os
import subprocess
import sys
from pathlib import Path

DAEMON = """
import os, sys
from pathlib import Path
from lightningd_py.config.daemonize import daemonize
started = daemonize()
if sys.argv[1] == "fail":
    sys.exit("it does not work")
if sys.argv[1] == "crash":
    os.kill(os.getpid(), 9)
started()
print("nobody hears this", flush=True)
os.close(2)
with open(sys.argv[2], "w") as fifo:
    fifo.write("the daemon lives")
"""


def daemon(what: str, fifo: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", DAEMON, what, str(fifo)], capture_output=True, text=True, timeout=60)


def test_the_caller_is_back_when_the_node_runs(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    done = daemon("work", fifo)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert fifo.read_text() == "the daemon lives"


def test_a_node_that_does_not_start_tells_why(tmp_path: Path) -> None:
    done = daemon("fail", tmp_path)
    assert (done.returncode, done.stderr) == (1, "it does not work\n")


def test_a_node_that_dies_is_no_success(tmp_path: Path) -> None:
    assert daemon("crash", tmp_path).returncode == 9
