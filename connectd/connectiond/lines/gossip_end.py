"""The owner's end of a gossip fd on the loop: what is written and when it is read is decided by a GossipQueue."""

import asyncio
import socket
from collections.abc import Callable

from wire.control.control_wire import PeerInfo
from wire.control.status import Status
from wire.net.gossip_fd import GOSSIP_START, GossipFd
from wire.net.gossip_queue import GossipQueue

status = Status("connectiond")


class GossipEnd:
    """One of them; `queue` has what waits, both ways."""

    def __init__(
        self,
        fd: int | None,
        info: PeerInfo,
        queue: GossipQueue,
        on_packet: Callable[[], None],
        on_room: Callable[[], None],
    ) -> None:
        """`fd` is None where there is no gossipd.

        `on_packet`: something waits for the peer. `on_room`: the peer may be read again. Raises OSError if the fd is
        no socket: it is still the caller's then.
        """
        self.queue = queue
        self._info = info
        self._on_packet = on_packet
        self._on_room = on_room
        self._complained = False
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._fd: GossipFd | None = None
        self._has_gossipd = fd is not None
        if fd is not None:
            sock = socket.socket(fileno=fd)
            sock.setblocking(False)
            sock.set_inheritable(False)
            self._fd = GossipFd(sock, self._loop, self._heard, self._has_room, self._ended)
            self._fd.send(GOSSIP_START)
            self._flush()

    # to gossipd

    def write(self, message: bytes) -> None:
        """Gossip of the peer's."""
        if self._has_gossipd:
            self.queue.write(message)
            self._flush()

    def _flush(self) -> None:
        """Write what there is room for."""
        queue = self.queue
        while self._fd is not None and (packet := queue.next_packet) is not None:
            if not self._fd.send(packet):
                queue.no_room(self._loop.time())
                break
            queue.wrote()
        self._look_later()
        self._complain()

    def _look_later(self) -> None:
        deadline = self.queue.deadline
        if deadline is None and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        elif deadline is not None and self._timer is None:
            self._timer = self._loop.call_at(deadline, self._look)

    def _look(self) -> None:
        self._timer = None
        if self.queue.look(self._loop.time()):
            self._complain()
            self._on_room()
        self._look_later()

    def _complain(self) -> None:
        if self.queue.dropped and not self._complained:
            self._complained = True
            text = "gossipd takes nothing: gossip of this peer is dropped"
            status.by_stranger("gossip dropped", text, self._info.node_id, self._info.address)

    def _has_room(self) -> None:
        self._flush()
        if not self.queue.is_full:
            self._on_room()

    # from gossipd

    def _heard(self, packet: bytes) -> None:
        self.queue.heard(packet)
        self._update_reading()
        self._on_packet()

    def pulled(self) -> None:
        """The peer has been told some of what waited."""
        self._update_reading()

    def _update_reading(self) -> None:
        if self._fd is None:
            return
        if self.queue.may_read:
            self._fd.resume()
        else:
            self._fd.pause()

    # the end

    def _ended(self) -> None:
        """gossipd is gone: the connection lives on without gossip; what the peer says is owed to the next gossipd."""
        self.close()
        self.queue.lose()
        self._on_room()

    def close(self) -> None:
        """The connection has ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._fd is not None:
            self._fd.close()
            self._fd = None

    def detach(self) -> tuple[int | None, list[bytes]]:
        """The fd is the caller's, None if gossipd is gone; and what has found no room in it, which is to go with the
        connection. What waits for the peer is to be pulled as well.
        """
        self._flush()
        left_over = self.queue.left_over()
        fd, self._fd = self._fd, None
        self.close()
        return None if fd is None else fd.detach(), left_over
