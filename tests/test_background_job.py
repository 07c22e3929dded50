"""Tests that run as a background job of a shell, which ignores SIGINT and SIGQUIT for it."""

import subprocess
import sys
from pathlib import Path

SIGNALS = {"SIGHUP": 1, "SIGINT": 2, "SIGQUIT": 3, "SIGTERM": 15}


def test_children_ignore_no_signal_that_a_test_sends() -> None:
    """SigIgn of /proc/self/status: a bit a signal."""
    status = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
    ignored = int(status.split("SigIgn:")[1].split()[0], 16)
    assert [name for name, number in SIGNALS.items() if ignored >> (number - 1) & 1] == []


def test_nor_in_a_background_job() -> None:
    test = f"{Path(__file__)}::{test_children_ignore_no_signal_that_a_test_sends.__name__}"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", test]
    job = ["sh", "-c", 'trap "" HUP INT QUIT TERM; exec "$@"', "sh", *command]
    done = subprocess.run(job, cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
