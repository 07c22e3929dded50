"""reach_peer: every address that is known for a node, in turn, until one leads to INIT.

Requests for the same node share one attempt. An attempt ends with success as soon as the node is connected, by
our dial or by its own in the meantime. What failed is told address by address.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import field
from typing import Any

from connectd.connection import ConnectionEnded
from connectd.one_per_node import CROSSING, Candidate, OnePerNode
from connectd.reach.addresses import AddressBook
from connectd.reach.resolver import Names
from connectd.reach.ways_out import WaysOut
from wire.address import WireAddr, parse_address
from wire.control.control_wire import PeerInfo
from wire.control.status import Status
from wire.start.late_dataclass import dataclass

MAX_DIALS = 10
"""Outbound connections under way at a time; CLN's number. Further ones wait in order."""

PREFERENCE = {"ipv6": 0, "dns": 0, "ipv4": 1, "local": 1, "torv2": 2, "torv3": 2}
"""In which order the addresses that a node has announced are tried."""

NO_ADDRESS, ALL_FAILED = 400, 401
"""CLN's error codes of `connect`."""

Dial = Callable[[bytes, WireAddr], Coroutine[Any, Any, None]]
"""Connect to a node at an address, up to INIT; what it reached is then a candidate. Raises ConnectionEnded."""

AskGossipd = Callable[[bytes], Awaitable[list[str]]]
"""The addresses that a node has announced."""

status = Status("connectd")


class ReachFailed(Exception):
    """No address led to INIT; `errors` has (address, reason) in the order in which they were tried."""

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        self.errors = errors
        self.code = ALL_FAILED if errors else NO_ADDRESS
        told = " ".join(f"{address}: {reason}." for address, reason in errors)
        super().__init__(f"All addresses failed: {told}" if errors else "Unable to connect, no address known for peer")


@dataclass
class _Attempt:
    """One node that is being reached; `todo` grows with each request, `entered` is set by a connection of the node."""

    node_id: bytes
    todo: deque[str] = field(default_factory=deque)
    tried: set[WireAddr] = field(default_factory=set)
    errors: list[tuple[str, str]] = field(default_factory=list)
    entered: asyncio.Event = field(default_factory=asyncio.Event)

    def failed(self, address: str, reason: str) -> None:
        """One address less."""
        status.debug(f"{address}: {reason}", self.node_id)
        self.errors.append((address, reason))


class Dialler:
    """All attempts. Each address has its own time limit, once for resolving it and once for TCP, Noise and INIT."""

    def __init__(
        self,
        one_per_node: OnePerNode,
        book: AddressBook,
        ways_out: WaysOut,
        dial: Dial,
        announced: AskGossipd,
        *,
        port: int,
    ) -> None:
        self._one_per_node = one_per_node
        self._book = book
        self._ways_out = ways_out
        self._dial = dial
        self._ask_gossipd = announced
        self._names = Names()
        self._port = port
        self._slots = asyncio.Semaphore(MAX_DIALS)
        self.outcomes = dict.fromkeys(("connected", "failed"), 0)
        """Of attempts."""
        self._attempts: dict[bytes, tuple[_Attempt, asyncio.Task[PeerInfo]]] = {}
        self._overtaken: set[asyncio.Task[None]] = set()
        """Dials that go on although the node has connected."""

    @property
    def busy(self) -> bool:
        """Something is being dialled."""
        return bool(self._attempts or self._overtaken)

    async def reach(self, node_id: bytes, hints: list[str]) -> PeerInfo:
        """Connect to a node, or find that it is connected. Raises ReachFailed."""
        if (peer := self._one_per_node.owned(node_id)) and self._one_per_node.candidate(node_id) is None:
            return peer
        if node_id not in self._attempts:
            fresh = _Attempt(node_id)
            self._attempts[node_id] = fresh, asyncio.create_task(self._run(fresh))
        attempt, task = self._attempts[node_id]
        attempt.todo.extend(hints)
        return await asyncio.shield(task)

    def candidate_came(self, candidate: Candidate) -> None:
        """A connection has done INIT: an attempt to reach that node has its answer, or will."""
        if found := self._attempts.get(candidate.peer.node_id):
            found[0].entered.set()

    async def _run(self, attempt: _Attempt) -> PeerInfo:
        sources = [self._remembered, self._announced]
        try:
            while True:
                if peer := await self._connected(attempt):
                    self.outcomes["connected"] += 1
                    return peer
                if attempt.todo:
                    await self._try(attempt, attempt.todo.popleft())
                elif sources:
                    attempt.todo.extend(await sources.pop(0)(attempt.node_id))
                else:
                    self.outcomes["failed"] += 1
                    raise ReachFailed(attempt.errors)
        finally:
            del self._attempts[attempt.node_id]

    async def _remembered(self, node_id: bytes) -> list[str]:
        return self._book.known(node_id)

    async def _announced(self, node_id: bytes) -> list[str]:
        return sorted(await self._ask_gossipd(node_id), key=self._preference)

    def _preference(self, text: str) -> int:
        """IPv6 and IPv4 before Tor, which is slow."""
        try:
            return PREFERENCE[parse_address(text, self._port).kind]
        except ValueError:
            return 0

    async def _connected(self, attempt: _Attempt) -> PeerInfo | None:
        """The node's connection, once it is clear which one it is."""
        attempt.entered.clear()
        while candidate := self._one_per_node.candidate(attempt.node_id):
            reason = await asyncio.shield(candidate.settled)
            if reason is not None and not candidate.peer.incoming:
                attempt.failed(candidate.peer.address, reason)
        return self._one_per_node.owned(attempt.node_id)

    async def _try(self, attempt: _Attempt, text: str) -> None:
        try:
            named = parse_address(text, self._port)
        except ValueError as error:
            attempt.failed(text, str(error))
            return
        if named in attempt.tried:
            return
        async with self._slots:
            for address in await self._resolved(attempt, named):
                if address not in attempt.tried and not attempt.entered.is_set():
                    attempt.tried.add(address)
                    await self._try_one(attempt, address)

    async def _resolved(self, attempt: _Attempt, named: WireAddr) -> list[WireAddr]:
        if reason := self._ways_out.refuses(named):
            attempt.failed(str(named), reason)
            return []
        if self._ways_out.needs_proxy(named):
            return [named]  # which looks the name up, too
        try:
            async with asyncio.timeout(self._ways_out.timeout(named)):
                return await self._names.resolve(named)
        except (OSError, TimeoutError) as error:
            attempt.failed(str(named), f"cannot be resolved: {getattr(error, 'strerror', None) or 'timed out'}")
            return []

    async def _try_one(self, attempt: _Attempt, address: WireAddr) -> None:
        """Dial, unless the node connects in the meantime: then the dialling is given up for what has come."""
        dialling = asyncio.create_task(self._dial(attempt.node_id, address))
        entered = asyncio.create_task(attempt.entered.wait())
        try:
            await asyncio.wait({dialling, entered}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:  # the end of the daemon, in which connections are dropped, too
            dialling.add_done_callback(_no_longer_awaited)
            raise
        finally:
            entered.cancel()
        if not dialling.done() and self._one_per_node.our_dial_stays(attempt.node_id):
            # The other node may have seen it done before its own: then this is the one that it keeps.
            dialling.add_done_callback(_no_longer_awaited)
            self._overtaken.add(dialling)
            dialling.add_done_callback(self._overtaken.discard)
            asyncio.get_running_loop().call_later(CROSSING, dialling.cancel)
            return
        dialling.cancel()
        try:
            await dialling
            self._book.reached(attempt.node_id, str(address))
        except asyncio.CancelledError:
            status.debug(f"{address}: no longer needed, the node has connected", attempt.node_id)
        except ConnectionEnded as error:
            attempt.failed(str(address), str(error))


def _no_longer_awaited(dialling: asyncio.Task[None]) -> None:
    """Why a dial has failed that was overtaken."""
    if not dialling.cancelled() and (error := dialling.exception()) and not isinstance(error, ConnectionEnded):
        raise error
