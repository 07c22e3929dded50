"""listingd on the test's own loop, and the master's half of it."""

import asyncio
import socket
from pathlib import Path

from lightningd_py.daemons.listing_control import ListingControl
from lightningd_py.listingd.listingd import Listingd
from wire.control.control_channel import ControlChannel


class ListingdInside:
    """`control` is the master's half; `die` and `control.restart` are what happens to a process."""

    def __init__(self, store: Path) -> None:
        self._hung_up = asyncio.Event()
        self.control = ListingControl(self._start, store, lambda name: f"{name} is away")

    def _start(self) -> ControlChannel:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._hung_up.clear()
        self.daemon = Listingd(theirs, lambda status: None)
        self.channel = ControlChannel(ours, "listingd", self._said, lambda reason: self._hung_up.set(), window=128)
        return self.channel

    def _said(self, message: object) -> None:
        raise AssertionError(message)

    async def die(self) -> None:
        """As a process does, with all that it was doing."""
        self.daemon.close()
        await self._hung_up.wait()
        self._close_unsent()

    def _close_unsent(self) -> None:
        for unsent in self.channel.close():
            unsent.close_fds()

    async def close(self) -> None:
        """Both ends."""
        self._close_unsent()
        self.daemon.close()
        await asyncio.gather(*self.daemon._writing, return_exceptions=True)
