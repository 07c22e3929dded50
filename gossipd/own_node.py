"""Our node_announcement: kept true and young in the map, as long as we have a public channel. BOLT 7.

What is made here takes the way of all gossip, through the pipeline; hsmd signs it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from gossipd.map.jumps import Clocks, Jumps
from gossipd.map.own import OwnGossip
from wire.address import DEFAULT_PORTS, WireAddr, parse_address, write_descriptor
from wire.control.control_channel import ChannelClosed, ControlChannel
from wire.control.control_wire import GossipdInit, SignNodeAnnouncement, SignNodeAnnouncementReply
from wire.control.status import Status
from wire.cursor import WireError
from wire.gossip_layout import SIGNED, TYPE_SIZE
from wire.peer_wire import NodeAnnouncement

Sign = Callable[[bytes, Callable[[bytes], None]], None]
"""Gets a node_announcement with a blank signature, and calls with the right one."""

REST = 3_600.0
"""Seconds after a jump of the wall clock in which nothing is done because of what it says."""
MAX_AHEAD = 86_400
"""Seconds ahead of our clock beyond which peers take no announcement."""

_ALIAS_SIZE = 32

status = Status("gossipd")


class Around(Clocks, Protocol):
    """What our node needs of its daemon."""

    def publish(self, message: bytes, settled: Callable[[str | None], None]) -> None:
        """Take a message in as all gossip; `settled` gets None when it is in the map, or what is wrong with it."""


class Signer:
    """The way to a signature: hsmd has the key, and signs nothing for us but our node_announcement."""

    def __init__(self, hsm: ControlChannel) -> None:
        self._hsm = hsm
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, announcement: bytes, signed: Callable[[bytes], None]) -> None:
        """`announcement` has a blank signature. `signed` gets the right one, 64 bytes; never if hsmd is gone, for the
        node ends with it.
        """
        task = asyncio.get_running_loop().create_task(self._ask(announcement, signed))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, announcement: bytes, signed: Callable[[bytes], None]) -> None:
        try:
            reply = await self._hsm.request(SignNodeAnnouncement(announcement), SignNodeAnnouncementReply)
        except ChannelClosed:
            return
        signed(reply.signature)


class OwnNode:
    """Our node_announcement. Call `tick` from time to time; it makes at most one in each `timing.node_pause`."""

    def __init__(self, init: GossipdInit, own: OwnGossip, sign: Sign, around: Around) -> None:
        """`init` has what we want to say of ourselves."""
        self._own = own
        self._sign = sign
        self._around = around
        self._refresh, self._pause = init.timing.node_refresh, init.timing.node_pause
        self._not_before = float("-inf")
        self._jumps = Jumps(around, REST)
        self._seen = -1
        """Timestamp of our announcement on the map,"""
        self._seen_at = 0.0
        """and since when, by the monotonic clock, we know that."""
        self._wanted = NodeAnnouncement(
            signature=bytes(64),
            features=init.features,
            timestamp=0,
            node_id=init.node_id,
            rgb_color=init.rgb,
            alias=_padded(init.alias),
            addresses=descriptors(init.addresses),
        )

    def announce_at(self, addresses: list[str]) -> None:
        """Our addresses have changed."""
        self._wanted = replace(self._wanted, addresses=descriptors(addresses))

    def announce_as(self, alias: str, rgb: bytes) -> None:
        """We have another name, or another colour."""
        self._wanted = replace(self._wanted, alias=_padded(alias), rgb_color=rgb)

    def announce_features(self, features: bytes) -> None:
        """What we do has changed."""
        self._wanted = replace(self._wanted, features=features)

    def tick(self) -> None:
        """Announce ourselves if we have a public channel, and what the map says of us is wrong or old."""
        clock, now = self._around.clock(), self._around.now()
        self._jumps.look()
        if clock < self._not_before or not any(True for _ in self._own.public_rows()):
            return
        index = self._own.index
        row = index.nodes[self._own.node_id]
        if index.node_ts[row] > now + MAX_AHEAD and self._jumps.settled:
            status.unusual("our node_announcement is of the future: it is withdrawn, and said with today's time")
            self._own.withdraw_node(row)
        if self._is_said_at(index.node_announce_off[row]) and not self._is_old(index.node_ts[row]):
            return
        self._not_before = clock + self._pause
        self._announce(replace(self._wanted, timestamp=max(int(now), index.node_ts[row] + 1)).encode())

    def _is_old(self, timestamp: int) -> bool:
        """Whether it is to be said again: after so long by either clock, but not because one has jumped."""
        clock = self._around.clock()
        if timestamp != self._seen:
            self._seen, self._seen_at = timestamp, clock
        if clock - self._seen_at >= self._refresh:
            return True
        return self._jumps.settled and self._around.now() - timestamp >= self._refresh

    def _is_said_at(self, offset: int) -> bool:
        """Whether the record there, if any, says the same but for its time."""
        if not offset:
            return False
        try:
            said = NodeAnnouncement.decode(self._own.store.read(offset))
        except WireError:
            return False
        return replace(said, signature=self._wanted.signature, timestamp=self._wanted.timestamp) == self._wanted

    def _announce(self, blank: bytes) -> None:
        def signed(signature: bytes) -> None:
            self._around.publish(blank[:TYPE_SIZE] + signature + blank[SIGNED:], _published)

        self._sign(blank, signed)


def _padded(alias: str) -> bytes:
    return alias.encode()[:_ALIAS_SIZE].ljust(_ALIAS_SIZE, b"\0")


def _published(error: str | None) -> None:
    if error is not None:
        status.unusual(f"our node_announcement was not taken: {error}")
    else:
        status.info("we have announced ourselves")


def descriptors(addresses: list[str]) -> bytes:
    """Addresses, as `wire.address` reads them, in the form and order of a node_announcement (B7-70, B7-73, B7-74):
    ascending, none without a port, one host name.
    """
    found: list[WireAddr] = [parse_address(text, DEFAULT_PORTS["bitcoin"]) for text in addresses]
    names = [address for address in found if address.kind == "dns"]
    usable = [address for address in found if address.kind not in ("local", "dns") and address.port]
    written = [write_descriptor(address) for address in [*usable, *names[:1]]]
    written.sort(key=lambda descriptor: descriptor[0])
    return b"".join(written)
