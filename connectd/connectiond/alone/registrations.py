"""Who wants what of a connectiond that runs on its own: kept in memory, and no longer than it runs.

A service that names no node, no channel and no message type wants every connection. One that does gets those of its
nodes (and of its channels' nodes) as they come, and others with the first message of a type that it takes.
"""

import secrets
from collections.abc import Iterator
from dataclasses import field

from wire.bus.bus_message import BusError
from wire.bus.bus_wire import BusChannel, Register, ServiceEntry, Unregister
from wire.bus.told import ToldService
from wire.peer_types import message_name
from wire.secp256k1 import is_point
from wire.start.late_dataclass import dataclass

RESERVED = frozenset({"lightningd", "master", "connectd", "gossipd", "connectiond", "hsmd", "listingd", "websocketd"})
OURS = frozenset({16, 18, 19})
"""init, ping and pong: answered where the connection is, always."""
MAX_SERVICES = 100
MAX_NODES = 10_000
"""Nodes, and channels, of one service."""
TICKET_SIZE = 16


@dataclass(slots=True)
class Wishes:
    """One service's. `ticket` is empty while it is away; what it has named stays."""

    service: str
    ticket: bytes = field(default=b"", repr=False)
    node_ids: set[bytes] = field(default_factory=set)
    channels: dict[bytes, BusChannel] = field(default_factory=dict)
    take: set[int] = field(default_factory=set)
    events: bool = False
    here: bool = False
    """On MSG, too."""
    told: ToldService = field(init=False, repr=False)
    """What the hub of the MSG bus knows."""

    def __post_init__(self) -> None:
        self.told = ToldService(self.service)

    @property
    def everything(self) -> bool:
        """Nothing narrower was named."""
        return not (self.node_ids or self.channels or self.take)

    def wants_node(self, node_id: bytes) -> bool:
        """Whether the node was named, or one of its channels."""
        return node_id in self.node_ids or any(channel.node_id == node_id for channel in self.channels.values())

    def entry(self) -> ServiceEntry:
        """What others may know."""
        return ServiceEntry(
            service=self.service,
            kind="bus",
            here=self.here,
            node_ids=sorted(self.node_ids),
            channels=list(self.channels.values()),
            take=sorted(self.take),
            copy=[],
            offer=[],
            allow=[],
            deny=[],
        )


class StandaloneRegistrations:
    """All services, those that are away included. What is refused is a BusError, and changes nothing."""

    def __init__(self, node_id: bytes) -> None:
        """`node_id` is ours."""
        self._node_id = node_id
        self._services: dict[str, Wishes] = {}

    def __iter__(self) -> Iterator[Wishes]:
        return iter(list(self._services.values()))

    def named(self, service: str) -> Wishes:
        """One that has arrived at some time. Raises KeyError."""
        return self._services[service]

    def arrive(self, service: str) -> Wishes:
        """A service is on CTL: it gets a ticket. Raises BusError."""
        if service in RESERVED:
            raise BusError(f"{service} is no service's name")
        if service not in self._services and len(self._services) >= MAX_SERVICES:
            raise BusError(f"{MAX_SERVICES} services have been here, and no more can be")
        wishes = self._services.pop(service, Wishes(service))  # to the end: who came first is asked first
        wishes.ticket = secrets.token_bytes(TICKET_SIZE)
        self._services[service] = wishes
        return wishes

    def leave(self, service: str) -> Wishes:
        """Its CTL session has ended: what it takes by type goes, its nodes and channels stay."""
        wishes = self._services[service]
        wishes.ticket, wishes.here, wishes.events = b"", False, False
        wishes.take.clear()
        return wishes

    def register(self, service: str, message: Register) -> Wishes:
        """Add all of it, or nothing. Raises BusError."""
        if message.copy or message.offer or message.allow or message.deny:
            raise BusError("connectiond alone registers node_ids, channels and take; the rest is the node's")
        wishes = self._services[service]
        for node_id in message.node_ids:
            self._check_point(node_id)
            self._check_node(service, node_id)
        for channel in message.channels:
            self._check_point(channel.node_id)
            self._check_channel(service, channel)
        for number in message.take:
            self._check_type(service, number)
        channel_ids = {channel.channel_id for channel in message.channels}
        if max(len(wishes.node_ids.union(message.node_ids)), len(wishes.channels.keys() | channel_ids)) > MAX_NODES:
            raise BusError(f"a service has at most {MAX_NODES} nodes, and as many channels")
        wishes.node_ids.update(message.node_ids)
        wishes.channels.update((channel.channel_id, channel) for channel in message.channels)
        wishes.take.update(message.take)
        wishes.events |= message.events
        return wishes

    def unregister(self, service: str, message: Unregister) -> Wishes:
        """Take it back; what was not there does not matter."""
        wishes = self._services[service]
        wishes.node_ids.difference_update(message.node_ids)
        wishes.take.difference_update(message.take)
        for channel_id in message.channel_ids:
            wishes.channels.pop(channel_id, None)
        wishes.events &= not message.events
        return wishes

    def choose(self, node_id: bytes, said: list[bytes], without: set[str]) -> str | None:
        """Which service, if it is here, gets a connection on which the peer has said this: the one that has named the
        node, even if it is away; else who takes a message; else who wants everything. None of those in `without`.
        """
        services = [wishes for wishes in self._services.values() if wishes.service not in without]
        for wishes in services:
            if wishes.wants_node(node_id):
                return wishes.service if wishes.here else None
        numbers = {int.from_bytes(message[:2], "big") for message in said}
        here = [wishes for wishes in services if wishes.here]
        candidates = [wishes for wishes in here if numbers & wishes.take] + [
            wishes for wishes in here if wishes.everything
        ]
        return candidates[0].service if candidates else None

    def _check_point(self, node_id: bytes) -> None:
        if not is_point(node_id):
            raise BusError(f"{node_id.hex():.66} is no node id")
        if node_id == self._node_id:
            raise BusError("that is our own node id")

    def _check_node(self, service: str, node_id: bytes) -> None:
        for wishes in self._services.values():
            if wishes.service != service and node_id in wishes.node_ids:
                raise BusError(f"node {node_id.hex()} is {wishes.service}'s")

    def _check_channel(self, service: str, channel: BusChannel) -> None:
        if len(channel.channel_id) != 32:
            raise BusError(f"a channel_id has 32 bytes, not {len(channel.channel_id)}")
        for wishes in self._services.values():
            if wishes.service != service and channel.channel_id in wishes.channels:
                raise BusError(f"channel {channel.channel_id.hex()} is {wishes.service}'s")

    def _check_type(self, service: str, number: int) -> None:
        if number >= 1 << 16:
            raise BusError(f"{number} is no message type")
        if number in OURS:
            raise BusError(f"{message_name(number)} is answered here, and cannot be taken")
        for wishes in self._services.values():
            if wishes.service != service and number in wishes.take:
                raise BusError(f"message {number} ({message_name(number)}) is {wishes.service}'s")
