"""listingd: writes listings of the map to the sockets that the master lends it, side by side.

Each client has one piece that it has not taken yet, and a place in the map; one that takes nothing for TAKE_TIME is
given up, and the master ends its connection. Of what a client says nothing is read here.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import msgpack

from gossipd.gossmap import StoreError
from lightningd_py.listingd.listings import Listings
from wire.control.control_channel import ControlChannel
from wire.control.control_message import ControlMessage, Reply
from wire.control.control_wire import (
    GetMetrics,
    GetMetricsReply,
    ListingdInit,
    ListingdInitReply,
    WriteListing,
    WriteListingReply,
    WriteListingReplyfail,
)
from wire.control.daemon import EXIT_OK
from wire.control.status import Status, lines_lost
from wire.metrics import declared
from wire.metrics.metric import Samples

TAKE_TIME = 30.0
"""Seconds in which a client has to take a piece, about 100 kB."""

status = Status("listingd")


class GivenUp(Exception):
    """The client has gone or does not read. The text says which."""


class _Output:
    """An fd that is written to: a non-blocking socket, or a file, which takes all."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self.begun = False

    async def write(self, data: bytes) -> None:
        """Done when all is taken. Raises GivenUp."""
        self.begun = True
        try:
            async with asyncio.timeout(TAKE_TIME):
                await self._write(memoryview(data))
        except TimeoutError:
            status.unusual(f"a client of a listing takes nothing for {TAKE_TIME:g} s: it is given up")
            raise GivenUp(f"the client takes nothing for {TAKE_TIME:g} s") from None
        except OSError as error:
            raise GivenUp(f"the client has gone: {error.strerror}") from error

    async def _write(self, left: memoryview) -> None:
        while left:
            try:
                left = left[os.write(self._fd, left) :]
            except BlockingIOError:
                await self._has_room()

    async def _has_room(self) -> None:
        room = asyncio.Event()
        self._loop.add_writer(self._fd, room.set)
        try:
            await room.wait()
        finally:
            self._loop.remove_writer(self._fd)

    def close(self) -> None:
        """Our copy."""
        os.close(self._fd)


class Listingd:
    """The process, on its running loop."""

    def __init__(self, sock: socket.socket, stop: Callable[[int], None]) -> None:
        """`stop` ends it, with an exit status."""
        self._listings: Listings | None = None
        self._writing: set[asyncio.Task[None]] = set()
        self._ended = dict.fromkeys(("written", "given_up", "failed"), 0)
        self._channel = ControlChannel(sock, "master", self._received, lambda reason: stop(EXIT_OK))
        status.debug("ready")

    def _received(self, message: ControlMessage) -> None:
        match message:
            case ListingdInit(store=store):
                self._listings = Listings(Path(store))
                self._channel.reply(message, ListingdInitReply())
            case WriteListing():
                self._begin(message)
            case GetMetrics():
                self._channel.reply(message, self._metrics())
            case _:
                raise RuntimeError(f"the master said {message.name()}")

    def _metrics(self) -> GetMetricsReply:
        samples = Samples()
        samples.put(declared.LISTINGS, len(self._writing))
        samples.put_each(declared.LISTINGS_DONE, self._ended)
        samples.put(declared.LOG_LOST, lines_lost())
        return samples.reply()

    def _begin(self, asked: WriteListing) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(asked))
        self._writing.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._writing.discard(task)
        if not task.cancelled():
            task.result()

    async def _answer(self, asked: WriteListing) -> None:
        output = _Output(asked.fd)
        try:
            reply: Reply = WriteListingReply(await self._write(asked, output))
            self._ended["written"] += 1
        except GivenUp as error:
            self._ended["given_up"] += 1
            reply = WriteListingReplyfail(str(error), begun=True)
        except (OSError, StoreError) as error:
            self._ended["failed"] += 1
            status.unusual(f"gossip_store cannot be read: {error}")
            reply = WriteListingReplyfail(f"the gossip_store cannot be read: {error}", begun=output.begun)
        finally:
            output.close()
        self._channel.reply(asked, reply)

    async def _write(self, asked: WriteListing, output: _Output) -> int:
        """How many entries there were. Raises GivenUp, OSError, StoreError."""
        between, count = asked.before, 0
        for entries, written in self._pieces(asked):
            if entries:
                await output.write(between + written)
                between, count = b"" if asked.packed else b", ", count + entries
            await asyncio.sleep(0)  # a file takes all at once, and others have their turn
        await output.write((b"" if count else asked.before) + asked.after)
        return count

    def _pieces(self, asked: WriteListing) -> Iterator[tuple[int, bytes]]:
        """How many entries a piece has, and these as they are written."""
        assert self._listings is not None
        if asked.packed:
            packed = self._listings.begin(asked.listing, asked.store_fd)
            return ((len(entries), b"".join(map(msgpack.packb, entries))) for entries in packed)
        texts = self._listings.begin_text(asked.listing, asked.store_fd)
        return ((len(entries), ", ".join(entries).encode()) for entries in texts)

    def close(self) -> None:
        """Let go of everything."""
        for task in self._writing:
            task.cancel()
        self._channel.close()
        if self._listings is not None:
            self._listings.close()
