"""What may be different after services have come, gone or registered, so that nothing else has to be looked at."""

from collections.abc import Collection, Iterable
from typing import Self

from lightningd_py.registrations.registered import Registered
from wire.bus.bus_wire import BusChannel, Register, Unregister
from wire.start.late_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """Where to look again: at one service, and at these of its registrations, which are there now or were before."""

    service: Registered
    node_ids: Collection[bytes]
    """Nodes that it has registered, and nodes of channels."""
    channel_ids: Collection[bytes]
    scids: Collection[int]
    take: Collection[int]
    copy: bool
    offer: bool
    rules: bool

    @property
    def routes(self) -> bool:
        """Whether what is done with a message type may be different."""
        return self.copy or bool(self.take)

    @classmethod
    def whole(cls, service: Registered) -> Self:
        """All that it has at this moment."""
        return cls(
            service=service,
            node_ids=service.wanted_nodes,
            channel_ids=list(service.channels),
            scids=_scids(service.channels.values()),
            take=list(service.take),
            copy=bool(service.copy),
            offer=bool(service.offer),
            rules=bool(service.allow or service.deny),
        )

    @classmethod
    def by(cls, service: Registered, asked: Register | Unregister) -> Self:
        """What this will change, if it is not refused."""
        new = asked.channels if isinstance(asked, Register) else []
        channel_ids = [channel.channel_id for channel in new] if isinstance(asked, Register) else asked.channel_ids
        channels = [*new, *(service.channels[each] for each in channel_ids if each in service.channels)]
        return cls(
            service=service,
            node_ids=dict.fromkeys([*asked.node_ids, *(channel.node_id for channel in channels)]),
            channel_ids=channel_ids,
            scids=_scids(channels),
            take=asked.take,
            copy=bool(asked.copy),
            offer=bool(service.offer or asked.offer),
            rules=bool(asked.allow or asked.deny),
        )


def _scids(channels: Iterable[BusChannel]) -> list[int]:
    return [channel.short_channel_id for channel in channels if channel.short_channel_id is not None]
