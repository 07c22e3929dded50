"""The control sockets of gossipd: from the master, from connectd (the link), and to hsmd."""

import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gossipd.feed import SILENT, Feed
from gossipd.gossipd import Gossipd
from gossipd.ingest.signatures import stop_workers
from gossipd.own_node import Signer
from gossipd.requests import Requests
from gossipd.store.writer import StoreError
from wire.bus.feed import FeedError
from wire.control import control_wire
from wire.control.control_channel import ControlChannel
from wire.control.control_message import ControlMessage
from wire.control.control_wire import GossipdInit, NewConnectdLink
from wire.control.daemon import inherited_socket
from wire.control.status import Status

if TYPE_CHECKING:
    from gossipd.feed_socket import FeedSocket

status = Status("gossipd")


class Control:
    """The control sockets of gossipd. Nothing is handled before `gossipd_init`; the link's messages wait for it."""

    def __init__(
        self,
        master: socket.socket,
        hsm: socket.socket,
        link: socket.socket,
        workers: list[tuple[int, socket.socket]],
        stop: Callable[[int], None],
        now: Callable[[], float],
        chance: random.Random,
    ) -> None:
        """`now`: unix seconds."""
        self._now, self._chance = now, chance
        self._workers = workers
        self._stop = stop
        self._stopped = False
        self._gossipd: Gossipd | None = None
        self._requests: Requests | None = None
        self._feed_socket: FeedSocket | None = None
        self._early: list[ControlMessage] = []
        self._master = ControlChannel(master, "master", self._from_master, self._master_closed, window=1_000)
        self._hsm = ControlChannel(hsm, "hsmd", self._from_hsmd, self._hsm_closed)
        self._link = self._open_link(link)

    def close(self) -> None:
        """The end: everything is flushed and closed."""
        if self._gossipd is not None:
            self._gossipd.close(clean=self._stopped)
        else:
            stop_workers(self._workers)
        if self._feed_socket is not None:
            self._feed_socket.close()
        for channel in (self._master, self._hsm, self._link):
            for message in channel.close():
                message.close_fds()

    def _master_closed(self, reason: str) -> None:
        self._stopped = True
        self._stop(0)

    def _hsm_closed(self, reason: str) -> None:
        """The master sees to that, too: without the key there is no node."""
        status.debug(f"hsmd is gone: {reason}")

    def _from_hsmd(self, message: ControlMessage) -> None:
        raise RuntimeError(f"hsmd said {message.name()}")

    def _open_link(self, link: socket.socket) -> ControlChannel:
        """If connectd dies the master starts it anew, and we wait for the link to it."""
        return ControlChannel(link, "connectd", self._from_link, lambda reason: status.debug(reason))

    def _renew_link(self, message: NewConnectdLink) -> None:
        """What the connectd before has given us is ours."""
        for unsent in self._link.hear_out():
            unsent.close_fds()
        self._link = self._open_link(inherited_socket(str(message.link_fd)))

    def _from_link(self, message: ControlMessage) -> None:
        if self._requests is None:
            self._early.append(message)
        else:
            self._requests.handle(message, self._link)

    def _from_master(self, message: ControlMessage) -> None:
        if isinstance(message, GossipdInit):
            self._init(message)
        elif isinstance(message, NewConnectdLink):
            self._renew_link(message)
        elif self._requests is not None:
            self._requests.handle(message, self._master)

    def _init(self, message: GossipdInit) -> None:
        try:
            feed = self._open_feed(message)
            signer = Signer(self._hsm)
            gossipd = Gossipd(message, self._master, signer, self._workers, self._now, self._chance, feed)
            self._gossipd = gossipd
        except (StoreError, FeedError) as error:
            self._master.reply(message, control_wire.GossipdInitReplyfail(str(error)))
            return
        except OSError as error:
            reason = f"{message.store}: {error.strerror or error}"
            self._master.reply(message, control_wire.GossipdInitReplyfail(reason))
            return
        counts = len(gossipd.index.channels), len(gossipd.index.nodes)
        self._master.reply(message, control_wire.GossipdInitReply(*counts, gossipd.store.note))
        self._requests = Requests(gossipd, self._master)
        for early in self._early:
            self._requests.handle(early, self._link)
        self._early.clear()

    def _open_feed(self, init: GossipdInit) -> Feed:
        """Raises FeedError, but not for a feed that is there by default."""
        if not init.feed:
            return SILENT
        from gossipd.feed_socket import FeedSocket  # ZMQ: after the signature workers were forked, who need none

        try:
            sock = self._feed_socket = FeedSocket(init.feed, init.limits.feed_queue, Path(init.feed_keys))
        except FeedError as error:
            if init.feed_needed:
                raise
            status.unusual(str(error))
            return SILENT
        feed = Feed(sock.send)
        sock.subscribed = feed.subscribed
        return feed
