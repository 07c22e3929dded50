"""What we say of ourselves: our channels, and our node_announcement. BOLT 7.

OwnGossip knows which of the map is our own: it goes to each new peer whatever its filter says, and to all as soon as
it is made (B7-97). Our own are the announcements of our channels, our direction's updates, and our node_announcement;
a channel of which we have said nothing yet waits for our first update.

OwnNode keeps our node_announcement in the map true and young, as long as we have a public channel. What it makes takes
the way of all gossip, through the pipeline.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from gossipd.map.index import MapIndex
from gossipd.store.writer import GossipStore
from wire.address import DEFAULT_PORTS, WireAddr, parse_address, write_descriptor
from wire.control.control_wire import GossipdInit
from wire.control.status import Status
from wire.cursor import WireError
from wire.peer_wire import NodeAnnouncement

Sign = Callable[[bytes, Callable[[bytes], None]], None]
"""Gets a node_announcement with a blank signature, and calls with the right one."""
Publish = Callable[[bytes, Callable[[str | None], None]], None]
"""Takes a message in, and calls with None when it is in the map, or with what is wrong with it."""

PAUSE = 60.0
"""Seconds at least between two node_announcements of ours: what changes in between goes out in one."""

_ALIAS_SIZE = 32
_LAST_TIMESTAMP = 0xFFFFFFFF

status = Status("gossipd")


class OwnGossip:
    """Which gossip is our own. The map's writer says what it has written."""

    def __init__(
        self, node_id: bytes, store: GossipStore, index: MapIndex, tell_all: Callable[[list[bytes]], None]
    ) -> None:
        """`tell_all` gets what is new, in the order in which peers need it."""
        self.node_id = node_id
        self.store = store
        self.index = index
        self._tell_all = tell_all
        row = index.nodes.get(node_id)
        rows = [] if row is None else index.rows_of_node(row)
        self._scids = {index.scid[row] for row in rows}

    def public_rows(self) -> Iterator[int]:
        """The rows of our channels that are not dying."""
        for scid in tuple(self._scids):
            row = self.index.channels.get(scid)
            if row is None:
                self._scids.discard(scid)
            elif scid not in self.index.dying:
                yield row

    def messages(self) -> Iterator[bytes]:
        """All of our own, for a new peer: read as it is taken, so that it costs no memory."""
        index, store = self.index, self.store
        for row in self.public_rows():
            offset = index.update_off[self._direction(row)][row]
            if offset:
                yield store.read(index.announce_off[row])
                yield store.read(offset)
        node = index.nodes.get(self.node_id)
        if node is not None and index.node_announce_off[node] and any(True for _ in self.public_rows()):
            yield store.read(index.node_announce_off[node])

    def _direction(self, row: int) -> int:
        return int(self.index.node_ids[self.index.node2[row]] == self.node_id)

    # what is written

    def channel_written(self, scid: int, node_ids: tuple[bytes, bytes]) -> None:
        """A channel was announced."""
        if self.node_id in node_ids:
            self._scids.add(scid)

    def update_written(self, row: int, direction: int, message: bytes, *, is_first: bool) -> None:
        """One direction of a channel was updated; `is_first`: nothing was known of it."""
        index = self.index
        if index.node_ids[(index.node2 if direction else index.node1)[row]] != self.node_id:
            return
        if index.scid[row] not in index.dying:
            self._tell_all([self.store.read(index.announce_off[row]), message] if is_first else [message])

    def node_written(self, row: int, message: bytes) -> None:
        """A node was announced."""
        if self.index.node_ids[row] == self.node_id:
            self._tell_all([message])


class OwnNode:
    """Our node_announcement. Call `tick` from time to time; it makes at most one a minute."""

    def __init__(
        self, init: GossipdInit, own: OwnGossip, sign: Sign, publish: Publish, now: Callable[[], float]
    ) -> None:
        """`now` in unix seconds."""
        self._own = own
        self._sign = sign
        self._publish = publish
        self._now = now
        self._refresh = init.timing.node_refresh
        self._not_before = 0.0
        self._wanted = NodeAnnouncement(
            signature=bytes(64),
            features=init.features,
            timestamp=0,
            node_id=init.node_id,
            rgb_color=init.rgb,
            alias=init.alias.encode()[:_ALIAS_SIZE].ljust(_ALIAS_SIZE, b"\0"),
            addresses=descriptors(init.addresses),
        )

    def announce_at(self, addresses: list[str]) -> None:
        """Our addresses have changed."""
        self._wanted = replace(self._wanted, addresses=descriptors(addresses))

    def announce_features(self, features: bytes) -> None:
        """What we do has changed."""
        self._wanted = replace(self._wanted, features=features)

    def tick(self) -> None:
        """Announce ourselves if we have a public channel, and what the map says of us is wrong or old."""
        now = self._now()
        if now < self._not_before or not any(True for _ in self._own.public_rows()):
            return
        index = self._own.index
        row = index.nodes[self._own.node_id]
        age = now - index.node_ts[row]
        if age < self._refresh and self._is_said_at(index.node_announce_off[row]):
            return
        timestamp = max(int(now), index.node_ts[row] + 1)
        self._not_before = now + PAUSE
        if timestamp <= _LAST_TIMESTAMP:
            self._announce(replace(self._wanted, timestamp=timestamp).encode())

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
        self._sign(blank, lambda signature: self._publish(blank[:2] + signature + blank[66:], _published))


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
