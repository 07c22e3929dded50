"""Channels that go: from the index and the store in one step, so that no reader meets half of one. BOLT 7, Pruning.

A spent channel is dying for 72 blocks: it stays on the map but is not sent any more. Then, or when it was pruned, it
is forgotten: its records are marked deleted, `delete_chan` tells followers, and nodes without channels go with it. What
was spent does not come back; what was pruned comes back only with a fresh update.

Peers are sent a channel when it is not dying and has an update. A node_announcement always stands behind the
announcement of one of its node's channels that are sent (B7-98): when that is no longer so it is appended again, in the
same batch, and while there is none it is marked dying itself.
"""

from collections.abc import Iterable

from gossipd.feed import SILENT, Feed
from gossipd.map.gone import Gone
from gossipd.map.index import MapIndex
from gossipd.store.records import DYING, dying_message
from gossipd.store.writer import GossipStore
from wire.bus.feed import CHANNEL_DYING, CHANNEL_REMOVED, NODE_REMOVED

DYING_BLOCKS = 72
"""How long a spent channel stays, for it may be a splice. BOLT 7, Pruning."""


class Forgetting:
    """Takes channels out of the map. What it appends waits for the store's flush, as all that is appended."""

    def __init__(self, store: GossipStore, index: MapIndex, gone: Gone, feed: Feed = SILENT) -> None:
        """`gone`: where what is forgotten is remembered."""
        self._store = store
        self._index = index
        self.feed = feed
        self.closed, self.pruned = gone.closed, gone.pruned
        self._unsent_of: dict[bytes, int] = {}
        """node_id -> how many of its channels are not sent; only those that have any."""
        self._finish_what_was_begun()

    def _finish_what_was_begun(self) -> None:
        """A crash may have left records without the flags that follow them, and another writer another order."""
        index = self._index
        for scid in index.dying:
            self._mark_dying(index.channels[scid])
        for row in index.channels.values():
            if not self._is_sent(row):
                self._count_unsent(row, 1)
        self._put_in_order(range(len(index.node_ids)))

    def _is_sent(self, row: int) -> bool:
        """Whether peers are sent this channel: without an update it does not go (B7-98)."""
        index = self._index
        has_update = index.update_off[0][row] or index.update_off[1][row]
        return bool(has_update) and index.scid[row] not in index.dying

    def _count_unsent(self, row: int, change: int) -> None:
        counts = self._unsent_of
        for node_id in self._ends(row):
            counts[node_id] = counts.get(node_id, 0) + change
            if not counts[node_id]:
                del counts[node_id]

    def _sent_of(self, node: int) -> int:
        """How many of a node's channels are sent."""
        return self._index.node_channels[node] - self._unsent_of.get(self._index.node_ids[node], 0)

    def _mark_dying(self, row: int) -> None:
        index, store = self._index, self._store
        for offset in (index.announce_off[row], index.update_off[0][row], index.update_off[1][row]):
            if offset and not store.flags(offset) & DYING:
                store.set_dying(offset)

    # going

    def prune(self, scids: Iterable[int]) -> int:
        """Forget stale channels. Returns how many there were."""
        stale = [scid for scid in scids if scid in self._index.channels]
        for scid in stale:
            self.pruned.add(scid)
        return len(self._forget(stale, "pruned"))

    def spend(self, scids: Iterable[int], blockheight: int) -> int:
        """The funding outputs of these channels were spent in the block at that height: they are dying from now on, or
        were so before. Those that are not on the map are remembered at once. Returns how many have begun to die."""
        index, store = self._index, self._store
        nodes: set[int] = set()
        begun = 0
        for scid in scids:
            row = index.channels.get(scid)
            if row is None:
                self.closed.add(scid)
            elif scid not in index.dying:
                begun += 1
                self._count_unsent(row, int(self._is_sent(row)))
                deadline = blockheight + DYING_BLOCKS
                index.dying[scid] = (deadline, store.append(dying_message(scid, deadline), 0))
                self._mark_dying(row)
                nodes |= {index.node1[row], index.node2[row]}
                if self.feed.map:
                    self.feed.say(CHANNEL_DYING, short_channel_id=scid, deadline=deadline)
        self._put_in_order(nodes)
        return begun

    def block(self, blockheight: int) -> int:
        """The chain has this height now: forget channels that have been dying long enough. Returns how many."""
        due = [scid for scid, (deadline, _) in self._index.dying.items() if deadline <= blockheight]
        for scid in due:
            self.closed.add(scid)
        return len(self._forget(due, "spent"))

    def condemn(self, scids: Iterable[int]) -> None:
        """Forget the channels of nodes that are not listened to any more; they do not come back."""
        condemned = list(scids)
        for scid in condemned:
            self.closed.add(scid)
        self._forget(condemned, "blacklisted")

    def drop(self, scids: Iterable[int], why: str = "unspent") -> None:
        """Take channels out of the map that are about to be written again: they are unspent, or for another reason."""
        self._forget(scids, why)

    def lose(self, start: int, stop: int) -> int:
        """The records of this stretch of the store are damaged: forget what they said. Returns how many it were."""
        index = self._index
        lost = [scid for scid, row in index.channels.items() if start <= index.announce_off[row] < stop]
        for scid in lost:
            if scid in index.dying and start <= index.dying[scid][1] < stop:
                index.dying[scid] = index.dying[scid][0], 0
        updates = [
            (row, direction)
            for direction, column in enumerate(index.update_off)
            for row, offset in enumerate(column)
            if start <= offset < stop
        ]
        nodes = {node for node, offset in enumerate(index.node_announce_off) if start <= offset < stop}
        for node in nodes:
            index.set_node_announcement(node, 0, 0)
        ends: set[int] = set()
        for row, direction in updates:
            was_sent = self._is_sent(row)
            index.set_update(row, direction, 0, 0)
            self._count_unsent(row, int(was_sent and not self._is_sent(row)))
            ends |= {index.node1[row], index.node2[row]}
        for scid in lost:
            index.announce_off[index.channels[scid]] = 0
        self._forget(lost, "damaged")
        for scid, (deadline, offset) in index.dying.items():
            if start <= offset < stop:
                index.dying[scid] = (deadline, self._store.append(dying_message(scid, deadline), 0))
        self._put_in_order(ends)
        return len(lost) + len(updates) + len(nodes)

    def _forget(self, scids: Iterable[int], why: str) -> list[int]:
        """Those of the channels that were there, and are not any more. `why` is for the feed."""
        index, store = self._index, self._store
        nodes: set[int] = set()
        gone = []
        for scid in scids:
            row = index.channels.get(scid)
            if row is None:
                continue
            gone.append(scid)
            if not self._is_sent(row):
                self._count_unsent(row, -1)
            ends = self._ends(row)
            nodes |= {index.node1[row], index.node2[row]}
            store.append_deletion(scid)  # first, so that the flags follow it into the file
            for offset in index.remove_channel(row):
                store.mark_deleted(offset)
            if self.feed.map:
                self._say_removed(scid, why, ends)
        self._put_in_order(nodes)
        return gone

    def _say_removed(self, scid: int, why: str, ends: tuple[bytes, bytes]) -> None:
        self.feed.say(CHANNEL_REMOVED, short_channel_id=scid, why=why)
        for node_id in ends:
            if node_id not in self._index.nodes:
                self.feed.say(NODE_REMOVED, node_id=node_id)

    def _ends(self, row: int) -> tuple[bytes, bytes]:
        index = self._index
        return index.node_ids[index.node1[row]], index.node_ids[index.node2[row]]

    # what is added

    def channel_written(self, row: int) -> None:
        """A channel was announced, and has no update yet."""
        self._count_unsent(row, 1)

    def update_written(self, row: int, offset: int, *, is_first: bool) -> None:
        """A channel_update was appended at `offset`; `is_first`: the channel had none before."""
        index = self._index
        if index.dying and index.scid[row] in index.dying:
            self._store.set_dying(offset)
        elif is_first:
            self._count_unsent(row, -1)
            self.now_sent(row)

    def now_sent(self, row: int) -> None:
        """A channel is sent from now on: if a node has no other, its announcement must stand behind this one."""
        index = self._index
        for node in (index.node1[row], index.node2[row]):
            if index.node_announce_off[node] and self._sent_of(node) == 1:
                self._announce_again(node)

    def node_written(self, node: int, offset: int) -> None:
        """A node_announcement was appended at `offset`."""
        if not self._sent_of(node):
            self._store.set_dying(offset)

    # node_announcements

    def _put_in_order(self, nodes: Iterable[int]) -> None:
        """See to the node_announcements of these rows. Looks at every channel once, if there is anything to be seen."""
        index = self._index
        announced = {node for node in nodes if index.node_ids[node] and index.node_announce_off[node]}
        if not announced:
            return
        first_channel = dict.fromkeys(announced, 0)
        columns = zip(index.node1, index.node2, index.announce_off, *index.update_off, index.scid, strict=True)
        for one, two, offset, update_1, update_2, scid in columns:
            if (update_1 or update_2) and (one in announced or two in announced) and scid not in index.dying:
                for node in (one, two):
                    if node in announced and not 0 < first_channel[node] < offset:
                        first_channel[node] = offset
        for node, offset in first_channel.items():
            self._put_behind(node, offset)

    def _put_behind(self, node: int, channel: int) -> None:
        """`channel`: offset of the first announcement that is sent, 0 if there is none."""
        offset = self._index.node_announce_off[node]
        is_dying = bool(self._store.flags(offset) & DYING)
        if not channel and not is_dying:
            self._store.set_dying(offset)
        elif channel and (is_dying or offset < channel):
            self._announce_again(node)

    def _announce_again(self, node: int) -> None:
        index, store = self._index, self._store
        offset, timestamp = index.node_announce_off[node], index.node_ts[node]
        if offset and (message := store.read(offset)):
            index.set_node_announcement(node, store.append(message, timestamp), timestamp)
            store.mark_deleted(offset)
