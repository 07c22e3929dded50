"""Connections to NATS servers, for ever tried again, and what goes wrong there as sentences."""

import asyncio
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js.api import StreamInfo

from lightningd_py.observatory.tables.errors import ObservatoryError

FAILURES = (nats.errors.Error, asyncio.TimeoutError, OSError)
"""What a request to a server raises; a server that is away is among them."""
FIRST_PATIENCE = 5
"""Seconds for one attempt to connect."""
PAUSE = 2.0
"""Seconds between two of them."""


class Access(NamedTuple):
    """Where the servers are (nats://HOST:PORT or tls://, several with commas), and what lets us in."""

    url: str
    credentials: Path | None = None
    nkey: Path | None = None
    ca: Path | None = None


class _Listener:
    """What nats-py tells of a connection besides the answers to requests. Each trouble is said once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.trouble = ""
        self.is_there = False
        self._say = say

    async def gone(self) -> None:
        if self.is_there:
            self._say("NATS is away; it is tried again until it is there")

    async def back(self) -> None:
        self.trouble = ""
        self._say("NATS is there again")

    async def erred(self, error: Exception) -> None:
        is_new = reason(error) != self.trouble
        self.trouble = reason(error)
        if self.is_there and is_new and not isinstance(error, OSError):  # `gone` says that
            self._say(f"NATS: {self.trouble}")


async def connect(access: Access, name: str, say: Callable[[str], None]) -> Client:
    """A connection that comes back by itself. `say` is told when it goes and comes, and of errors that no request
    hears of. Raises ObservatoryError, one sentence, if it cannot be made now.
    """
    listener = _Listener(say)
    try:
        async with asyncio.timeout(FIRST_PATIENCE):  # nats-py itself would try for ever, and say nothing
            client = await nats.connect(
                servers=access.url.split(","),
                name=name,
                error_cb=listener.erred,
                disconnected_cb=listener.gone,
                reconnected_cb=listener.back,
                connect_timeout=FIRST_PATIENCE,
                max_reconnect_attempts=-1,
                reconnect_time_wait=PAUSE,
                user_credentials=None if access.credentials is None else str(access.credentials),
                nkeys_seed=None if access.nkey is None else str(access.nkey),
                tls=_tls(access),
            )
    except TimeoutError:
        raise ObservatoryError(f"{access.url}: {listener.trouble or 'no NATS server answers there'}") from None
    except (*FAILURES, ValueError) as error:
        raise ObservatoryError(f"{access.url}: {reason(error)}") from error
    listener.is_there = True
    return client


def _tls(access: Access) -> ssl.SSLContext | None:
    if access.ca is None and not access.url.startswith("tls://"):
        return None
    try:
        return ssl.create_default_context(cafile=None if access.ca is None else str(access.ca))
    except (OSError, ssl.SSLError) as error:
        raise ObservatoryError(f"{access.ca}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """A sentence of what nats-py raises."""
    if isinstance(error, nats.js.errors.APIError):
        return str(error.description or f"the server answers with {error.code}")
    if isinstance(error, nats.js.errors.NoStreamResponseError | nats.errors.NoRespondersError):
        return "no stream takes it, or JetStream is off there"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    if isinstance(error, TimeoutError | nats.errors.TimeoutError):
        return "no answer in time"
    return str(error).removeprefix("nats: ").strip("'\" ") or type(error).__name__


async def stream_info(client: Client, stream: str) -> StreamInfo | None:
    """None if there is no such stream. Raises FAILURES."""
    try:
        return await client.jetstream().stream_info(stream)
    except nats.js.errors.NotFoundError:
        return None
