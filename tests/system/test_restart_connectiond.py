"""`restart connectiond`: services say hello once more, and nothing is lost, doubled or reordered, each way."""

import asyncio
import contextlib
import os
import random
import signal
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from connectd.connectiond.moving import ANSWERS
from lightningd_py.tools.scripted_peer import PeerClosed, ScriptedPeer
from tests.harness import processes
from tests.harness.bus_client import BusService
from tests.harness.moves import TEMPORARY_ID, opening, owner, ping, said
from tests.harness.node import Node, Nodes, RpcError
from tests.harness.restarts import another
from tests.harness.waiting import until

PEERS = int(os.environ.get("RESTART_PEERS", "20"))
RESTARTS = 3
ROUNDS = int(os.environ.get("RESTART_ROUNDS", "3"))
LEAST = 200
"""Messages of each peer, each way."""
IN_FLIGHT = 60
"""Of each peer's, there and back."""
OPEN_CHANNEL, OPEN_CHANNEL2, UPDATE_FEE = 32, 64, 134


def about(number: int) -> bytes:
    return UPDATE_FEE.to_bytes(2, "big") + TEMPORARY_ID + number.to_bytes(4, "big")


class Echo(BusService):
    """Says to each peer what it has heard from it, within its credit."""

    def __init__(self, name: str, node: Node, *, take: int = OPEN_CHANNEL) -> None:
        super().__init__(name, node.directory, credit=20)
        self.take = take
        self.conn_ids: dict[bytes, int] = {}
        self.heard: defaultdict[int, list[bytes]] = defaultdict(list)
        self.ended: dict[int, str] = {}
        self._room: dict[int, int] = {}
        self._waiting: defaultdict[int, deque[bytes]] = defaultdict(deque)
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Take what opens a channel."""
        await self.join()
        await self.ask("register", take=[self.take])
        self._task = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        while True:
            while not self.msg.heard:
                await self.msg.receive()
            message = self.msg.heard.pop(0)
            conn_id: int = message.get("conn_id", 0)
            match message["type"]:
                case "take_peer":
                    assert conn_id not in self._room, "told twice"
                    self.conn_ids[message["node_id"]] = conn_id
                    self._room[conn_id] = message["credit"]
                case "message":
                    self.heard[conn_id].append(message["message"])
                    assert message["seq"] == len(self.heard[conn_id]), "a message is lost, or doubled"
                    if not message["seq"] % (self.credit // 2):
                        await self.msg.say("credit", conn_id=conn_id, messages=self.credit // 2)
                    self._waiting[conn_id].append(message["message"])
                    await self._answer(conn_id, 0)
                case "credit":
                    await self._answer(conn_id, message["messages"])
                case "peer_disconnected":
                    self.ended[conn_id] = message["reason"]
                case _:
                    raise AssertionError(message)

    async def _answer(self, conn_id: int, more: int) -> None:
        self._room[conn_id] += more
        while self._room[conn_id] and self._waiting[conn_id]:
            self._room[conn_id] -= 1
            await self.say(conn_id, self._waiting[conn_id].popleft())

    def close(self) -> None:
        if self._task is not None:
            assert not self._task.done() or self._task.exception() is None, self._task.exception()
            self._task.cancel()
        super().close()


class Talker:
    """A peer that says numbered messages, and hears them again, until it is told to stop."""

    def __init__(self, peer: ScriptedPeer) -> None:
        self.peer = peer
        self.said = self.heard = 0
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._enough = self._has_spoken = False

    async def talk(self) -> None:
        await asyncio.gather(self._speak(), self._listen())

    async def _speak(self) -> None:
        while not self._enough or self.said < LEAST:
            await self._room.acquire()
            if self._enough and self.said >= LEAST:
                break
            await self.peer.say(about(self.said))
            self.said += 1
        self._has_spoken = True
        self.said += 1  # one more, for the listener may wait already
        await self.peer.say(about(self.said - 1))

    async def _listen(self) -> None:
        while not self._has_spoken or self.heard < self.said:
            message = await self.peer.hear(UPDATE_FEE)
            assert message.encode() == about(self.heard), "lost, doubled, or out of order"
            self.heard += 1
            self._room.release()

    def enough(self) -> None:
        self._enough = True


@pytest.fixture
async def echo(node: Node) -> AsyncIterator[Echo]:
    async with Echo("channels", node) as service:
        await service.begin()
        yield service


@pytest.fixture
def node(nodes: Nodes) -> Node:
    return nodes.start()


async def open_with(node: Node, echo: Echo, peer: ScriptedPeer) -> int:
    """The service has the connection, and has said so."""
    await peer.say(opening(echo.take))
    assert (await peer.hear(echo.take)).encode() == opening(echo.take)
    assert await owner(node, peer) == echo.name
    return echo.conn_ids[peer.node_id]


async def gone(node: Node, daemon: str, pid: int) -> None:
    """Wait until the old one has ended."""

    async def ended() -> bool:
        return node.pids_of(daemon) != [] and pid not in node.pids_of(daemon)

    await until(ended, f"the old {daemon} does not end")


@pytest.mark.long
async def test_traffic_both_ways_while_it_is_restarted(node: Node, echo: Echo) -> None:
    """Each message arrives once and in order, on the same connections."""
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(await ScriptedPeer.connect(node.target)) for _ in range(PEERS)]
        conn_ids = [await open_with(node, echo, peer) for peer in peers]
        talkers = [Talker(peer) for peer in peers]
        talking = [asyncio.create_task(talker.talk()) for talker in talkers]
        before = processes.fd_count(node.process.pid)
        for number in range(1, RESTARTS + 1):
            old = node.pids()["connectiond"]
            done = await node.rpc("restart", what="connectiond")
            assert (done["restarted"], done["moved"], done["lost"]) == ("connectiond", PEERS, 0)
            await gone(node, "connectiond", old)

            async def it_is_back(number: int = number) -> bool:
                return echo.msg.restarts == number and echo.msg.is_here

            await until(it_is_back, "the service does not come back")
            marks = [talker.heard for talker in talkers]

            async def all_go_on(marks: list[int] = marks) -> bool:
                return all(talker.heard > mark for talker, mark in zip(talkers, marks, strict=True))

            await until(all_go_on, "a conversation does not go on")
        for talker in talkers:
            talker.enough()
        await asyncio.gather(*talking)
        assert [echo.conn_ids[peer.node_id] for peer in peers] == conn_ids
        assert not echo.ended
        for talker, conn_id in zip(talkers, conn_ids, strict=True):
            assert echo.heard[conn_id] == [opening(), *(about(number) for number in range(talker.said))]
        assert await ping(node, peers[0]) == 132
        processes.look_into(node.process.pid)

        async def as_before() -> bool:
            return processes.fd_count(node.process.pid) <= before

        await until(as_before, "the master has fds left over")


@pytest.mark.long
async def test_all_and_master(node: Node, echo: Echo) -> None:
    """The sessions on CTL begin again then, and those on MSG go on."""
    async with await ScriptedPeer.connect(node.target) as peer:
        conn_id = await open_with(node, echo, peer)
        talker = Talker(peer)
        talking = asyncio.create_task(talker.talk())
        for what in ("master", "all"):
            done = await node.rpc("restart", what=what)
            assert done["lost"] == 0
            await echo.ctl.hear("goodbye")
            assert (await echo.hello())["ticket"] == echo.ticket
        assert "connectiond" in [each["restarted"] for each in done["processes"]]
        assert not [each for each in done["processes"] if "error" in each]
        mark = talker.heard

        async def goes_on() -> bool:
            return talker.heard > mark

        await until(goes_on, "the conversation does not go on")
        talker.enough()
        await talking
        assert echo.heard[conn_id] == [opening(), *(about(number) for number in range(talker.said))]


async def test_two_services_of_which_one_does_not_answer(node: Node, echo: Echo) -> None:
    """The restart waits for it for a while; its connections end then, without a word, and those of the other go on."""
    async with (
        BusService("deaf", node.directory) as deaf,
        await ScriptedPeer.connect(node.target) as peer,
        await ScriptedPeer.connect(node.target) as other,
    ):
        await deaf.join()
        await deaf.ask("register", take=[OPEN_CHANNEL2])
        await other.say(opening(OPEN_CHANNEL2))
        await deaf.taken()
        await open_with(node, echo, peer)
        done = await node.rpc("restart", what="connectiond")
        assert (done["moved"], done["lost"]) == (1, 1)
        assert ANSWERS <= done["milliseconds"] / 1_000 < ANSWERS + 30.0, "a busy machine is slow to start a process"
        assert said(await other.hangs_up()) == []
        talker = Talker(peer)
        talker.enough()
        await talker.talk()
        assert (await deaf.msg.hear("peer_disconnected", "goodbye"))["type"] == "goodbye"


async def test_a_service_that_dies_between_the_two(node: Node, echo: Echo) -> None:
    """Its hello came to the old one, and none comes to the new one."""
    async with BusService("brief", node.directory) as brief, await ScriptedPeer.connect(node.target) as peer:
        await brief.join()
        await brief.ask("register", take=[OPEN_CHANNEL2])
        await peer.say(opening(OPEN_CHANNEL2))
        await brief.taken()
        restarting = asyncio.create_task(node.rpc("restart", what="connectiond"))
        await brief.msg.hear_restart()
        await brief.msg.say("hello", service="brief", ticket=brief.ticket, resumes=True)
        await restarting
        brief.close()
        assert said(await peer.hangs_up()) == []


async def converses(node: Node) -> None:
    """Another service and another peer, from the beginning."""
    async with Echo("another", node, take=OPEN_CHANNEL2) as echo, await ScriptedPeer.connect(node.target) as peer:
        await echo.begin()
        await open_with(node, echo, peer)
        talker = Talker(peer)
        talker.enough()
        await talker.talk()


async def test_services_that_come_just_then(node: Node, echo: Echo) -> None:
    """A peer may open a channel as soon as `register` is answered, whatever the master has not read yet."""
    async with await ScriptedPeer.connect(node.target) as peer:
        await open_with(node, echo, peer)
        for _ in range(RESTARTS):
            await node.rpc("restart", what="connectiond")
            await converses(node)
            await converses(node)


@pytest.mark.long
@pytest.mark.parametrize("victim", ["old", "new"])
async def test_killed_in_the_middle(nodes: Nodes, victim: str) -> None:
    """If the new one dies too early the old one goes on; else all is lost, and begins again."""
    chance = random.Random(ROUNDS)
    for _ in range(ROUNDS):
        node = nodes.start()
        async with Echo("channels", node) as echo, await ScriptedPeer.connect(node.target) as peer:
            await echo.begin()
            conn_id = await open_with(node, echo, peer)
            old = node.pids()["connectiond"]
            restarting = asyncio.create_task(node.rpc("restart", what="connectiond"))
            new = await another(node, "connectiond", old)
            await asyncio.sleep(chance.random())  # the moment is what is tried out
            with contextlib.suppress(ProcessLookupError):
                os.kill(old if victim == "old" else new, signal.SIGKILL)
            answer = (await asyncio.gather(restarting, return_exceptions=True))[0]
            assert isinstance(answer, dict | RpcError), answer
            talker = Talker(peer)
            talker.enough()
            try:
                await talker.talk()
            except* (PeerClosed, ConnectionError):
                assert victim == "old" or isinstance(answer, dict), "the old one had it still"
            else:
                assert echo.conn_ids[peer.node_id] == conn_id
        await converses(node)
