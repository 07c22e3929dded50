"""Words to the service manager that has started us, as systemd's sd_notify(3): a datagram each.

That it is there stands in the environment, from which we take it: it is for this process, and for no child. Another
program that takes our place (`restart master`) has it again.
"""

import asyncio
import os
import socket
import time
from collections.abc import MutableMapping

from wire.control.status import Status

SOCKET, WATCHDOG, WATCHDOG_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"
TAKES = 1.0
"""Seconds that the manager has to take a word; it is lost then."""
LONGEST_STATUS = 500
"""Characters."""

status = Status("lightningd")


class ServiceManager:
    """Says nothing if there is none."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        """What is for us is taken out of `environment`."""
        found = {name: environment.pop(name, "") for name in (SOCKET, WATCHDOG, WATCHDOG_PID)}
        self.environment = {name: value for name, value in found.items() if value}
        """For the next program of this process."""
        self._address = found[SOCKET]
        self._watchdog = found[WATCHDOG] if found[WATCHDOG_PID] in ("", str(os.getpid())) else ""
        self._complained = False

    def begin(self) -> None:
        """On the running loop: a sign of life whenever half of the time has gone that the manager waits for one."""
        if self._watchdog.isdecimal() and int(self._watchdog):
            self._alive(int(self._watchdog) / 2_000_000)

    def _alive(self, interval: float) -> None:
        self._say("WATCHDOG=1")
        asyncio.get_running_loop().call_later(interval, self._alive, interval)

    def ready(self, what: str) -> None:
        """The node serves, from the start on or again; `what` is shown to the operator. Our pid may be another one than
        the manager has started: `--daemon` forks.
        """
        self._say("READY=1", f"MAINPID={os.getpid()}", _status(what))

    def reloading(self, what: str) -> None:
        """Another program takes the place of this one; `ready` follows in any case."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000
        self._say("RELOADING=1", f"MONOTONIC_USEC={microseconds}", _status(what))

    def stopping(self, why: str) -> None:
        """The node ends."""
        self._say("STOPPING=1", _status(why))

    def _say(self, *words: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.settimeout(TAKES)
                sock.sendto("\n".join(words).encode(errors="replace"), address)
        except OSError as error:
            if not self._complained:
                status.unusual(f"the service manager at {self._address} hears nothing of us: {error.strerror or error}")
            self._complained = True


def _status(text: str) -> str:
    return "STATUS=" + " ".join(text.split())[:LONGEST_STATUS]
