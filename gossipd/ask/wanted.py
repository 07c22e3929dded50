"""What we lack and want to ask for: channels, and which parts of each, in the bits of query_flags (B7-91).

`Wanted` is what a comparison has found, or what found no room when it came; `Rumours` are channels that only an update
has named, which costs a stranger nothing. Both are tables with a share for each source, a conn_id: what one source says
makes no room in another one's share, and each question is about the wishes of one source, in turn.
"""

from collections.abc import Hashable, Iterable

from wire.control.shares import Turns
from wire.encoded import ALL, NODE_1, NODE_2

MOST = 100_000
"""Channels that are remembered at a time: twice the public network. What is more is found by the next comparison."""
MAX_RUMOURS = 10_000
TRIES = 3
"""So often something is asked for that answers do not bring, first of the peer that has it, then of a random one."""


class Wanted:
    """Channels with flags, each for the source that has spoken of it. `overflowed` counts what did not fit.

    Nodes that never announce themselves are no more asked for after TRIES answers without them, until `start_over`.
    """

    def __init__(self) -> None:
        self.overflowed = 0
        self._table: Turns[int, int] = Turns(MOST)
        self._tries: dict[int, int] = {}
        self._silent: dict[int, int] = {}
        """Channel -> answers that did not bring its nodes."""

    def __len__(self) -> int:
        return len(self._table)

    @property
    def has_channels(self) -> bool:
        """Not only nodes."""
        return any((self._table.get(scid) or 0) & ~(NODE_1 | NODE_2) for scid in self._table)

    def add(self, scid: int, flags: int, source: Hashable = None) -> None:
        """Want these parts too. `source`: the connection that has them, None if it is not known."""
        known = self._table.get(scid)
        if known is not None:
            flags, source = flags | known, self._table.source(scid)
            if flags == known:
                return
        for dropped, _ in self._table.put(scid, flags, source):
            self._tries.pop(dropped, None)
            self.overflow()

    def overflow(self) -> None:
        """Something to be wanted did not fit, here or where it was noted."""
        self.overflowed += 1

    def add_compared(self, scid: int, flags: int, source: Hashable) -> None:
        """A peer has these parts, or would have the nodes if they had ever announced themselves."""
        if self._silent.get(scid, 0) >= TRIES:
            flags &= ~(NODE_1 | NODE_2)
        if flags:
            self.add(scid, flags, source)

    def take(self, most: int) -> tuple[Hashable, list[tuple[int, int]], bool]:
        """The oldest wishes of the source whose turn it is, which are asked for now: all have been tried, or none."""
        source = self._table.next_source()
        scids = self._table.oldest_of(source, most)
        tried = scids[0] in self._tries
        scids = [scid for scid in scids if (scid in self._tries) is tried]
        return source, [(scid, self._table.pop(scid) or 0) for scid in scids], tried

    def retry(self, scid: int, flags: int, source: Hashable) -> None:
        """The channel did not come: want it again, unless that has been so several times."""
        tries = self._tries.pop(scid, 0) + 1
        if tries < TRIES:
            self._tries[scid] = tries
            self.add(scid, flags, source)

    def give_up(self, source: Hashable) -> None:
        """What this source has spoken of is not to be had."""
        for scid in self._table.drop(source):
            self._tries.pop(scid, None)

    def note_silent(self, scid: int) -> None:
        """An answer has come, and a node of this channel has not."""
        if scid in self._silent or len(self._silent) < MOST:
            self._silent[scid] = self._silent.get(scid, 0) + 1

    def start_over(self) -> None:
        """Nodes may have announced themselves by now."""
        self._silent.clear()

    def done(self, scids: Iterable[int]) -> None:
        """These channels came."""
        for scid in scids:
            self._tries.pop(scid, None)

    def all(self) -> list[tuple[int, int, int]]:
        """(scid, flags, source) of all that is wanted, for another gossipd; 0 for what no peer has spoken of."""
        sources = ((scid, flags, self._table.source(scid)) for scid, flags in self._table.values.items())
        return [(scid, flags, source if isinstance(source, int) else 0) for scid, flags, source in sources]

    def clear(self) -> None:
        """Want nothing."""
        self._table.clear()
        self._tries.clear()


class Rumours:
    """Channels that only updates have named, by (conn_id, scid): a peer is asked for what it has spoken of itself."""

    def __init__(self) -> None:
        self._table: Turns[tuple[int, int], int] = Turns(MAX_RUMOURS)

    def __len__(self) -> int:
        return len(self._table)

    def add(self, conn_id: int, scid: int) -> None:
        """This peer has named the channel."""
        self._table.put((conn_id, scid), ALL, conn_id)

    def take(self, most: int) -> tuple[int, list[tuple[int, int]]]:
        """The conn_id whose turn it is, and the oldest channels that it has named, with flags."""
        source = self._table.next_source()
        keys = self._table.oldest_of(source, most)
        for key in keys:
            self._table.pop(key)
        return keys[0][0], [(scid, ALL) for _, scid in keys]

    def put_back(self, conn_id: int, named: list[tuple[int, int]]) -> None:
        """What was taken is asked for later."""
        for scid, _ in named:
            self.add(conn_id, scid)

    def forget(self, conn_id: int) -> None:
        """The peer is gone, or not believed."""
        self._table.drop(conn_id)
