"""Keeps peers: those that are to stay, dialled again when `reconnect.py` says so, and as many others as are wanted.

Each try goes to every address that is known at that moment: those that a user gave and where the node was reached last
from the database, and by connectd what the map says now. So a node that has moved is found again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable

from lightningd_py.database import Database
from lightningd_py.owners.peers import Peer, Peers
from lightningd_py.peers.reconnect import KeptLeft, Reconnect
from wire.address import is_routable, parse_address
from wire.control.control_channel import ChannelClosed, RequestFailed
from wire.control.shares import Newest
from wire.control.status import Status
from wire.control.timing import Timing

MOST_DIALS = 10
"""Of those that no user has asked for, at a time."""
CANDIDATES = 5
"""Nodes that are looked at for each peer that is missing."""
TRIED_FOR = 3_600.0
"""Seconds for which a stranger who could not be reached is left alone."""
MOST_TRIED = 1_000

status = Status("lightningd")

Reach = Callable[[bytes, list[str]], Awaitable[object]]
"""Connect to a node, with addresses to try first. Raises RequestFailed, ChannelClosed."""
RandomNodes = Callable[[int], Awaitable[list[tuple[bytes, list[str]]]]]
"""So many nodes of the map, with their addresses. Raises ChannelClosed."""


class StayingConnected:
    """Drives a Reconnect on the loop's clock. `kept_changed` gets nodes that are to stay connected now, or no more."""

    def __init__(
        self,
        database: Database,
        peers: Peers,
        reach: Reach,
        kept_changed: Callable[[Iterable[bytes]], None],
        is_services: Callable[[bytes], bool],
        timing: Timing,
        chance: Callable[[], float],
        *,
        dial: bool,
    ) -> None:
        """`is_services`: whether a service that is here wants this node to stay."""
        self.core = Reconnect(timing, chance)
        self._database = database
        self._peers = peers
        self._reach = reach
        self._kept_changed = kept_changed
        self._is_services = is_services
        self._may_dial = dial
        self._dial = False
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._chosen: set[bytes] = set()
        self._room = asyncio.Semaphore(MOST_DIALS)

    def close(self) -> None:
        """Dial no more."""
        self._dial = self._may_dial = False
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()

    def resume(self, left: Iterable[KeptLeft]) -> None:
        """Go on with the nodes of the program before us: those that are wanted when it is started."""
        self.core.resume(left, self._loop.time())

    # which ones

    def start(self, always: Iterable[bytes]) -> None:
        """Begin to dial, with those of the database and these."""
        self._dial = self._may_dial
        self._chosen = {*self._database.kept_nodes(), *always}
        for node_id in self.core.nodes.keys() - self._chosen:
            if not self._is_services(node_id):
                self.core.let_go(node_id)
        self._keep(self._chosen)
        self._changed(self._chosen)

    def keep(self, node_id: bytes) -> None:
        """Stay connected with this node, after a restart, too."""
        self._database.keep_node(node_id, keep=True)
        self._chosen.add(node_id)
        self._keep([node_id])
        self._changed([node_id])

    def let_go(self, node_id: bytes) -> None:
        """No longer; a connection is left as it is."""
        self._database.keep_node(node_id, keep=False)
        self._chosen.discard(node_id)
        if not self._is_services(node_id):
            self.core.let_go(node_id)
        self._changed([node_id])

    def services_changed(self, node_ids: Iterable[bytes]) -> None:
        """Services that are here may want these to stay, too, or no longer."""
        looked_at = list(node_ids)
        for node_id in looked_at:
            if self._is_services(node_id):
                self._keep([node_id])
            elif node_id not in self._chosen:
                self.core.let_go(node_id)
        self._changed(looked_at)

    def _keep(self, node_ids: Iterable[bytes]) -> None:
        for node_id in node_ids:
            connected = self._peers.of_node(node_id) is not None
            self.core.keep(node_id, self._loop.time(), connected=connected)

    def _changed(self, node_ids: Iterable[bytes]) -> None:
        self._kept_changed(node_ids)
        self._set_timer()

    def dial_again(self, node_ids: Iterable[bytes]) -> None:
        """Nodes whose connections were lost by our own fault: once, and those that are to stay in their time."""
        for node_id in node_ids:
            if self._dial and node_id not in self.core:
                self.spawn(self._once(node_id))

    async def _once(self, node_id: bytes) -> None:
        known = [known.address for known in self._database.addresses_of(node_id)]
        async with self._room:
            if self._peers.of_node(node_id) is not None:
                return
            try:
                await self._reach(node_id, known)
            except (RequestFailed, ChannelClosed) as failed:
                status.debug(f"was lost, and cannot be reached: {failed}", node_id)

    # what happens

    def came(self, peer: Peer) -> None:
        """A connection."""
        self.core.connected(peer.info.node_id, self._loop.time())

    def went(self, peer: Peer, reason: str) -> None:
        """A connection has ended; the node may have another one."""
        node_id = peer.info.node_id
        if node_id in self.core and self._peers.of_node(node_id) is None:
            self.core.ended(node_id, self._loop.time(), reason)
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self.core.next_due
        self._timer = self._loop.call_at(due, self._on_timer) if due is not None and self._dial else None

    def _on_timer(self) -> None:
        for node_id in self.core.take_due(self._loop.time()):
            self.spawn(self._try(node_id))
        self._set_timer()

    def spawn(self, coroutine: Awaitable[None]) -> None:
        """Run it to its end, or to ours."""
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._loop.call_exception_handler({"message": "staying connected", "exception": error})

    async def _try(self, node_id: bytes) -> None:
        known = [known.address for known in self._database.addresses_of(node_id)]
        try:
            async with self._room:
                if node_id not in self.core:  # let go of while it waited
                    return
                await self._reach(node_id, known)
        except RequestFailed as failed:
            self.core.failed(node_id, self._loop.time(), str(failed))
            node = self.core.nodes.get(node_id)
            if node is not None and node.tries == 1:  # and not for ever
                status.info(f"cannot be reached, and is tried again: {failed}", node_id)
        except ChannelClosed:
            return
        self._set_timer()


class Seeking:
    """Connects to strangers while there are fewer than `wanted` peers: nodes of the map, or that were peers before."""

    def __init__(
        self,
        database: Database,
        peers: Peers,
        reach: Reach,
        random_nodes: RandomNodes,
        our_id: bytes,
        wanted: int,
        *,
        any_address: bool,
    ) -> None:
        """`any_address`: even those that are not public."""
        self._database = database
        self._peers = peers
        self._reach = reach
        self._random_nodes = random_nodes
        self._our_id = our_id
        self._wanted = wanted
        self._any_address = any_address
        self._tried: Newest[bytes, float] = Newest(MOST_TRIED)

    async def seek(self) -> None:
        """One look: as many dials at once as peers are missing."""
        missing = min(self._wanted - len(self._peers), MOST_DIALS)
        if missing <= 0:
            return
        try:
            known = await self._random_nodes(CANDIDATES * missing)
        except ChannelClosed:
            return
        for node_id in self._database.reached_nodes(CANDIDATES * missing):
            known.append((node_id, [known.address for known in self._database.addresses_of(node_id)]))
        now = time.monotonic()
        strangers = {node_id: addresses for node_id, addresses in known if self._is_worth_it(node_id, addresses, now)}
        chosen = list(strangers.items())[:missing]
        await asyncio.gather(*(self._try(node_id, addresses, now) for node_id, addresses in chosen))

    def _is_worth_it(self, node_id: bytes, addresses: list[str], now: float) -> bool:
        if node_id == self._our_id or self._peers.of_node(node_id) is not None:
            return False
        if now - self._tried.get(node_id, -TRIED_FOR) < TRIED_FOR:
            return False
        return self._any_address or any(is_routable(parse_address(address, 1)) for address in addresses)

    async def _try(self, node_id: bytes, addresses: list[str], now: float) -> None:
        self._tried.put(node_id, now)
        try:
            await self._reach(node_id, addresses)
        except RequestFailed as failed:
            status.debug(f"was to become a peer: {failed}", node_id)
        except ChannelClosed:
            return


async def every(interval: float, look: Callable[[], Awaitable[None]]) -> None:
    """At once, and again after each interval."""
    while True:
        await look()
        await asyncio.sleep(interval)
