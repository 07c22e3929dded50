"""One connection while connectd has it: bytes in through a bounded inbox, acts and messages out of it, and its end.

`connections.py` feeds it from SockMan's events; the handshake's coroutine reads from it. A read of the socket returns
what the network happened to deliver, half an act, or an act and the beginning of what follows: what is not asked for
stays for the next step (B8-44), and what no step asked for travels with the connection as `unread`.
"""

import asyncio

from wire.address import WireAddr
from wire.control.asked import DirectFuture
from wire.crypto_state import MAX_PACKET, CryptoState, PeerState
from wire.frames import Frames
from wire.net.pinger import patience_for
from wire.net.sockman.sockman import SockMan

WRITE_DEADLINE = 5.0
"""Seconds in which a peer must take an act or INIT (lnd's figure); three times that through Tor."""


class ConnectionEnded(Exception):
    """The connection cannot go on; the text says why, safe to print."""


class Connection:
    """A peer in the making. `address` is the remote end's; `label` its text form, as PeerInfo carries it."""

    def __init__(self, sockman: SockMan, conn_id: int, *, incoming: bool, address: WireAddr) -> None:
        self.conn_id = conn_id
        self.incoming = incoming
        self.address = address
        self.node_id: bytes | None = None
        self.stage = "handshake"
        self.step = "act_one" if incoming else "connect"
        """What is waited for: the way to the peer, an act, or INIT."""
        self._loop = asyncio.get_running_loop()
        self.begun = self._loop.time()
        self.parting = False
        """The peer has been told why it is refused, and should have the time to read it."""
        self._sockman = sockman
        self._inbox = bytearray()
        self._read_at_ns = 0
        self._frames: Frames | None = None
        self._paused = False
        self._receives = True
        """What SockMan has been told."""
        self._eof = False
        self._lost: str | None = None
        self._waiting: DirectFuture[None] | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    @property
    def label(self) -> str:
        """The remote end's address as text, which `wire.address` can read."""
        return str(self.address)

    @property
    def lost(self) -> str | None:
        """Why the connection is over; None while it can be used. One whose peer has only hung up can be given away:
        what it said before is for its owner."""
        return self._lost

    # What SockMan's events say

    def wants_data(self) -> bool:
        """Whether to read more: a whole packet is kept at most before a read, so READ_SIZE + MAX_PACKET after it."""
        self._receives = self._wants_data()
        return self._receives

    def _wants_data(self) -> bool:
        return not self._paused and len(self._inbox) + self._undecrypted() < MAX_PACKET

    def got_data(self, data: bytes, read_at_ns: int) -> None:
        """Bytes from the peer, and when they had arrived, unix nanoseconds."""
        self._read_at_ns = read_at_ns
        self._inbox += data
        self._wake()

    def got_eof(self) -> None:
        """Nothing more will come. What came before can still be read."""
        self._eof = True
        self._wake()

    def lose(self, reason: str) -> None:
        """The socket is broken or closed."""
        self._forget_unsent()
        if self._lost is None:
            self._lost = reason
        self._wake()

    # What the handshake asks for

    async def read(self, size: int) -> bytes:
        """Exactly `size` bytes. Raises ConnectionEnded if the peer hangs up before."""
        while len(self._inbox) < size:
            await self._more()
        data = bytes(self._inbox[:size])
        del self._inbox[:size]
        self._update_receiving()
        return data

    def write(self, data: bytes) -> None:
        """Bytes to the peer; what the socket does not take stays with SockMan. A handshake writes a few hundred."""
        if self._lost is None and self._sockman.send_bytes(self.conn_id, data) and self._write_timer is None:
            seconds = WRITE_DEADLINE * patience_for(self.label)
            self._write_timer = self._loop.call_later(seconds, self._check_unsent)

    def _check_unsent(self) -> None:
        self._write_timer = None
        if self._lost is None and self._sockman.unsent_size(self.conn_id):
            self.lose("does not take what is sent to it")

    def _forget_unsent(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def encrypted_from_here(self, crypto: CryptoState) -> None:
        """Act three is done: whatever follows in the inbox is frames."""
        self._frames = Frames(crypto)
        self._frames.feed(bytes(self._inbox))
        self._inbox.clear()

    async def hear(self) -> bytes:
        """The peer's next message. Raises FrameError, ConnectionEnded."""
        frames = self._secured()
        while True:
            for message in self._feed(frames):
                return message
            await self._more()

    def say(self, *messages: bytes) -> None:
        """Send messages, encrypted, in one write."""
        frames = self._secured()
        self.write(b"".join(frames.encrypt(message) for message in messages))

    def say_at_parting(self, message: bytes) -> None:
        """The last message: the connection is to be closed, but not before the peer has had it."""
        self.say(message)
        self.parting = True

    def pause(self) -> None:
        """Read no more: what the peer says now is for its next owner."""
        self._paused = True
        self._update_receiving()

    def restore(self, node_id: bytes, state: PeerState, begun: float) -> None:
        """A connection that has done INIT with another connectd: nothing of it is read here."""
        self.node_id, self.begun = node_id, begun
        self._frames, self._read_at_ns = Frames(state.crypto, state.unread, state.traffic), state.read_at_ns
        self.stage = "init"
        self.pause()

    def release(self) -> tuple[int, PeerState]:
        """Give up the connection: the fd is the caller's, and the keys with all that is under way. Design 2."""
        frames = self._secured()
        frames.feed(bytes(self._inbox))
        self._forget_unsent()
        fd, unsent = self._sockman.release(self.conn_id)
        self._frames = None
        state = frames.export(unsent)
        state.read_at_ns = self._read_at_ns if state.unread else 0
        return fd, state

    # Inside

    def _secured(self) -> Frames:
        if self._frames is None:
            raise RuntimeError("no frames before act three, nor after release")
        return self._frames

    def _undecrypted(self) -> int:
        return self._frames.unread_size if self._frames else 0

    def _feed(self, frames: Frames) -> list[bytes]:
        """At most one message of what has come: the rest must stay encrypted."""
        data = bytes(self._inbox)
        self._inbox.clear()
        message = next(iter(frames.feed(data)), None)
        self._update_receiving()
        return [] if message is None else [message]

    async def _more(self) -> None:
        if self._lost is not None or self._eof:
            raise ConnectionEnded(self._lost or "peer hung up")
        self._waiting = DirectFuture(loop=self._loop)
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _update_receiving(self) -> None:
        if self._lost is None and self._receives != self._wants_data():
            self._sockman.update_receiving(self.conn_id)

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
