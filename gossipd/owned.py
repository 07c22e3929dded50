"""The connections that gossipd owns: their sockets and frames. What is said on them is `peer.py`'s business.

Ciphertext is made only when the socket takes it, PULL bytes at a time; what waits is plaintext and cursors in the
Peer. Decryption is lazy: after a message that gives the connection away nothing more has been decrypted.
"""

from collections.abc import Callable

from gossipd.peer import PULL, Peer
from wire.frames import MAX_PACKET, FrameError, Frames, PeerState
from wire.sockman import SockMan

FAREWELL = 5.0
"""Seconds that a last warning has to leave."""


class Owned(SockMan):
    """SockMan over the peers that gossipd owns; a connection's id is its conn_id."""

    def __init__(self, may_read: Callable[[], bool], lost: Callable[[Peer, str], None]) -> None:
        """`may_read`: whether the pipeline has room. `lost`: the connection has ended, and why."""
        super().__init__()
        self._may_read = may_read
        self._lost = lost
        self._owned: dict[int, tuple[Peer, Frames]] = {}
        self._held: set[int] = set()

    def __len__(self) -> int:
        return len(self._owned)

    def owns(self, conn_id: int) -> bool:
        """Whether this connection is here."""
        return conn_id in self._owned

    def peers(self) -> list[Peer]:
        """All whose connection is here."""
        return [peer for peer, _ in self._owned.values()]

    def take(self, peer: Peer, fd: int, state: PeerState) -> None:
        """The connection is ours, with what was read and not decrypted and what was encrypted and not sent.

        Raises OSError if the fd is no socket: it is still the caller's then.
        """
        self.adopt(fd, state.unsent, peer.info.conn_id)
        self._owned[peer.info.conn_id] = (peer, Frames(state.crypto, state.unread))

    def go_on(self, conn_id: int) -> None:
        """Deal with what was read before: after taking the connection, and when the peer has taken its answers."""
        if conn_id in self._owned:
            peer, frames = self._owned[conn_id]
            self._hear(peer, frames, b"")
            if conn_id in self._owned:
                self.update_receiving(conn_id)

    def give(self, peer: Peer) -> tuple[int, PeerState]:
        """The connection is no longer ours: its fd and all that moves with it.

        The outbox goes as ciphertext, so that its new owner need not know of it.
        """
        fd, unsent = self.release(peer.info.conn_id)
        _, frames = self._forget(peer)
        batch = bytearray(unsent)
        for message in peer.pull_outbox():
            frames.encrypt_into(batch, message)
        return fd, frames.export(bytes(batch))

    def end(self, peer: Peer, last_words: list[bytes]) -> None:
        """Say this, if it can be said in time, and close."""
        conn_id = peer.info.conn_id
        _, frames = self._forget(peer)
        batch = bytearray()
        for message in [*peer.pull_outbox(), *last_words]:
            frames.encrypt_into(batch, message)
        self.send_bytes(conn_id, batch)
        self.close_when_sent(conn_id, FAREWELL)

    def _forget(self, peer: Peer) -> tuple[Peer, Frames]:
        self._held.discard(peer.info.conn_id)
        return self._owned.pop(peer.info.conn_id)

    def close_sockets(self) -> None:
        """The end: what the loop has still to call in this turn finds nobody here."""
        self._owned.clear()
        self._held.clear()
        super().close_sockets()

    def pump(self, conn_id: int) -> None:
        """Send what the peer is to be told, as much as the socket takes now; goes on by itself."""
        peer, frames = self._owned[conn_id]
        if not self.unsent_size(conn_id):
            was_choked = peer.choked
            self._send_batch(peer, frames)
            if was_choked and not peer.choked:
                self._loop.call_soon(self.go_on, conn_id)
        if peer.has_something_to_say:
            self.want_to_send(conn_id)

    def _send_batch(self, peer: Peer, frames: Frames) -> None:
        batch = bytearray()
        while len(batch) < PULL:
            messages = peer.pull(PULL - len(batch))
            if not messages:
                break
            for message in messages:
                frames.encrypt_into(batch, message)
        if batch:
            self.send_bytes(peer.info.conn_id, batch)

    def rest(self, conn_id: int) -> None:
        """Let the cipher objects of a connection go that has nothing to do: most of an idle peer's memory."""
        self._owned[conn_id][1].sleep()

    def resume(self) -> None:
        """The pipeline has room again."""
        while self._held and self._may_read():
            conn_id = self._held.pop()
            if conn_id in self._owned:
                self.update_receiving(conn_id)

    # events

    def event_got_data(self, id: int, data: bytes) -> None:
        peer, frames = self._owned[id]
        self._hear(peer, frames, data)

    def _hear(self, peer: Peer, frames: Frames, data: bytes) -> None:
        try:
            for message in frames.feed(data):
                if not peer.hear(message):
                    return
                if peer.choked:
                    break
        except FrameError as error:
            self._lost(peer, str(error))
            return
        if peer.has_something_to_say:
            self.pump(peer.info.conn_id)

    def event_got_eof(self, id: int) -> None:
        self._lost(self._owned[id][0], "the peer has closed the connection")

    def event_got_permanent_read_error(self, id: int, error: OSError) -> None:
        self._lost(self._owned[id][0], error.strerror or str(error))

    def event_ready_to_send(self, id: int) -> bool:
        self.pump(id)
        return False

    def should_try_to_recv(self, id: int) -> bool:
        if not self._may_read():
            self._held.add(id)
            return False
        if id not in self._owned:
            return True
        peer, frames = self._owned[id]
        # More than a packet unread: we have stopped in the midst of it, and `go_on` comes first.
        return not peer.choked and frames.unread_size <= MAX_PACKET
