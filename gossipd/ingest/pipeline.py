"""Taking gossip in: cheap checks, signatures, funding output, then the map and the store. BOLT 7.

    channels.py   channel_announcement     updates.py   channel_update     nodes.py   node_announcement
    checks.py     into the signature stage and out of it (signatures.py)   txout.py   the funding output
    pending.py    announcements on their way                               debt.py    what found no room
    conflicts.py  two announcements of one output                          ratelimit.py  too much of a good thing
    contests.py   two announcements of one channel, where nothing proves either

An announcement is written together with its first update, or alone after a while. Updates that come before it is proven
are held, unjudged. Nothing whose signature is being checked is checked a second time, and neither is what is known or
older.
"""

from gossipd.ingest.around import Around
from gossipd.ingest.channels import ChannelIntake
from gossipd.ingest.conflicts import Conflicts
from gossipd.ingest.nodes import NodeIntake
from gossipd.ingest.updates import UpdateIntake
from gossipd.verdict import PeerFault, Verdict
from wire.gossip_layout import CHANNEL_ANNOUNCEMENT, CHANNEL_UPDATE, NODE_ANNOUNCEMENT


class Ingest:
    """The pipeline. `source` is the conn_id from which a message came, USER for a user's."""

    def __init__(self, around: Around) -> None:
        self.around = around
        self.checks = around.checks
        self.pending = around.pending
        self._txout = around.txout
        self._feed = around.writer.feed
        self._refused = around.checks.refused.values
        self.conflicts = Conflicts(around)
        self.nodes = NodeIntake(around)
        self._updates = UpdateIntake(around, self.conflicts.contests)
        self._channels = ChannelIntake(around, self.conflicts, self._updates, self.nodes)
        self.write_lonely = self._channels.write_lonely
        self.tick = self.conflicts.contests.tick
        self._receivers = {
            CHANNEL_ANNOUNCEMENT: (self._channels.receive, self.checks.verdicts[CHANNEL_ANNOUNCEMENT]),
            NODE_ANNOUNCEMENT: (self.nodes.receive, self.checks.verdicts[NODE_ANNOUNCEMENT]),
            CHANNEL_UPDATE: (self._updates.receive, self.checks.verdicts[CHANNEL_UPDATE]),
        }

    @property
    def has_room(self) -> bool:
        """False: reading of peers should stop for a moment."""
        return self.checks.has_room and self._txout.has_room

    @property
    def unfinished(self) -> int:
        """Messages whose fate is open and will be known soon: in the signature or the txout stage."""
        return self.checks.waiting + self._txout.unfinished

    def receive(self, message: bytes, source: int) -> Verdict:
        """Take one channel_announcement, channel_update or node_announcement in.

        Raises PeerFault if it is malformed (B1-7), once: it is REFUSED when it is said again.
        """
        refused = self._refused and hash(message) in self._refused
        receive, verdicts = self._receivers[message[0] << 8 | message[1]]
        try:
            verdict = Verdict.REFUSED if refused else receive(message, source)
        except PeerFault as fault:
            self.checks.unjudged[message[0] << 8 | message[1]] += 1
            self.checks.refuse(message, source)
            if self._feed.gossip:
                self._feed.refused(message, source, str(fault))
            raise
        verdicts[verdict] += 1
        if self._feed.gossip:
            self._feed.arrived(message, source, verdict)
        return verdict

    def pass_over(self, message: bytes, source: int) -> None:
        """A message of a peer that is ignored for a while: what it was about is owed, if it can be read."""
        self.checks.unjudged[message[0] << 8 | message[1]] += 1
        if not self.checks.refuses(message):
            self.checks.debt.note_unread(message, source)
