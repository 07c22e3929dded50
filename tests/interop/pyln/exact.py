"""pyln-proto's connection made to read exactly what it asked for. Runs in pyln's own virtual environment.

Importing it is enough: pyln.proto.wire's `connect` and server socket make such connections from then on.
"""

import socket
from typing import Any

from pyln.proto import wire


class ExactSocket:
    """A socket whose recv gives all that was asked for: pyln-proto takes a short read for an error."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def recv(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size and (more := self.connection.recv(size - len(data))):
            data += more
        return bytes(data)

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)


class ExactConnection(wire.LightningConnection):  # type: ignore[misc]
    """pyln-proto's connection over exact reads, so also for its `connect` and its server socket."""

    def __init__(self, connection: socket.socket, *args: Any, **keywords: Any) -> None:
        self.socket = connection
        super().__init__(ExactSocket(connection), *args, **keywords)


wire.LightningConnection = ExactConnection
