"""What is kept of gossip v2: channels with an update a direction, and nodes of these channels. In memory, and noted.

Nothing proves a channel while no chain is followed: strangers may invent as many as they like. So there is a bound in
messages and in bytes, with a share for each source, an address: who fills it loses what it has brought first.
"""

from collections import Counter
from collections.abc import Callable

from wire.control.shares import Shares
from wire.gossip_v2.kept import SCID_SIZE, SCIDDIR_SIZE, Key, Record
from wire.gossip_v2.records import read_records
from wire.gossip_v2.signatures import NODE_IDS

MOST, MOST_BYTES = 100_000, 32_000_000
OVERHEAD = 300
"""Bytes of a message besides its own, about."""

Nodes = tuple[bytes, bytes]


class Kept:
    """The table. `changed` hears each change, for the file. A channel that goes takes its updates along, and its nodes
    if they have no other one."""

    def __init__(self, changed: Callable[[Record], None], most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self.table: Shares[Key, Record] = Shares(most, most_bytes)
        self.channels: dict[Key, Nodes] = {}
        """Node ids by scid: to be read."""
        self.nodes: Counter[bytes] = Counter()
        """How many channels a node has, of those with any: to be read."""
        self._changed = changed

    @property
    def live_size(self) -> int:
        """Bytes of all that is kept, with OVERHEAD for each message."""
        return self.table.size

    @property
    def message_bytes(self) -> int:
        """Of these, the messages' own."""
        return self.table.size - OVERHEAD * len(self.table)

    def height(self, key: Key) -> int:
        """The block height of what is kept there, -1 if nothing is."""
        record = self.table.get(key)
        return -1 if record is None else record.height

    def load(self, record: Record) -> None:
        """A record of the file, which hears nothing of it: what an earlier one has kept makes room as it did then."""
        changed, self._changed = self._changed, _unheard
        if record.message:
            self.put(record)
        else:
            self.drop(record.key)
        self._changed = changed

    def put(self, record: Record) -> bool:
        """Keep it instead of what is there; of an update or a node, if its channel is here. False if it is not kept."""
        key = record.key
        if len(key) == SCIDDIR_SIZE:
            if key[1:] not in self.channels:
                return False
        elif len(key) != SCID_SIZE:
            if key not in self.nodes:
                return False
        elif key not in self.channels:
            first, second = (read_records(record.message)[number] for number in NODE_IDS)
            self.channels[key] = first, second
            self.nodes.update((first, second))
        made_room = self.table.put(key, record, record.source, len(record.message) + OVERHEAD)
        self._changed(record)
        for gone, _ in made_room:
            self._forget(gone)
        return key in self.table

    def drop(self, key: Key) -> None:
        """Nothing is kept there any more."""
        if self.table.pop(key) is not None:
            self._forget(key)

    def _forget(self, key: Key) -> None:
        """What is out of the table is noted, and what belongs to it goes as well."""
        self._changed(Record(key))
        nodes = self.channels.pop(key, None)
        if nodes is None:
            return
        for direction in (b"\0", b"\1"):
            self.drop(direction + key)
        for node_id in nodes:
            self.nodes[node_id] -= 1
            if not self.nodes[node_id]:
                del self.nodes[node_id]
                self.drop(node_id)


def _unheard(record: Record) -> None:
    """What is loaded is in the file already."""
