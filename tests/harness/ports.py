"""Ports of loopback for what has to be told one before it listens there."""

import random
import socket
from pathlib import Path

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST, FEW = 10_000, 1_000
_CHANCE = random.SystemRandom()
"""Workers of one run are to draw different ones."""


def free_port() -> int:
    """One at which no process listens. It lies below those that the system gives to sockets that ask for any port:
    another process could have one of these before it is used.
    """
    above = max(int(RANGE.read_text().split()[0]), LOWEST + FEW)
    while True:
        port = _CHANCE.randrange(LOWEST, above)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
