"""The API bus: every JSON-RPC method in msgpack, over a ROUTER. One request, one answer; docs/bus.md.

    {"v": 1, "id": ..., "method": "getinfo", "params": {...} or [...]}  ->  {"v": 1, "id": ..., "result": {...}}
                                                                        or  {"v": 1, "id": ..., "error": {...}}

Requests of one client are carried out side by side, and answered as they get done. What a client does not read waits
for it, and counts as in hand: so `in_hand.MAX_IN_HAND` answers wait for it at most, besides those in ZMQ's ROOM.
"""

import asyncio
import functools
from collections.abc import AsyncIterator
from typing import Any

import msgpack

from lightningd_py.bus.in_hand import InHand
from lightningd_py.rpc.jsonrpc import GRACE, PIECE, RpcServer
from lightningd_py.rpc.params import INTERNAL_ERROR, INVALID_REQUEST, RpcError
from wire.bus.bus_message import VERSION, BusError, Id, asked_in, read_map
from wire.bus.sessions import RETRY
from wire.bus.socket import BusSocket, NoRoom, Unreachable
from wire.control.control_wire import MapListing
from wire.control.status import Status

MAX_ALL_IN_HAND = 1_000
"""Requests of all clients that are not answered yet."""
ROOM = 8
"""Answers, which may be the whole map, that ZMQ keeps for a client besides."""
MAX_ENVELOPE = 8
"""Frames before the body: the route, those of proxies, REQ's empty one."""
ANSWER_TIME = 30.0
"""Seconds that an answer waits for a client that does not read."""

status = Status("bus")


class ApiBus:
    """Its one socket, and the requests in hand. The socket's `on_message` is to call `received`."""

    def __init__(self, socket: BusSocket, rpc: RpcServer) -> None:
        self._socket = socket
        self._rpc = rpc
        self._in_hand: InHand[bytes] = InHand()
        self._tasks: set[asyncio.Task[None]] = set()
        self._lost = 0

    def received(self, frames: list[bytes]) -> None:
        """A request: its envelope comes back with the answer."""
        *envelope, body = frames
        route = envelope[0]
        refusal = self._refusal(envelope, len(body))
        if refusal is not None:
            self._send_or_lose(envelope, _packed(asked_in(body)[0], "error", refusal.content))
            return
        self._in_hand.add(route, len(body))
        task = asyncio.get_running_loop().create_task(self._serve(envelope, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _refusal(self, envelope: list[bytes], size: int) -> RpcError | None:
        """Why a request is not even looked at."""
        if len(envelope) > MAX_ENVELOPE:
            del envelope[1:]
            return RpcError(INVALID_REQUEST, f"a request has at most {MAX_ENVELOPE} frames before its body")
        if flaw := self._in_hand.flaw(envelope[0], size):
            return RpcError(INTERNAL_ERROR, f"{flaw} of this client are in hand already")
        if len(self._tasks) >= MAX_ALL_IN_HAND:
            return RpcError(INTERNAL_ERROR, f"{MAX_ALL_IN_HAND} requests are in hand already")
        return None

    async def _serve(self, envelope: list[bytes], body: bytes) -> None:
        try:
            await self._send(envelope, await self._answer(body))
        finally:
            self._in_hand.done(envelope[0], len(body))

    async def _answer(self, body: bytes) -> bytes:
        asked: Id = None
        try:
            request = _read(body)
            asked = _id_of(request)
            return await self._rpc.carry_out(request, functools.partial(self._encoded, asked))
        except RpcError as error:
            return _packed(asked, "error", error.content)

    async def _encoded(self, asked: Id, result: Any) -> bytes:
        if not isinstance(result, MapListing):
            return await _encode_result(asked, result)
        count, entries = await self._rpc.packed(result)
        packer = msgpack.Packer()
        return _head(asked) + b"".join(
            (packer.pack_map_header(1), packer.pack(result.what), packer.pack_array_header(count), entries)
        )

    async def _send(self, envelope: list[bytes], answer: bytes) -> None:
        """When there is room. A client that has gone, or does not read for long, gets no answer."""
        deadline = asyncio.get_running_loop().time() + ANSWER_TIME
        while True:
            try:
                self._socket.send([*envelope, answer])
                return
            except Unreachable:
                return
            except NoRoom:
                if asyncio.get_running_loop().time() > deadline:
                    self._lose()
                    return
            await asyncio.sleep(RETRY)

    def _send_or_lose(self, envelope: list[bytes], answer: bytes) -> None:
        try:
            self._socket.send([*envelope, answer])
        except Unreachable:
            status.debug("a client of the API bus has gone before it was refused")
        except NoRoom:
            self._lose()

    def _lose(self) -> None:
        self._lost += 1
        if self._lost.bit_count() == 1:  # the 1st, 2nd, 4th, 8th ...
            status.unusual(f"a client of the API bus does not read: {self._lost} answers are lost so far")

    @property
    def in_hand(self) -> int:
        """Requests that are not answered yet."""
        return len(self._tasks)

    async def close(self, grace: float = GRACE) -> None:
        """Give requests in hand `grace` seconds, and close the socket."""
        self._socket.pause()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._socket.close()


def _read(body: bytes) -> dict[str, Any]:
    try:
        return read_map(body)
    except BusError as error:
        raise RpcError(INVALID_REQUEST, str(error)) from error


def _id_of(request: dict[str, Any]) -> Id:
    """Raises RpcError for one that is none: it could not even be given back."""
    asked = request.get("id")
    if isinstance(asked, bool) or not isinstance(asked, int | str | None):
        raise RpcError(INVALID_REQUEST, "id is an integer, a string or nil")
    return asked


def _packed(asked: Id, key: str, value: Any) -> bytes:
    return bytes(msgpack.packb({"v": VERSION, "id": asked, key: value}))


def _head(asked: Id) -> bytes:
    """How a result's answer begins."""
    packer = msgpack.Packer()
    return bytes(packer.pack_map_header(3)) + b"".join(map(packer.pack, ("v", VERSION, "id", asked, "result")))


async def _encode_result(asked: Id, result: Any) -> bytes:
    return b"".join([piece async for piece in _pieces(asked, result)])


async def _pieces(asked: Id, result: Any) -> AsyncIterator[bytes]:
    """A result's answer; a long list in pieces between which others get their turn."""
    packer = msgpack.Packer()
    yield _head(asked)
    if not isinstance(result, dict):
        yield packer.pack(result)
        return
    yield packer.pack_map_header(len(result))
    for name, value in result.items():
        yield packer.pack(name)
        if not isinstance(value, list):
            yield packer.pack(value)
            continue
        yield packer.pack_array_header(len(value))
        for start in range(0, len(value), PIECE):
            yield b"".join(packer.pack(entry) for entry in value[start : start + PIECE])
            await asyncio.sleep(0)
