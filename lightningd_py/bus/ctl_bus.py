"""The CTL bus: services say here who they are and what they want, ask for what the master does, and hear events.

A session here is what makes a bus service: with its end the registrations that are not kept are gone, and the ticket
that MSG and CHNL want is void. docs/bus.md.
"""

import asyncio
from collections.abc import Callable

from lightningd_py.bus.ctl_news import CtlNews, shown
from lightningd_py.bus.ctl_requests import Answer, Around, CtlRequests
from lightningd_py.bus.in_hand import InHand
from lightningd_py.errors import NotSaved
from lightningd_py.onions.onion_control import NO_ONIONS
from lightningd_py.registrations.registered import Refused
from lightningd_py.rpc.jsonrpc import GRACE
from lightningd_py.rpc.params import RpcError
from wire.bus import bus_wire
from wire.bus.bus_message import BusError, BusMessage, Id
from wire.bus.bus_wire import LIGHTNINGD, Error, Hello, Ok, Welcome
from wire.bus.sessions import RETRY, Session, Sessions
from wire.bus.socket import BusSocket
from wire.start.version import version

BUS = "ctl"
ROOM = 100
"""Messages, lists of several MB among them, that ZMQ keeps for one service that does not read."""
BEHIND = "a daemon of the node does not keep up: try again in a moment"


class CtlBus:
    """Its hub."""

    def __init__(self, socket: BusSocket, around: Around, renamed: Callable[[str], None]) -> None:
        """`renamed`: called with the name of each service whose ticket is another one from now on."""
        self._around = around
        self._registrations = around.ownership.registrations
        self._renamed = renamed
        self._sessions = Sessions(
            BUS,
            LIGHTNINGD,
            socket,
            admit=self._admit,
            on_message=self._heard,
            on_gone=self._gone,
            heartbeat=around.options.timing.bus_heartbeat,
        )
        self._news = CtlNews(self._sessions, around.ownership, self._registrations, around.storage)
        around.onions.services.to_bus = self._news.onion
        self._requests = CtlRequests(around)
        self._in_hand: InHand[Session] = InHand()
        self._kept = False
        self._tasks: set[asyncio.Task[None]] = set()

    # sessions

    def _admit(self, hello: Hello) -> Welcome:
        around, name = self._around, hello.service
        try:
            ticket = self._registrations.arrive(name)
        except Refused as refused:
            raise BusError(str(refused)) from refused
        self._renamed(name)
        node_ids, channels = self._registrations.kept(name)
        return Welcome(
            service=name,
            ticket=ticket,
            node_id=around.own.node_id,
            network=around.options.network,
            features=around.own.features.to_bytes(),
            version=version(),
            msg=around.msg_endpoint(),
            node_ids=node_ids,
            channels=channels,
        )

    def _gone(self, session: Session, reason: str) -> None:
        self._news.forget(session.service)
        self._requests.forget(session.service)
        if self._kept:
            return
        self._registrations.leave(session.service, reason)
        self._renamed(session.service)

    # requests

    def _heard(self, session: Session, message: BusMessage) -> None:
        asked: Id = getattr(message, "id", None)
        self._around.catch_up()
        try:
            behind = self._around.requests.behind
            answer = Error(BEHIND) if behind else self._at_once(session, message)
        except Refused as refused:
            answer = Error(str(refused))
        size = session.heard
        if answer is None and (flaw := self._in_hand.flaw(session, size)):
            answer = Error(f"{flaw} of this service are in hand already")
        if answer is not None:
            self._say(session, answer, asked)
            return
        self._in_hand.add(session, size)
        task = asyncio.get_running_loop().create_task(self._later(session, message, asked, size))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _at_once(self, session: Session, message: BusMessage) -> Answer | None:
        """The answer to what needs no waiting; None for the rest, which is answered when it is done, or on the disk.

        Raises Refused.
        """
        service, around = session.service, self._around
        match message:
            case bus_wire.Register() | bus_wire.Unregister() if self._in_hand.flaw(session, session.heard):
                return None
            case bus_wire.Register(onion_messages=[_, *_]) if not around.onions.enabled:
                raise Refused(NO_ONIONS)
            case bus_wire.Register():
                self._registrations.register(service, message)
                if message.events:
                    self._news.tell(service)
                return None if message.node_ids or message.channels else Ok()
            case bus_wire.Unregister():
                self._registrations.unregister(service, message)
                if message.events:
                    self._news.tell_no_more(service)
                return None if message.node_ids or message.channel_ids else Ok()
            case bus_wire.ListRegistrations() | bus_wire.ListPeers() if not session.queue:
                return self._listed(message)
            case _:
                return None
        return Ok()

    def _listed(self, message: BusMessage) -> Answer:
        if isinstance(message, bus_wire.ListPeers):
            return bus_wire.Peers([shown(peer) for peer in self._around.ownership.peers])
        return bus_wire.Registrations(self._registrations.entries())

    async def _carry_out(self, session: Session, message: BusMessage) -> Answer:
        """A list, of some MB perhaps, is made when all before it has found room. Raises RpcError, NotSaved."""
        if isinstance(message, bus_wire.Register | bus_wire.Unregister):
            await self._registrations.saved()
            return Ok()
        if not isinstance(message, bus_wire.ListRegistrations | bus_wire.ListPeers):
            return await self._requests.carry_out(session.service, message)
        while session.queue:  # noqa: ASYNC110 - ZMQ does not tell of room
            await asyncio.sleep(RETRY)
        return self._listed(message)

    async def _later(self, session: Session, message: BusMessage, asked: Id, size: int) -> None:
        try:
            answer = await self._carry_out(session, message)
        except RpcError as error:
            answer = Error(error.message)
        except NotSaved as error:
            answer = Error(str(error))
        finally:
            self._in_hand.done(session, size)
        self._say(session, answer, asked)

    def _say(self, session: Session, answer: Answer, asked: Id) -> None:
        answer.id = asked
        self._sessions.send(session, answer)

    @property
    def in_hand(self) -> int:
        """Requests that are not answered yet."""
        return len(self._tasks)

    async def close(self, reason: str = "the node ends", grace: float = GRACE, *, kept: bool = False) -> None:
        """Give requests in hand `grace` seconds, and say goodbye to all. `kept`: what they have registered stays."""
        self._kept = kept
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._sessions.close(reason, again=kept)
