"""Honest peers of a node, in a process of their own: they know the same map, tell it to those who ask, and ping.

    python -m tests.harness.siege.honest TARGET TRUTH ECHO SECONDS [again]

20 of them come, each from a /16 of its own; then one more each second until the first report. Half of the truth is
known to all at once, the rest is news that comes bit by bit within SECONDS. Each line on standard input is answered by
a report on what was since the last one. At the end of standard input they leave.
"""

import asyncio
import contextlib
import json
import math
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.harness.siege.stranger import LOST, Stranger
from tests.harness.siege.truth import read_truth
from wire.encoded import decode_short_ids, encode_short_ids
from wire.peer_wire import (
    ChannelAnnouncement,
    ChannelUpdate,
    ErrorMessage,
    GossipTimestampFilter,
    Ping,
    Pong,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
    ReplyShortChannelIdsEnd,
    WarningMessage,
    decode,
)
from wire.types import NETWORKS

CHAIN = NETWORKS["regtest"]
AT_FIRST = 20
MOST = 200
"""/16 groups of 127.0.0.0/8 that they come from; attacks come from others."""
HEARD = {each.number for each in (Ping, Pong, ErrorMessage, WarningMessage)} | {
    each.number for each in (GossipTimestampFilter, QueryChannelRange, QueryShortChannelIds)
}
NODE_ANNOUNCEMENT = b"\x01\x01"
ECHO_EVERY = 0.1


class Known:
    """What all of them know by now."""

    def __init__(self, truth: list[bytes]) -> None:
        self._later = truth[len(truth) // 2 :]
        self._count = len(self._later)
        self.said = truth[: len(truth) // 2]
        self.of_channel: dict[int, list[bytes]] = {}
        self._sort(self.said)

    def _sort(self, messages: list[bytes]) -> None:
        for raw in messages:
            if raw[:2] != NODE_ANNOUNCEMENT:
                parsed = decode(raw)
                assert isinstance(parsed, ChannelAnnouncement | ChannelUpdate)
                self.of_channel.setdefault(parsed.short_channel_id, []).append(raw)

    def news(self, share: float) -> list[bytes]:
        """The next ones: this share of all news."""
        count = math.ceil(share * self._count)
        new, self._later = self._later[:count], self._later[count:]
        self.said += new
        self._sort(new)
        return new

    def timestamps(self, scid: int) -> tuple[int, int]:
        """Of both directions, 0 for none."""
        updates = [m for raw in self.of_channel[scid] if isinstance(m := decode(raw), ChannelUpdate)]
        stamps = {update.channel_flags & 1: update.timestamp for update in updates}
        return stamps.get(0, 0), stamps.get(1, 0)

    def answer(self, query: QueryShortChannelIds) -> list[bytes]:
        """The channels, and all nodes."""
        wanted = [raw for scid in decode_short_ids(query.encoded_short_ids) for raw in self.of_channel.get(scid, ())]
        return wanted + [raw for raw in self.said if raw[:2] == NODE_ANNOUNCEMENT]


class Lateness:
    """Of answers, in seconds."""

    def __init__(self) -> None:
        self._begun: dict[int, float] = {}
        self._taken: list[float] = []
        self._sequence = 0

    def asks(self, now: float) -> int:
        """A number for the question."""
        self._sequence += 1
        self._begun[self._sequence] = now
        return self._sequence

    def answered(self, now: float) -> None:
        """The oldest question was: they are answered in their order."""
        self._taken.append(now - self._begun.pop(next(iter(self._begun))))

    def take(self, now: float) -> list[float]:
        """Those since the last call; what still waits for its answer counts as far as it has come."""
        taken, self._taken = self._taken, []
        return taken + [now - begun for begun in self._begun.values()]


class Honest:
    """One peer."""

    def __init__(
        self, peer: Stranger, known: Known, ended: Callable[[str], None], warned: Callable[[str], None]
    ) -> None:
        self.peer = peer
        self.lateness = Lateness()
        self._known = known
        self._ended, self._warned = ended, warned
        self._streams = False
        self._clock = asyncio.get_running_loop().time
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._ping())]

    async def _ping(self) -> None:
        await asyncio.sleep(random.random())
        while True:
            self.lateness.asks(self._clock())
            try:
                await self.peer.say(Ping(1, b""))
            except LOST:
                return  # `_listen` meets it as well, and tells
            await asyncio.sleep(1)

    async def _listen(self) -> None:
        try:
            while True:
                raw = await self.peer.hear_raw()
                if int.from_bytes(raw[:2], "big") in HEARD:
                    await self._hear(raw)
        except LOST as error:
            self._tasks[1].cancel()
            self._ended(f"{self.peer.node_id.hex()}: {error}")

    async def _hear(self, raw: bytes) -> None:
        match decode(raw):
            case Pong():
                self.lateness.answered(self._clock())
            case Ping(num_pong_bytes=wanted):
                await self.peer.say(Pong(bytes(wanted)))
            case QueryChannelRange(first_blocknum=first, number_of_blocks=count):
                scids = sorted(scid for scid in self._known.of_channel if first <= scid >> 40 < first + count)
                stamps = [self._known.timestamps(scid) for scid in scids]
                await self.peer.say(ReplyChannelRange(CHAIN, first, count, 1, encode_short_ids(scids), stamps))
            case QueryShortChannelIds() as query:
                await self.peer.say(*self._known.answer(query), ReplyShortChannelIdsEnd(CHAIN, 1))
            case GossipTimestampFilter(first_timestamp=first, timestamp_range=length):
                if not self._streams and first == 0 and length:
                    await self.peer.say(*self._known.said)
                self._streams = length > 0
            case WarningMessage() | ErrorMessage() as last:
                self._warned(last.text())

    async def tell(self, news: list[bytes]) -> None:
        """To a node that streams from this peer."""
        if self._streams:
            with contextlib.suppress(*LOST):
                await self.peer.say(*news)

    async def leave(self) -> None:
        """Before it can be called lost."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.peer.close()


class Crowd:
    """All of them."""

    def __init__(self, target: str, truth: list[bytes], echo_port: int, seconds: float, *, again: bool) -> None:
        self._target, self._echo_port, self._seconds, self._again = target, echo_port, seconds, again
        self._returning: set[asyncio.Task[None]] = set()
        self.known = Known(truth)
        self.peers: list[Honest] = []
        self._lost: list[str] = []
        self._warned: list[str] = []
        self._arrivals: list[float] = []
        self._echo = Lateness()
        self._clock = asyncio.get_running_loop().time

    async def come(self) -> None:
        """One more, from a network of its own."""
        source = f"127.{1 + len(self._arrivals) % MOST}.0.{1 + len(self._arrivals) // MOST}"
        began = self._clock()
        self._arrivals.append(0.0)
        place = len(self._arrivals) - 1
        try:
            peer = await Stranger.connect_from(self._target, source)
        except LOST as error:
            self._lose(f"a newcomer from {source}: {error!r}")
        else:
            self.peers.append(Honest(peer, self.known, self._lose, self._warned.append))
        self._arrivals[place] = self._clock() - began

    def _lose(self, text: str) -> None:
        self._lost.append(text)
        if self._again:
            self._returning.add(asyncio.create_task(self._come_again()))

    async def _come_again(self) -> None:
        """In the place of one that was lost."""
        await asyncio.sleep(random.random())
        await self.come()

    def stays_away(self) -> None:
        """Who is lost from now on does not come again."""
        self._again = False
        for task in self._returning:
            task.cancel()

    async def newcomers(self) -> None:
        """One each second, and news."""
        coming: set[asyncio.Task[None]] = set()
        while True:
            await asyncio.sleep(1)
            coming = {task for task in coming if not task.done()} | {asyncio.create_task(self.come())}
            await self.tell(1.5 / self._seconds)

    async def tell(self, share: float) -> None:
        """News for all who stream."""
        if news := self.known.news(share):
            await asyncio.gather(*(peer.tell(news) for peer in self.peers))

    async def echo(self) -> None:
        """How late the answers are of a process that has nothing to do."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._echo_port)
        while True:
            self._echo.asks(self._clock())
            writer.write(b"?")
            await reader.readexactly(1)
            self._echo.answered(self._clock())
            await asyncio.sleep(ECHO_EVERY)

    def report(self) -> dict[str, Any]:
        """What was since the last one."""
        now = self._clock()
        pongs = sorted(late for peer in self.peers for late in peer.lateness.take(now)) or [float("inf")]
        report = {
            "peers": [peer.peer.node_id.hex() for peer in self.peers],
            "pongs": len(pongs),
            "median": pongs[len(pongs) // 2],
            "latest": pongs[-1],
            "arrival": max(self._arrivals),
            "echo": max(self._echo.take(now), default=0.0),
            "lost": self._lost.copy(),
            "warned": self._warned.copy(),
        }
        self._lost.clear()
        self._warned.clear()
        return report


async def main(target: str, truth: str, echo_port: str, seconds: str, again: str = "") -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    crowd = Crowd(target, read_truth(Path(truth)), int(echo_port), float(seconds), again=bool(again))
    tasks = [asyncio.create_task(crowd.echo())]
    await asyncio.gather(*(crowd.come() for _ in range(AT_FIRST)))
    tasks.append(asyncio.create_task(crowd.newcomers()))
    print(json.dumps(crowd.report()), flush=True)
    while await reader.readline():
        tasks[1].cancel()
        print(json.dumps(crowd.report()), flush=True)
        await crowd.tell(1.0)
    crowd.stays_away()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(*(peer.leave() for peer in crowd.peers))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
