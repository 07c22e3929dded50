"""Two announcements of one funding output that name different nodes: keys have leaked. BOLT 7 (B7-65).

No honest node says such a thing, and it cannot be said of others: each announcement carries the signatures of both its
nodes and of both bitcoin keys. So all four nodes are not listened to any more, as long as gossipd runs, and their
channels are forgotten as closed ones are. We ourselves are spared: what is ours is said by us alone.

Announcements of one short_channel_id with different bitcoin keys contradict each other, too, but one of them may simply
be made up. Where funding outputs are looked up (`txout.py`) the one on the map is proven, and the other is refused.
Where they are not (chain none) neither is, and who said it first must not decide: the one that more networks say is on
the map. Witnesses are counted by the network that a peer is in, so that many connections of one host count once; they
are counted from the moment on in which there is something to be decided, and random peers are asked for the channel
then, one after the other. No update is held against its sender there (`updates.py`).
"""

from collections.abc import Hashable
from dataclasses import dataclass, field

from gossipd.ingest.around import Around
from gossipd.ingest.checks import bad_gossip
from gossipd.ingest.signatures import GOOD
from gossipd.verdict import Verdict
from wire.bus.feed import Outcome
from wire.control.shares import Shares
from wire.control.status import Status
from wire.encoded import ALL, ANNOUNCEMENT, NODE_1, NODE_2, UPDATE_1, UPDATE_2
from wire.gossip_layout import KEY_SIZE, KEYS, channel_keys
from wire.scid import scid_to_text

MAX_BLACKLISTED = 1_000
"""Nodes. A network whose peers have said most of them makes its own oldest go."""
MAX_CONTESTS, MAX_RIVALS, MAX_WITNESSES = 1_000, 8, 16
"""Channels, versions of each beside the one on the map, and networks that are counted for each version."""
MAX_QUESTIONS = 16
"""Peers, drawn at random, that are asked which version they have."""
BETWEEN_QUESTIONS = 1.0
"""Seconds."""

status = Status("gossipd")


@dataclass(slots=True)
class Contest:
    """Versions of one channel that contradict each other: the networks whose peers have said each."""

    incumbent: set[Hashable] = field(default_factory=set)
    rivals: dict[bytes, set[Hashable]] = field(default_factory=dict)
    """By raw announcement, whose signatures are good."""
    questions: int = 1
    """Peers that were asked."""

    def add(self, rival: bytes, group: Hashable) -> None:
        """A network has a version of its own: instead of another one that only it has said, or of the least likely."""
        alone = [other for other, witnesses in self.rivals.items() if witnesses == {group}]
        if not alone and len(self.rivals) >= MAX_RIVALS:
            alone = [min(self.rivals, key=lambda other: len(self.rivals[other]))]
        for other in alone:
            del self.rivals[other]
        self.rivals[rival] = {group}


class Conflicts:
    """The blacklist, and how one comes onto it."""

    def __init__(self, around: Around) -> None:
        self._writer = around.writer
        self._index = around.index
        self._checks = around.checks
        self._stored = around.stored
        self._around = around
        self.contests: Shares[int, Contest] = Shares(MAX_CONTESTS)
        self.blacklist: Shares[bytes, None] = Shares(MAX_BLACKLISTED)
        self.blacklisted = self.blacklist.values.keys()
        """Nodes that are not listened to any more."""
        self._next_questions = 0.0

    def open(self, scid: int, source: int) -> Contest:
        """There is another version of the channel that this source has brought: peers are asked what they have."""
        contest = Contest()
        self.contests.put(scid, contest, source)
        self._around.owe(scid, ALL, None)
        return contest

    def tick(self) -> None:
        """Ask one peer more about each contest. One that does not answer, or is a witness already, decides nothing."""
        if not len(self.contests) or self._around.clock() < self._next_questions:
            return
        self._next_questions = self._around.clock() + BETWEEN_QUESTIONS
        for scid in self.contests:
            contest = self.contests.get(scid)
            if contest is not None and contest.questions < MAX_QUESTIONS:
                contest.questions += 1
                self._around.owe(scid, ANNOUNCEMENT, None)

    def receive(self, scid: int, message: bytes, keys_at: int, source: int) -> Verdict:
        """An announcement of a channel that is on the map; its four keys stand at `keys_at`. Mostly the same again."""
        index, row = self._index, self._index.channels[scid]
        known = index.node_ids[index.node1[row]] + index.node_ids[index.node2[row]]
        contest = self.contests.get(scid) if len(self.contests) else None
        if message[keys_at : keys_at + 2 * KEY_SIZE] == known or message in self._checks.under_way:
            if contest is not None and message not in self._checks.under_way:
                _witness(contest.incumbent, self._around.group_of(source))
            return Verdict.REDUNDANT
        if contest is not None and message in contest.rivals:
            _witness(contest.rivals[message], self._around.group_of(source))
            self._decide(scid, contest, message)
            return Verdict.CONFLICT
        keys = KEYS.unpack_from(message, keys_at)
        if keys[0] >= keys[1] or {*keys[2:]} != {*channel_keys(self._writer.announcement(row))[2:]}:
            # not of this output: nothing is proven
            is_open = keys[0] < keys[1] and not self._around.txout.asks and self.blacklisted.isdisjoint(keys[:2])
            is_open = is_open and self._writer.our_id not in self._writer.nodes_of(row)
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
        contest = self.contests.get(scid) or self.open(scid, source)
        contest.add(message, self._around.group_of(source))
        self._decide(scid, contest, message)

    def _decide(self, scid: int, contest: Contest, rival: bytes) -> None:
        """Put the rival on the map if more networks have said it than what is there."""
        row = self._index.channels.get(scid)
        witnesses = contest.rivals[rival]
        if row is None or len(witnesses) <= max(1, len(contest.incumbent)):
            return
        contest.rivals[self._writer.announcement(row)] = contest.incumbent
        contest.incumbent = contest.rivals.pop(rival)
        self._writer.forgetting.drop([scid], "contradicted")
        self._writer.write_channel(rival, scid, channel_keys(rival)[:2], 0, 0)
        self._stored()
        self._around.owe(scid, UPDATE_1 | UPDATE_2 | NODE_1 | NODE_2, None)
        status.unusual(
            f"channel {scid_to_text(scid)} is announced with different keys, and no chain is followed:"
            f" {len(witnesses)} networks say another one than before, which takes its place"
        )

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


def _witness(witnesses: set[Hashable], group: Hashable) -> None:
    if len(witnesses) < MAX_WITNESSES:
        witnesses.add(group)
