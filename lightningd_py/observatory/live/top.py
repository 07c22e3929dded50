"""`lightning-cli-py top --nats`: the loop that draws and hears keys, until q or Ctrl-C."""

import contextlib
import os
import select
import sys
import time

from rich.console import Console, Group
from rich.live import Live as Screen

from lightningd_py.observatory.jetstream.connecting import Access
from lightningd_py.observatory.live.follower import PointFollower
from lightningd_py.observatory.live.screen import SORTS, draw, ordered
from lightningd_py.top.keys import key_by_key, read_keys
from lightningd_py.top.top import Ended, signals


class NatsTop:
    """What is shown, and how."""

    def __init__(self, follower: PointFollower, where: str) -> None:
        self._follower, self._where = follower, where
        self._sort, self._reverse = SORTS[0], False

    def key(self, name: str) -> None:
        """Do what a key means. Raises Ended for q."""
        if name == "q":
            raise Ended
        if name == "s":
            self._sort = SORTS[(SORTS.index(self._sort) + 1) % len(SORTS)]
        elif name == "r":
            self._reverse = not self._reverse

    def group(self, width: int, height: int) -> Group:
        """The screen."""
        rows = ordered(self._follower.figures.rows(), self._sort, reverse=self._reverse)
        return Group(*draw(rows, self._where, self._follower.state, time.time(), width, height))


def watch(access: Access, network: str, vantages: list[str], interval: float) -> None:
    """Show the vantage points every so many seconds."""
    follower = PointFollower(access, network, vantages)
    top = NatsTop(follower, access.url)
    follower.start()
    try:
        with signals() as woken, key_by_key(sys.stdin.fileno()), contextlib.suppress(Ended, EOFError):
            console = Console(markup=False, highlight=False, emoji=False)
            with Screen(console=console, screen=True, auto_refresh=False) as screen:
                while True:
                    screen.update(top.group(*console.size), refresh=True)
                    ready, _, _ = select.select([sys.stdin, woken], [], [], interval)
                    if woken in ready:
                        os.read(woken, 256)
                    if sys.stdin in ready:
                        for key in read_keys(sys.stdin.fileno()):
                            top.key(key)
    finally:
        follower.close()
