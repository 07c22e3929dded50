"""The master's half of listingd: lends it clients' sockets, and has it make the listings that the API bus sends."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from gossipd.gossmap import open_to_read
from wire.control.control_channel import ChannelClosed, ControlChannel, RequestFailed
from wire.control.control_message import Fd
from wire.control.control_wire import (
    GOSSIP_V2,
    ListingdInit,
    ListingdInitReply,
    MapListing,
    WriteListing,
    WriteListingReply,
    WriteListingReplyfail,
)
from wire.gossip_v2.kept import ENDING

RESTART_PATIENCE = 5.0
"""Seconds that a listing waits for a listingd which is being restarted."""
PACKED_AT_ONCE = 2
"""Listings that are in the master's memory at a time."""


class Processes(Protocol):
    """The supervisor's part in it."""

    def start_listingd(self) -> ControlChannel:
        """Raises OSError if it cannot be started."""

    def try_out(self, *channels: ControlChannel) -> None:
        """One of these may take the place of the other."""

    def decide(self, stays: ControlChannel, goes: ControlChannel) -> None:
        """The other one ends."""

    def retire(self, stays: ControlChannel, goes: ControlChannel) -> None:
        """The other one ends later."""


class NoListing(Exception):
    """The text is the reason. `begun`: a part may have been written, and the client's connection is to end."""

    def __init__(self, reason: str, *, begun: bool = False) -> None:
        super().__init__(reason)
        self.begun = begun


class ListingControl:
    """listingd, as the master sees it."""

    def __init__(
        self,
        processes: Processes,
        store: Path,
        refusal: Callable[[str], str],
        channel: ControlChannel | None = None,
        *,
        begun: bool = True,
    ) -> None:
        """`refusal` says why the process is not there. `channel`: to one that is there, and has been told all if it has
        `begun`. Raises OSError if it cannot be started.
        """
        self._processes = processes
        self._store = store
        self._refusal = refusal
        self._loop = asyncio.get_running_loop()
        self._arrival: asyncio.Future[None] = self._loop.create_future()
        self._room = asyncio.Semaphore(PACKED_AT_ONCE)
        self._begun = channel is not None and begun
        self._under_way: Counter[ControlChannel] = Counter()
        self._channel = processes.start_listingd() if channel is None else channel

    async def begin(self) -> None:
        """Done when it is there. Raises ChannelClosed if it has died."""
        if not self._begun:
            await self._begin()

    async def _begin(self) -> None:
        await self._channel.request(ListingdInit(str(self._store)), ListingdInitReply)

    async def restart(self) -> None:
        """After its death; never done if it has died once more, of which `Restarts` hears, too. Raises OSError."""
        self._channel = self._processes.start_listingd()
        try:
            await self._begin()
        except ChannelClosed:
            await self._loop.create_future()
        self._arrive()

    async def replace(self) -> None:
        """Another process for the listings to come; the old one ends with its last listing. Raises OSError, or
        ChannelClosed if the new one has died.
        """
        old, new = self._channel, self._processes.start_listingd()
        self._processes.try_out(old, new)
        try:
            await new.request(ListingdInit(str(self._store)), ListingdInitReply)
        except ChannelClosed:
            self._processes.decide(old, new)
            raise
        self._channel = new
        self._processes.retire(new, old)
        self._arrive()
        self._dismiss(old)

    def _arrive(self) -> None:
        self._arrival.set_result(None)
        self._arrival = self._loop.create_future()

    def _dismiss(self, channel: ControlChannel) -> None:
        """End a process that was replaced, if it has nothing to do."""
        if channel is not self._channel and not self._under_way[channel]:
            self._processes.decide(self._channel, channel)

    async def write(self, listing: MapListing, before: bytes, after: bytes, fd: int) -> None:
        """Have the entries written to this socket, in JSON and between these. Raises NoListing.

        The socket stays ours, and is left alone meanwhile.
        """
        await self._ask(listing, before, after, fd, packed=False)

    async def packed(self, listing: MapListing) -> tuple[int, bytes]:
        """How many entries there are, and all of them in msgpack, back to back. Raises NoListing."""
        async with self._room:
            fd = os.memfd_create("listing", os.MFD_CLOEXEC)
            try:
                count = await self._ask(listing, b"", b"", fd, packed=True)
                return count, os.pread(fd, os.fstat(fd).st_size, 0)
            finally:
                os.close(fd)

    async def _ask(self, listing: MapListing, before: bytes, after: bytes, fd: int, *, packed: bool) -> int:
        channel = await self._there()
        store_fd, lent = self._fds(listing, fd)
        request = WriteListing(listing, packed, before, after, store_fd, lent)
        self._under_way[channel] += 1
        try:
            return (await channel.request(request, WriteListingReply)).entries
        except ChannelClosed as error:
            raise NoListing(self._refusal("listingd"), begun=True) from error
        except RequestFailed as failed:
            begun = isinstance(failed.refusal, WriteListingReplyfail) and failed.refusal.begun
            raise NoListing(str(failed), begun=begun) from failed
        finally:
            self._under_way[channel] -= 1
            if not self._under_way[channel]:
                del self._under_way[channel]
            self._dismiss(channel)

    def _fds(self, listing: MapListing, fd: int) -> tuple[Fd, Fd]:
        """Of the file that is listed, and the client's. Raises NoListing."""
        path, name = self._store, "gossip_store"
        if listing.what == GOSSIP_V2:
            store, name = path.resolve(), name + ENDING
            path = store.with_name(store.name + ENDING)
        try:
            store_fd = open_to_read(path)
        except OSError as error:
            raise NoListing(f"the {name} cannot be read: {error.strerror}") from error
        try:
            return Fd(store_fd), Fd(os.dup(fd))
        except OSError as error:
            os.close(store_fd)
            raise NoListing(f"nothing can be listed: {error.strerror}") from error

    async def _there(self) -> ControlChannel:
        """The channel, when there is a process behind it. Raises NoListing."""
        try:
            async with asyncio.timeout(RESTART_PATIENCE):
                while self._channel.closed:
                    await asyncio.shield(self._arrival)
        except TimeoutError:
            raise NoListing(self._refusal("listingd")) from None
        return self._channel
