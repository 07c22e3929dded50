"""Listening: the sockets at which connections arrive. One may be another process's, too, before this one or after it.

What has connected and was not accepted waits in the socket, not in a process: where the next process has it, too, no
connection is lost between the two.
"""

import asyncio
import os
import socket
from abc import ABC, abstractmethod
from pathlib import Path

from wire.net.sockman.events import SocketAddress, SockManEvents, SockManOptions
from wire.net.sockman.sockets import address_of, listen_on, set_up
from wire.start.late_dataclass import dataclass


@dataclass(slots=True, eq=False)
class _Listener:
    """One listening socket."""

    sock: socket.socket
    address: SocketAddress
    registered: bool = False


class Listening(SockManEvents, ABC):
    """SockMan's listeners, on the running loop. Each connection that is accepted goes to `_accepted`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._options = SockManOptions()
        self._listeners: list[_Listener] = []
        self._started = False
        self._accept_timer: asyncio.TimerHandle | None = None

    def bind_and_start_listening(self, to: SocketAddress) -> SocketAddress:
        """Bind and listen; connections wait for `start`. Returns the address with the port that the kernel chose.

        Raises OSError. What is special about IPv6 and unix sockets stands at `wire.net.sockman.sockets.listen_on`.
        """
        sock, address = listen_on(to)
        self._add_listener(sock, address)
        return address

    def _add_listener(self, sock: socket.socket, address: SocketAddress) -> None:
        self._prepare_listener(sock)
        self._listeners.append(_Listener(sock, address))
        self.update_accepting()

    def _prepare_listener(self, sock: socket.socket) -> None:
        """Linux gives what is accepted there the same options."""
        set_up(sock)

    def start(self, options: SockManOptions) -> None:
        """Begin to accept."""
        self._options = options
        self._started = True
        self.update_accepting()

    def update_accepting(self) -> None:
        """Ask should_try_to_accept again, and look at the listeners or leave them alone."""
        accepting = self._started and self._accept_timer is None and self.should_try_to_accept()
        for listener in self._listeners:
            if accepting and not listener.registered:
                self._loop.add_reader(listener.sock.fileno(), self._acceptable, listener)
            elif listener.registered and not accepting:
                self._loop.remove_reader(listener.sock.fileno())
            listener.registered = accepting

    def adopt_listener(self, fd: int) -> SocketAddress:
        """Take in a listening socket that another process has made; its address. The fd is ours from here on.

        Raises OSError if it is no socket.
        """
        sock = socket.socket(fileno=fd)
        sock.set_inheritable(False)
        address = address_of(sock.getsockname())
        self._add_listener(sock, address)
        return address

    def copy_listener(self, address: SocketAddress) -> int:
        """The socket that listens there, for another process: an fd that is the caller's. Raises OSError."""
        (found,) = (listener for listener in self._listeners if listener.address == address)
        return os.dup(found.sock.fileno())

    def leave_listeners(self) -> None:
        """Accept no more: another process has these sockets, and goes on with them."""
        self._stop_listening()
        for listener in self._listeners:
            listener.sock.close()
        self._listeners.clear()

    def _stop_listening(self) -> None:
        self._started = False
        self.update_accepting()
        if self._accept_timer is not None:
            self._accept_timer.cancel()
            self._accept_timer = None

    def _close_listeners(self) -> None:
        self._stop_listening()
        for listener in self._listeners:
            listener.sock.close()
            if listener.address.family == "unix":
                Path(listener.address.host).unlink(missing_ok=True)
        self._listeners.clear()

    def _acceptable(self, listener: _Listener) -> None:
        for _ in range(self._options.accepts_per_turn):
            if not self.should_try_to_accept():
                self.update_accepting()
            if not listener.registered:  # any more, by an event
                break
            try:
                sock, peername = listener.sock.accept()
            except (BlockingIOError, ConnectionAbortedError):
                break
            except OSError as error:
                self._pause_accepting()
                self.event_accept_failed(error)
                break
            self._accepted(sock, peername, listener.address)

    def _pause_accepting(self) -> None:
        """The backlog stays ready, so going on would spin."""
        self._accept_timer = self._loop.call_later(self._options.accept_pause, self._resume_accepting)
        self.update_accepting()

    def _resume_accepting(self) -> None:
        self._accept_timer = None
        self.update_accepting()

    @abstractmethod
    def _accepted(self, sock: socket.socket, peername: object, me: SocketAddress) -> None:
        """A connection has come in at the listener `me`, with its options."""
