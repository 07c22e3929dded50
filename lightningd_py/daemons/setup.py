"""What connectd and gossipd are told when they are fresh: at the start, and in the place of one that has died.

First comes the request of the start, which may be refused; what it leaves open follows in one step, so that nothing can
change in between. At the start `RegistrationNews.begin` and `StayingConnected.start` say the second part as it is made.
"""

import asyncio
from collections.abc import Awaitable, Callable

from lightningd_py.config.options import Options
from lightningd_py.daemons import connect_control, gossip_control
from lightningd_py.daemons.connect_control import ConnectControl
from lightningd_py.daemons.gossip_control import GossipControl
from lightningd_py.daemons.listening import ListeningSockets
from lightningd_py.daemons.opening import Opening
from lightningd_py.daemons.registration_news import RegistrationNews
from lightningd_py.daemons.supervisor import Supervisor
from lightningd_py.database import Database
from lightningd_py.errors import NotSaved, StartError
from lightningd_py.owners.ownership import Ownership, tell
from lightningd_py.peers.access_control import AccessControl
from lightningd_py.peers.own_node import OwnNode
from lightningd_py.peers.wanted_nodes import WantedNodes
from wire.control.control_channel import ControlChannel
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_wire import (
    AnnounceableChanged,
    ConnectdInitReply,
    GossipdInitReply,
    NewConnectdLink,
    NewGossipdLink,
    NewWebsocketdLink,
    PeersElsewhere,
)
from wire.control.status import Status
from wire.start.late_dataclass import dataclass

status = Status("lightningd")


@dataclass(frozen=True, slots=True)
class Setup:
    """The first request to a fresh connectd or gossipd."""

    options: Options
    database: Database
    supervisor: Supervisor
    ownership: Ownership
    own: OwnNode
    listeners: ListeningSockets
    checks_outputs: bool
    """Announcements wait for the chain."""

    async def connectd(self, channel: ControlChannel) -> None:
        """Have it listen: where the one before it did, if there was one. Raises StartError."""
        first_conn_id = self.ownership.first_conn_id = await self._conn_ids()
        bound = await self._init_connectd(channel, first_conn_id, None)
        self.own.listens(bound.bindings, bound.announceable)

    async def next_connectd(self, channel: ControlChannel, predecessor_fd: Fd) -> int:
        """Have it make ready to take the place of another one, which goes on if there are no connection numbers for it;
        the first of its conn_ids. Raises StartError.
        """
        try:
            first_conn_id = await self.database.next_conn_id_block()
        except NotSaved as error:
            raise StartError(str(error)) from error
        await self._init_connectd(channel, first_conn_id, predecessor_fd)
        return first_conn_id

    async def _init_connectd(
        self, channel: ControlChannel, first_conn_id: int, predecessor_fd: Fd | None
    ) -> ConnectdInitReply:
        options, listeners = self.options, self.listeners
        websocket_fd = self.supervisor.websocket_fd() if options.websockets else None
        bound = await connect_control.init_connectd(
            channel, options, self.own, first_conn_id, listeners, websocket_fd, predecessor_fd
        )
        listeners.keep(bound.listeners)
        self.supervisor.watch(channel)
        return bound

    async def _conn_ids(self) -> int:
        """The first of those that are connectd's: it waits for them as long as an outage of the database lasts."""
        while True:
            try:
                return await self.database.next_conn_id_block()
            except NotSaved as error:
                status.unusual(f"connectd waits for its connection numbers: {error}")

    async def gossipd(self, channel: ControlChannel, predecessor_fd: Fd | None = None) -> GossipdInitReply:
        """Have it open its store, or take the place of another one. Raises StartError."""
        opened = await gossip_control.init_gossipd(channel, self.options, self.own, self.checks_outputs, predecessor_fd)
        self.supervisor.watch(channel)
        if opened.note:
            status.unusual(f"gossip_store: {opened.note}")
        status.info(f"gossip_store has {opened.channels} channels and {opened.nodes} nodes")
        return opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacements:
    """A new connectd or gossipd in the place of one that has died: `Restarts` calls for it."""

    setup: Setup
    connect_control: ConnectControl
    gossip_control: GossipControl
    access: AccessControl
    news: RegistrationNews
    wanted: WantedNodes
    opening: Opening
    fail: Callable[[str], None]
    """Ends the node, with this reason."""

    async def connectd(self) -> None:
        """Raises OSError if none can be started."""
        setup = self.setup
        ownership = setup.ownership
        channel, link = self.another_connectd()
        new_link = NewConnectdLink(link)
        try:
            await self._done(channel, setup.connectd(channel))
        except BaseException:
            new_link.close_fds()
            raise
        ownership.connectd = channel
        tell(channel, PeersElsewhere([peer.info for peer in ownership.peers]))
        self.tell_connectd()
        tell(ownership.gossipd, AnnounceableChanged(setup.own.addresses))
        tell(ownership.gossipd, new_link)
        if setup.options.websockets:
            await self.websocketd()
        await self._done(channel, self.activate())

    def another_connectd(self) -> tuple[ControlChannel, Fd]:
        """Told nothing yet, and gossipd's end of the link to it. Raises OSError."""
        return self.setup.supervisor.restart("connectd", self.connect_control.received)

    def tell_connectd(self) -> None:
        """All that a fresh connectd has to know besides its init, and who is connected."""
        self.access.put_in_force()
        self.news.fresh_connectd(self.setup.own.features)

    async def activate(self) -> None:
        """Have a fresh connectd accept, if the node is open. Raises StartError."""
        if not self.opening.waits_for:
            await self.connect_control.activate()

    async def gossipd(self) -> None:
        """Raises OSError if none can be started."""
        setup = self.setup
        ownership = setup.ownership
        channel, link = self.another_gossipd()
        new_link = NewGossipdLink(link, [])
        try:
            await self._done(channel, setup.gossipd(channel))
        except BaseException:
            new_link.close_fds()
            raise
        ownership.gossipd = channel
        self.tell_gossipd()
        self.gossip_control.returned()
        new_link.live = [peer.info.conn_id for peer in ownership.peers]
        tell(ownership.connectd, new_link)

    def another_gossipd(self) -> tuple[ControlChannel, Fd]:
        """Told nothing yet, and connectd's end of the link to it. Raises OSError."""
        channel: ControlChannel

        def received(message: ControlMessage) -> None:
            self.gossip_control.received(message, channel)

        channel, link = self.setup.supervisor.restart("gossipd", received)
        return channel, link

    def tell_gossipd(self) -> None:
        """All that a fresh gossipd has to know besides its init."""
        self.news.fresh_gossipd(self.setup.own.features)
        self.wanted.fresh_gossipd()
        tell(self.setup.ownership.gossipd, AnnounceableChanged(self.setup.own.addresses))
        self.gossip_control.tell_blockheight()
        self.gossip_control.news.fresh_gossipd()

    async def websocketd(self) -> None:
        """For the connectd that is there; one that comes later is told when it has taken its place. Raises OSError."""
        websocket_fd = self.setup.supervisor.websocket_fd()
        tell(self.setup.ownership.connectd, NewWebsocketdLink(websocket_fd))

    async def _done(self, channel: ControlChannel, telling: Awaitable[object]) -> None:
        """The request is answered; never if the daemon has died, of which `Restarts` hears, too."""
        try:
            await telling
        except StartError as error:
            if not channel.closed:
                self.fail(f"{channel.who} cannot go on: {error}: the node ends")
            await asyncio.get_running_loop().create_future()
