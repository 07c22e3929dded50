"""Connections to NATS servers, for ever tried again, and what goes wrong there as sentences."""

import asyncio
import contextlib
import logging
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js.api import StreamInfo

from lightningd_py.observatory.tables.errors import ObservatoryError

FAILURES = (nats.errors.Error, asyncio.TimeoutError, OSError)
"""What a request to a server raises; a server that is away is among them."""
BACK = "NATS is there again"
FIRST_PATIENCE = 5
"""Seconds for one attempt to connect, in which a server may be tried several times."""
FIRST_PAUSE, PAUSE = 0.2, 2.0
"""Seconds between two tries within one attempt; between two attempts."""
AGAIN = 1.0
"""Seconds in which a task that is cancelled has closed what it had."""


# asyncio says so, on standard error, of each TLS connection of nats-py that a server closes
logging.getLogger("asyncio").addFilter(lambda record: "returning true from eof_received()" not in record.getMessage())


async def pause(stopping: asyncio.Event, seconds: float) -> None:
    """So long, or until it is to end."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopping.wait()


async def end(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel them until each has ended, by whatever. Once may not do: nats-py waits by asyncio.wait_for, and that of
    Python 3.11 forgets that it is cancelled if what it waits for comes at the same moment.
    """
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=AGAIN)
    await asyncio.gather(*tasks, return_exceptions=True)


class Access(NamedTuple):
    """Where the servers are (nats://HOST:PORT or tls://, several with commas), and what lets us in."""

    url: str
    credentials: Path | None = None
    nkey: Path | None = None
    ca: Path | None = None


class _Refused(Exception):
    """The only server has said why it does not let us in: to try on would not change it."""


class _Listener:
    """What nats-py tells of a connection besides the answers to requests. Each trouble is said once."""

    def __init__(self, say: Callable[[str], None], is_back: Callable[[], None], *, is_word_final: bool) -> None:
        self.trouble = ""
        self.client: Client | None = None
        """Once it is there."""
        self._say, self._is_back = say, is_back
        self._is_word_final = is_word_final
        self._has_word = False

    async def gone(self) -> None:
        if self.client is not None and not self.client.is_closed:
            self._say("NATS is away; it is tried again until it is there")

    async def back(self) -> None:
        self.trouble = ""
        self._say(BACK)
        self._is_back()

    async def erred(self, error: Exception) -> None:
        if self.client is None:
            self._refused(error)
            return
        if isinstance(error, nats.errors.SlowConsumerError):
            return  # one for each message that is thrown away: the subscriber counts the gaps
        is_new = reason(error) != self.trouble
        self.trouble = reason(error)
        if is_new and not isinstance(error, OSError):  # `gone` says that
            self._say(f"NATS: {self.trouble}")

    def _refused(self, error: Exception) -> None:
        """A server's own word is worth more than the reset that may come in its place. Raises _Refused."""
        if _is_word(error):
            self._has_word = True
            self.trouble = reason(error)
            if self._is_word_final:
                raise _Refused
        elif not self._has_word:
            self.trouble = reason(error)


def _is_word(error: Exception) -> bool:
    """Whether a server says with it why it does not want us, or is none that we may trust."""
    said = isinstance(error, nats.errors.Error) and str(error).startswith("nats: '")
    return said or isinstance(error, ssl.SSLError)


async def connect(
    access: Access, name: str, say: Callable[[str], None], is_back: Callable[[], None] = lambda: None
) -> Client:
    """A connection that comes back by itself. `say` is told when it goes and comes, and of errors that no request
    hears of; `is_back` is called after the sentence that it has come. Raises ObservatoryError, one sentence, if it
    cannot be made now.

    A server that refuses us closes with our bytes unread, and the reset that follows may throw its word away; one that
    is being started resets, too. So what is reset or closed is tried again, until there is a word or patience ends.
    """
    listener = _Listener(say, is_back, is_word_final="," not in access.url)
    try:
        client = await _in_time(asyncio.ensure_future(_connected(access, name, listener)))
    except (TimeoutError, _Refused):
        raise ObservatoryError(f"{access.url}: {listener.trouble or 'no NATS server answers there'}") from None
    except (*FAILURES, ValueError) as error:
        raise ObservatoryError(f"{access.url}: {reason(error)}") from error
    client.options["reconnect_time_wait"] = PAUSE
    listener.client = client
    return client


async def _in_time(connecting: "asyncio.Task[Client]") -> Client:
    """nats-py itself would try for ever, and say nothing. Raises TimeoutError."""
    try:
        await asyncio.wait([connecting], timeout=FIRST_PATIENCE)
    except asyncio.CancelledError:
        await end(connecting)
        if not connecting.cancelled() and connecting.exception() is None:
            await _close(connecting.result())
        raise
    await end(connecting)
    if connecting.cancelled():
        raise TimeoutError
    return connecting.result()


async def _connected(access: Access, name: str, listener: _Listener) -> Client:
    """The first connection that a server does not close at once."""
    tls = _tls(access)
    while True:
        client = Client()
        try:
            await client.connect(
                servers=access.url.split(","),
                name=name,
                error_cb=listener.erred,
                disconnected_cb=listener.gone,
                reconnected_cb=listener.back,
                connect_timeout=FIRST_PATIENCE,
                max_reconnect_attempts=-1,
                reconnect_time_wait=FIRST_PAUSE,  # type: ignore[arg-type]  # which asyncio.sleep takes
                user_credentials=None if access.credentials is None else str(access.credentials),
                nkeys_seed=None if access.nkey is None else str(access.nkey),
                tls=tls,
            )
            if client.is_connected:
                return client
        except BaseException:
            await _close(client)
            raise
        await _close(client)
        await asyncio.sleep(FIRST_PAUSE)


async def _close(client: Client) -> None:
    with contextlib.suppress(*FAILURES, _Refused, AssertionError):  # the last: its options were wrong
        await client.close()


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
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS fails: {error.reason or error}"
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
