"""Connections that a process owns: what each says is heard in its turn, and nothing that was read is lost."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest

from wire.control.control_wire import PeerInfo
from wire.control.timing import Timing
from wire.crypto_state import CryptoState, PeerState
from wire.frames import Frames
from wire.metrics.tally import Tally
from wire.net.owned_peers import ALONE, PULL, OwnedPeers
from wire.net.pinger import PongHandler
from wire.net.turns import MESSAGE_COST, QUANTUM

PING = bytes.fromhex("001200010000")


class Speaker:
    """A peer that keeps what it hears."""

    choked = has_free = has_something_to_say = False

    def __init__(self, info: PeerInfo, heard: Callable[["Speaker", bytes], bool]) -> None:
        self.info = info
        self._heard = heard

    def hear(self, message: bytes) -> bool:
        """Tell the test."""
        return self._heard(self, message)

    def pull_outbox(self) -> list[bytes]:
        """Nothing is said here."""
        return []

    def ping(self, num_pong_bytes: int, ignored_len: int, answered: PongHandler) -> None:
        """Nor pinged."""


class Rations:
    """Each peer is to be told so many batches more; whose turn it was."""

    def __init__(self) -> None:
        self.left: Counter[int] = Counter()
        self.turns: list[int] = []

    def pull(self, conn_id: int, peer: Speaker, most: int, now: float) -> list[bytes]:
        """A whole batch."""
        if most < PULL or not self.left[conn_id]:
            return []
        self.left[conn_id] -= 1
        peer.has_something_to_say = bool(self.left[conn_id])
        self.turns.append(conn_id)
        return [bytes(PULL)]

    def wait(self, conn_id: int, now: float) -> float:
        """Never."""
        return 0.0


class Lines:
    """OwnedPeers with peers at the other ends of socketpairs."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, bytes]] = []
        self.lost: dict[int, str] = {}
        self.told = asyncio.Event()
        self.gives_away: bytes | None = None
        self.on_first: Callable[[], object] | None = None
        self.given: tuple[int, PeerState] | None = None
        self.rations = Rations()
        self.owned: OwnedPeers[Speaker] = OwnedPeers(lambda: True, self._lost, self.rations, Timing(), 0, Tally())
        self.ends: dict[int, socket.socket] = {}
        self.frames: dict[int, Frames] = {}

    def connect(self, address: str) -> int:
        """A new connection's conn_id."""
        conn_id = len(self.ends) + 1
        near, self.ends[conn_id] = socket.socketpair()
        crypto, mirrored = CryptoState(0, 0, *[bytes(32)] * 4), CryptoState(0, 0, *[bytes(32)] * 4)
        self.frames[conn_id] = Frames(mirrored)
        info = PeerInfo(bytes([2]) * 33, conn_id, address, True, None, b"", [])
        self.owned.take(Speaker(info, self._hear), near.detach(), PeerState(crypto, b"", b""))
        return conn_id

    def say(self, conn_id: int, *messages: bytes) -> None:
        """What the peer writes, all at once."""
        out = bytearray()
        self.frames[conn_id].encrypt_all_into(out, messages)
        self.ends[conn_id].sendall(out)

    def is_to_hear(self, conn_id: int, batches: int) -> None:
        """So many batches wait for the peer, which reads none of them before `read`."""
        self.rations.left[conn_id] = batches
        self.owned.owned_peer(conn_id).peer.has_something_to_say = True
        self.owned.pump_in_turn(conn_id)

    def _hear(self, speaker: Speaker, message: bytes) -> bool:
        self.heard.append((speaker.info.conn_id, message))
        self.told.set()
        if self.on_first is not None and len(self.heard) == 1:
            self.on_first()
        if message == self.gives_away:
            self.given = self.owned.give(speaker)
            return False
        return True

    def _lost(self, speaker: Speaker, reason: str) -> None:
        self.lost[speaker.info.conn_id] = reason
        self.owned.end(speaker, [])
        self.told.set()

    async def until(self, met: Callable[[], bool]) -> None:
        """Wait for something that is heard."""
        async with asyncio.timeout(60):
            while not met():
                await self.told.wait()
                self.told.clear()


@pytest.fixture
async def lines() -> AsyncIterator[Lines]:
    """None yet."""
    lines = Lines()
    yield lines
    lines.owned.close_sockets()
    for end in lines.ends.values():
        end.close()
    if lines.given is not None:
        socket.socket(fileno=lines.given[0]).close()


async def test_a_flood_of_small_messages_is_heard_a_quantum_at_a_time(lines: Lines) -> None:
    """60 connections of one address have each written what a socket takes, and then one of another address speaks:
    no more than a quantum of each is heard before.
    """
    flooding = [lines.connect("127.0.0.1:1") for _ in range(60)]
    honest = lines.connect("127.0.0.2:1")
    for conn_id in flooding:
        lines.say(conn_id, *[PING] * 1_000)
    lines.say(honest, PING)
    await lines.until(lambda: (honest, PING) in lines.heard)
    before = lines.heard.index((honest, PING))
    assert before <= QUANTUM // MESSAGE_COST * 2
    await lines.until(lambda: len(lines.heard) == 60_001)
    assert lines.lost == {}


async def test_the_connections_of_one_source_take_turns(lines: Lines) -> None:
    conn_ids = [lines.connect(f"[2001:db8::{number:x}]:9735") for number in range(1, 11)]
    for conn_id in conn_ids:
        lines.say(conn_id, *[PING] * 500)
    await lines.until(lambda: len(lines.heard) == 5_000)
    quantum = QUANTUM // MESSAGE_COST + 1
    for conn_id in conn_ids:
        last = len(lines.heard) - 1 - lines.heard[::-1].index((conn_id, PING))
        assert last >= 5_000 - 2 * 10 * quantum


async def test_order_and_end(lines: Lines) -> None:
    """All that was said before the end is heard, in order, and then the connection is lost."""
    conn_id = lines.connect("127.0.0.1:1")
    said = [b"\x80\x01" + number.to_bytes(2, "big") for number in range(1_500)]
    lines.say(conn_id, *said)
    lines.ends[conn_id].close()
    await lines.until(lambda: conn_id in lines.lost)
    assert [message for _, message in lines.heard] == said


async def test_what_was_not_heard_goes_along(lines: Lines) -> None:
    """A message in the midst of a quantum gives the connection away: what follows it is heard by the next owner."""
    conn_id = lines.connect("127.0.0.1:1")
    said = [b"\x80\x01" + number.to_bytes(2, "big") for number in range(1_000)]
    lines.gives_away = said[500]
    lines.say(conn_id, *said)
    await lines.until(lambda: lines.given is not None)
    assert [message for _, message in lines.heard] == said[:501]
    assert lines.given is not None
    fd, state = lines.given
    frames = Frames(state.crypto, state.unread)
    rest = list(frames.feed(b""))
    with socket.socket(fileno=fd) as sock:
        sock.settimeout(60)
        while len(rest) < 499:
            rest += frames.feed(sock.recv(65_536))
    lines.given = None
    assert rest == said[501:]


async def test_what_came_before_a_broken_connection_is_heard(lines: Lines) -> None:
    """The peer has spoken, and is gone: our write fails while what it said waits for its turn."""
    conn_id = lines.connect("127.0.0.1:1")
    said = [b"\x80\x01" + number.to_bytes(2, "big") for number in range(1_200)]
    lines.say(conn_id, *said)
    lines.ends[conn_id].close()
    lines.on_first = lambda: lines.owned.send_bytes(conn_id, b"nothing reads this")
    await lines.until(lambda: conn_id in lines.lost)
    assert [message for _, message in lines.heard] == said


async def test_one_that_costs_much_is_read_on_in_the_next_second(lines: Lines) -> None:
    now = 100.0
    lines.owned.clock = lambda: now
    costly, other = lines.connect("127.0.0.1:1"), lines.connect("127.0.0.1:1")
    lines.say(costly, PING)
    await lines.until(lambda: len(lines.heard) == 1)
    for _ in range(11):
        lines.owned.charge(costly, 0.1)
    lines.say(costly, PING)
    lines.say(other, PING)
    await lines.until(lambda: len(lines.heard) == 2)
    lines.owned.read_on(now + 0.5)
    lines.say(other, PING)
    await lines.until(lambda: len(lines.heard) == 3)
    assert [conn_id for conn_id, _ in lines.heard] == [costly, other, other]
    now += 1
    lines.owned.read_on(now)
    await lines.until(lambda: len(lines.heard) == 4)


async def test_one_alone_is_told_some_batches_at_once(lines: Lines) -> None:
    alone = lines.connect("127.0.0.1:1")
    lines.is_to_hear(alone, 10)
    await asyncio.sleep(0)
    assert lines.rations.turns == [alone] * (ALONE + 1)


async def test_of_two_each_is_told_a_batch_in_its_turn(lines: Lines) -> None:
    one, other = lines.connect("127.0.0.1:1"), lines.connect("127.0.0.2:1")
    lines.is_to_hear(one, 10)
    lines.is_to_hear(other, 10)
    for _ in range(2):  # a turn of the loop may be over after the first, by its time
        await asyncio.sleep(0)
    assert lines.rations.turns[:2] == [one, other]
