"""Two announcements of one funding output that name different nodes: somebody's keys have leaked. BOLT 7 (B7-65).

No honest node says such a thing, and nobody can say it of others: each announcement carries the signatures of both its
nodes and of both bitcoin keys. So all four nodes are not listened to any more, as long as gossipd runs, and their
channels are forgotten as closed ones are. We ourselves are spared: what is ours is said by us alone.
"""

from collections.abc import Iterable

from gossipd.ingest.around import Around
from gossipd.ingest.checks import bad_gossip
from gossipd.ingest.signatures import GOOD
from gossipd.verdict import Verdict
from wire.bus.feed import Outcome
from wire.control.status import Status
from wire.gossip_layout import KEYS, channel_keys
from wire.scid import scid_to_text

MAX_BLACKLISTED = 1_000
"""Nodes; the oldest make room."""

status = Status("gossipd")


class Conflicts:
    """The blacklist, and how one comes onto it."""

    def __init__(self, around: Around) -> None:
        self._writer = around.writer
        self._index = around.index
        self._checks = around.checks
        self._stored = around.stored
        self._blacklist: dict[bytes, None] = {}

    @property
    def count(self) -> int:
        """Nodes on the blacklist."""
        return len(self._blacklist)

    def refuses(self, node_ids: Iterable[bytes]) -> bool:
        """Whether one of these nodes is on the blacklist."""
        return bool(self._blacklist) and any(node_id in self._blacklist for node_id in node_ids)

    def receive(self, scid: int, message: bytes, keys_at: int, source: int) -> Verdict:
        """An announcement of a channel that is on the map; its four keys stand at `keys_at`. Mostly the same again."""
        index, row = self._index, self._index.channels[scid]
        known = index.node_ids[index.node1[row]] + index.node_ids[index.node2[row]]
        if message[keys_at : keys_at + 66] == known or message in self._checks.under_way:
            return Verdict.REDUNDANT
        keys = KEYS.unpack_from(message, keys_at)
        if keys[0] >= keys[1] or {*keys[2:]} != {*channel_keys(self._writer.announcement(row))[2:]}:
            return Verdict.CONFLICT  # not of this output: nothing is proven
        if not self._checks.submit(message, b"", lambda result: self._checked(scid, message, keys[:2], source, result)):
            return Verdict.OWED
        self._checks.under_way.add(message)
        return Verdict.CHECKING

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
            self._blacklist_nodes(scid, {*node_ids, *known} - {self._writer.our_id})

    def _blacklist_nodes(self, scid: int, node_ids: set[bytes]) -> None:
        for node_id in sorted(node_ids):
            if len(self._blacklist) >= MAX_BLACKLISTED:
                del self._blacklist[next(iter(self._blacklist))]
            self._blacklist[node_id] = None
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
