"""A crowd of peers about everything that peers are about, each of which notices whatever happens to its connection.

    async with Crowd(node, truth, Mix(pinging=5, speaking=2)) as crowd:
        await crowd.go_on()                # each was served since
        latest = crowd.latest()            # the slowest answer since the last call, in seconds

A member's task ends by the exception that says what was lost, doubled or in a wrong order; `go_on` raises it.
"""

import asyncio
import contextlib
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.bus_client import AGAIN, BusService
from tests.harness.moves import CHAIN, TEMPORARY_ID, opening
from tests.harness.node import Node
from tests.harness.siege.truth import ANNOUNCEMENT, lacks
from tests.harness.waiting import until
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
"""Seconds between two rounds of a member."""
PIECE = 5
"""Messages of gossip that a peer tells in a round."""
WINDOW = 5
"""Messages of a speaking peer that are on their way at a time."""
PROGRAM = shlex.join([sys.executable, "-P", str(Path(__file__).parent / "echo_service.py")])
FOR_THE_PROGRAM, FOR_THE_BUS = 32, 64
"""open_channel goes to a program, open_channel2 to a service of the buses."""
ECHO = b"\x80\x01"
OPTIONS = (
    f"--service=echo={PROGRAM}",
    "--take=echo=open_channel",
    "--max-programs-per-service=100",
    "--max-programs=100",
    "--max-connect-rate=0",
    "--max-inbound=5000",
    "--max-inbound-per-source=5000",
    "--max-half-open-per-source=1000",
)
"""What the node must be started with."""
NOTHING = GossipTimestampFilter(CHAIN, 0xFFFFFFFF, 0)
EVERYTHING = GossipTimestampFilter(CHAIN, 0, 0xFFFFFFFF)
GOSSIP = (ChannelAnnouncement, ChannelUpdate, NodeAnnouncement)


@dataclass(frozen=True)
class Mix:
    """How many of each kind."""

    pinging: int = 0
    telling: int = 0
    hearing: int = 0
    asking: int = 0
    of_programs: int = 0
    of_buses: int = 0
    idle: int = 0

    @property
    def all(self) -> int:
        return sum(astuple(self))


class Member:
    """A peer that does the same thing again and again: `round` is one time."""

    def __init__(self, peer: ScriptedPeer) -> None:
        self.peer = peer
        self.rounds = 0
        self.latest = 0.0
        """Of its answers, in seconds."""

    async def run(self) -> None:
        """Until it is cancelled. Whatever goes wrong is raised."""
        await self.begin()
        while True:
            async with asyncio.timeout(PATIENCE):
                await self.round()
            self.rounds += 1
            await asyncio.sleep(PAUSE)

    async def begin(self) -> None:
        """Once."""

    async def round(self) -> None:
        """Returns when it was served."""
        raise NotImplementedError

    async def hear(self, kind: type[BoltMessage] | int | None = None) -> Any:
        """The next message."""
        return await self.peer.hear(kind, PATIENCE)  # type: ignore[arg-type]

    @contextlib.contextmanager
    def timed(self) -> Any:
        """For what a peer waits for."""
        began = time.monotonic()
        yield
        self.latest = max(self.latest, time.monotonic() - began)


class Pinging(Member):
    async def round(self) -> None:
        size = self.rounds % 1_000
        with self.timed():
            await self.peer.say(Ping(size, b""))
            assert len((await self.hear(Pong)).ignored) == size, "each pong once, and in order"


class Idle(Member):
    """A peer that listens, and answers pings."""

    async def round(self) -> None:
        with contextlib.suppress(TimeoutError):
            await self.peer.hear(0xFFFF, 3_600.0)


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
            message = await self.hear()
            if isinstance(message, GOSSIP):
                raw = message.encode()
                assert raw not in heard, "a message of the map comes twice"
                heard.add(raw)
                missing.discard(raw)


class Asking(Member):
    """A peer that asks for all channels of the known map."""

    def __init__(self, peer: ScriptedPeer, known: frozenset[bytes]) -> None:
        super().__init__(peer)
        found = [message for raw in known if isinstance(message := decode(raw), ChannelAnnouncement)]
        self._scids = sorted(message.short_channel_id for message in found)

    async def round(self) -> None:
        await self.peer.say(QueryShortChannelIds(CHAIN, encode_short_ids(self._scids)))
        heard: list[int] = []
        while not isinstance(message := await self.hear(), ReplyShortChannelIdsEnd):
            if isinstance(message, ChannelAnnouncement):
                heard.append(message.short_channel_id)
        assert message.full_information == 1
        assert sorted(heard) == self._scids, f"{len(heard)} channels of {len(self._scids)} are in the answer"


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


class EchoOfBuses:
    """The service that has open_channel2, on the buses."""

    def __init__(self, node: Node) -> None:
        self._service = BusService("echoes", node.directory)
        self._heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self._service.join()
        await self._service.ask("register", take=[FOR_THE_BUS])
        self._tasks = [asyncio.create_task(work()) for work in (self._hear, self._repeat, self._return)]

    async def _hear(self) -> None:
        """All that peers say; while connectiond is restarted, too."""
        while True:
            message = await _without_end(self._service.msg.hear, "take_peer", "message")
            if message["type"] == "message":
                self._heard.put_nowait(message)

    async def _repeat(self) -> None:
        """Say it once more, when there is a connectiond that hears it."""
        while True:
            message = await self._heard.get()
            conn_id = message["conn_id"]
            await self._service.say(conn_id, ECHO + bytes(message["message"]))
            await self._service.msg.say("credit", conn_id=conn_id, messages=1)

    async def _return(self) -> None:
        """When the master has become another program."""
        ctl = self._service.ctl
        while True:
            await _without_end(ctl.hear, "goodbye")
            while True:  # one that is said to the old master in its last moment is lost
                await ctl.say("hello", service="echoes", id=1_000_000, resumes=True)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(AGAIN):
                        await ctl.hear("welcome")
                        break

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._service.close()


async def _without_end(hear: Any, *kinds: str) -> dict[str, Any]:
    while True:
        with contextlib.suppress(TimeoutError):
            return dict(await hear(*kinds))


class Crowd:
    """All of them, on one node."""

    def __init__(self, node: Node, known: Sequence[bytes], news: Sequence[bytes], mix: Mix) -> None:
        """`known` is on the node's map already, `news` is what peers tell."""
        self.node = node
        self.mix = mix
        self.members: list[Member] = []
        self._known, self._news = frozenset(known), news
        self._truth = [*known, *(news if mix.telling else ())]
        self._bus = EchoOfBuses(node) if mix.of_buses else None
        self._tasks: list[asyncio.Task[None]] = []
        self._late = 0.0

    async def __aenter__(self) -> Self:
        if self._bus is not None:
            await self._bus.start()
        mix = self.mix
        for share in shares(self._news, mix.telling):
            await self._add(Telling, share)
        for kind, count, given in (
            (Pinging, mix.pinging, ()),
            (Hearing, mix.hearing, (self._known,)),
            (Asking, mix.asking, (self._known,)),
            (Speaking, mix.of_programs, (FOR_THE_PROGRAM,)),
            (Speaking, mix.of_buses, (FOR_THE_BUS,)),
            (Idle, mix.idle, ()),
        ):
            for _ in range(count):
                await self._add(kind, *given)
        self._tasks.append(asyncio.create_task(self._watch_ourselves()))
        await self.go_on()
        return self

    async def _add(self, kind: Any, *given: Any) -> None:
        member = kind(await ScriptedPeer.connect(self.node.target, timeout=PATIENCE), *given)
        self.members.append(member)
        self._tasks.append(asyncio.create_task(member.run()))

    async def _watch_ourselves(self) -> None:
        """How late this process is by itself."""
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.02)
            self._late = max(self._late, time.monotonic() - began - 0.02)

    def check(self) -> None:
        """Raises what a member has noticed."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def go_on(self, within: float = 2 * PATIENCE) -> None:
        """Wait until each is served by a whole round that began after this moment. Raises what one has noticed."""
        active = [member for member in self.members if not isinstance(member, Idle)]
        before = [member.rounds for member in active]

        async def all_served() -> bool:
            self.check()
            return all(member.rounds > then + 1 for member, then in zip(active, before, strict=True))

        await until(all_served, "not all peers are served any more", within)

    async def has_told(self) -> list[str]:
        """Wait until all news is told, and what is known is on the map: what is not, if that takes too long."""

        async def told() -> bool:
            self.check()
            return all(member.has_told for member in self.members if isinstance(member, Telling))

        async def whole() -> bool:
            missing[:] = await lacks(self.node, self._truth)
            return not missing

        missing: list[str] = []
        await until(told, "the news are not told", 3 * PATIENCE)
        with contextlib.suppress(AssertionError):
            await until(whole, "")
        return missing

    def latest(self) -> tuple[float, float]:
        """The slowest answer since the last call, and how late this process was by itself."""
        latest, late = max(member.latest for member in self.members), self._late
        for member in self.members:
            member.latest = 0.0
        self._late = 0.0
        return latest, late

    async def conn_ids(self) -> dict[str, int]:
        """Of our peers, by node_id: the same as long as none was disconnected."""
        ours = {member.peer.node_id.hex() for member in self.members}
        return {id_: peer["conn_id"] for id_, peer in (await self.node.peers()).items() if id_ in ours}

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for member in self.members:
            await member.peer.close()
        if self._bus is not None:
            await self._bus.close()
