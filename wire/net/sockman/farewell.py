"""The last bytes of a connection that is closed: they arrive, or time is up."""

import asyncio
import socket

MOST_FAREWELLS = 100
"""Closed connections whose last words may still be on their way: each has an fd. In every daemon's count of fds."""
_DISCARD = 65_536


class Farewell:
    """Sends what is unsent, then says that we send no more, and waits for the other end to close.

    Closing a socket with something unread resets it, and the other end might never read our last words: so what it
    says meanwhile is read and thrown away. Bounded by `timeout`, in seconds.
    """

    def __init__(
        self,
        sock: socket.socket,
        unsent: bytearray,
        loop: asyncio.AbstractEventLoop,
        timeout: float,
        all_of_them: "Farewells",
    ) -> None:
        """Owns the socket from here on. In `all_of_them` until it is closed; of too many there the oldest ends now."""
        self._sock = sock
        self._unsent = unsent
        self._loop = loop
        self._all_of_them = all_of_them
        self.ended: asyncio.Future[None] = loop.create_future()
        self._timer = loop.call_later(timeout, self.end)
        all_of_them[self] = None
        loop.add_reader(sock.fileno(), self._read)
        loop.add_writer(sock.fileno(), self._write)
        if len(all_of_them) > all_of_them.most:
            next(iter(all_of_them)).end()

    def _write(self) -> None:
        try:
            if self._unsent:
                del self._unsent[: self._sock.send(self._unsent, socket.MSG_NOSIGNAL)]
            if not self._unsent:
                self._loop.remove_writer(self._sock.fileno())
                self._sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            return
        except OSError:
            self.end()

    def _read(self) -> None:
        try:
            if not self._sock.recv(_DISCARD):
                self.end()
        except BlockingIOError:
            return
        except OSError:
            self.end()

    def end(self) -> None:
        """Close now."""
        self._timer.cancel()
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
        self._all_of_them.pop(self, None)
        if not self.ended.done():
            self.ended.set_result(None)


class Farewells(dict[Farewell, None]):
    """All of a process, in the order of coming; at most so many."""

    most = MOST_FAREWELLS


async def said(farewells: Farewells) -> None:
    """Wait until the last of them is closed."""
    while farewells:
        await asyncio.shield(next(iter(farewells)).ended)
