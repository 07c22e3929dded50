"""A program's side of the RPC socket: one request, one reply."""

import contextlib
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightningd_py.unix_socket import connect
from wire.command.console import reason


class NotTalking(Exception):
    """No node answers on the socket."""


Heard = Callable[[str, dict[str, Any]], None]
"""Gets the method and the params of a notification."""


def call(
    path: Path, request: dict[str, Any], timeout: float | None = None, heard: Heard | None = None
) -> dict[str, Any]:
    """Send one request and wait for its reply, so many seconds for each part of it. With `heard` the node is asked for
    notifications of how the command goes; one that does not know how to ask so answers all the same.

    Raises NotTalking with one sentence that names the socket.
    """
    try:
        with connect(path) as connection:
            connection.settimeout(timeout)
            stream = _Stream(path, connection)
            if heard is not None:
                stream.ask(_ENABLE, heard)
            return stream.ask(request, heard)
    except OSError as error:
        raise NotTalking(f"no node answers on {path}: {reason(error)}") from error


class _Stream:
    """What the node says: messages that end with an empty line."""

    def __init__(self, path: Path, connection: socket.socket) -> None:
        self._path = path
        self._connection = connection
        self._read = bytearray()

    def ask(self, request: dict[str, Any], heard: Heard | None) -> dict[str, Any]:
        """The reply; `heard` gets what is said before it."""
        self._connection.sendall(json.dumps(request).encode())
        while True:
            message = self._next()
            if "result" in message or "error" in message:
                return message
            params = message.get("params")
            if heard is not None and isinstance(params, dict):
                heard(str(message.get("method")), params)

    def _next(self) -> dict[str, Any]:
        at = 0
        while (end := self._read.find(b"\n\n", max(0, at - 1))) < 0:
            at = len(self._read)
            data = self._connection.recv(1 << 16)
            if not data:
                raise NotTalking(f"the node on {self._path} hung up without an answer")
            self._read += data
        said = bytes(self._read[:end])
        del self._read[: end + 2]
        with contextlib.suppress(ValueError):
            message = json.loads(said)
            if isinstance(message, dict) and ("method" in message or "result" in message or "error" in message):
                return message
        raise NotTalking(f"what answers on {self._path} does not speak JSON-RPC")


def request(method: str, params: list[Any] | dict[str, Any] | None = None) -> dict[str, Any]:
    """A request, for `call`."""
    return {"jsonrpc": "2.0", "id": f"cli-py:{method}#{os.getpid()}", "method": method, "params": params or []}


_ENABLE = request("notifications", {"enable": True, "topics": ["progress"]})
