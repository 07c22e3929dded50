"""The control sockets of gossipd: from the master, from connectd (the link), to hsmd; its beginning and its end.

What each message does between these is in requests.py.
"""

import asyncio
import contextlib
import importlib
import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gossipd.feed import SILENT, Feed, unheard
from gossipd.gossipd import Gossipd
from gossipd.ingest.workers import Workers
from gossipd.moving import Move, Successor
from gossipd.own_node import Signer
from gossipd.requests import Requests
from gossipd.store.writer import StoreError
from wire.bus.curve_files import readable_keys
from wire.bus.feed import FeedError
from wire.control import control_wire
from wire.control.control_channel import ControlChannel
from wire.control.control_message import ControlMessage
from wire.control.control_wire import GossipdInit, MoveAll, NewConnectdLink
from wire.control.daemon import EXIT_BROKEN, exit_status, inherited_socket
from wire.control.status import Status
from wire.net.moving import MoveFailed

if TYPE_CHECKING:
    from gossipd.publish.feed_socket import FeedSocket

FEED_SOCKET = "gossipd.publish.feed_socket"
"""ZMQ takes 45 ms to load: after the signature workers were forked, who need none."""

status = Status("gossipd")


class Control:
    """The control sockets of gossipd. Nothing is handled before `gossipd_init`; the link's messages wait for it."""

    def __init__(
        self,
        master: socket.socket,
        hsm: socket.socket,
        link: socket.socket,
        workers: Workers,
        stop: Callable[[int], None],
        now: Callable[[], float],
        chance: random.Random,
        restrict: Callable[[Path, list[Path]], None] = lambda kept, readable: None,
    ) -> None:
        """`now`: unix seconds. `restrict` gives up opening files, but in one directory, and what is readable."""
        self._now, self._chance = now, chance
        self._restrict = restrict
        self._workers = workers
        self._stop = stop
        self._stopped = False
        self._gossipd: Gossipd | None = None
        self._requests: Requests | None = None
        self._feed = SILENT
        self._feed_socket: FeedSocket | None = None
        self._early: list[ControlMessage] = []
        """What connectd has said before we can hear it;"""
        self._told: list[ControlMessage] = []
        """and the master, while another gossipd moves all to us."""
        self._successor: Successor | None = None
        self._move: asyncio.Task[None] | None = None
        self._has_moved = False
        """The store is another gossipd's now."""
        self._master = ControlChannel(master, "master", self._from_master, self._master_closed, window=1_000)
        self._hsm = ControlChannel(hsm, "hsmd", self._from_hsmd, self._hsm_closed)
        self._master.on_drained = self._drained
        self._link = self._open_link(link)

    def close(self) -> None:
        """The end: everything is flushed and closed."""
        if self._gossipd is not None:
            self._gossipd.close(clean=self._stopped and not self._has_moved)
        else:
            self._workers.close()
        self._close_feed()
        if self._successor is not None:
            self._successor.close()
        for channel in (self._master, self._hsm, self._link):
            for message in channel.close():
                message.close_fds()

    def _master_closed(self, reason: str) -> None:
        self._stopped = not self._master.broken
        self._stop(exit_status(self._master))

    def _hsm_closed(self, reason: str) -> None:
        """The master sees to the end of hsmd: without the key there is no node."""
        status.debug(f"hsmd is gone: {reason}")
        if self._hsm.broken:
            self._stop(EXIT_BROKEN)

    def _from_hsmd(self, message: ControlMessage) -> None:
        raise RuntimeError(f"hsmd said {message.name()}")

    def _open_link(self, link: socket.socket) -> ControlChannel:
        """If connectd dies the master starts another one, and we wait for the link to it."""
        return ControlChannel(link, "connectd", self._from_link, self._link_closed)

    def _link_closed(self, reason: str) -> None:
        """Nothing renews a link both of whose ends live: what breaks it ends us."""
        status.debug(reason)
        if self._link.broken:
            self._stop(EXIT_BROKEN)

    def _renew_link(self, message: NewConnectdLink) -> None:
        """A connectd was started again; the connections that the one before has given us are ours."""
        for unsent in self._link.hear_out():
            unsent.close_fds()
        self._link = self._open_link(inherited_socket(str(message.link_fd)))

    def _from_link(self, message: ControlMessage) -> None:
        if self._requests is None:
            self._early.append(message)
        else:
            self._requests.handle(message, self._link)
            if self._master.behind:  # each connection makes us say something: connectd accepts no more then
                self._link.pause_reading(paused=True)

    def _drained(self) -> None:
        """The master has taken all that waited for it."""
        self._link.pause_reading(paused=False)
        if self._gossipd is not None:
            self._gossipd.resume()

    def _from_master(self, message: ControlMessage) -> None:
        if isinstance(message, GossipdInit):
            self._init(message)
        elif isinstance(message, NewConnectdLink):
            self._renew_link(message)
        elif isinstance(message, MoveAll) and self._gossipd is not None:
            self._move = asyncio.get_running_loop().create_task(self._move_all(self._gossipd, message))
        elif self._requests is not None:
            self._requests.handle(message, self._master)
        else:
            self._told.append(message)

    def _init(self, message: GossipdInit) -> None:
        self._restrict(Path(message.store).parent, readable_keys(message.feed, Path(message.feed_keys)))
        feed = self._feed = Feed(unheard, vantage=message.vantage)
        feed.batches.later = asyncio.get_running_loop().call_later
        if message.predecessor_fd is not None:
            if message.feed:
                importlib.import_module(FEED_SOCKET)  # now, for peers wait when it is needed
            self._successor = Successor(
                message.predecessor_fd,
                lambda: self._open(message, feed),
                lambda put_together: self._begin(message, feed, put_together),
                lambda: self._stop(0),
            )
            return
        try:
            self._open_feed(message, feed)
            self._open(message, feed)
        except (StoreError, FeedError) as error:
            self._master.reply(message, control_wire.GossipdInitReplyfail(str(error)))
        except OSError as error:
            reason = f"{message.store}: {error.strerror or error}"
            self._master.reply(message, control_wire.GossipdInitReplyfail(reason))
        else:
            self._serve(message)

    def _open(self, message: GossipdInit, feed: Feed) -> Gossipd:
        """Raises StoreError or OSError."""
        signer = Signer(self._hsm)
        self._gossipd = Gossipd(message, self._master, signer, self._workers, self._now, self._chance, feed)
        return self._gossipd

    def _begin(self, message: GossipdInit, feed: Feed, put_together: Callable[[], None]) -> None:
        """All that another gossipd had is here: what the master has said meanwhile comes first, for peers may talk."""
        assert self._gossipd is not None
        with contextlib.suppress(FeedError):  # it has said so
            self._open_feed(message, feed)
        requests = Requests(self._gossipd, self._master)
        for told in self._told:
            requests.handle(told, self._master)
        put_together()
        self._serve(message)

    def _serve(self, message: GossipdInit) -> None:
        gossipd = self._gossipd
        assert gossipd is not None
        counts = len(gossipd.index.channels), len(gossipd.index.nodes)
        self._master.reply(message, control_wire.GossipdInitReply(*counts, gossipd.store.note))
        self._requests = Requests(gossipd, self._master)
        for early in self._early:
            self._requests.handle(early, self._link)
        self._early.clear()

    async def _move_all(self, gossipd: Gossipd, message: MoveAll) -> None:
        """To another gossipd; then there is nothing left to do here."""
        move = Move(gossipd, message.successor_fd, lambda: self._link.closed)
        try:
            owned, elsewhere = await move.run(self._close_feed)
        except MoveFailed as error:
            self._master.reply(message, control_wire.MoveAllReplyfail(str(error)))
            return
        self._has_moved = True
        self._master.reply(message, control_wire.MoveAllReply(owned, elsewhere))
        await move.close(lambda: not self._master.queued)
        self._stop(0)

    def _close_feed(self) -> None:
        if self._feed_socket is not None:
            self._feed.batches.flush()
            self._feed.send = unheard
            self._feed_socket.close()
            self._feed_socket = None

    def _open_feed(self, init: GossipdInit, feed: Feed) -> None:
        """Raises FeedError, but not for a feed that is there by default."""
        if not init.feed:
            return
        from gossipd.publish.feed_socket import FeedSocket  # see FEED_SOCKET

        try:
            sock = self._feed_socket = FeedSocket(init.feed, init.limits.feed_queue, Path(init.feed_keys))
        except FeedError as error:
            status.unusual(str(error))
            if init.feed_needed:
                raise
            return
        feed.send, feed.lost = sock.send, lambda: sock.lost
        sock.subscribed = feed.subscribed
