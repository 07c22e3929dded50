"""The new version, which is asked before this one leaves."""

import os
import sys
from typing import Any

import pytest

from lightningd_py import leaving
from lightningd_py.daemons.moving import MoveRefused
from lightningd_py.leaving import ask_new_version

LEFT: Any = None
"""A state that is never read."""


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import signal; signal.pause()", "no answer in 0 s"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "it ended with -9"),
        ("import sys; print('a line', file=sys.stderr); sys.exit('not so')", "not so"),
    ],
)
async def test_version_that_cannot_go_on(monkeypatch: pytest.MonkeyPatch, program: str, reason: str) -> None:
    """One that hangs is ended, and said to be late."""
    monkeypatch.setattr(leaving, "write_state", lambda left: os.memfd_create("state"))
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-c", program])
    monkeypatch.setattr(leaving, "CHECK_TIME", 0.4 if "pause" in program else 60.0)
    with pytest.raises(MoveRefused) as refused:
        await ask_new_version(LEFT)
    assert str(refused.value) == f"the version that is installed now cannot go on with this node: {reason}"
