"""The members of a crowd: peers that each do the same thing again and again, and notice what happens to it."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.moves import CHAIN, TEMPORARY_ID, opening
from tests.harness.siege.truth import ANNOUNCEMENT
from wire.encoded import encode_short_ids
from wire.message import BoltMessage
from wire.peer_wire import (
    ChannelAnnouncement,
    ChannelUpdate,
    GossipTimestampFilter,
    NodeAnnouncement,
    Ping,
    Pong,
    QueryShortChannelIds,
    ReplyShortChannelIdsEnd,
    decode,
)

PATIENCE = 90.0
"""Seconds without being served after which a member is given up."""
PAUSE = 0.1
"""Seconds between two rounds of a member, if nothing else is said."""
LOOK = 1.0
"""Seconds between two looks at whether it is time to begin."""
PIECE = 5
"""Messages of gossip that a peer tells in a round."""
WINDOW = 5
"""Messages of a speaking peer that are on their way at a time."""
ECHO = b"\x80\x01"
NOTHING = GossipTimestampFilter(CHAIN, 0xFFFFFFFF, 0)
EVERYTHING = GossipTimestampFilter(CHAIN, 0, 0xFFFFFFFF)
GOSSIP = frozenset(kind.number.to_bytes(2, "big") for kind in (ChannelAnnouncement, ChannelUpdate, NodeAnnouncement))
PING, ANSWERED = (kind.number.to_bytes(2, "big") for kind in (Ping, ReplyShortChannelIdsEnd))


class Pace:
    """When members begin a round: `pause` seconds after the last one, or all of them at once."""

    def __init__(self, pause: float = PAUSE) -> None:
        self.pause = pause
        self.has_begun = False
        """Until then they only answer pings."""
        self._now = asyncio.Event()

    async def rest(self) -> None:
        """Between two rounds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.pause):
                await self._now.wait()

    def all_at_once(self) -> None:
        """Those that rest begin now."""
        self.has_begun = True
        now, self._now = self._now, asyncio.Event()
        now.set()


class Member:
    """A peer that does the same thing again and again: `round` is one time."""

    def __init__(self, peer: ScriptedPeer) -> None:
        self.peer = peer
        self.rounds = 0
        self.latest = 0.0
        """Of its answers, in seconds."""

    def __str__(self) -> str:
        return type(self).__name__

    async def run(self, pace: Pace) -> None:
        """Until it is cancelled. Whatever goes wrong is raised."""
        while not pace.has_begun:
            with contextlib.suppress(TimeoutError):
                await self.peer.hear(0xFFFF, LOOK)
        while True:
            async with asyncio.timeout(PATIENCE):
                await self.round()
            self.rounds += 1
            await pace.rest()

    async def begin(self) -> None:
        """Once, before `run`."""

    async def round(self) -> None:
        """Returns when it was served."""
        raise NotImplementedError

    async def hear(self, kind: type[BoltMessage] | int | None = None) -> Any:
        """The next message."""
        return await self.peer.hear(kind, PATIENCE)

    async def hear_raw(self) -> bytes:
        """The next message as it has come; what is in `peer.heard` is not looked at. Pings are answered."""
        while (raw := await self.peer.hear_raw())[:2] == PING:
            await self.peer.say(Pong(bytes(int.from_bytes(raw[2:4], "big"))))
        return raw

    @contextlib.contextmanager
    def timed(self) -> Any:
        """For what a peer waits for."""
        began = time.monotonic()
        yield
        self.latest = max(self.latest, time.monotonic() - began)


class Pinging(Member):
    """A peer that pings all the time."""

    async def round(self) -> None:
        size = self.rounds % 1_000
        with self.timed():
            await self.peer.say(Ping(size, b""))
            assert len((await self.hear(Pong)).ignored) == size, "each pong once, and in order"


class Idle(Member):
    """A peer that listens, and answers pings."""

    async def round(self) -> None:
        with contextlib.suppress(TimeoutError):
            await self.peer.hear(0xFFFF, PATIENCE / 2)


class Telling(Member):
    """A peer that tells its share of what is true, and when all is told, again."""

    def __init__(self, peer: ScriptedPeer, messages: Sequence[bytes]) -> None:
        super().__init__(peer)
        self._messages = messages

    async def round(self) -> None:
        begin = self.rounds * PIECE % len(self._messages)
        await self.peer.say(*self._messages[begin : begin + PIECE])
        await self.peer.sync(PATIENCE)
        self.peer.heard.clear()

    @property
    def has_told(self) -> bool:
        """All of its share, once."""
        return self.rounds * PIECE >= len(self._messages)


class Hearing(Member):
    """A peer that has the whole map streamed to it, and counts. `known` was on the map before it came."""

    def __init__(self, peer: ScriptedPeer, known: frozenset[bytes]) -> None:
        super().__init__(peer)
        self._known = known

    async def round(self) -> None:
        await self.peer.say(NOTHING)
        await self.peer.sync(PATIENCE)
        self.peer.heard.clear()
        await self.peer.say(EVERYTHING)
        missing, heard = set(self._known), set[bytes]()
        while missing:
            raw = await self.hear_raw()
            if raw[:2] in GOSSIP:
                assert raw not in heard, "a message of the map comes twice"
                heard.add(raw)
                missing.discard(raw)


class Asking(Member):
    """A peer that asks for all channels of the known map."""

    def __init__(self, peer: ScriptedPeer, known: frozenset[bytes]) -> None:
        super().__init__(peer)
        self._announcements = Counter(raw for raw in known if raw[:2] == ANNOUNCEMENT)
        found = [message for raw in self._announcements if isinstance(message := decode(raw), ChannelAnnouncement)]
        self._scids = sorted(message.short_channel_id for message in found)

    async def round(self) -> None:
        self.peer.heard.clear()
        await self.peer.say(QueryShortChannelIds(CHAIN, encode_short_ids(self._scids)))
        heard = Counter[bytes]()
        while (raw := await self.hear_raw())[:2] != ANSWERED:
            if raw[:2] == ANNOUNCEMENT:
                heard[raw] += 1
        assert raw[-1] == 1, "full information"
        assert heard == self._announcements, f"{heard.total()} channels of {len(self._scids)} are in the answer"


class Speaking(Member):
    """A peer whose connection is a service's, which repeats each message: several are on their way at a time."""

    def __init__(self, peer: ScriptedPeer, kind: int) -> None:
        super().__init__(peer)
        self._kind = kind
        self._said = 0

    async def begin(self) -> None:
        await self.peer.say(opening(self._kind))
        assert (await self.hear(0x8001)).encode() == ECHO + opening(self._kind)

    async def round(self) -> None:
        messages = [self._next() for _ in range(WINDOW)]
        with self.timed():
            await self.peer.say(*messages)
            for message in messages:
                assert (await self.hear(0x8001)).encode() == ECHO + message, "each message once, and in order"

    def _next(self) -> bytes:
        self._said += 1
        return (134).to_bytes(2, "big") + TEMPORARY_ID + self._said.to_bytes(8, "big") + bytes(92)


def shares(messages: Sequence[bytes], count: int) -> Iterator[Sequence[bytes]]:
    """Each has whole channels, with what belongs to them behind them."""
    begins = [at for at, raw in enumerate(messages) if raw[:2] == ANNOUNCEMENT]
    for number in range(count):
        first, end = (number * len(begins) // count, (number + 1) * len(begins) // count)
        yield messages[begins[first] : begins[end] if end < len(begins) else None]
