"""Two announcements of one funding output that name different nodes: keys have leaked. BOLT 7 (B7-65).

No honest node says such a thing, and it cannot be said of others: each announcement carries the signatures of both its
nodes and of both bitcoin keys. So all four nodes are not listened to any more, as long as gossipd runs, and their
channels are forgotten as closed ones are. We ourselves are spared: what is ours is said by us alone.

Announcements of one short_channel_id with different bitcoin keys contradict each other, too, but one of them may simply
be made up. Where funding outputs are looked up (`txout.py`) the one on the map is proven, and the other is refused.
Where they are not (chain none) neither is: `contests.py`.
"""

from collections.abc import Hashable

from gossipd.ingest.around import Around
from gossipd.ingest.checks import bad_gossip
from gossipd.ingest.contests import LONGEST, Contests
from gossipd.ingest.signatures import GOOD
from gossipd.verdict import Verdict
from wire.bus.feed import Outcome
from wire.control.shares import Shares
from wire.control.status import Status
from wire.encoded import ANNOUNCEMENT
from wire.gossip_layout import KEY_SIZE, KEYS, channel_keys
from wire.scid import scid_to_text

# Looked up once: before Python 3.12 each look at an enum's member costs 0.15 µs.
_REDUNDANT = Verdict.REDUNDANT

MAX_BLACKLISTED = 1_000
"""Nodes. A network whose peers have said most of them makes its own oldest go."""

status = Status("gossipd")


class Conflicts:
    """The blacklist, and how one comes onto it."""

    def __init__(self, around: Around) -> None:
        self._writer = around.writer
        self._index = around.index
        self._checks = around.checks
        self._stored = around.stored
        self._around = around
        self.contests = Contests(around)
        self._contested = self.contests.of.values
        self.blacklist: Shares[bytes, None] = Shares(MAX_BLACKLISTED)
        self.blacklisted = self.blacklist.values.keys()
        """Nodes that are not listened to any more."""

    def receive(self, scid: int, message: bytes, keys_at: int, source: int) -> Verdict:
        """An announcement of a channel that is on the map; its four keys stand at `keys_at`. Mostly the same again."""
        index, row = self._index, self._index.channels[scid]
        is_same = message.startswith(index.node_ids[index.node1[row]], keys_at) and message.startswith(
            index.node_ids[index.node2[row]], keys_at + KEY_SIZE
        )
        if is_same and not self._contested:
            return _REDUNDANT
        keys = KEYS.unpack_from(message, keys_at)
        is_said = bool(self._contested) and self.contests.witness(scid, keys, source)
        if is_same or message in self._checks.under_way:
            return _REDUNDANT
        if is_said:
            return Verdict.CONFLICT
        announcement = self._writer.announcement(row)
        if not announcement:
            self._around.owe(scid, ANNOUNCEMENT, None)
            return Verdict.OWED
        if keys[0] >= keys[1] or {*keys[2:]} != {*channel_keys(announcement)[2:]}:
            # not of this output: nothing is proven
            is_open = keys[0] < keys[1] and not self._around.txout.asks and self.blacklisted.isdisjoint(keys[:2])
            is_open = is_open and self._writer.our_id not in self._writer.nodes_of(row) and len(message) <= LONGEST
            return self._contest(scid, message, source) if is_open else Verdict.CONFLICT
        if not self._checks.submit(
            message, b"", source, lambda result: self._checked(scid, message, keys[:2], source, result)
        ):
            return Verdict.OWED
        self._checks.under_way.add(message)
        return Verdict.CHECKING

    def _contest(self, scid: int, message: bytes, source: int) -> Verdict:
        """Another version of a channel that is as little proven as the one on the map."""
        if not self._checks.submit(
            message, b"", source, lambda result: self._rival_checked(scid, message, source, result)
        ):
            self.contests.owe(scid, source)
            return Verdict.OWED
        self._checks.under_way.add(message)
        return Verdict.CHECKING

    def _rival_checked(self, scid: int, message: bytes, source: int, result: int) -> None:
        self._checks.under_way.discard(message)
        if result != GOOD:
            text = f"channel_announcement {scid_to_text(scid)}: other keys than before, and a bad signature"
            self._checks.bad(message, source, bad_gossip(text))
            return
        self._checks.verified(message, source)
        self._checks.settle(
            message, Outcome.WAITING, "for more peers that say so: its channel is known with other keys"
        )
        self.contests.add(scid, message, source)

    def _checked(self, scid: int, message: bytes, node_ids: tuple[bytes, ...], source: int, result: int) -> None:
        self._checks.under_way.discard(message)
        if result != GOOD:
            text = f"channel_announcement {scid_to_text(scid)}: other nodes than before, and a bad signature"
            self._checks.bad(message, source, bad_gossip(text))
            return
        self._checks.verified(message, source)
        self._checks.settle(message, Outcome.REJECTED, "its channel was announced by other nodes before")
        row = self._index.channels.get(scid)
        if row is not None and (known := self._writer.nodes_of(row)) != node_ids:
            self._blacklist_nodes(scid, {*node_ids, *known} - {self._writer.our_id}, self._around.group_of(source))

    def _blacklist_nodes(self, scid: int, node_ids: set[bytes], group: Hashable) -> None:
        for node_id in sorted(node_ids):
            self.blacklist.put(node_id, None, group)
        index = self._index
        rows = {index.nodes[node_id] for node_id in node_ids if node_id in index.nodes}
        channels = [
            each for each, row in index.channels.items() if index.node1[row] in rows or index.node2[row] in rows
        ]
        self._writer.forgetting.condemn(channels)
        self._stored()
        status.unusual(
            f"channel {scid_to_text(scid)} was announced by different nodes: these are not listened to any more, and"
            f" {len(channels)} channels are forgotten: {', '.join(node_id.hex() for node_id in sorted(node_ids))}"
        )
