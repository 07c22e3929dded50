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
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.bus_client import AGAIN, BusService
from tests.harness.crowd_members import (
    ECHO,
    PATIENCE,
    PAUSE,
    Asking,
    Hearing,
    Idle,
    Member,
    Pace,
    Pinging,
    Speaking,
    Telling,
    shares,
)
from tests.harness.node import Node
from tests.harness.siege.truth import lacks
from tests.harness.waiting import until
from tests.harness.web_peer import Web, peer_by

AT_A_TIME = 4
"""Members that are about to come: each of a program's waits until that has started."""
PROGRAM = shlex.join([sys.executable, "-P", str(Path(__file__).parent / "echo_service.py")])
FOR_THE_PROGRAM, FOR_THE_BUS = 32, 64
"""open_channel goes to a program, open_channel2 to a service of the buses."""
OPTIONS = (
    "--bind-addr=ws:127.0.0.1:0",
    f"--service=echo={PROGRAM}",
    "--take=echo=open_channel",
    "--max-programs-per-service=100",
    "--max-programs=100",
    "--max-connect-rate=0",
    "--max-inbound=5000",
    "--max-inbound-per-source=5000",
    "--onion-messages=all",
    "--max-half-open-per-source=1000",
)
"""What the node must be started with."""


Dial = Callable[[], Awaitable[ScriptedPeer]]


@dataclass(frozen=True)
class Mix:
    """How many of each kind. `by_websocket`: those that ping, and come through websocketd."""

    pinging: int = 0
    by_websocket: int = 0
    telling: int = 0
    hearing: int = 0
    asking: int = 0
    of_programs: int = 0
    of_buses: int = 0
    idle: int = 0

    @property
    def all(self) -> int:
        return sum(astuple(self))


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

    def check(self) -> None:
        """Raises what has gone wrong here."""
        for task in self._tasks:
            if task.done():
                task.result()

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

    def __init__(
        self, node: Node, known: Sequence[bytes], news: Sequence[bytes], mix: Mix, pause: float = PAUSE
    ) -> None:
        """`known` is on the node's map already, `news` is what peers tell. `pause`: seconds between two rounds."""
        self.node = node
        self.pace = Pace(pause)
        self.mix = mix
        self.members: list[Member] = []
        self._known, self._news = frozenset(known), news
        self._truth = [*known, *(news if mix.telling else ())]
        self._bus = EchoOfBuses(node) if mix.of_buses else None
        self._tasks: dict[asyncio.Task[None], Member] = {}
        self._left: list[Member] = []
        self._watching: asyncio.Task[None] | None = None
        self._webs = AsyncExitStack()
        self._late = 0.0

    async def __aenter__(self) -> Self:
        if self._bus is not None:
            await self._bus.start()
        mix, room = self.mix, asyncio.Semaphore(AT_A_TIME)
        adding = [self._add(room, self._dial, Telling, share) for share in shares(self._news, mix.telling)]
        for count, dial, kind, *given in (
            (mix.of_programs, self._dial, Speaking, FOR_THE_PROGRAM),
            (mix.of_buses, self._dial, Speaking, FOR_THE_BUS),
            (mix.pinging, self._dial, Pinging),
            (mix.by_websocket, self._dial_web, Pinging),
            (mix.hearing, self._dial, Hearing, self._known),
            (mix.asking, self._dial, Asking, self._known),
            (mix.idle, self._dial, Idle),
        ):
            adding += [self._add(room, dial, kind, *given) for _ in range(count)]
        await asyncio.gather(*adding)
        self.pace.all_at_once()
        self._watching = asyncio.create_task(self._watch_ourselves())
        await self.go_on()
        return self

    async def _add(self, room: asyncio.Semaphore, dial: Dial, kind: Any, *given: Any) -> None:
        async with room:
            member = kind(await dial(), *given)
            await member.begin()
        self.members.append(member)
        self._tasks[asyncio.create_task(member.run(self.pace))] = member

    async def _dial(self) -> ScriptedPeer:
        return await ScriptedPeer.connect(self.node.target, timeout=PATIENCE)

    async def _dial_web(self) -> ScriptedPeer:
        web = await Web.dial(self.node)
        await web.ask()
        return await self._webs.enter_async_context(peer_by(web, self.node))

    async def _watch_ourselves(self) -> None:
        """How late this process is by itself."""
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.02)
            self._late = max(self._late, time.monotonic() - began - 0.02)

    def check(self) -> None:
        """Raises AssertionError with what members have noticed, once: they are members no longer."""
        if self._bus is not None:
            self._bus.check()
        noticed = {task: member for task, member in self._tasks.items() if task.done()}
        for task, member in noticed.items():
            del self._tasks[task]
            self.members.remove(member)
            self._left.append(member)
        assert not noticed, dict(Counter(f"{member}: {task.exception()!r}" for task, member in noticed.items()))

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
        tasks = [*self._tasks, *([self._watching] if self._watching is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for member in (*self.members, *self._left):
            await member.peer.close()
        with contextlib.suppress(ConnectionError):
            await self._webs.aclose()
        if self._bus is not None:
            await self._bus.close()
