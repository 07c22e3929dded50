"""The master with bus services: an Ownership, the registrations and their news, and a puppet for connectiond."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from lightningd_py.daemons.connectiond_control import ConnectiondControl
from lightningd_py.daemons.registration_news import RegistrationNews
from lightningd_py.owners.peers import Peer, State
from tests.lightningd_py.ownership_among_fakes import Channel, OwnershipAmongFakes
from wire.bus.bus_wire import Register
from wire.control.control_channel import ChannelClosed, RequestFailed
from wire.control.control_message import ControlMessage, Refusal, Reply
from wire.control.control_wire import ConnectiondInit, ConnectiondInitReply, PeerMessage, ServicePresence, TakePeer
from wire.control.timing import Timing

INIT = ConnectiondInit("ipc://msg", "curve", Timing())


class Puppet(Channel):
    """connectiond, as far as the master hears it."""

    def __init__(self) -> None:
        super().__init__()
        self.answer: Reply | None = ConnectiondInitReply("ipc:///the/msg")

    async def request(self, message: ControlMessage, reply_type: type[Reply]) -> Reply:
        self.send(message)
        if self.answer is None:
            raise ChannelClosed("it has died")
        if isinstance(self.answer, Refusal):
            raise RequestFailed(self.answer)
        return self.answer


class BusServices(OwnershipAmongFakes):
    """Programs are not started; connectiond is a puppet, of which `starts` counts how often it was started."""

    def __init__(self) -> None:
        super().__init__()
        self.registrations = self.ownership.registrations
        self.puppet = Puppet()
        self.starts = 0
        self.unstartable_connectiond = False
        self.rules_put_in_force = 0
        self.looked_at: list[list[bytes]] = []
        self.nodes_changed: Callable[[Iterable[bytes]], None] = lambda node_ids: self.looked_at.append([*node_ids])
        self.copies: list[tuple[str, PeerMessage]] = []
        self.control = ConnectiondControl(self._start_connectiond, INIT, self.ownership)
        access: Any = self
        self.kept: dict[bytes, None] = {}
        """Nodes whose peer storage is kept."""
        self.news = RegistrationNews(
            self.ownership, self.control, access, lambda node_ids: self.nodes_changed(node_ids), self.kept.keys()
        )
        self.news.begin()
        self.registrations.on_change = self.news.changed
        self.registrations.on_wanted = self.ownership.release_nodes
        self.ownership.on_copy = lambda service, message: self.copies.append((service.name, message))
        for told in (self.connectd, self.gossipd):
            told.take()

    def put_in_force(self) -> None:
        """As AccessControl has it."""
        self.rules_put_in_force += 1

    def _start_connectiond(self, on_message: Any) -> Any:
        if self.unstartable_connectiond:
            raise OSError("no process")
        self.starts += 1
        return self.puppet

    async def service(self, name: str = "bus", *, present: bool = True, **asked: Any) -> None:
        """One that is here, has registered this, and has come to MSG."""
        self.registrations.arrive(name)
        self.registrations.register(name, Register(**asked))
        await turn()
        if present:
            self.presence(name, here=True)

    def presence(self, name: str = "bus", *, here: bool) -> None:
        """What connectiond says of it."""
        self.control.received(ServicePresence(name, here, ""))

    def taken_by_bus(self, conn_id: int = 1) -> Peer:
        """What connectiond was told last is that it has this connection; its `take_peer` is taken from the list."""
        peer = self.peer(conn_id)
        assert peer.state is State.CONNECTIOND
        order = self.puppet.said.pop()
        assert isinstance(order, TakePeer)
        assert (order.service, order.peer) == (peer.owner, peer.info)
        return peer


async def turn() -> None:
    """What was to be done in the next turn of the loop is done."""
    for _ in range(3):
        await asyncio.sleep(0)
