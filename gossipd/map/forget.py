"""Channels that go: from the index and the store in one step, so that no reader meets half of one. BOLT 7, Pruning.

A spent channel is dying for 72 blocks: it stays on the map but is not sent any more. Then, or when it was pruned, it
is forgotten: its records are marked deleted, `delete_chan` tells followers, and nodes without channels go with it. What
was spent does not come back; what was pruned comes back only with a fresh update.

A node_announcement always stands behind the announcement of one of its node's channels that is not dying (B7-98): when
that is no longer so it is appended again, and while there is none it is marked dying itself.
"""

from collections import Counter
from collections.abc import Iterable

from gossipd.feed import SILENT, Feed
from gossipd.map.gone import Gone
from gossipd.map.index import MapIndex
from gossipd.store.records import DYING, delete_channel_message, dying_message
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
        self._dying_of = Counter(node_id for scid in index.dying for node_id in self._ends(index.channels[scid]))
        """node_id -> how many of its channels are dying."""
        self._to_be_ordered: set[bytes] = set()
        self._finish_what_was_begun()

    def _finish_what_was_begun(self) -> None:
        """A crash may have left a chan_dying without the flags that follow it."""
        index, rows = self._index, [self._index.channels[scid] for scid in self._index.dying]
        for row in rows:
            self._mark_dying(row)
        self._put_in_order({node for row in rows for node in (index.node1[row], index.node2[row])})

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
                deadline = blockheight + DYING_BLOCKS
                index.dying[scid] = (deadline, store.append(dying_message(scid, deadline), 0))
                self._mark_dying(row)
                self._dying_of.update(self._ends(row))
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

    def drop(self, scid: int) -> None:
        """Take a channel out of the map, because it is unspent again and about to be written again."""
        self._forget([scid], "unspent")

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
            if scid in index.dying:
                self._dying_of -= Counter(self._ends(row))
            ends = self._ends(row)
            nodes |= {index.node1[row], index.node2[row]}
            store.append(delete_channel_message(scid), 0)  # first, so that the flags follow it into the file
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

    def update_written(self, row: int, offset: int) -> None:
        """A channel_update was appended at `offset`."""
        if self._index.dying and self._index.scid[row] in self._index.dying:
            self._store.set_dying(offset)

    def channel_written(self, row: int) -> None:
        """A channel was announced: its nodes are not dying any more."""
        if not self._dying_of:
            return
        for node_id in self._ends(row):
            node = self._index.nodes[node_id]
            if node_id in self._dying_of and self._dying_of[node_id] == self._index.node_channels[node] - 1:
                self._announce_again(node)

    def channel_moved(self, row: int) -> None:
        """A channel's announcement was appended again: its nodes' may stand before it now. `tick` sees to it."""
        self._to_be_ordered.update(self._ends(row))

    def tick(self) -> int:
        """Put in order what has waited for it: all at once, because every channel is looked at. Returns how many nodes
        that were; there may be something to be flushed then.
        """
        nodes = {self._index.nodes[node_id] for node_id in self._to_be_ordered if node_id in self._index.nodes}
        self._to_be_ordered.clear()
        self._put_in_order(nodes)
        return len(nodes)

    def node_written(self, node: int, offset: int) -> None:
        """A node_announcement was appended at `offset`."""
        if self._dying_of.get(self._index.node_ids[node], 0) == self._index.node_channels[node]:
            self._store.set_dying(offset)

    # node_announcements

    def _put_in_order(self, nodes: Iterable[int]) -> None:
        """See to the node_announcements of these rows. Looks at every channel once, if there is anything to be seen."""
        index = self._index
        announced = {node for node in nodes if index.node_ids[node] and index.node_announce_off[node]}
        if not announced:
            return
        first_channel = dict.fromkeys(announced, 0)
        for one, two, scid, offset in zip(index.node1, index.node2, index.scid, index.announce_off, strict=True):
            if offset and (one in announced or two in announced) and scid not in index.dying:
                for node in {one, two} & announced:
                    first_channel[node] = min(offset, first_channel[node] or offset)
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
        if offset:
            index.set_node_announcement(node, store.append(store.read(offset), timestamp), timestamp)
            store.mark_deleted(offset)
