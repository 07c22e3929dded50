"""What a process has been told, by key, so that of thousands it hears only what is different now."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Generic, Protocol, TypeVar

from wire.control.control_wire import ChangeServiceRegistrations

K = TypeVar("K")
V = TypeVar("V")


class Told(Generic[K, V]):
    """The values that the other side has. It begins with none."""

    def __init__(self) -> None:
        self._values: dict[K, V] = {}

    def forget(self) -> None:
        """The other side is a fresh one."""
        self._values.clear()

    @property
    def keys(self) -> list[K]:
        """Those that have a value."""
        return list(self._values)

    def news(self, keys: Iterable[K], value_of: Callable[[K], V | None]) -> tuple[dict[K, V], list[K]]:
        """Of these keys, those that are new or have another value, and those that have none any more: they are told."""
        added: dict[K, V] = {}
        removed: list[K] = []
        for key in keys:
            value, before = value_of(key), self._values.get(key)
            if value is None and before is not None:
                removed.append(key)
                del self._values[key]
            elif value is not None and value != before:
                added[key] = self._values[key] = value
        return added, removed


class Channel(Protocol):
    """A channel that a service has registered."""

    @property
    def node_id(self) -> bytes:
        """With whom it is."""


class Wants(Protocol):
    """What a bus service has registered, and its ticket."""

    @property
    def ticket(self) -> bytes:
        """Empty while it is away."""

    @property
    def node_ids(self) -> Collection[bytes]:
        """Nodes."""

    @property
    def channels(self) -> Mapping[bytes, Channel]:
        """Channels, by channel_id."""

    @property
    def take(self) -> Collection[int]:
        """Message types."""


class ToldService:
    """What connectiond has been told of a bus service."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._ticket = b""
        self._node_ids: Told[bytes, bool] = Told()
        self._channels: Told[bytes, bytes] = Told()
        self._take: Told[int, bool] = Told()

    def news(
        self, wants: Wants, node_ids: Iterable[bytes], channel_ids: Iterable[bytes], take: Iterable[int]
    ) -> ChangeServiceRegistrations | None:
        """What is different of its ticket and of these; None if nothing is."""
        nodes, no_nodes = self._node_ids.news(node_ids, lambda node_id: node_id in wants.node_ids or None)
        channels, no_channels = self._channels.news(channel_ids, lambda channel_id: _node_of(wants, channel_id))
        types, no_types = self._take.news(take, lambda number: number in wants.take or None)
        if not (nodes or no_nodes or channels or no_channels or types or no_types) and wants.ticket == self._ticket:
            return None
        self._ticket = wants.ticket
        return ChangeServiceRegistrations(
            self._service,
            wants.ticket,
            list(nodes),
            list(channels.items()),
            list(types),
            no_nodes,
            no_channels,
            no_types,
        )

    def all_news(self, wants: Wants) -> ChangeServiceRegistrations | None:
        """The same of all that it has or had, with a look at each."""
        return self.news(
            wants,
            [*self._node_ids.keys, *wants.node_ids],
            [*self._channels.keys, *wants.channels],
            [*self._take.keys, *wants.take],
        )


def _node_of(wants: Wants, channel_id: bytes) -> bytes | None:
    channel = wants.channels.get(channel_id)
    return None if channel is None else channel.node_id
