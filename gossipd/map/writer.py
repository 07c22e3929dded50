"""Writing gossip that has passed all checks: into the store and the index together, in the order that readers need."""

from gossipd.map.forget import Forgetting
from gossipd.map.index import MapIndex
from gossipd.map.own import OwnGossip
from gossipd.store.writer import GossipStore
from wire.bus.feed import MAP_CHANNEL, MAP_NODE, MAP_UPDATE
from wire.gossip_layout import update_content


class MapWriter:
    """Appends and indexes in one step; readers see it with the store's flush."""

    def __init__(
        self, store: GossipStore, index: MapIndex, forgetting: Forgetting, own: OwnGossip | None = None
    ) -> None:
        """`own` hears of what is written, for what is our own must be said."""
        self.forgetting = forgetting
        self._store = store
        self._index = index
        self._own = own
        self.feed = forgetting.feed

    @property
    def our_id(self) -> bytes:
        """Our own node_id, b"" if that does not matter here."""
        return b"" if self._own is None else self._own.node_id

    def announcement(self, row: int) -> bytes:
        """The channel's raw announcement; b"" if it was lost a moment ago (`GossipStore.read`)."""
        return self._store.read(self._index.announce_off[row])

    def nodes_of(self, row: int) -> tuple[bytes, bytes]:
        """The channel's node_id_1 and node_id_2."""
        index = self._index
        return index.node_ids[index.node1[row]], index.node_ids[index.node2[row]]

    def write_channel(
        self, message: bytes, scid: int, node_ids: tuple[bytes, bytes], timestamp: int, amount_sat: int
    ) -> int:
        """A new channel; returns its row. `timestamp`: that of its first update, 0 if that has not come."""
        row = self._add_channel(message, scid, node_ids, timestamp, amount_sat)
        self.forgetting.channel_written(row)
        return row

    def write_channel_and_update(
        self,
        message: bytes,
        scid: int,
        node_ids: tuple[bytes, bytes],
        amount_sat: int,
        timestamp: int,
        direction: int,
        update: bytes,
    ) -> None:
        """A new channel, and its first update. Hot: so most channels come."""
        row = self._add_channel(message, scid, node_ids, timestamp, amount_sat)
        self._index.set_update(row, direction, self._store.append(update, timestamp), timestamp)
        self.forgetting.now_sent(row)
        self._say_update(row, direction, timestamp, update, is_first=True)

    def _add_channel(
        self, message: bytes, scid: int, node_ids: tuple[bytes, bytes], timestamp: int, amount_sat: int
    ) -> int:
        offset = self._store.append_channel(message, timestamp, amount_sat)
        row = self._index.add_channel(scid, *node_ids, offset)
        self._index.amount_sat[row] = amount_sat
        if self._own is not None and self._own.node_id in node_ids:
            self._own.channel_written(scid)
        if self.feed.map:
            known_sat = amount_sat or None
            self.feed.say(MAP_CHANNEL, short_channel_id=scid, amount_sat=known_sat, timestamp=timestamp, raw=message)
        return row

    def write_update(self, row: int, direction: int, timestamp: int, message: bytes) -> None:
        """A channel_update that is newer than the one it replaces."""
        offset = self._store.append(message, timestamp)
        old = self._index.set_update(row, direction, offset, timestamp)
        if old:
            self._store.mark_deleted(old)
        self.forgetting.update_written(row, offset, is_first=not old and not self._index.update_off[1 - direction][row])
        self._say_update(row, direction, timestamp, message, is_first=not old)

    def _say_update(self, row: int, direction: int, timestamp: int, message: bytes, *, is_first: bool) -> None:
        """To those that hear of what is written. `is_first`: the direction had none before."""
        index = self._index
        sender = index.node_ids[(index.node2 if direction else index.node1)[row]]
        if self._own is not None and self._own.node_id == sender:
            self._own.update_written(row, message, is_first=is_first)
        if self.feed.map:
            scid = self._index.scid[row]
            self.feed.say(MAP_UPDATE, short_channel_id=scid, direction=direction, timestamp=timestamp, raw=message)

    def is_keep_alive(self, offset: int, message: bytes) -> bool:
        """Whether an update says nothing but that what stands at `offset` still holds."""
        return update_content(self._store.read(offset)) == update_content(message)

    def bring_forward(self, row: int, timestamp: int) -> None:
        """A channel's first update has come after its announcement was written alone: readers that have passed that
        record must meet it again before the update (B7-98). A spent one is not sent, and stays before its chan_dying.
        """
        if self._index.scid[row] in self._index.dying:
            return
        offset = self._index.announce_off[row]
        message = self._store.read(offset)
        if not message:
            return
        again = self._store.append_channel(message, timestamp, self._index.amount_sat[row])
        self._store.mark_deleted(offset)
        self._index.announce_off[row] = again

    def write_node(self, row: int, timestamp: int, message: bytes) -> None:
        """A node_announcement that is newer than the one it replaces."""
        offset = self._store.append(message, timestamp)
        old = self._index.set_node_announcement(row, offset, timestamp)
        if old:
            self._store.mark_deleted(old)
        self.forgetting.node_written(row, offset)
        if self._own is not None and self._own.node_id == self._index.node_ids[row]:
            self._own.node_written(message)
        if self.feed.map:
            self.feed.say(MAP_NODE, node_id=self._index.node_ids[row], timestamp=timestamp, raw=message)
