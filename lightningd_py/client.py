"""A program's side of the RPC socket: one request, one reply."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from lightningd_py.unix_socket import connect
from wire.command.console import reason


class NotTalking(Exception):
    """No node answers on the socket."""


def call(path: Path, request: dict[str, Any], timeout: float | None = None) -> dict[str, Any]:
    """Send one request and wait for its reply, so many seconds for each part of it.

    Raises NotTalking with one sentence that names the socket.
    """
    try:
        with connect(path) as connection:
            connection.settimeout(timeout)
            connection.sendall(json.dumps(request).encode())
            reply = bytearray()
            while not reply.endswith(b"\n\n"):
                data = connection.recv(1 << 16)
                if not data:
                    raise NotTalking(f"the node on {path} hung up without an answer")
                reply += data
    except OSError as error:
        raise NotTalking(f"no node answers on {path}: {reason(error)}") from error
    with contextlib.suppress(ValueError):
        content = json.loads(reply)
        if isinstance(content, dict) and ("result" in content or "error" in content):
            return content
    raise NotTalking(f"what answers on {path} does not speak JSON-RPC")


def request(method: str, params: list[Any] | dict[str, Any] | None = None) -> dict[str, Any]:
    """A request, for `call`."""
    return {"jsonrpc": "2.0", "id": f"cli-py:{method}#{os.getpid()}", "method": method, "params": params or []}
