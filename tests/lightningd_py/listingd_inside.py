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
        self.control = ListingControl(self, store, lambda name: f"{name} is away")

    def start_listingd(self) -> ControlChannel:
        """As the supervisor does it."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._hung_up.clear()
        self.daemon = Listingd(theirs, lambda status: None)
        self.channel = ControlChannel(ours, "listingd", self._said, lambda reason: self._hung_up.set(), window=128)
        return self.channel

    def _said(self, message: object) -> None:
        raise AssertionError(message)

    def try_out(self, *channels: ControlChannel) -> None:
        """No process is watched here."""

    retire = try_out

    def decide(self, stays: ControlChannel, goes: ControlChannel) -> None:
        """The other one ends."""
        goes.close()

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
