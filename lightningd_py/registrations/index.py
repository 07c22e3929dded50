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
        self._scids: dict[int, dict[bytes, Registered]] = {}
        """By channel_id, whose the channels of a short_channel_id are: one, if the service does not say nonsense."""
        self._with_channels: dict[bytes, dict[Registered, int]] = {}
        """Services with the number of their channels with a node."""
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
            self._scids.setdefault(channel.short_channel_id, {})[channel.channel_id] = service

    def drop_channel(self, service: Registered, channel: BusChannel) -> None:
        """No longer this service's, which had it."""
        del self.channels[channel.channel_id]
        _count(self._with_channels, channel.node_id, service, -1)
        if channel.short_channel_id is not None:
            of_scid = self._scids[channel.short_channel_id]
            del of_scid[channel.channel_id]
            if not of_scid:
                del self._scids[channel.short_channel_id]

    def with_scid(self, short_channel_id: int | None) -> Registered | None:
        """Whose channel it is."""
        return None if short_channel_id is None else next(iter(self._scids.get(short_channel_id, {}).values()), None)

    def newest_with_scid(self, short_channel_id: int) -> tuple[Registered, BusChannel] | None:
        """The channel that was registered last with this short_channel_id."""
        of_scid = self._scids.get(short_channel_id)
        if of_scid is None:
            return None
        channel_id, service = next(reversed(of_scid.items()))
        return service, service.channels[channel_id]

    @property
    def scids(self) -> list[int]:
        """All that there are."""
        return list(self._scids)

    def with_channels(self, node_id: bytes) -> list[Registered]:
        """The services that have a channel with this node, in the order in which they came."""
        return sorted(self._with_channels.get(node_id, ()), key=self._order.__getitem__)

    def is_services(self, node_id: bytes, service: Registered) -> bool:
        """Whether it has registered the node, or a channel with it."""
        return self.nodes.get(node_id) is service or service in self._with_channels.get(node_id, ())

    def __contains__(self, node_id: bytes) -> bool:
        """Whether any service has."""
        return node_id in self.nodes or node_id in self._with_channels

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
