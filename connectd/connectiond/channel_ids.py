"""Which service has which channel of one connection: learnt from what both ends say. Knows no sockets.

A channel begins under a temporary id and gets its own by what the two ends tell each other: the funding output
(funding_created), or both revocation basepoints (open_channel2 and accept_channel2). BOLT 2.
"""

import hashlib

from wire.control.shares import Shares
from wire.peer_types import ALL_CHANNELS
from wire.start.late_dataclass import dataclass

OPEN_CHANNEL, FUNDING_CREATED = 32, 34
OPEN_CHANNEL2, ACCEPT_CHANNEL2 = 64, 65
MAX_OPENING = 1_000
"""Temporary ids of a connection that are remembered. For one more the service with most of them loses its oldest."""
MAX_CHANNELS = 10_000
"""The same for channels."""

TEACHES = frozenset({OPEN_CHANNEL, FUNDING_CREATED, OPEN_CHANNEL2, ACCEPT_CHANNEL2})
"""Messages from which `learn` learns something."""

# Where the fields stand, the type included.
_FUNDING_OUTPUT = slice(34, 68)
_OPENER_BASEPOINT = slice(147, 180)
_ACCEPTER_BASEPOINT = slice(107, 140)


def id_of_output(output: bytes) -> bytes:
    """The channel_id of a funding output: 32 bytes of funding_txid, altered by the 2 of funding_output_index."""
    txid, index = output[:32], output[32:]
    return txid[:30] + bytes(a ^ b for a, b in zip(txid[30:], index, strict=True))


def id_of_basepoints(one: bytes, other: bytes) -> bytes:
    """The channel_id of a channel of version 2, from both ends' revocation basepoints in any order."""
    return hashlib.sha256(min(one, other) + max(one, other)).digest()


@dataclass(frozen=True, slots=True)
class _Opening:
    service: str
    basepoint: bytes
    """The opener's, empty for version 1."""


class ChannelIds:
    """The channels of one connection that were seen to begin, or that a service has spoken of."""

    __slots__ = ("_channels", "_opening")

    def __init__(self) -> None:
        self._opening: Shares[bytes, _Opening] = Shares(MAX_OPENING)
        self._channels: Shares[bytes, str] = Shares(MAX_CHANNELS)

    def service_of(self, channel_id: bytes) -> str | None:
        """Whose channel it is; the id may be a temporary one."""
        service = self._channels.get(channel_id)
        if service is None and (opening := self._opening.get(channel_id)) is not None:
            return opening.service
        return service

    def learn(self, service: str, number: int, channel_id: bytes | None, message: bytes) -> None:
        """This message goes to the service, or comes from it: what follows for the ids."""
        if channel_id is None:
            return
        if number in (OPEN_CHANNEL, OPEN_CHANNEL2):
            self._begins(service, number, channel_id, message)
        elif number == FUNDING_CREATED and len(message) >= _FUNDING_OUTPUT.stop:
            self._add(id_of_output(message[_FUNDING_OUTPUT]), service)
        elif number == ACCEPT_CHANNEL2 and len(message) >= _ACCEPTER_BASEPOINT.stop:
            opening = self._opening.get(channel_id)
            if opening is not None and opening.basepoint:
                self._add(id_of_basepoints(opening.basepoint, message[_ACCEPTER_BASEPOINT]), service)

    def spoken_of(self, service: str, channel_id: bytes) -> None:
        """The service has said something about this channel: what the peer answers is for it, too."""
        if self.service_of(channel_id) is None:
            self._add(channel_id, service)

    def forget(self, service: str) -> None:
        """A service has nothing more to do with this connection."""
        self._opening.forget(service)
        self._channels.forget(service)

    def leave(self) -> tuple[list[tuple[bytes, str, bytes]], list[tuple[bytes, str]]]:
        """For the next process: temporary ids with their service and the opener's basepoint, and channels."""
        opening = [(each, begun.service, begun.basepoint) for each, begun in self._opening.values.items()]
        return opening, list(self._channels.values.items())

    def go_on(self, opening: list[tuple[bytes, str, bytes]], channels: list[tuple[bytes, str]]) -> None:
        """What `leave` has given."""
        for channel_id, service, basepoint in opening:
            self._opening.put(channel_id, _Opening(service, basepoint), service)
        for channel_id, service in channels:
            self._channels.put(channel_id, service, service)

    def _begins(self, service: str, number: int, channel_id: bytes, message: bytes) -> None:
        if channel_id == ALL_CHANNELS or self.service_of(channel_id) is not None:
            return
        whole = number == OPEN_CHANNEL2 and len(message) >= _OPENER_BASEPOINT.stop
        self._opening.put(channel_id, _Opening(service, message[_OPENER_BASEPOINT] if whole else b""), service)

    def _add(self, channel_id: bytes, service: str) -> None:
        if channel_id != ALL_CHANNELS and channel_id not in self._channels:
            self._channels.put(channel_id, service, service)
