"""Many connections to a node, held by one process that takes little itself: they answer pings, and say what it likes.

`Crowd.start` is for the benchmark. The process that it starts is `python -m tests.bench.crowd ID@HOST:PORT`; it reads a
command a line, and answers each by a line, the seconds that it took:

    connect COUNT AT_ONCE     COUNT more, AT_ONCE handshakes at a time
    ping COUNT                COUNT pings in all, from one connection after the other, each pong waited for
    flood COUNT BODY          a message of this type and so many bytes from the last connection, COUNT times
"""

import asyncio
import selectors
import socket
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

from wire import secp256k1
from wire.address import parse_peer
from wire.crypto_state import READ_SIZE, CryptoState
from wire.features import default_init_features
from wire.frames import Frames
from wire.noise import ACT_TWO_SIZE, Initiator
from wire.peer_wire import Init, Ping, Pong, decode
from wire.types import NETWORKS

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 60.0
"""Seconds for any one answer of the node's."""


class _Connection:
    """One of them: blocking, since an answer comes when it is waited for."""

    __slots__ = ("_noise", "_secret", "frames", "ponged", "sock")

    def __init__(self, their_id: bytes, host: str, port: int) -> None:
        """Connected, with act one said."""
        self.sock = socket.create_connection((host, port), PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._secret = secp256k1.new_secret()
        mine = secp256k1.public_key(self._secret)
        self._noise: Initiator | None = Initiator(mine, their_id, ephemeral=secp256k1.new_secret())
        self.frames: Frames
        self.ponged = 0
        """Pongs that have come."""
        self.sock.sendall(self._noise.act_one())

    def act_three(self, init: bytes) -> None:
        """Read act two; say act three, and our INIT with it."""
        assert self._noise is not None
        act = b""
        while len(act) < ACT_TWO_SIZE:
            act += self._read(ACT_TWO_SIZE - len(act))
        point = self._noise.receive_act_two(act)
        last, crypto = self._noise.act_three(secp256k1.ecdh(self._secret, point))
        self._noise, self.frames = None, Frames(CryptoState(0, 0, crypto.rk, crypto.sk, crypto.r_ck, crypto.s_ck))
        self.sock.sendall(last + self.frames.encrypt(init))

    def until(self, done: Callable[["_Connection", bytes], bool]) -> None:
        """Read until a message is what is waited for."""
        while not any(done(self, message) for message in self.hear()):
            pass

    def hear(self) -> Iterable[bytes]:
        """What one read brings, pings answered."""
        messages = list(self.frames.feed(self._read(READ_SIZE)))
        for message in messages:
            self._answer(message)
        self.frames.sleep()
        return messages

    def say(self, *messages: bytes) -> None:
        """In one write."""
        self.sock.sendall(b"".join(map(self.frames.encrypt, messages)))

    def _answer(self, message: bytes) -> None:
        if message[:2] == b"\0\x12":
            ping = decode(message)
            assert isinstance(ping, Ping)
            self.say(Pong(bytes(ping.num_pong_bytes)).encode())
        self.ponged += message[:2] == b"\0\x13"

    def _read(self, size: int) -> bytes:
        data = self.sock.recv(size)
        if not data:
            raise ConnectionError("the node has hung up")
        return data


class _Peers:
    """All of the process."""

    def __init__(self, target: str) -> None:
        their_id, address = parse_peer(target)
        assert address is not None
        self._whom = their_id, address.host, address.port
        self._all: list[_Connection] = []
        self._looked_at = selectors.DefaultSelector()
        self._init = Init(b"", default_init_features().to_bytes(), [NETWORKS["regtest"]]).encode()
        self._ping = Ping(1, b"").encode()

    def run(self) -> None:
        """Obey, and answer pings in between; until the end of the commands."""
        self._looked_at.register(0, selectors.EVENT_READ)
        print("ready", flush=True)
        while True:
            ready = [key.data for key, _ in self._looked_at.select()]
            for peer in ready:
                if peer is not None:
                    peer.hear()
            # Last: a command reads what peers are said, and who is ready before it may not be any more behind it.
            if None in ready and not self._obey(sys.stdin.readline().split()):
                return

    def _obey(self, words: list[str]) -> bool:
        if not words:
            return False
        began = time.monotonic()
        match words[0], *map(int, words[1:]):
            case "connect", int(count), int(at_once):
                for begun in range(0, count, at_once):
                    self._connect(min(at_once, count - begun))
            case "ping", int(count):
                for number in range(count):
                    self._pings(self._all[number % len(self._all)])
            case "flood", int(count), int(size):
                self._all[-1].say(*[b"\x80\x01" + bytes(size)] * count)
                self._pings(self._all[-1])
        print(time.monotonic() - began, flush=True)
        return True

    def _pings(self, peer: _Connection) -> None:
        wanted = peer.ponged + 1
        peer.say(self._ping)
        peer.until(lambda peer, _: peer.ponged >= wanted)

    def _connect(self, count: int) -> None:
        """So many, each step of all of them before the next one."""
        peers = [_Connection(*self._whom) for _ in range(count)]
        for peer in peers:
            peer.act_three(self._init)
        for peer in peers:
            peer.until(lambda _, message: message[:2] == b"\0\x10")
            self._looked_at.register(peer.sock, selectors.EVENT_READ, peer)
        self._all += peers


class Crowd:
    """The process, for a benchmark."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, target: str) -> Self:
        """One that has no connection yet."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.crowd", target),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        crowd = cls(process)
        await crowd._line()
        return crowd

    async def does(self, command: str) -> float:
        """Returns when it is done: the seconds. Raises RuntimeError if it cannot be."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n".encode())
        return float(await self._line())

    async def _line(self) -> str:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError("the peers' process has ended")
        return line.decode()

    async def end(self) -> None:
        """All of them hang up."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.process.wait()


if __name__ == "__main__":
    _Peers(sys.argv[1]).run()
