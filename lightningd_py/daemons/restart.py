"""A daemon that has died is started anew: our own bug, kill -9, or the kernel's want of memory. Design 2 and 7.

What it owned is lost, for the keys have died with it: each such connection has ended, and its node is dialled again if
it has an address. All else goes on. The new process is told everything by the same functions as the first one at the
start, and takes its place at once: until then whoever asks for the daemon hears that it is away.
"""

import asyncio
import signal
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from lightningd_py.daemons import connect_control
from lightningd_py.daemons import setup as briefing
from lightningd_py.daemons.supervisor import Daemon
from lightningd_py.errors import StartError
from lightningd_py.owners.ownership import tell
from wire.control.control_wire import NewConnectdLink, NewGossipdLink
from wire.control.status import Status

if TYPE_CHECKING:
    from lightningd_py.node import Node

MOST_DEATHS = 5
"""So many within a minute end the node."""
MINUTE = 60.0
FIRST_WAIT = 0.25
"""Seconds until a daemon is started anew; doubles with each death of the last minute."""

status = Status("lightningd")


class Deaths:
    """How many there were lately. The clock is an argument."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def one_more(self, now: float) -> float | None:
        """Seconds to wait; None if there were too many."""
        self._times.append(now)
        while now - self._times[0] > MINUTE:
            self._times.popleft()
        return FIRST_WAIT * 2 ** (len(self._times) - 1) if len(self._times) < MOST_DEATHS else None


def manner(exit_status: int) -> str:
    """How a process has died."""
    if exit_status >= 0:
        return f"exit status {exit_status}"
    named = -exit_status in {int(number) for number in signal.Signals}
    return f"killed by {signal.Signals(-exit_status).name if named else f'signal {-exit_status}'}"


class Anew:
    """Hears of each death, and starts the daemon anew."""

    def __init__(self, node: "Node") -> None:
        self.ready = False
        """The node has started: a death before that ends it."""
        self._node = node
        self._deaths = Deaths()
        self._loop = asyncio.get_running_loop()
        self._away: dict[str, asyncio.Task[None]] = {}
        self._lost: set[bytes] = set()
        self._ways: dict[str, Callable[[], Awaitable[None]]] = {
            "connectd": self._connectd,
            "gossipd": self._gossipd,
            "connectiond": self._connectiond,
        }

    def close(self) -> None:
        """Start nothing any more."""
        self.ready = False
        for task in self._away.values():
            task.cancel()

    def refusal(self, daemon: Daemon) -> str:
        """What somebody hears who asks for what is not there."""
        if not self.ready:
            return "the node is ending"
        return f"{daemon.name} has died and is started anew: try again in a moment"

    # a death

    def died(self, name: str, exit_status: int) -> None:
        """All that the daemon has said has been heard."""
        self._lose(name, f"{name} has died ({manner(exit_status)})")

    def _lose(self, name: str, what: str) -> None:
        wait = self._deaths.one_more(self._loop.time())
        if not self.ready or name not in self._ways:
            self._node.fail(f"{what}: the node ends")
        elif wait is None:
            self._node.fail(f"{what}, which makes {MOST_DEATHS} deaths within a minute: the node ends")
        else:
            status.unusual(f"{what}: it is started anew in {wait:g} s")
            if before := self._away.get(name):
                before.cancel()
            task = self._away[name] = self._loop.create_task(self._start(name, wait))
            task.add_done_callback(self._done)
            self._end_connections(name)

    def _end_connections(self, name: str) -> None:
        node = self._node
        if name == "gossipd":
            node.ownership.gossipd_died()
        elif name == "connectiond":
            node.connectiond.ended()

    def lost(self, node_id: bytes) -> None:
        """A connection of this node has ended with its owner: it is dialled again when all daemons are there."""
        self._lost.add(node_id)
        self._dial()

    # a new one

    async def _start(self, name: str, wait: float) -> None:
        await asyncio.sleep(wait)
        try:
            await self._ways[name]()
        except OSError as error:
            self._lose(name, f"{name} cannot be started: {error.strerror or error}")
        else:
            del self._away[name]
            status.info(f"{name} was started anew")
            self._dial()

    def _done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._loop.call_exception_handler({"message": "starting a daemon anew", "exception": error})

    async def _told(self, daemon: Daemon, telling: Awaitable[object]) -> None:
        """The first request is answered; never if the daemon has died, of which we then hear, too."""
        try:
            await telling
        except StartError as error:
            if not daemon.channel.closed:
                self._node.fail(f"{daemon.name} cannot go on: {error}: the node ends")
            await self._loop.create_future()

    async def _gossipd(self) -> None:
        node, features = self._node, self._node.features
        daemon, link = node.supervisor.start_anew("gossipd", node.from_gossipd)
        new_link = NewGossipdLink(link, [])
        try:
            await self._told(daemon, briefing.init_gossipd(node, daemon))
        except BaseException:
            new_link.close_fds()
            raise
        briefing.brief_gossipd(node, daemon, features)
        new_link.live = [peer.info.conn_id for peer in node.ownership.peers]
        tell(node.ownership.connectd, new_link)

    async def _connectd(self) -> None:
        node, features = self._node, self._node.features
        daemon, link = node.supervisor.start_anew("connectd", node.from_connectd)
        new_link = NewConnectdLink(link)
        try:
            await self._told(daemon, briefing.init_connectd(node, daemon))
        except BaseException:
            new_link.close_fds()
            raise
        briefing.brief_connectd(node, daemon, features)
        tell(node.ownership.gossipd, new_link)
        if not node.door.waits_for:
            await self._told(daemon, connect_control.activate(daemon))

    async def _connectiond(self) -> None:
        self._node.connectiond.start_anew()

    def _dial(self) -> None:
        if not self._away and self._lost:
            lost, self._lost = self._lost, set()
            self._node.staying.dial_again(lost)
