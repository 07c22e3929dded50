"""The master's half of connectiond: started with the first bus service, or at once if its endpoint was asked for; and
each of its messages to what it calls.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from lightningd_py.errors import StartError
from lightningd_py.owners.claims import CONNECTIOND, AboutOne
from lightningd_py.owners.ownership import Ownership
from lightningd_py.registrations.changed import Changed
from wire.bus.told import ToldService
from wire.control import control_wire
from wire.control.control_channel import ChannelClosed, ControlChannel, RequestFailed
from wire.control.control_message import ControlMessage
from wire.control.control_wire import ConnectiondInit, ConnectiondInitReply
from wire.control.limits import Limits
from wire.control.status import Status

Start = Callable[[Callable[[ControlMessage], None]], ControlChannel]
"""Makes the process, which calls with what it says and hears us at the channel. Raises OSError."""

status = Status("lightningd")


class ConnectiondControl:
    """connectiond, as the master sees it."""

    def __init__(self, start: Start, init: ConnectiondInit | None, ownership: Ownership) -> None:
        """`init` is what it is told first; None if there is to be no MSG bus: then it is never started."""
        self._start = start
        self._init = init
        self._ownership = ownership
        self._registrations = ownership.registrations
        self._told: dict[str, ToldService] = {}
        self._channel: ControlChannel | None = None
        self._next: ControlChannel | None = None
        """To the one that was to take the place of this one, last: it speaks for itself before the old one has told."""
        self._asked: asyncio.Future[ConnectiondInitReply] | None = None
        self._ready = False
        """Whether it has been told to bind the bus, and has not refused that."""
        self._away = False
        """Whether it has died, and is restarted in a moment."""
        self.endpoint = "" if init is None else init.msg
        """Where services find the MSG bus; as it was bound as soon as that is known. Empty if there is none."""

    def start(self) -> None:
        """Have it running."""
        if self._init is None or self._channel is not None or self._away:
            return
        try:
            channel = self._channel = self._ownership.connectiond = self._start(self.received)
        except OSError as error:
            status.unusual(f"connectiond cannot be started: {error}")
            return
        self._asked = asyncio.ensure_future(channel.request(self._init, ConnectiondInitReply))
        self._asked.add_done_callback(self._bound)
        asyncio.get_running_loop().call_soon(self._begin)  # after the request has been sent

    def resume(self, channel: ControlChannel, endpoint: str) -> None:
        """Go on with the connectiond of the program before us; it is told everything again."""
        self._channel = self._ownership.connectiond = channel
        self.endpoint = endpoint
        self._begin()

    # a restart

    @property
    def channel(self) -> ControlChannel | None:
        """To the connectiond that has the bus, if there is one and is to be one."""
        return self._channel if self._ready and self._init is not None else None

    def another(self) -> tuple[ControlChannel, Awaitable[object]]:
        """A connectiond that is to take the place of this one, and what is done when it is ready for that. Raises
        OSError.
        """
        assert self._init is not None
        init = replace(self._init, msg=self.endpoint, takes_place=True)
        channel = self._next = self._start(self.received)
        return channel, channel.request(init, ConnectiondInitReply)

    def tell_all(self, to: ControlChannel) -> None:
        """Tell another one all that this one knows, which hears what follows."""
        before, self._channel, self._told = self._channel, to, {}
        self._begin()
        self._channel = before

    def replace(self, channel: ControlChannel) -> None:
        """This one has the bus from here on."""
        self._channel = self._ownership.connectiond = channel
        self._next = None

    def ended(self) -> None:
        """connectiond has died, and what it had with it: its services have to say hello once more."""
        self._away, self._ready, self._channel, self._told = True, False, None, {}
        self._ownership.connectiond_died()
        self._ownership.connectiond = None
        for service in self._registrations:
            if service.program is None and service.present:
                self._registrations.present(service.name, False)
                self._registrations.msg_lost(service.name)

    async def restart(self) -> None:
        """After `ended`."""
        self._away = False
        self.start()

    async def must_bind(self) -> None:
        """Have it running, at an endpoint that was asked for. Raises StartError if that cannot be, ChannelClosed."""
        self.start()
        if self._asked is None:
            raise StartError("connectiond cannot be started; the reason stands in the log")
        try:
            await self._asked
        except RequestFailed as refused:
            raise StartError(f"--msg: {refused}") from refused

    def _begin(self) -> None:
        """All at once, so that it knows each service before one can have found its bus."""
        self._ready = True
        self.tell_routes(self._registrations.routes())
        for service in self._registrations:
            self.tell_service(Changed.whole(service))

    def _bound(self, asked: asyncio.Future[ConnectiondInitReply]) -> None:
        try:
            self.endpoint = asked.result().msg
            status.info(f"bus msg is at {self.endpoint}")
        except RequestFailed as refused:
            status.unusual(f"there is no bus msg: {refused}")
            self._ready, self._ownership.connectiond = False, None
        except (ChannelClosed, asyncio.CancelledError):
            return

    def _tell(self, message: ControlMessage) -> None:
        if self._ready and self._channel is not None and not self._channel.closed:
            self._channel.send(message)

    def change_limits(self, limits: Limits) -> None:
        """The bounds against strangers, for this one and those that come after it."""
        if self._init is not None:
            self._init.limits = limits
        self._tell(control_wire.SetLimits(limits))

    def tell_routes(self, routes: list[tuple[int, str]]) -> None:
        """What is done with each message type."""
        self._tell(control_wire.SetMessageRoutes(routes))

    def tell_service(self, changed: Changed) -> None:
        """What is different of what a bus service has registered."""
        service = changed.service
        if service.program is not None or not self._ready:
            return
        told = self._told.setdefault(service.name, ToldService(service.name))
        if news := told.news(service, changed.node_ids, changed.channel_ids, changed.take):
            self._tell(news)
        if self._registrations.named(service.name) is None:
            del self._told[service.name]

    def catch_up(self) -> None:
        """Deal with what it has said already."""
        for channel in (self._channel, self._next):
            if channel is not None:
                channel.catch_up()

    def received(self, message: ControlMessage) -> None:
        """A message that is no reply."""
        match message:
            case control_wire.ServicePresence(service=name, here=here):
                self._registrations.present(name, here)
            case _ if isinstance(message, AboutOne):
                self._ownership.heard(CONNECTIOND, message)
            case _:
                raise RuntimeError(f"connectiond said {message.name()}")
