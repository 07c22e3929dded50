"""Taking gossip in: cheap checks, signatures, funding output, then the map and the store. BOLT 7.

    receive() -> cheap checks -> SignatureChecks -> Txout -> commit

An announcement lives in `_pending` from its cheap checks until it is written, which is when its first update has come:
without one it is not to be passed on (B7-98), and no reader of the store sees an update before its announcement.
Updates that come meanwhile are checked with the pending announcement's keys and wait behind it; node_announcements of
nodes that have no channel yet wait, unchecked (ingest_nodes.py). Nothing whose signature is being checked is checked a
second time (checks.py), and neither is what is known or older.

This file parses with precompiled structs at fixed offsets, because each message of a first sync passes here; the
declarations in `wire.peer_wire` are the oracle that its tests compare it with.
"""

from collections.abc import Callable
from functools import partial
from struct import Struct

from gossipd.ingest.checks import Checks
from gossipd.ingest.conflicts import Conflicts
from gossipd.ingest.nodes import NodeIngest
from gossipd.ingest.pending import AWAITS_UPDATE, TXOUT, Pending, PendingChannels
from gossipd.ingest.ratelimit import KEEP_ALIVE, RateLimit
from gossipd.ingest.signatures import GOOD
from gossipd.ingest.txout import Txout, funding_script
from gossipd.map.index import MapIndex
from gossipd.map.writer import MapWriter
from gossipd.verdict import Consequence, PeerFault, Verdict
from wire.bus.feed import Outcome
from wire.control.status import Status
from wire.encoded import ALL
from wire.scid import scid_to_text

CHANNEL_ANNOUNCEMENT, NODE_ANNOUNCEMENT, CHANNEL_UPDATE = 256, 257, 258

MAX_FUTURE = 86_400
"""Seconds that an update may be ahead of our clock (B7-84; CLN's figure)."""

_UPDATE = Struct(">32sQIBB")  # chain_hash, short_channel_id, timestamp, message_flags, channel_flags, at byte 66
_KEYS = Struct("33s33s33s33s")
_U16, _U32, _U64 = Struct(">H"), Struct(">I"), Struct(">Q")

_WRONG_SIGNATURE = ("", "node_signature_1", "node_signature_2", "bitcoin_signature_1", "bitcoin_signature_2")

status = Status("gossipd")


# Looked up once: before Python 3.12 each look at an enum's member costs 0.15 µs.
_CHECKING, _REDUNDANT = Verdict.CHECKING, Verdict.REDUNDANT


def _timestamp_of_update(message: bytes) -> int:
    return int(_U32.unpack_from(message, 106)[0])


class Ingest:
    """The pipeline. `source` is the conn_id from which a message came, USER for a user's."""

    def __init__(
        self,
        writer: MapWriter,
        index: MapIndex,
        chain_hash: bytes,
        checks: Checks,
        txout: Txout,
        prune_after: float,
        now: Callable[[], float],
        stored: Callable[[], None],
        owe: Callable[[int, int], None],
        hear_of: Callable[[int], None],
    ) -> None:
        """`stored` hears that something waits for the store's flush. `owe` gets scid and query_flags of what is to be
        asked for again, `hear_of` a scid that only an update has named.
        """
        self.checks = checks
        self._writer = writer
        self._forgetting = writer.forgetting
        self._feed = writer.feed
        self._index = index
        self._chain_hash = chain_hash
        self._txout = txout
        self._prune_after = prune_after
        self._now = now
        self._stored = stored
        self._owe = owe
        self._hear_of = hear_of
        self._pending = PendingChannels()
        self._rate_limit = RateLimit()
        self.conflicts = Conflicts(writer, index, checks, stored)
        self._nodes = NodeIngest(writer, index, checks, stored)
        self._receivers = {
            CHANNEL_ANNOUNCEMENT: self._receive_channel_announcement,
            NODE_ANNOUNCEMENT: self._nodes.receive,
            CHANNEL_UPDATE: self._receive_channel_update,
        }

    @property
    def has_room(self) -> bool:
        """False: whoever reads peers should stop for a moment."""
        return self.checks.has_room and self._txout.has_room

    @property
    def unfinished(self) -> int:
        """Messages whose fate is open and will be known soon: in the signature or the txout stage."""
        return self.checks.waiting + self._txout.unfinished

    def receive(self, message: bytes, source: int) -> Verdict:
        """Take one channel_announcement, channel_update or node_announcement in.

        Raises PeerFault if it is malformed (B1-7).
        """
        refused = self.checks.refuses(message)
        try:
            verdict = Verdict.REFUSED if refused else self._receivers[message[0] << 8 | message[1]](message, source)
        except PeerFault as fault:
            if self._feed.gossip:
                self._feed.refused(message, source, str(fault))
            raise
        self.checks.counters[verdict] += 1
        if self._feed.gossip:
            self._feed.arrived(message, source, verdict)
        return verdict

    # channel_announcement

    def _receive_channel_announcement(self, message: bytes, source: int) -> Verdict:
        if len(message) < 260 or len(message) < (at := 260 + _U16.unpack_from(message, 258)[0]) + 172:
            raise PeerFault("channel_announcement is too short", Consequence.DISCONNECT)
        scid = _U64.unpack_from(message, at + 32)[0]
        if scid in self._pending:
            return _REDUNDANT
        if message[at : at + 32] != self._chain_hash:
            return Verdict.WRONG_CHAIN  # B7-59
        if scid in self._index.channels:
            return self.conflicts.receive(scid, message, at + 40, source)
        if scid in self._forgetting.closed:
            return Verdict.CLOSED
        pending = Pending(message, source, _KEYS.unpack_from(message, at + 40), self._now())
        if pending.keys[0] >= pending.keys[1]:  # B7-58
            text = f"channel_announcement {scid_to_text(scid)}: node ids are not in ascending order"
            raise PeerFault(text, Consequence.WARN)
        if self.conflicts.refuses(pending.keys[:2]):
            return Verdict.BLACKLISTED  # B7-65
        if (refused := self._txout.refuses(scid, pending.keys[2:])) is not None:
            return refused
        if self._pending.is_full and not self._make_room():
            self._pending.complain_full()
            self.checks.debt.note(message)
            return Verdict.FULL
        if not self.checks.submit(message, b"", lambda result: self._announcement_checked(scid, pending, result)):
            return Verdict.OWED
        self._pending.add(scid, pending)
        return _CHECKING

    def _announcement_checked(self, scid: int, pending: Pending, result: int) -> None:
        if result != GOOD:
            self._pending.pop(scid)
            self._owe(scid, ALL)  # the right one may have come meanwhile, and was taken for a duplicate
            text = f"channel_announcement {scid_to_text(scid)}: bad {_WRONG_SIGNATURE[result]}"
            self.checks.bad(pending.message, pending.source, PeerFault(text, Consequence.WARN))  # B7-62
            return
        self.checks.good(pending.message, pending.source)
        pending.stage = TXOUT
        found, wrong = partial(self._output_found, scid, pending), partial(self._output_wrong, scid)
        self._txout.ask(scid, funding_script(*pending.keys[2:]), found, wrong)
        if self._feed.gossip:
            self._feed.settled(pending.message, Outcome.WAITING, "for its funding output")  # if nothing was said by now

    def _output_found(self, scid: int, pending: Pending, amount_sat: int) -> None:
        pending.amount_sat = amount_sat
        pending.stage = AWAITS_UPDATE
        if self._feed.gossip:
            self._feed.settled(pending.message, Outcome.NEW)
        if any(pending.updates):
            self._commit_channel(scid, pending)

    def _output_wrong(self, scid: int, reason: str) -> None:
        message = self._pending.pop(scid).message
        self.checks.settle(message, Outcome.REJECTED, reason)
        status.debug(f"channel {scid_to_text(scid)} is ignored: {reason}")

    def _make_room(self) -> bool:
        """Write the oldest proven announcement out without an update, if there is one."""
        oldest = next(self._pending.proven(), None)
        if oldest is None:
            return False
        self._commit_channel(*oldest)
        return True

    def write_lonely(self, older_than: float) -> None:
        """Write out, with timestamp 0, proven announcements that have waited so many seconds for an update."""
        before = self._now() - older_than
        for scid, pending in [(scid, pending) for scid, pending in self._pending.proven() if pending.since <= before]:
            self._commit_channel(scid, pending)

    def _commit_channel(self, scid: int, pending: Pending) -> None:
        self._pending.pop(scid)
        updates = [update for update in pending.updates if update]
        if scid in self._forgetting.closed or (not updates and scid in self._forgetting.pruned):
            return  # spent meanwhile, or as stale as when it went
        timestamp = min(map(_timestamp_of_update, updates), default=0)
        node_ids = pending.keys[:2]
        if self.conflicts.refuses(node_ids):
            return
        row = self._writer.write_channel(pending.message, scid, node_ids, timestamp, pending.amount_sat)
        self.checks.counters["accepted"] += 1
        for direction, update in enumerate(pending.updates):
            if update:
                self._commit_update(row, direction, _timestamp_of_update(update), update)
        for node_id in node_ids:
            self._nodes.channel_written(node_id)
        self._stored()

    # channel_update

    def _receive_channel_update(self, message: bytes, source: int) -> Verdict:
        if len(message) < 138:
            raise PeerFault("channel_update is too short", Consequence.DISCONNECT)
        chain_hash, scid, timestamp, message_flags, channel_flags = _UPDATE.unpack_from(message, 66)
        direction = channel_flags & 1
        index = self._index
        row = index.channels.get(scid)
        if row is not None:
            if timestamp <= index.update_ts[direction][row]:
                return _REDUNDANT  # B7-82, B7-83
            if index.dying and scid in index.dying and not channel_flags & 2:
                return Verdict.CLOSED  # B7-78
            key = index.node_ids[(index.node2 if direction else index.node1)[row]]
        else:
            pending = self._pending.get(scid)
            if pending is None:
                return self._unknown_channel(chain_hash, scid, timestamp)
            waiting = pending.updates[direction]
            if waiting and timestamp <= _timestamp_of_update(waiting):
                return _REDUNDANT
            key = pending.keys[direction]
        if chain_hash != self._chain_hash:
            return Verdict.WRONG_CHAIN  # B7-81
        if message_flags & 2:
            return Verdict.DONT_FORWARD
        now = self._now()
        if timestamp > now + MAX_FUTURE:
            return Verdict.FUTURE
        if timestamp < now - self._prune_after:
            return Verdict.STALE
        if message in self.checks.under_way:
            return _REDUNDANT
        if not self.checks.submit(
            message, key, lambda result: self._update_checked(message, source, scid, direction, timestamp, key, result)
        ):
            return Verdict.OWED
        self.checks.under_way.add(message)
        return _CHECKING

    def _key_of(self, scid: int, direction: int) -> bytes:
        """The node that must have signed the updates of this direction, b"" if the channel is not known."""
        index = self._index
        row = index.channels.get(scid)
        if row is not None:
            return index.node_ids[(index.node2 if direction else index.node1)[row]]
        pending = self._pending.get(scid)
        return pending.keys[direction] if pending is not None else b""

    def _unknown_channel(self, chain_hash: bytes, scid: int, timestamp: int) -> Verdict:
        if chain_hash != self._chain_hash:
            return Verdict.WRONG_CHAIN
        if scid in self._forgetting.closed:
            return Verdict.CLOSED
        if scid in self._forgetting.pruned and timestamp < self._now() - self._prune_after:
            return Verdict.STALE
        self._hear_of(scid)
        return Verdict.UNKNOWN_CHANNEL

    def _update_checked(
        self, message: bytes, source: int, scid: int, direction: int, timestamp: int, key: bytes, result: int
    ) -> None:
        self.checks.under_way.discard(message)
        if result != GOOD:
            text = f"channel_update {scid_to_text(scid)}/{direction}: bad signature"
            self.checks.bad(message, source, PeerFault(text, Consequence.DISCONNECT))  # B7-80
            return
        self.checks.good(message, source)
        row = self._index.channels.get(scid)
        if key != self._key_of(scid, direction):
            self.checks.settle(message, Outcome.REJECTED, "the announcement of its channel has failed meanwhile")
        elif row is None:
            self._keep_update(scid, direction, timestamp, message)
        elif timestamp <= self._index.update_ts[direction][row]:
            self.checks.settle(message, Outcome.REDUNDANT)
        elif self._is_chatter(row, direction, timestamp, message):
            self.checks.counters["rate limited"] += 1
            self.checks.settle(message, Outcome.RATE_LIMITED, "its channel updates too often")
            self.checks.judge.found_too_often(source)
        else:
            if self._feed.gossip:
                self._feed.settled(message, Outcome.NEW)
            if not self._index.update_off[0][row] and not self._index.update_off[1][row]:
                self._writer.bring_forward(row, timestamp)
            self._commit_update(row, direction, timestamp, message)
            self._stored()

    def _keep_update(self, scid: int, direction: int, timestamp: int, message: bytes) -> None:
        """Of a channel that is pending: behind its announcement."""
        pending = self._pending.get(scid)
        assert pending is not None  # or there would be no key
        waiting = pending.updates[direction]
        if waiting and timestamp <= _timestamp_of_update(waiting):
            self.checks.settle(message, Outcome.REDUNDANT)
            return
        pending.updates[direction] = message
        if pending.stage is AWAITS_UPDATE:
            if self._feed.gossip:
                self._feed.settled(message, Outcome.NEW)
            self._commit_channel(scid, pending)
        elif self._feed.gossip:
            self._feed.settled(message, Outcome.WAITING, "for the announcement of its channel")

    def _is_chatter(self, row: int, direction: int, timestamp: int, message: bytes) -> bool:
        """The node updates this channel too often. A first update, and a keep-alive, are free."""
        index = self._index
        offset, before = index.update_off[direction][row], index.update_ts[direction][row]
        if not offset or (timestamp - before >= KEEP_ALIVE and self._writer.is_keep_alive(offset, message)):
            return False
        return not self._rate_limit.allows(index.scid[row] << 1 | direction, self._now())

    def _commit_update(self, row: int, direction: int, timestamp: int, message: bytes) -> None:
        self._writer.write_update(row, direction, timestamp, message)
        self.checks.counters["accepted"] += 1
