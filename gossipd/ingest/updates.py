"""The way of a channel_update: cheap checks, its signature by the key of the channel, and the map. BOLT 7.

The key is that of a channel on the map, or of an announcement that is proven; an update of one that is not is held.
"""

from collections.abc import Callable
from functools import partial

from gossipd.ingest.around import Around
from gossipd.ingest.checks import USER, bad_gossip
from gossipd.ingest.contests import Contests
from gossipd.ingest.pending import AWAITS_UPDATE, Pending, Update
from gossipd.ingest.ratelimit import KEEP_ALIVE, RateLimit
from gossipd.ingest.signatures import GOOD
from gossipd.verdict import Verdict
from wire.bus.feed import Outcome
from wire.gossip_layout import (
    DIRECTION,
    DISABLED,
    DONT_FORWARD,
    SIGNED,
    UPDATE_HEAD,
    UPDATE_SIZE,
)
from wire.scid import scid_to_text

MAX_FUTURE = 86_400
"""Seconds that a timestamp may be ahead of our clock (B7-84; CLN's figure)."""

# Looked up once: before Python 3.12 each look at an enum's member costs 0.15 µs.
_CHECKING, _REDUNDANT, _HELD = Verdict.CHECKING, Verdict.REDUNDANT, Verdict.HELD


class UpdateIntake:
    """The part of the pipeline that is about updates. `source` is a conn_id, USER for a user's."""

    def __init__(self, around: Around, contests: Contests) -> None:
        self._around = around
        self._index = around.index
        self._checks = around.checks
        self._pending = around.pending
        self._feed = around.writer.feed
        forgetting = around.writer.forgetting
        self._closed, self._pruned = forgetting.closed.scids, forgetting.pruned.scids
        self._contests = contests
        self._rate_limit: RateLimit[int] = RateLimit()
        self.first_came: Callable[[int, Pending, Update], None]
        """Gets a proven announcement whose first update is there."""

    def receive(self, message: bytes, source: int) -> Verdict:
        """Take one channel_update in. Raises PeerFault if it is malformed (B1-7)."""
        if len(message) < UPDATE_SIZE:
            raise bad_gossip("channel_update is too short")
        chain_hash, scid, timestamp, message_flags, channel_flags = UPDATE_HEAD.unpack_from(message, SIGNED)
        direction = channel_flags & DIRECTION
        index = self._index
        row = index.channels.get(scid)
        if row is not None:
            pending = None
            if timestamp <= index.update_ts[direction][row]:
                return _REDUNDANT  # B7-82, B7-83
            if index.dying and scid in index.dying and not channel_flags & DISABLED:
                return Verdict.CLOSED  # B7-78
            key = index.node_ids[(index.node2 if direction else index.node1)[row]]
        else:
            pending = self._pending.get(scid)
            if pending is None:
                return self._unknown_channel(chain_hash, scid, timestamp, source)
            key = pending.keys[direction]
        if chain_hash != self._around.chain_hash:
            return Verdict.WRONG_CHAIN  # B7-81
        if message_flags & DONT_FORWARD:
            return Verdict.DONT_FORWARD
        now = self._around.now()
        if timestamp > now + MAX_FUTURE:
            return Verdict.FUTURE
        if timestamp < now - self._around.prune_after:
            return Verdict.STALE
        if message in self._checks.under_way:
            return _REDUNDANT
        if pending is not None and pending.stage is not AWAITS_UPDATE:
            return self._hold(scid, pending, (timestamp, direction, message, source))
        return self._check(message, source, scid, direction, timestamp, key)

    def _hold(self, scid: int, pending: Pending, update: Update) -> Verdict:
        """Nothing is judged with the keys of an announcement that is not proven."""
        for held in pending.held:
            if held[2] == update[2]:
                return _REDUNDANT
        return _HELD if self._pending.hold(scid, pending, update) else Verdict.OWED

    def _check(self, message: bytes, source: int, scid: int, direction: int, timestamp: int, key: bytes) -> Verdict:
        if not self._checks.submit(
            message, key, source, partial(self._checked, message, source, scid, direction, timestamp, key)
        ):
            return Verdict.OWED
        self._checks.under_way.add(message)
        return _CHECKING

    def judge_held(self, update: Update, scid: int, pending: Pending) -> None:
        """The announcement that it waited for is proven."""
        timestamp, direction, message, source = update
        key = pending.keys[direction]
        self._checks.under_way.add(message)
        self._checks.submit_held(message, key, partial(self._checked, message, source, scid, direction, timestamp, key))

    def give_up(self, message: bytes, source: int, reason: str) -> None:
        """The announcement that it waited for has failed, for which it cannot be blamed."""
        self._checks.give_up(message, source, reason)

    def _key_of(self, scid: int, direction: int, row: int | None) -> bytes:
        """The node that must have signed the updates of this direction, b"" if the channel is not known. `row`: on the
        map.
        """
        if row is not None:
            index = self._index
            return index.node_ids[(index.node2 if direction else index.node1)[row]]
        pending = self._pending.get(scid)
        return pending.keys[direction] if pending is not None else b""

    def _unknown_channel(self, chain_hash: bytes, scid: int, timestamp: int, source: int) -> Verdict:
        if chain_hash != self._around.chain_hash:
            return Verdict.WRONG_CHAIN
        if scid in self._closed:
            return Verdict.CLOSED
        if scid in self._pruned and timestamp < self._around.now() - self._around.prune_after:
            return Verdict.STALE
        self._around.hear_of(scid, source)
        return Verdict.UNKNOWN_CHANNEL

    def _checked(
        self, message: bytes, source: int, scid: int, direction: int, timestamp: int, key: bytes, result: int
    ) -> None:
        self._checks.under_way.discard(message)
        index = self._index
        row = index.channels.get(scid)
        if key != self._key_of(scid, direction, row):  # then `key` proves nothing
            self._checks.give_up(message, source, "the announcement of its channel has failed meanwhile")
            return
        if result != GOOD:
            self._badly_signed(message, source, scid, direction)
            return
        self._checks.verified(message, source)
        if row is None:
            self._keep(scid, direction, timestamp, message, source)
        elif timestamp <= index.update_ts[direction][row]:
            self._checks.settle(message, Outcome.REDUNDANT)
        elif (before := index.update_off[direction][row]) and self._is_chatter(
            row, direction, timestamp, message, before
        ):
            self._checks.results["rate limited"] += 1
            self._checks.settle(message, Outcome.RATE_LIMITED, "its channel updates too often")
            self._checks.judge.found_too_often(source)
        else:
            if self._feed.gossip:
                self._feed.settled(message, Outcome.NEW)
            if not before and not index.update_off[1 - direction][row]:
                self._around.writer.bring_forward(row, timestamp)
            self._around.writer.write_update(row, direction, timestamp, message)
            self._checks.stored(message, source)
            self._around.stored()

    def _badly_signed(self, message: bytes, source: int, scid: int, direction: int) -> None:
        """Without a chain the announcement may be the forged one: what its sender knows of the channel is asked for."""
        text = f"channel_update {scid_to_text(scid)}/{direction}: bad signature"
        if self._around.txout.asks or source == USER:
            self._checks.bad(message, source, bad_gossip(text))  # B7-80
        else:
            self._checks.give_up(message, source, text)
            self._contests.misfit(scid, source)

    def _keep(self, scid: int, direction: int, timestamp: int, message: bytes, source: int) -> None:
        """Of a channel whose announcement is proven, and waits for just this."""
        pending = self._pending.get(scid)
        assert pending is not None  # or there would be no key
        if pending.stage is not AWAITS_UPDATE:  # its channel was forgotten while this was checked, and is said again
            self._pending.hold(scid, pending, (timestamp, direction, message, source))
            return
        if self._feed.gossip:
            self._feed.settled(message, Outcome.NEW)
        self.first_came(scid, pending, (timestamp, direction, message, source))

    def _is_chatter(self, row: int, direction: int, timestamp: int, message: bytes, offset: int) -> bool:
        """The node updates this channel too often. `offset`: its last update of it. A keep-alive is free."""
        index = self._index
        since = timestamp - index.update_ts[direction][row]
        if since >= KEEP_ALIVE and self._around.writer.is_keep_alive(offset, message):
            return False
        return not self._rate_limit.allows(index.scid[row] << 1 | direction, self._around.clock())
