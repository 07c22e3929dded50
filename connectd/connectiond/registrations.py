"""What bus services have registered, as the master tells it: who may say hello, and whose a message is."""

import hmac
from dataclasses import field
from typing import TypeVar

from wire.control.control_wire import ChangeServiceRegistrations
from wire.start.late_dataclass import dataclass

K = TypeVar("K")


@dataclass(slots=True)
class _Registered:
    """One service's: its ticket, and the node of each of its channels."""

    ticket: bytes = field(default=b"", repr=False)
    node_ids: set[bytes] = field(default_factory=set)
    channels: dict[bytes, bytes] = field(default_factory=dict)
    take: set[int] = field(default_factory=set)


class ServiceRegistrations:
    """The registrations of all bus services; those of nodes and channels are there while their service is away."""

    def __init__(self) -> None:
        self._by_service: dict[str, _Registered] = {}
        self._channels: dict[tuple[bytes, bytes], str] = {}
        self._nodes: dict[bytes, str] = {}
        self._with_channels: dict[bytes, dict[str, int]] = {}
        """How many channels with a node each service has."""
        self._takers: dict[int, str] = {}
        self.everything: dict[bytes, str] = {}
        """By node_id, who gets all that no other service wants: only where connectiond has no master."""

    def change(self, told: ChangeServiceRegistrations) -> set[bytes]:
        """What a service wants besides, and what it gives up. Returns the nodes that it had nothing to do with."""
        service = told.service
        named = {*told.node_ids, *(node_id for _, node_id in told.channels)}
        new = {node_id for node_id in named if service not in self.concerned(node_id)}
        mine = self._by_service.setdefault(service, _Registered())
        mine.ticket = told.ticket
        self._remove(service, mine, told)
        self._add(service, mine, told)
        if mine == _Registered():
            del self._by_service[service]
        return new

    def _remove(self, service: str, mine: _Registered, told: ChangeServiceRegistrations) -> None:
        mine.node_ids.difference_update(told.without_node_ids)
        for node_id in told.without_node_ids:
            _drop(self._nodes, node_id, service)
        mine.take.difference_update(told.without_take)
        for number in told.without_take:
            _drop(self._takers, number, service)
        for channel_id in told.without_channel_ids:
            self._drop_channel(service, mine, channel_id)

    def _add(self, service: str, mine: _Registered, told: ChangeServiceRegistrations) -> None:
        mine.node_ids.update(told.node_ids)
        self._nodes.update(dict.fromkeys(told.node_ids, service))
        mine.take.update(told.take)
        self._takers.update(dict.fromkeys(told.take, service))
        for channel_id, node_id in told.channels:
            self._drop_channel(service, mine, channel_id)
            mine.channels[channel_id] = node_id
            self._channels[node_id, channel_id] = service
            counts = self._with_channels.setdefault(node_id, {})
            counts[service] = counts.get(service, 0) + 1

    def _drop_channel(self, service: str, mine: _Registered, channel_id: bytes) -> None:
        """If it is there. Another service may have one of that channel_id and node since."""
        node_id = mine.channels.pop(channel_id, None)
        if node_id is None:
            return
        _drop(self._channels, (node_id, channel_id), service)
        counts = self._with_channels[node_id]
        counts[service] -= 1
        if not counts[service]:
            del counts[service]
        if not counts:
            del self._with_channels[node_id]

    def ticket_is(self, service: str, ticket: bytes) -> bool:
        """Whether this service may say hello with it."""
        mine = self._by_service.get(service)
        return mine is not None and bool(ticket) and hmac.compare_digest(mine.ticket, ticket)

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


def _drop(owners: dict[K, str], key: K, service: str) -> None:
    """No longer this service's, if it was."""
    if owners.get(key) == service:
        del owners[key]
