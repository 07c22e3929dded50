"""The way of a channel_announcement: cheap checks, four signatures, its funding output, and with its first update onto
the map. BOLT 7, The channel_announcement Message.

This file and its neighbours read at fixed offsets (`wire.gossip_layout`), because each message of a first sync passes
here; the declarations in `wire.peer_wire` are the oracle that tests compare it with.
"""

from functools import partial

from gossipd.ingest.around import Around
from gossipd.ingest.checks import bad_gossip
from gossipd.ingest.conflicts import Conflicts
from gossipd.ingest.nodes import NodeIntake
from gossipd.ingest.pending import AWAITS_UPDATE, TXOUT, Pending, Update
from gossipd.ingest.signatures import GOOD
from gossipd.ingest.txout import UNKNOWN_AMOUNT
from gossipd.ingest.updates import UpdateIntake
from gossipd.verdict import Verdict
from wire.bus.feed import Outcome
from wire.control.status import Status
from wire.encoded import ALL, UPDATE_1, UPDATE_2
from wire.gossip_layout import (
    BODY_KEYS,
    BODY_SCID,
    BODY_SIZE,
    CHANNEL_FEATURES,
    KEYS,
    U64,
    channel_body,
)
from wire.scid import scid_to_text

_SIGNATURES = "node_signature_1", "node_signature_2", "bitcoin_signature_1", "bitcoin_signature_2"
_WRONG_SIGNATURE = ("", *_SIGNATURES, "signatures")
# Looked up once: before Python 3.12 each look at an enum's member costs 0.15 µs.
_CHECKING, _REDUNDANT = Verdict.CHECKING, Verdict.REDUNDANT

status = Status("gossipd")


class ChannelIntake:
    """The part of the pipeline that is about channels. `source` is a conn_id, USER for a user's."""

    def __init__(self, around: Around, conflicts: Conflicts, updates: UpdateIntake, nodes: NodeIntake) -> None:
        self._around = around
        self._index = around.index
        self._checks = around.checks
        self._pending = around.pending
        self._feed = around.writer.feed
        forgetting = around.writer.forgetting
        self._closed, self._pruned = forgetting.closed.scids, forgetting.pruned.scids
        self._conflicts = conflicts
        self._blacklisted = conflicts.blacklisted
        self._contests = conflicts.contests
        self._contests.written = nodes.channel_written
        self._updates = updates
        self._nodes = nodes
        updates.first_came = self._commit

    # 1. cheap checks

    def receive(self, message: bytes, source: int) -> Verdict:
        """Take one channel_announcement in. Raises PeerFault if it is malformed (B1-7)."""
        if len(message) < CHANNEL_FEATURES or len(message) < (at := channel_body(message)) + BODY_SIZE:
            raise bad_gossip("channel_announcement is too short")
        scid = U64.unpack_from(message, at + BODY_SCID)[0]
        pending = self._pending.get(scid)
        if pending is not None:
            if message != pending.message and pending.contested_by is None:
                pending.contested_by = source
            return _REDUNDANT
        if message[at : at + BODY_SCID] != self._around.chain_hash:
            return Verdict.WRONG_CHAIN  # B7-59
        if scid in self._index.channels:
            return self._conflicts.receive(scid, message, at + BODY_KEYS, source)
        if scid in self._closed:
            return Verdict.CLOSED
        keys = KEYS.unpack_from(message, at + BODY_KEYS)
        if keys[0] >= keys[1]:  # B7-58
            raise bad_gossip(f"channel_announcement {scid_to_text(scid)}: node ids are not in ascending order")
        if not self._blacklisted.isdisjoint(keys[:2]):
            return Verdict.BLACKLISTED  # B7-65
        if (refused := self._around.txout.refuses(scid, keys[2:])) is not None:
            return refused
        return self._begin(scid, Pending(message, source, keys, self._around.clock()))

    def _begin(self, scid: int, pending: Pending) -> Verdict:
        message, source = pending.message, pending.source
        if self._pending.table.is_full(len(message)):
            self._write_oldest_proven()
            if self._pending.table.refuses(source, len(message)):
                self._pending.complain_full()
                self._checks.debt.note(message, source)
                return Verdict.FULL
        if not self._checks.submit(message, b"", source, partial(self._checked, scid, pending)):
            return Verdict.OWED
        for dropped, other in self._pending.add(scid, pending):
            self._give_up(other, "there was no room for it")
            self._around.owe(dropped, ALL, other.source)
        return _CHECKING

    def _write_oldest_proven(self) -> None:
        """Make room: write an announcement out without an update, if there is a proven one."""
        oldest = next(self._pending.proven(), None)
        if oldest is not None:
            self._commit(*oldest)

    # 2. signatures

    def _checked(self, scid: int, pending: Pending, result: int) -> None:
        if self._pending.get(scid) is not pending:
            return  # it had to make room
        if result != GOOD:
            self._fail(scid, pending, "a bad signature")
            text = f"channel_announcement {scid_to_text(scid)}: bad {_WRONG_SIGNATURE[result]}"
            self._checks.bad(pending.message, pending.source, bad_gossip(text))  # B7-62
            return
        self._checks.verified(pending.message, pending.source)
        pending.stage = TXOUT
        if not self._around.txout.asks:
            self._output_found(scid, pending, UNKNOWN_AMOUNT)
            return
        found, wrong = partial(self._output_found, scid, pending), partial(self._output_wrong, scid, pending)
        self._around.txout.ask(scid, pending.keys[2:], found, wrong, source=pending.source)
        if self._feed.gossip:
            self._feed.settled(pending.message, Outcome.WAITING, "for its funding output")  # if nothing was said by now

    # 3. funding output

    def _output_found(self, scid: int, pending: Pending, amount_sat: int) -> None:
        if self._pending.get(scid) is not pending:
            return
        pending.amount_sat = amount_sat
        if self._feed.gossip:
            self._feed.settled(pending.message, Outcome.NEW)
        if pending.missed:
            self._around.owe(scid, UPDATE_1 | UPDATE_2, None)
        for update in self._pending.proves(scid, pending):
            self._updates.judge_held(update, scid, pending)

    def _output_wrong(
        self, scid: int, pending: Pending, reason: str, *, forged: bool = False, dropped: bool = False
    ) -> None:
        if self._pending.get(scid) is not pending:
            return
        self._checks.settle(pending.message, Outcome.REJECTED, reason)
        status.debug(f"channel {scid_to_text(scid)} is ignored: {reason}")
        if forged:
            self._fail(scid, pending, reason)
            text = f"channel_announcement {scid_to_text(scid)}: {reason}"
            self._checks.forged(pending.source, bad_gossip(text))
        else:  # there is no such channel, or nothing is known of it now
            self._pending.pop(scid)
            self._give_up(pending, reason)
            if dropped:
                self._around.owe(scid, ALL, pending.source)

    def _fail(self, scid: int, pending: Pending, reason: str) -> None:
        """What others have said of a channel that a forged one claimed is asked for again."""
        self._pending.pop(scid)
        others = [source for _, _, _, source in pending.held if source != pending.source]
        others += [] if pending.contested_by is None else [pending.contested_by]
        if pending.missed or others:
            self._around.owe(scid, ALL, others[0] if others else None)
        self._give_up(pending, reason)

    def _give_up(self, pending: Pending, reason: str) -> None:
        for _, _, update, source in pending.held:
            self._updates.give_up(update, source, f"its announcement failed: {reason}")

    # 4. onto the map, with its first update

    def write_lonely(self, older_than: float) -> None:
        """Write out, with timestamp 0, proven announcements that have waited so many seconds for an update."""
        before = self._around.clock() - older_than
        for scid, pending in [(scid, pending) for scid, pending in self._pending.proven() if pending.since <= before]:
            self._commit(scid, pending)

    def _commit(self, scid: int, pending: Pending, update: Update | None = None) -> None:
        assert pending.stage is AWAITS_UPDATE
        self._pending.pop(scid)
        if scid in self._closed or (update is None and scid in self._pruned):
            return  # spent meanwhile, or as stale as when it went
        node_ids = pending.keys[:2]
        if not self._blacklisted.isdisjoint(node_ids):
            return
        writer = self._around.writer
        if update is None:
            writer.write_channel(pending.message, scid, node_ids, 0, pending.amount_sat)
            self._checks.stored(pending.message, pending.source)
        else:
            timestamp, direction, message, source = update
            about = pending.message, scid, node_ids, pending.amount_sat
            writer.write_channel_and_update(*about, timestamp, direction, message)
            self._checks.stored(pending.message, pending.source)
            self._checks.stored(message, source)
        self._nodes.channel_written(node_ids)
        if pending.contested_by is not None and not self._around.txout.asks:
            self._contests.open(scid, pending.contested_by)  # what is not proven silences nothing that contradicts it
        self._around.stored()
