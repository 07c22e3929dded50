"""Announcements of one short_channel_id with different bitcoin keys, where no chain is followed: neither is proven.

One of them may simply be made up. Who said it first must not decide, nor who says it oftenest: the one that more
networks say is on the map. Witnesses are counted by the network that a peer is in, so that many connections of one host
count once, from the moment on in which there is something to be decided. Every peer that answers queries is asked then
which one it has (`gossipd/ask/witnesses.py`), unless its network has spoken; so it is again whenever a network that had
not spoken contradicts the map. After a while it is decided, and who speaks later counts as well.

Few are asked about at a time. A channel that finds no room among them is owed, with the peer that contradicts the map;
networks take turns, and none pushes another one's out.
"""

from collections.abc import Callable, Hashable
from dataclasses import field

from gossipd.ingest.around import Around
from wire.control.shares import Shares, Turns
from wire.control.status import Status
from wire.encoded import ANNOUNCEMENT, NODE_1, NODE_2, UPDATE_1, UPDATE_2
from wire.gossip_layout import channel_keys
from wire.scid import scid_to_text
from wire.start.late_dataclass import dataclass

MAX_CONTESTS, MAX_VERSIONS, MAX_WITNESSES = 1_000, 9, 64
"""Channels, versions of each, and networks that are counted for each version."""
MAX_OPEN = 200
"""Channels that peers are asked about at a time."""
MAX_OWED = 20_000
"""Channels that wait for that, by the network that contradicts."""
MAX_MISFITS = 10_000
"""(channel, connection) of updates that fit no announcement, whose senders were asked for theirs."""
LONGEST = 1_024
"""Bytes of an announcement that is kept as a version: more than twice what one has without feature bits."""

Keys = tuple[bytes, ...]
"""The two nodes and the two bitcoin keys: what tells one version from another."""

status = Status("gossipd")


@dataclass(slots=True)
class Version:
    """What some say of a channel: `networks` of peers that do."""

    message: bytes
    networks: set[Hashable] = field(default_factory=set)
    source: int = 0
    """The connection that has said it last."""


@dataclass(slots=True)
class Contest:
    """Versions of one channel that contradict each other, the one on the map as well."""

    number: int = 0
    """Of its last opening: they are counted."""
    until: float = 0.0
    """When it is decided."""
    versions: dict[Keys, Version] = field(default_factory=dict)

    def heard(self, group: Hashable) -> bool:
        """Peers of this network have said a version."""
        return any(group in version.networks for version in self.versions.values())

    def add(self, keys: Keys, message: bytes, on_map: Keys, group: Hashable) -> None:
        """Another version. A network has one of its own: instead of another one that only it has said, or of the least
        likely.
        """
        others = [other for other in self.versions if other != on_map]
        alone = [other for other in others if self.versions[other].networks <= {group}]
        if not alone and len(self.versions) >= MAX_VERSIONS:
            alone = [min(others, key=lambda other: len(self.versions[other].networks))]
        for other in alone:
            del self.versions[other]
        self.versions[keys] = Version(message)


class Contests:
    """All of them. `written` is called with the nodes of a channel that has come onto the map."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._writer = around.writer
        self._index = around.index
        self.written: Callable[[tuple[bytes, bytes]], None]
        self.of: Shares[int, Contest] = Shares(MAX_CONTESTS)
        """By scid, with the network that began it."""
        self._open: dict[int, Contest] = {}
        """Those that peers are asked about."""
        self._owed: Turns[int, int] = Turns(MAX_OWED)
        """Channel -> connection that contradicts the map."""
        self._misfits: Shares[tuple[int, int], None] = Shares(MAX_MISFITS)
        self._openings = 0

    def wanted(self) -> list[tuple[int, int, int]]:
        """(scid, query_flags, conn_id) of what is not decided, for another gossipd, which asks again."""
        open_ = [(scid, 0) for scid in self._open if scid not in self._owed]
        return [(scid, ANNOUNCEMENT, source) for scid, source in (*open_, *self._owed.values.items())]

    def open(self, scid: int, source: int) -> Contest | None:
        """The connection contradicts the map about a channel that is on it. None if that has no room and is owed."""
        if len(self._open) >= MAX_OPEN and scid not in self._open:
            self._owed.put(scid, source, self._around.group_of(source))
            return None
        on_map, contest = self._on_map(scid), self.of.get(scid)
        if not on_map:  # lost a moment ago
            return None
        if contest is None:
            contest = Contest()
            for dropped, _ in self.of.put(scid, contest, self._around.group_of(source)):
                self._open.pop(dropped, None)
        contest.versions.setdefault(channel_keys(on_map), Version(on_map))
        if scid in self.of:
            self._openings += 1
            contest.number, contest.until = self._openings, self._around.clock() + self._around.contest_time
            self._open[scid] = contest
        return contest

    def questions(self, conn_id: int, after: int) -> tuple[list[int], int]:
        """The channels that a peer is to be asked about which was asked up to the opening of that number, and up to
        which it is then.
        """
        group = self._around.group_of(conn_id)
        scids = [scid for scid, each in self._open.items() if each.number > after and not each.heard(group)]
        return scids, self._openings

    def tick(self) -> None:
        """Decide what is due, and look into what is owed."""
        clock = self._around.clock()
        for scid in [scid for scid, contest in self._open.items() if clock >= contest.until]:
            self._decide(scid, self._open.pop(scid))
        while self._owed and len(self._open) < MAX_OPEN:
            (scid,) = self._owed.oldest_of(self._owed.next_source(), 1)
            source = self._owed.pop(scid)
            if scid in self._index.channels and source is not None:
                self.open(scid, source)
        if self._open:
            self._around.ask_witnesses(self.questions)

    def owe(self, scid: int, source: int) -> None:
        """An announcement that contradicts the map found no room."""
        self._owed.put(scid, source, self._around.group_of(source))

    def misfit(self, scid: int, source: int) -> None:
        """An update has not the keys of the map: its sender is asked, once, for the announcement that it knows."""
        if (scid, source) not in self._misfits:
            self._misfits.put((scid, source), None, self._around.group_of(source))
            self._around.owe(scid, ANNOUNCEMENT, source)

    def witness(self, scid: int, keys: Keys, source: int) -> bool:
        """A peer says this version. False if it is not known yet."""
        contest = self.of.get(scid)
        version = None if contest is None else contest.versions.get(keys)
        if contest is None or version is None:
            return False
        group = self._around.group_of(source)
        version.source = source
        if len(version.networks) >= MAX_WITNESSES or group in version.networks:
            return True
        is_new = not contest.heard(group)
        version.networks.add(group)
        if scid in self._open:
            return True
        self._decide(scid, contest)
        if is_new and scid in self._index.channels and self._keys_on_map(scid) != keys:
            self.open(scid, source)
        return True

    def add(self, scid: int, message: bytes, source: int) -> None:
        """A version that is new here, and whose signatures are good."""
        if scid not in self._index.channels:
            return
        contest, keys = self.of.get(scid) or self.open(scid, source), channel_keys(message)
        if contest is not None and keys not in contest.versions:
            contest.add(keys, message, self._keys_on_map(scid), self._around.group_of(source))
        self.witness(scid, keys, source)

    def _on_map(self, scid: int) -> bytes:
        return self._writer.announcement(self._index.channels[scid])

    def _keys_on_map(self, scid: int) -> tuple[bytes, ...]:
        """Empty if its record was lost a moment ago."""
        announcement = self._on_map(scid)
        return channel_keys(announcement) if announcement else ()

    def _decide(self, scid: int, contest: Contest) -> None:
        """Put the version on the map that most networks say, if more do than say what is there."""
        if scid not in self._index.channels:
            return
        now = contest.versions.get(self._keys_on_map(scid))
        best = max(contest.versions.values(), key=lambda version: len(version.networks))
        if len(best.networks) <= max(1, 0 if now is None else len(now.networks)):
            return
        self._writer.forgetting.drop([scid], "contradicted")
        node_ids = channel_keys(best.message)[:2]
        self._writer.write_channel(best.message, scid, node_ids, 0, 0)
        self.written(node_ids)
        self._around.stored()
        self._around.owe(scid, UPDATE_1 | UPDATE_2 | NODE_1 | NODE_2, best.source or None)
        status.unusual(
            f"channel {scid_to_text(scid)} is announced with different keys, and no chain is followed:"
            f" {len(best.networks)} networks say another one than before, which takes its place"
        )
