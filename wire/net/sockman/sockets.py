"""Stream sockets as SockMan wants them: set up, bound, dialled; TCP and unix."""

import asyncio
import contextlib
import errno
import os
import socket
import threading
from typing import Any

from wire.net.sockman.events import SocketAddress
from wire.net.sockman.stale_socket import remove_stale_socket

NOTSENT_LOWAT = 131_072
"""Bytes that the kernel may hold unsent on a TCP socket, so that a short answer does not wait behind megabytes."""
BACKLOG = 511
"""Connections that the kernel holds until they are accepted."""

# Plain integers: to join two members of the enum costs more than to encrypt a message.
SEND = int(socket.MSG_NOSIGNAL)
SEND_MORE = int(socket.MSG_NOSIGNAL | socket.MSG_MORE)

_INTERNET = (socket.AF_INET, socket.AF_INET6)
_UNIX_RETRY = 0.02


def set_up(sock: socket.socket) -> None:
    """Non-blocking; a TCP socket sends at once and holds little unsent."""
    sock.setblocking(False)
    if sock.family in _INTERNET:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOTSENT_LOWAT)


def address_of(name: object) -> SocketAddress:
    """What getsockname or accept have said. An IPv6 scope and flow are left out."""
    if isinstance(name, tuple):
        return SocketAddress("tcp", name[0], name[1])
    return SocketAddress("unix", name if isinstance(name, str) else "")


def listen_on(to: SocketAddress) -> tuple[socket.socket, SocketAddress]:
    """A listening socket and its address, with the port that the kernel chose. Raises OSError.

    An IPv6 address takes no IPv4. A unix socket is for its owner only (0600), and replaces the file of one on which
    no process listens.
    """
    sock = _bound_unix(to.host) if to.family == "unix" else _bound_tcp(to)
    try:
        sock.listen(BACKLOG)
        return sock, address_of(sock.getsockname())
    except BaseException:
        sock.close()
        raise


def _bound_tcp(to: SocketAddress) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(to.host, to.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _bound_unix(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        os.fchmod(sock.fileno(), 0o600)  # before bind: the file never has another mode
        remove_stale_socket(path)
        sock.bind(path)
    except BaseException:
        sock.close()
        raise
    return sock


async def resolve(to: SocketAddress) -> list[tuple[int, Any]]:
    """(family, address for connect) of each address of `to`; only names are looked up, off the loop. Raises OSError."""
    if to.family == "unix":
        return [(socket.AF_UNIX, to.host)]
    try:
        found = socket.getaddrinfo(to.host, to.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = await _look_up(to)
    except UnicodeError as error:
        raise OSError(errno.EINVAL, f"{to.host!r} is no host name") from error
    return [(family, address) for family, _, _, _, address in found]


async def _look_up(to: SocketAddress) -> list[Any]:
    """In a thread of its own instead of the loop's pool: a resolver that hangs must not hold up the process's end."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[Any]] = loop.create_future()

    def settle(found: list[Any], error: OSError | None) -> None:
        if not answer.done():
            answer.set_exception(error) if error else answer.set_result(found)

    def ask() -> None:
        found, failure = [], None
        try:
            found = socket.getaddrinfo(to.host, to.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            failure = error if isinstance(error, OSError) else OSError(f"no host name: {error}")
        with contextlib.suppress(RuntimeError):  # the loop is closed, and the answer of no use
            loop.call_soon_threadsafe(settle, found, failure)

    threading.Thread(target=ask, daemon=True).start()
    return await answer


async def dial(family: int, address: Any) -> socket.socket:
    """A connected socket, set up. Raises OSError; closes the socket if it fails or is cancelled."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        set_up(sock)
        error = sock.connect_ex(address)
        while error == errno.EAGAIN:  # a unix socket whose backlog is full, and there is no event when it is not
            await asyncio.sleep(_UNIX_RETRY)
            error = sock.connect_ex(address)
        if error == errno.EINPROGRESS:
            await _until_writable(sock.fileno())
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
    except BaseException:
        sock.close()
        raise
    return sock


async def _until_writable(fd: int) -> None:
    """Off the loop again before the caller can close the fd: loop.sock_connect comes too late for that if cancelled."""
    loop = asyncio.get_running_loop()
    writable = loop.create_future()
    loop.add_writer(fd, writable.set_result, None)
    try:
        await writable
    finally:
        loop.remove_writer(fd)
