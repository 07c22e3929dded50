"""What bus services have registered, as the master tells it: who may say hello, and whose a message is."""

import hmac

from wire.control.control_wire import SetServiceRegistrations


class ServiceRegistrations:
    """The registrations of all bus services; those of nodes and channels are there while their service is away."""

    def __init__(self) -> None:
        self._by_service: dict[str, SetServiceRegistrations] = {}
        self._channels: dict[tuple[bytes, bytes], str] = {}
        self._nodes: dict[bytes, str] = {}
        self._with_channels: dict[bytes, dict[str, None]] = {}
        self._takers: dict[int, str] = {}
        self.everything: dict[bytes, str] = {}
        """By node_id, who gets all that no other service wants: only where connectiond has no master."""

    def replace(self, wanted: SetServiceRegistrations) -> set[bytes]:
        """What this service wants from now on. Returns the nodes that are new among those that it has to do with."""
        before = self._by_service.get(wanted.service)
        self._by_service[wanted.service] = wanted
        if before is not None:
            self._remove(before)
        for node_id in wanted.node_ids:
            self._nodes[node_id] = wanted.service
        for channel_id, node_id in wanted.channels:
            self._channels[node_id, channel_id] = wanted.service
            self._with_channels.setdefault(node_id, {})[wanted.service] = None
        for number in wanted.take:
            self._takers[number] = wanted.service
        return _nodes_of(wanted) - (_nodes_of(before) if before is not None else set())

    def _remove(self, wanted: SetServiceRegistrations) -> None:
        service = wanted.service
        self._nodes = {node_id: name for node_id, name in self._nodes.items() if name != service}
        self._channels = {channel: name for channel, name in self._channels.items() if name != service}
        self._takers = {number: name for number, name in self._takers.items() if name != service}
        for _, node_id in wanted.channels:
            services = self._with_channels.get(node_id, {})
            services.pop(service, None)
            if not services:
                self._with_channels.pop(node_id, None)

    def ticket_is(self, service: str, ticket: bytes) -> bool:
        """Whether this service may say hello with it."""
        wanted = self._by_service.get(service)
        return wanted is not None and bool(ticket) and hmac.compare_digest(wanted.ticket, ticket)

    def of_channel(self, node_id: bytes, channel_id: bytes) -> str | None:
        """Whose channel with this node it is."""
        return self._channels.get((node_id, channel_id))

    def of_node(self, node_id: bytes) -> str | None:
        """Who has registered the node itself."""
        return self._nodes.get(node_id)

    def of_type(self, number: int) -> str | None:
        """Who takes messages of this type."""
        return self._takers.get(number)

    def concerned(self, node_id: bytes) -> list[str]:
        """All who have registered the node or a channel with it."""
        node = self._nodes.get(node_id)
        return list(dict.fromkeys([*([node] if node else []), *self._with_channels.get(node_id, {})]))


def _nodes_of(wanted: SetServiceRegistrations) -> set[bytes]:
    return {*wanted.node_ids, *(node_id for _, node_id in wanted.channels)}
