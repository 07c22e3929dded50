"""The registrations by what is looked for: kept up by increments, for each change concerns a few of thousands."""

from collections.abc import Iterable
from typing import TypeVar

from lightningd_py.registrations.registered import Registered
from wire.bus.bus_wire import BusChannel

K = TypeVar("K")


class Index:
    """Whose a node, a channel, a message type or a short_channel_id is."""

    def __init__(self, services: Iterable[Registered] = ()) -> None:
        """Of all that these have registered, in the order in which they came."""
        self.nodes: dict[bytes, Registered] = {}
        self.channels: dict[bytes, Registered] = {}
        self.takers: dict[int, Registered] = {}
        self._scids: dict[int, dict[Registered, int]] = {}
        self._with_channels: dict[bytes, dict[Registered, int]] = {}
        """Services with the number of their channels with a node, or of that short_channel_id."""
        self._order: dict[Registered, int] = {}
        for service in services:
            self.add_service(service)

    def add_service(self, service: Registered) -> None:
        """One more, behind all others, with what it has."""
        self._order[service] = max(self._order.values(), default=0) + 1
        for node_id in service.node_ids:
            self.nodes[node_id] = service
        for channel in service.channels.values():
            self.add_channel(service, channel)
        for number in service.take:
            self.takers[number] = service

    def drop_service(self, service: Registered) -> None:
        """One that ends, with what it has."""
        for node_id in service.node_ids:
            self.drop_node(service, node_id)
        for channel in service.channels.values():
            self.drop_channel(service, channel)
        self.drop_takes(service, service.take)
        del self._order[service]

    def drop_node(self, service: Registered, node_id: bytes) -> None:
        """No longer this service's, if it was."""
        if self.nodes.get(node_id) is service:
            del self.nodes[node_id]

    def drop_takes(self, service: Registered, numbers: Iterable[int]) -> None:
        """The same for message types."""
        for number in numbers:
            if self.takers.get(number) is service:
                del self.takers[number]

    def add_channel(self, service: Registered, channel: BusChannel) -> None:
        """A channel of this service's, which has none of that channel_id."""
        self.channels[channel.channel_id] = service
        _count(self._with_channels, channel.node_id, service, 1)
        if channel.short_channel_id is not None:
            _count(self._scids, channel.short_channel_id, service, 1)

    def drop_channel(self, service: Registered, channel: BusChannel) -> None:
        """No longer this service's, which had it."""
        del self.channels[channel.channel_id]
        _count(self._with_channels, channel.node_id, service, -1)
        if channel.short_channel_id is not None:
            _count(self._scids, channel.short_channel_id, service, -1)

    def with_scid(self, short_channel_id: int | None) -> Registered | None:
        """Whose channel it is."""
        return None if short_channel_id is None else next(iter(self._scids.get(short_channel_id, ())), None)

    def with_channels(self, node_id: bytes) -> list[Registered]:
        """The services that have a channel with this node, in the order in which they came."""
        return sorted(self._with_channels.get(node_id, ()), key=self._order.__getitem__)

    def all_nodes(self) -> list[bytes]:
        """Those that are registered, and those of channels."""
        return list(dict.fromkeys([*self.nodes, *self._with_channels]))


def _count(counts: dict[K, dict[Registered, int]], key: K, service: Registered, change: int) -> None:
    of_key = counts.setdefault(key, {})
    of_key[service] = of_key.get(service, 0) + change
    if not of_key[service]:
        del of_key[service]
    if not of_key:
        del counts[key]
