"""When is there a new block? bitcoind says it by ZMQ where it is set up to; else it is asked every now and then.

The notice carries nothing that is believed: it only ends the wait before the next look at the chain.
"""

import asyncio
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import zmq
import zmq.asyncio

from lightningd_py.chain.bitcoin_access import bracketed
from lightningd_py.chain.bitcoin_rpc import reason_of
from wire.control.status import Status

TOPICS = (b"hashblock", b"rawblock")
ANYWHERE = ("0.0.0.0", "*", "::", "[::]")  # noqa: S104 - what a publisher is bound to, seen from outside

status = Status("lightningd")


class BlockNotices:
    """`wait` returns at a block notice, or after a while."""

    def __init__(self, host: str, poll: float) -> None:
        """`host`: where bitcoind is. `poll`: seconds between two looks, notices or not."""
        self._host = host
        self._poll = poll
        self._context: zmq.asyncio.Context | None = None
        self._socket: zmq.asyncio.Socket | None = None
        self._endpoints: tuple[str, ...] = ()
        self._woken = asyncio.Event()

    def subscribe(self, answer: Any) -> None:
        """To the addresses in the answer to getzmqnotifications, if there is one about blocks."""
        endpoints = tuple(sorted(set(self._of_blocks(answer))))[:1]
        if endpoints == self._endpoints:
            return
        self._unsubscribe()
        self._endpoints = endpoints
        if not endpoints:
            return
        self._context = self._context or zmq.asyncio.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.IPV6, 1)
        for topic in TOPICS:
            self._socket.subscribe(topic)
        try:
            self._socket.connect(self._seen_from_here(endpoints[0]))
            status.info(f"block notices come from {reason_of(endpoints[0])}")
        except (zmq.ZMQError, ValueError) as error:  # ValueError: no URL, or half a surrogate pair, which JSON can hold
            named = reason_of(endpoints[0])
            status.unusual(f"block notices of {named} cannot be had ({error}): bitcoind is asked instead")
            self._unsubscribe()

    def _of_blocks(self, answer: Any) -> list[str]:
        """[{"type": "pubhashblock", "address": "tcp://127.0.0.1:28332", ...}, ...]; short ones if there are any."""
        entries = [entry for entry in answer if isinstance(entry, dict)] if isinstance(answer, list) else []
        for kind in ("pubhashblock", "pubrawblock"):
            found = [str(entry.get("address")) for entry in entries if entry.get("type") == kind]
            if found:
                return found
        return []

    def _seen_from_here(self, address: str) -> str:
        parts = urlsplit(address)
        host, _, port = parts.netloc.rpartition(":")
        return urlunsplit(parts._replace(netloc=f"{bracketed(self._host)}:{port}")) if host in ANYWHERE else address

    def wake(self) -> None:
        """End the wait now."""
        self._woken.set()

    async def wait(self) -> None:
        """Until something may have happened on the chain."""
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._woken.wait())]
        if self._socket is not None:
            waits.append(asyncio.ensure_future(self._socket.recv_multipart()))
        try:
            await asyncio.wait(waits, timeout=self._poll, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiting in waits:
                waiting.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        self._woken.clear()

    def _unsubscribe(self) -> None:
        if self._socket is not None:
            self._socket.close(linger=0)
            self._socket = None
        self._endpoints = ()

    def close(self) -> None:
        """No more notices."""
        self._unsubscribe()
        if self._context is not None:
            self._context.term()
