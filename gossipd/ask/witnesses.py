"""Which version peers have of channels that are contested: asked beside the seeker's own question, of many at a time.

One peer of a network is asked at a time, so that one stranger's many connections hold up no more than one question; one
that leaves it unanswered is asked for nothing more. Each peer is asked once for each opening of a contest, and not
oftener than once in `query_timeout`.
"""

import random
from collections.abc import Callable

from gossipd.ask.streams import Around, Asked
from wire.control.timing import Timing
from wire.encoded import ANNOUNCEMENT, encode_short_ids
from wire.peer_wire import QueryShortChannelIds

AT_A_TIME = 32
"""Peers that are asked at a time."""
QUERIES_OF_A_CONTEST = 2
"""A contest lasts so many times `query_timeout`: each peer has its turn, also behind one that does not answer."""


class Witnesses:
    """`peers`: the seeker's. `is_asked`: whether the seeker has a question to the peer of this conn_id."""

    def __init__(
        self,
        around: Around,
        peers: dict[int, Asked],
        timing: Timing,
        chance: random.Random,
        is_asked: Callable[[int], bool],
    ) -> None:
        self._around = around
        self._peers = peers
        self._timing = timing
        self._chance = chance
        self._is_asked = is_asked
        self.asked: dict[int, float] = {}
        """conn_id -> until when its answer is waited for."""

    def answered(self, conn_id: int) -> bool:
        """A reply_short_channel_ids_end. False if it is not to a question of ours."""
        return self.asked.pop(conn_id, None) is not None

    def ask(self, questions: Callable[[int, int], tuple[list[int], int]]) -> None:
        """Ask those whose turn it is. `questions`: what a peer is to be asked about, and how far it is asked then."""
        self._give_up_silent()
        if self._around.suspended:
            return
        busy = {self._peers[conn_id].place.group for conn_id in self.asked}
        peers = [peer for peer in self._peers.values() if self._may_be_asked(peer)]
        self._chance.shuffle(peers)
        for peer in peers:
            if len(self.asked) >= AT_A_TIME:
                return
            if peer.place.group not in busy:
                scids, peer.contests_asked = questions(peer.conn_id, peer.contests_asked)
                if scids:
                    busy.add(peer.place.group)
                    self._ask_one(peer, scids)

    def _give_up_silent(self) -> None:
        """Those that have gone, too."""
        clock = self._around.clock()
        for conn_id, until in list(self.asked.items()):
            if conn_id not in self._peers:
                del self.asked[conn_id]
            elif clock > until:
                del self.asked[conn_id]
                self._peers[conn_id].mute = True

    def _may_be_asked(self, peer: Asked) -> bool:
        if not peer.offers_queries or peer.mute or peer.conn_id in self.asked or self._is_asked(peer.conn_id):
            return False
        return self._around.clock() >= peer.next_contests

    def _ask_one(self, peer: Asked, scids: list[int]) -> None:
        self.asked[peer.conn_id] = peer.next_contests = self._around.clock() + self._timing.query_timeout
        flags = [ANNOUNCEMENT] * len(scids) if peer.extended else None
        query = QueryShortChannelIds(self._around.chain_hash, encode_short_ids(sorted(scids)), flags)
        self._around.seek(peer.conn_id, query.encode())
