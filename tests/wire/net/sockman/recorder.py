"""A SockMan that keeps what it is told, and an echo server: for tests without Lightning."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any

from wire.net.sockman.sockman import SocketAddress, SockMan

ANY_PORT = SocketAddress("tcp", "127.0.0.1", 0)
Pair = tuple[socket.socket, socket.socket]


class Recorder(SockMan):
    """Keeps what its events say. `on` has what else to do in an event, by its name without `event_`."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[tuple[Any, ...]] = []
        self.data: dict[int, bytearray] = {}
        self.on: dict[str, Callable[..., Any]] = {}
        self.may_recv = True
        self.may_send = True
        self.may_accept = True
        self.recvs = 0
        self._changed = asyncio.Event()

    def happened(self, what: str, *details: Any) -> Any:
        self.log.append((what, *details))
        self._changed.set()
        return self.on[what](*details) if what in self.on else None

    def names(self) -> list[str]:
        return [what for what, *_ in self.log]

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), 60)

    async def until_event(self, what: str, times: int = 1) -> tuple[Any, ...]:
        await self.until(lambda: self.names().count(what) >= times)
        return [entry for entry in self.log if entry[0] == what][times - 1]

    def event_new_connection_accepted(self, id: int, me: SocketAddress, them: SocketAddress) -> bool:
        return self.happened("new_connection_accepted", id, me, them) is not False

    def event_accept_failed(self, error: OSError) -> None:
        self.happened("accept_failed", error)

    def event_got_data(self, id: int, data: bytes) -> None:
        self.recvs += 1
        self.data.setdefault(id, bytearray()).extend(data)
        self.happened("got_data", id, data)

    def event_got_eof(self, id: int) -> None:
        self.happened("got_eof", id)

    def event_got_permanent_read_error(self, id: int, error: OSError) -> None:
        self.happened("got_permanent_read_error", id, error)

    def event_ready_to_send(self, id: int) -> bool:
        return bool(self.happened("ready_to_send", id))

    def should_try_to_send(self, id: int) -> bool:
        return self.may_send

    def should_try_to_recv(self, id: int) -> bool:
        return self.may_recv

    def should_try_to_accept(self) -> bool:
        return self.may_accept

    def event_io_loop_completed_for_node(self, id: int) -> None:
        self.happened("completed_for_node", id)

    def event_io_loop_completed_for_all_peers(self) -> None:
        self.happened("completed_for_all_peers")


class Echo(SockMan):
    """Sends back what comes, and reads no more while the other end does not take it. Closes after the other end."""

    def event_got_data(self, id: int, data: bytes) -> None:
        if self.send_bytes(id, data):
            self.want_to_send(id)
            self.update_receiving(id)

    def should_try_to_recv(self, id: int) -> bool:
        return self.unsent_size(id) < 100_000

    def event_ready_to_send(self, id: int) -> bool:
        self.update_receiving(id)
        return False

    def event_io_loop_completed_for_node(self, id: int) -> None:
        self.update_receiving(id)

    def event_got_eof(self, id: int) -> None:
        self.close_connection(id)


async def turns(count: int = 10) -> None:
    """Let the loop look at its fds so often."""
    for _ in range(count):
        await asyncio.sleep(0)


async def recv_all(sock: socket.socket, size: int) -> bytes:
    """So many bytes from a socket that is no SockMan's, while the loop runs."""
    sock.setblocking(False)
    loop, data = asyncio.get_running_loop(), b""
    while len(data) < size:
        piece = await asyncio.wait_for(loop.sock_recv(sock, size - len(data)), 60)
        assert piece, "the other end has closed"
        data += piece
    return data


def reset(sock: socket.socket) -> None:
    """Close with an RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
