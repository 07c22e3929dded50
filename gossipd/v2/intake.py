"""The way of gossip v2: cheap checks, one signature, the funding output if a chain is followed, and beside the map.

    kept.py      what is kept, with its bounds                           file.py      its file
    pending.py   announcements on their way, and what waits for them     outputs.py   what the chain says of them

Nothing of it is passed on, and nothing is asked for: what finds no room is lost, and counted.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from gossipd.feed import outcome_of
from gossipd.ingest.checks import bad_gossip
from gossipd.ingest.ratelimit import RateLimit
from gossipd.ingest.signatures import GOOD
from gossipd.ingest.txout import FARTHEST
from gossipd.v2.around import Around
from gossipd.v2.file import KeptFile
from gossipd.v2.kept import Kept
from gossipd.v2.outputs import Outputs
from gossipd.v2.pending import Pending, PendingTable
from gossipd.v2.room import RESULTS
from gossipd.verdict import REASONS, BadGossip, Verdict
from wire.address import source_key
from wire.bus.feed import Outcome
from wire.cursor import WireError
from wire.gossip_layout import GOSSIP_2_TYPES
from wire.gossip_v2.kept import ENDING, Key, Record
from wire.gossip_v2.messages import MAX_BACKDATE, ChannelAnnouncement2, ChannelUpdate2, NodeAnnouncement2
from wire.gossip_v2.signatures import output_key
from wire.peer_types import message_name
from wire.peer_wire import decode
from wire.scid import scid_to_text

_REASONS = REASONS | {
    Verdict.UNKNOWN_CHANNEL: "no channel_announcement_2 is known that it belongs to",
    Verdict.NO_OUTPUT: "its funding output is not known here",
    Verdict.STALE: f"its block height is more than {MAX_BACKDATE} blocks behind",
    Verdict.FUTURE: "its block height is above the end of the chain",
    Verdict.CONFLICT: "its channel has another announcement",
    Verdict.OWED: "there was no room for it",
    Verdict.FULL: "too many announcements of its source wait already",
}
Checked = Callable[[int], None]
"""Gets what the signature stage says."""
_OPEN = (Verdict.CHECKING, Verdict.HELD)
"""The feed is told when their fate is decided."""
_LOST = (Verdict.OWED, Verdict.FULL)
"""What finds no room is not asked for again."""


def _became(verdict: Verdict) -> tuple[Outcome, str]:
    outcome = Outcome.REJECTED if verdict in _LOST else outcome_of(verdict)
    return outcome, "" if outcome is Outcome.REDUNDANT else _REASONS[verdict]


class GossipV2:
    """The room. `hear` gets what peers say; the other methods are the daemon's."""

    def __init__(self, around: Around, store: Path) -> None:
        """`store`: the gossip_store, beside which the file is."""
        self._around, self._checks, self._txout = around, around.ingest.checks, around.txout
        self.verdicts: dict[int, dict[Verdict, int]] = {number: dict.fromkeys(Verdict, 0) for number in GOSSIP_2_TYPES}
        """How often messages of each type have had each verdict."""
        self.results = dict.fromkeys(RESULTS, 0)
        self._pending = PendingTable(partial(self._end, reason="there was no room for it"))
        self._outputs = Outputs(around.txout)
        self._under_way: set[bytes] = set()
        self._rate_limit: RateLimit[Key] = RateLimit()
        path = store.with_name(store.name + ENDING)
        self._file = KeptFile(path, lambda: self.kept.message_bytes, lambda: list(self.kept.table), self._record)
        self.kept = Kept(self._file.append)
        for record in self._file.read():
            self.kept.load(record)
        self.tick()

    def _source_of(self, conn_id: int) -> str:
        """Whom what this connection brings is counted for."""
        sender = self._around.standing_of(conn_id)
        return "" if sender is None else source_key(sender.info.address)

    def _record(self, key: Key) -> Record:
        return self.kept.table.get(key) or Record(key)

    def tick(self) -> None:
        """A look at the file."""
        self._file.tick()

    def close(self) -> None:
        """Let go of the file, for good or for another gossipd; what happens then is written at the next `tick`."""
        self._file.close()

    def spent(self, scids: list[int]) -> None:
        """The outputs of these channels are spent."""
        for scid in scids:
            self.kept.drop(scid.to_bytes(8, "big"))

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Channels, messages and bytes that are kept."""
        return len(self.kept.channels), len(self.kept.table), self.kept.live_size

    @property
    def watched(self) -> list[int]:
        """Channels whose outputs the chain is to watch."""
        kept = self.kept
        return [int.from_bytes(scid, "big") for scid in kept.channels if kept.table.values[scid].checked]

    # hearing

    def hear(self, message: bytes, conn_id: int) -> None:
        """A channel_announcement_2, node_announcement_2 or channel_update_2 of a peer's. Raises BadGossip."""
        feed = self._around.feed
        sender = self._around.standing_of(conn_id)
        if sender is not None and sender.standing.is_ignored(self._around.clock()):
            if feed.gossip:
                feed.refused(message, conn_id, "its sender is ignored for a while")
            return
        try:
            verdict = Verdict.REFUSED if self._checks.refuses(message) else self._judge(message, conn_id)
        except WireError as error:
            self.results["bad"] += 1
            self._checks.refuse(message, conn_id)
            if feed.gossip:
                feed.refused(message, conn_id, str(error))
            raise bad_gossip(str(error)) from error
        self.verdicts[message[0] << 8 | message[1]][verdict] += 1
        if not feed.gossip:
            return
        if verdict in _OPEN:
            feed.arrived(message, conn_id, Verdict.CHECKING)
        else:
            feed.judged(message, conn_id, *_became(verdict))

    def _judge(self, message: bytes, conn_id: int) -> Verdict:
        """Raises WireError if it is malformed."""
        match decode(message):
            case ChannelAnnouncement2() as channel:
                return self._announced(message, channel, conn_id)
            case ChannelUpdate2() as update:
                return self._updated(message, update, conn_id)
            case NodeAnnouncement2() as node:
                return self._introduced(message, node, conn_id)
            case other:
                raise AssertionError(other.name())

    def _check(self, message: bytes, key: bytes, checked: Checked) -> Verdict:
        if self._checks.has_no_room:
            return Verdict.OWED
        self._around.signatures.submit(message, key, checked)
        return Verdict.CHECKING

    def _bad(self, message: bytes, conn_id: int, fault: BadGossip) -> None:
        self.results["bad"] += 1
        self._checks.bad(message, conn_id, fault)

    # announcements of channels

    def _announced(self, message: bytes, said: ChannelAnnouncement2, conn_id: int) -> Verdict:
        scid = said.short_channel_id
        known = self.kept.table.get(scid.to_bytes(8, "big"))
        if said.chain != self._around.chain_hash:
            return Verdict.WRONG_CHAIN
        if message in self._pending or (known is not None and known.message == message):
            return Verdict.REDUNDANT
        if known is not None:
            return Verdict.CONFLICT
        if self._txout.has_failed(scid) or (said.bitcoin_keys is None and not self._txout.asks):
            return Verdict.NO_OUTPUT  # without keys the chain alone knows by which it is signed
        if self._txout.is_far(scid):
            return Verdict.TOO_EARLY
        if self._checks.has_no_room:
            return Verdict.OWED
        pending = Pending(message, said, conn_id, self._source_of(conn_id))
        if not self._pending.add(pending):
            return Verdict.FULL
        if said.bitcoin_keys is None:
            self._look_up(pending)
            return Verdict.CHECKING
        return self._check(message, b"", partial(self._announcement_checked, pending, b""))

    def _announcement_checked(self, pending: Pending, script: bytes, result: int) -> None:
        """`script`: of its output, if that was looked up before."""
        if not self._pending.has(pending):
            return  # it had to make room
        if result != GOOD:
            self._bad(pending.message, pending.conn_id, bad_gossip(f"{_name_of(pending)}: bad signature"))
            self._end(pending, "its signature is wrong")
        elif script or not self._txout.asks:
            self._keep_channel(pending)
        else:
            self._look_up(pending)

    def _look_up(self, pending: Pending) -> None:
        found, failed = partial(self._output_found, pending), partial(self._output_failed, pending)
        self._outputs.ask(pending.said, pending.conn_id, found, failed)

    def _output_found(self, pending: Pending, script: bytes) -> None:
        if not self._pending.has(pending):
            return
        if pending.said.bitcoin_keys is not None:
            self._keep_channel(pending)
        else:
            checked = partial(self._announcement_checked, pending, script)
            self._around.signatures.submit(pending.message, output_key(script), checked)

    def _output_failed(self, pending: Pending, reason: str, forged: bool) -> None:
        if not self._pending.has(pending):
            return
        if forged:
            self._bad(pending.message, pending.conn_id, bad_gossip(f"{_name_of(pending)}: {reason}"))
        self._end(pending, reason)

    def _keep_channel(self, pending: Pending) -> None:
        scid = pending.keys[0]
        record = Record(scid, pending.message, pending.source, checked=self._txout.asks)
        if scid in self.kept.channels or not self.kept.put(record):
            self._end(pending, "another announcement of its channel was first, or there was no room for it")
            return
        self.results["kept"] += 1
        self._checks.settle(pending.message, Outcome.NEW)
        self._end(pending, "")

    def _end(self, pending: Pending, reason: str) -> None:
        """Its fate is decided: what has waited for it is judged."""
        if reason:
            self._checks.settle(pending.message, Outcome.REJECTED, reason)
        for message, conn_id in self._pending.pop(pending):
            if (verdict := self._judge(message, conn_id)) not in _OPEN:
                self._checks.settle(message, *_became(verdict))

    # updates, and announcements of nodes

    def _updated(self, message: bytes, said: ChannelUpdate2, conn_id: int) -> Verdict:
        direction, scid = said.short_channel_id
        key = bytes([direction]) + scid.to_bytes(8, "big")
        if said.chain != self._around.chain_hash:
            return Verdict.WRONG_CHAIN
        nodes = self.kept.channels.get(key[1:])
        if nodes is None:
            return self._hold(key[1:], message, conn_id)
        return self._signed(message, key, said.block_height, nodes[direction], conn_id)

    def _introduced(self, message: bytes, said: NodeAnnouncement2, conn_id: int) -> Verdict:
        if said.node_id not in self.kept.nodes:
            return self._hold(said.node_id, message, conn_id)
        return self._signed(message, said.node_id, said.block_height, said.node_id, conn_id)

    def _hold(self, key: Key, message: bytes, conn_id: int) -> Verdict:
        if not self._pending.awaits(key):
            return Verdict.UNKNOWN_CHANNEL
        if self._pending.holds(key, message):
            return Verdict.REDUNDANT
        return Verdict.HELD if self._pending.hold(key, message, conn_id) else Verdict.OWED

    def _signed(self, message: bytes, key: Key, height: int, node_id: bytes, conn_id: int) -> Verdict:
        """What a node says of itself or of its channel. `node_id` must have signed it."""
        if height <= self.kept.height(key) or message in self._under_way:
            return Verdict.REDUNDANT
        if (end := self._txout.blockheight) and not end - MAX_BACKDATE <= height <= end + FARTHEST:
            return Verdict.STALE if height < end else Verdict.FUTURE
        verdict = self._check(message, node_id, partial(self._signed_checked, message, key, height, node_id, conn_id))
        if verdict is Verdict.CHECKING:
            self._under_way.add(message)
        return verdict

    def _signed_checked(self, message: bytes, key: Key, height: int, node_id: bytes, conn_id: int, result: int) -> None:
        self._under_way.discard(message)
        settle = partial(self._checks.settle, message)
        if not self._is_signer(key, node_id):
            settle(Outcome.REJECTED, "its channel has gone meanwhile")
        elif result != GOOD:
            self._badly_signed(message, key, conn_id)
        elif height <= self.kept.height(key):
            settle(Outcome.REDUNDANT)
        elif not self._rate_limit.allows(key, self._around.clock()):
            self.results["rate_limited"] += 1
            settle(Outcome.RATE_LIMITED, "it is said again too often")
        elif self.kept.put(Record(key, message, self._source_of(conn_id), height)):
            self.results["kept"] += 1
            settle(Outcome.NEW)
        else:
            settle(Outcome.REJECTED, "there was no room for it")

    def _is_signer(self, key: Key, node_id: bytes) -> bool:
        """The node is still the one that must have signed what is about `key`."""
        nodes = self.kept.channels.get(key[1:])
        return node_id == key and key in self.kept.nodes if nodes is None else nodes[key[0]] == node_id

    def _badly_signed(self, message: bytes, key: Key, conn_id: int) -> None:
        """Where nothing proves a channel, its announcement may be the forged one: for an update that does not fit it
        only the source is blamed that has brought that, too."""
        fault = bad_gossip(f"{message_name(message[0] << 8 | message[1])}: bad signature")
        channel = self.kept.table.get(key[1:])
        if channel is None or channel.checked or channel.source == self._source_of(conn_id):
            self._bad(message, conn_id, fault)
        else:
            self._checks.settle(message, Outcome.REJECTED, str(fault))


def _name_of(pending: Pending) -> str:
    return f"{pending.said.name()} {scid_to_text(pending.said.short_channel_id)}"
