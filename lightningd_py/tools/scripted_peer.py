"""The scriptable peer: a Lightning peer that says what you tell it to, for tests and for protocol developers.

Five lines are a conversation:

    peer = await ScriptedPeer.connect("02ab...@127.0.0.1:9735")
    await peer.say(bytes.fromhex("8001"))                       # any bytes at all are a message
    await peer.sync()                                           # ping, and wait for its pong: a barrier, no sleep
    update = await peer.hear(ChannelUpdate)                     # the next message of that type
    await peer.close()

Pings are answered while it listens. Messages that `hear` passed over are kept in `heard`. The other direction:

    listener = await ScriptedPeer.listen(privkey=bytes([7]) * 32)
    print("dial me:", listener.target)                          # id@127.0.0.1:port
    peer = await listener.accept()

What a well-behaved peer would not do is done step by step, with whatever bytes you like:

    peer = await ScriptedPeer.dial("02ab...@127.0.0.1:9735")    # a socket, nothing said yet
    await peer.shake_hands(spoil=lambda act, data: b"\\1" + data[1:] if act == "act three" else data)
    await peer.send_raw(b"no frame")
    await peer.hangs_up()                                       # waits until the other side closes

From the shell: `python -m lightningd_py.tools.scripted_peer id@host:port --say 8001` prints what the peer says.
"""

# ruff: noqa: ASYNC109  # a script reads better with hear(Ping, timeout=1) than with a block around each line

import argparse
import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable, Iterable
from typing import Self, TypeVar, overload

from wire import secp256k1
from wire.address import DEFAULT_PORTS, WireAddr, parse_address, parse_peer
from wire.crypto_state import READ_SIZE, CryptoState, PeerState
from wire.features import Features, default_init_features
from wire.frames import Frames
from wire.message import BoltMessage
from wire.noise import ACT_ONE_SIZE, ACT_THREE_SIZE, ACT_TWO_SIZE, Initiator, Responder
from wire.peer_wire import ErrorMessage, Init, Ping, Pong, WarningMessage, decode
from wire.types import NETWORKS

M = TypeVar("M", bound=BoltMessage)

Spoil = Callable[[str, bytes], bytes]
"""Called with ("act one" | "act two" | "act three", the right bytes); what it returns is sent instead."""

NO_PONG_FROM = 65532
PATIENCE = 60.0
"""Seconds until what must come is given up: a machine with much else to do may be late by many."""


class PeerClosed(Exception):
    """The other side has hung up; the text holds its last error or warning, if it gave one."""


class ScriptedPeer:
    """One connection. Made by `connect`, `dial` or a listener's `accept`; usable as `async with`."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        privkey: bytes | None = None,
        their_id: bytes | None = None,
    ) -> None:
        self.privkey = privkey or secp256k1.new_secret()
        self.node_id = secp256k1.public_key(self.privkey)
        self.their_id = their_id
        """Whom we dialled; None on the listening side until `shake_hands`."""
        self.their_init: Init | None = None
        self.heard: list[BoltMessage] = []
        """Everything that has been received and not been returned by `hear`, oldest first."""
        self.auto_pong = True
        self._reader = reader
        self._writer = writer
        self._frames: Frames | None = None

    # Making one

    @classmethod
    async def connect(
        cls,
        target: str,
        *,
        privkey: bytes | None = None,
        features: Features | None = None,
        networks: Iterable[str | bytes] = ("regtest",),
        timeout: float = PATIENCE,
    ) -> Self:
        """Dial `id@host:port` (or `id@/unix/path`), shake hands and exchange INIT.

        `networks` are names or chain hashes. Raises OSError, PeerClosed, HandshakeError, TimeoutError.
        """
        async with asyncio.timeout(timeout):
            peer = await cls.dial(target, privkey=privkey)
            try:
                await peer.shake_hands()
                await peer.exchange_init(features=features, networks=networks)
            except BaseException:
                await peer.close()
                raise
        return peer

    @classmethod
    async def dial(cls, target: str, *, privkey: bytes | None = None) -> Self:
        """Connect the socket and say nothing."""
        their_id, address = parse_peer(target)
        if address is None:
            raise ValueError(f"{target!r} has no address")
        if address.kind == "local":
            reader, writer = await asyncio.open_unix_connection(address.host)
        else:
            reader, writer = await asyncio.open_connection(address.host, address.port)
        return cls(reader, writer, privkey=privkey, their_id=their_id)

    @classmethod
    async def listen(cls, address: str = "127.0.0.1:0", *, privkey: bytes | None = None) -> "ScriptedListener":
        """Listen on an IP address or a Unix path; each connection waits for `accept`."""
        listener = ScriptedListener(privkey or secp256k1.new_secret())
        await listener.start(parse_address(address, 0))
        return listener

    @classmethod
    async def adopt(cls, fd: int, state: PeerState, *, their_id: bytes, privkey: bytes | None = None) -> Self:
        """Go on with a live connection that a daemon has handed over: its fd, which is ours then, and its state."""
        reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=fd))
        peer = cls(reader, writer, privkey=privkey, their_id=their_id)
        peer._frames = Frames(state.crypto, state.unread, state.traffic)
        await peer.send_raw(state.unsent)
        return peer

    # Setting out

    async def shake_hands(self, spoil: Spoil | None = None) -> None:
        """Noise, as initiator if we dialled, else as responder. Raises HandshakeError, PeerClosed."""
        change = spoil or (lambda _, data: data)
        if self.their_id is not None:
            self._frames = Frames(await self._initiate(self.their_id, change))
        else:
            self._frames = Frames(await self._respond(change))

    async def _initiate(self, their_id: bytes, change: Spoil) -> CryptoState:
        noise = Initiator(self.node_id, their_id, ephemeral=secp256k1.new_secret())
        await self.send_raw(change("act one", noise.act_one()))
        point = noise.receive_act_two(await self.read_raw(ACT_TWO_SIZE))
        act, crypto = noise.act_three(secp256k1.ecdh(self.privkey, point))
        await self.send_raw(change("act three", act))
        return crypto

    async def _respond(self, change: Spoil) -> CryptoState:
        noise = Responder(self.node_id, ephemeral=secp256k1.new_secret())
        point = noise.receive_act_one(await self.read_raw(ACT_ONE_SIZE))
        await self.send_raw(change("act two", noise.act_two(secp256k1.ecdh(self.privkey, point))))
        self.their_id, crypto = noise.receive_act_three(await self.read_raw(ACT_THREE_SIZE))
        return crypto

    async def exchange_init(
        self, *, features: Features | None = None, networks: Iterable[str | bytes] = ("regtest",)
    ) -> Init:
        """Say INIT and hear theirs."""
        hashes = [NETWORKS[network] if isinstance(network, str) else network for network in networks]
        ours = default_init_features() if features is None else features
        await self.say(Init(globalfeatures=b"", features=ours.to_bytes(), networks=hashes or None))
        self.their_init = await self.hear(Init)
        return self.their_init

    # Talking

    async def say(self, *messages: bytes | BoltMessage) -> None:
        """Send messages, all in one write: raw bytes with their type, or objects of `wire.peer_wire`."""
        await self.send_raw(self.encrypt(*messages))

    def encrypt(self, *messages: bytes | BoltMessage) -> bytes:
        """The bytes that would carry these messages now, for `send_raw`. Not sending them breaks the stream."""
        frames = self._secured()
        raw = (message if isinstance(message, bytes) else message.encode() for message in messages)
        return b"".join(frames.encrypt(message) for message in raw)

    @overload
    async def hear(self, wanted: type[M], timeout: float = ...) -> M: ...
    @overload
    async def hear(self, wanted: int | None = None, timeout: float = ...) -> BoltMessage: ...
    async def hear(self, wanted: type[BoltMessage] | int | None = None, timeout: float = PATIENCE) -> BoltMessage:
        """The next message, of a type if one is given (class or number), from `heard` or from the peer.

        Raises TimeoutError, and PeerClosed if the peer hangs up first.
        """
        number = wanted if isinstance(wanted, int) or wanted is None else wanted.number
        async with asyncio.timeout(timeout):
            seen = 0
            while True:
                while seen == len(self.heard):
                    await self._receive()
                if number in (None, self.heard[seen].number):
                    return self.heard.pop(seen)
                seen += 1

    async def sync(self, timeout: float = PATIENCE) -> list[BoltMessage]:
        """Ping, and wait for its pong: whatever was said before has been dealt with. Returns, and keeps, `heard`."""
        await self.say(Ping(num_pong_bytes=1, ignored=b""))
        await self.hear(Pong, timeout)
        return list(self.heard)

    async def _receive(self) -> None:
        """One more message into `heard`."""
        message = decode(await self.hear_raw())
        if isinstance(message, Ping) and self.auto_pong:
            if message.num_pong_bytes < NO_PONG_FROM:  # B1-37
                await self.say(Pong(ignored=bytes(message.num_pong_bytes)))
        else:
            self.heard.append(message)

    async def hear_raw(self) -> bytes:
        """The next message as it came, past `heard`, no ping answered. Raises FrameError, PeerClosed."""
        frames, data = self._secured(), b""
        while True:
            for message in frames.feed(data):
                return message
            data = await self._read_some()

    # Bytes

    async def send_raw(self, data: bytes) -> None:
        """Bytes as they are, whatever they are. Raises PeerClosed."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError as error:
            raise self._closed() from error

    async def read_raw(self, size: int) -> bytes:
        """Exactly so many bytes, as they come from the socket."""
        try:
            return await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise self._closed() from error

    async def _read_some(self) -> bytes:
        try:
            data = await self._reader.read(READ_SIZE)
        except ConnectionError:
            data = b""
        if not data:
            raise self._closed()
        return data

    def _closed(self) -> PeerClosed:
        last = next((m for m in reversed(self.heard) if isinstance(m, ErrorMessage | WarningMessage)), None)
        return PeerClosed(f"the peer hung up: {last.text()}" if last else "the peer hung up")

    def _secured(self) -> Frames:
        if self._frames is None:
            raise RuntimeError("shake_hands() comes first")
        return self._frames

    # The end

    def write_eof(self) -> None:
        """Say no more, but go on listening."""
        self._writer.write_eof()

    async def hangs_up(self, timeout: float = PATIENCE) -> list[BoltMessage]:
        """Wait until the other side closes; returns `heard`. Raises TimeoutError if it does not."""
        async with asyncio.timeout(timeout):
            with contextlib.suppress(PeerClosed):
                while True:
                    await (self._receive() if self._frames else self._read_some())
        return list(self.heard)

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class ScriptedListener:
    """Where a scripted peer can be dialled. Made by `ScriptedPeer.listen`; usable as `async with`."""

    def __init__(self, privkey: bytes) -> None:
        self.privkey = privkey
        self.node_id = secp256k1.public_key(privkey)
        self.address = ""
        """`host:port`, or the path."""
        self._arrived: asyncio.Queue[ScriptedPeer] = asyncio.Queue()
        self._server: asyncio.Server | None = None

    @property
    def target(self) -> str:
        """What to dial: `id@host:port`."""
        return f"{self.node_id.hex()}@{self.address}"

    async def start(self, address: WireAddr) -> None:
        """Begin to listen. Raises OSError."""
        if address.kind == "local":
            self._server = await asyncio.start_unix_server(self._on_connected, address.host)
            self.address = str(address)
        else:
            self._server = await asyncio.start_server(self._on_connected, address.host, address.port)
            port = self._server.sockets[0].getsockname()[1]
            self.address = str(WireAddr(address.kind, address.host, port))

    def _on_connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._arrived.put_nowait(ScriptedPeer(reader, writer, privkey=self.privkey))

    async def accept_silent(self, timeout: float = PATIENCE) -> ScriptedPeer:
        """The next connection, nothing said on it yet."""
        async with asyncio.timeout(timeout):
            return await self._arrived.get()

    async def accept(
        self,
        *,
        features: Features | None = None,
        networks: Iterable[str | bytes] = ("regtest",),
        timeout: float = PATIENCE,
    ) -> ScriptedPeer:
        """The next connection, after Noise and INIT."""
        async with asyncio.timeout(timeout):
            peer = await self.accept_silent()
            await peer.shake_hands()
            await peer.exchange_init(features=features, networks=networks)
        return peer

    async def close(self) -> None:
        """Listen no more, and hang up on those who were never accepted."""
        if self._server is not None:
            self._server.close()  # not waited for: from Python 3.12 on that would wait for every accepted peer
        while not self._arrived.empty():
            await self._arrived.get_nowait().close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def _listen_in(arguments: argparse.Namespace) -> None:
    """Connect, say what was asked for, print what comes."""
    privkey = bytes.fromhex(arguments.privkey) if arguments.privkey else None
    peer = await ScriptedPeer.connect(arguments.target, privkey=privkey, networks=[arguments.network])
    print(peer.their_init, flush=True)
    async with peer:
        await peer.say(*(bytes.fromhex(message) for message in arguments.say))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(arguments.seconds):
                while True:
                    print(await peer.hear(timeout=arguments.seconds), flush=True)


def main() -> None:
    """`python -m lightningd_py.tools.scripted_peer`: be a node's peer for a while."""
    parser = argparse.ArgumentParser(description="Connect to a Lightning node and print what it says.")
    parser.add_argument("target", help="id@host:port")
    parser.add_argument("--say", action="append", default=[], metavar="HEX", help="a message to send, type included")
    parser.add_argument("--privkey", metavar="HEX", help="our key; a new one if it is not given")
    parser.add_argument("--network", default="regtest", choices=sorted(DEFAULT_PORTS))
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to listen")
    try:
        asyncio.run(_listen_in(parser.parse_args()))
    except (OSError, PeerClosed, ValueError, TimeoutError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
