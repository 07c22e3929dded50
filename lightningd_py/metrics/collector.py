"""The one collector: asks each daemon what it has counted, adds what the master knows, and makes a text of it.

A daemon that does not answer within DEADLINE is left out of that scrape, and counted. Nothing is asked twice at a time.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Mapping

from lightningd_py.chain.source import ChainSource
from lightningd_py.daemons.moving import MOVABLE, Mover
from lightningd_py.daemons.restart import Restarts
from lightningd_py.daemons.supervisor import Supervisor
from lightningd_py.metrics import exposition
from lightningd_py.metrics.figures import Figures
from lightningd_py.metrics.processes import Usage, descendants, together, usage
from lightningd_py.owners.peers import Peers
from lightningd_py.registrations.registrations import Registrations
from lightningd_py.rpc.connection import Doing
from lightningd_py.rpc.jsonrpc import RpcServer
from lightningd_py.storage.for_peers import StorageForPeers
from lightningd_py.storage.kept import Refusal
from wire.control.control_channel import ChannelClosed, ControlChannel
from wire.control.control_wire import DAEMONS, GetMetrics, GetMetricsReply
from wire.control.status import lines_lost
from wire.metrics import declared
from wire.metrics.declared import MASTER
from wire.metrics.metric import Samples
from wire.start.late_dataclass import dataclass

DEADLINE = 2.0
"""Seconds that a daemon has to answer."""
FRESH = 0.25
"""Seconds for which a scrape's figures are shown to others, too: who scrapes without end costs the node little."""
GOSSIPD_WORKERS = "gossipd-workers"
OUTCOMES = {declared.PLANNED_RESTARTS: ("done", "refused"), declared.PLANNED_MOVED: ("moved", "lost")}


@dataclass(frozen=True, slots=True)
class Around:
    """What is looked at. `labels`: those of lightning_info."""

    labels: tuple[str, ...]
    supervisor: Supervisor
    restarts: Restarts
    peers: Peers
    rpc: RpcServer
    mover: Mover
    registrations: Registrations
    chain: ChainSource
    storage: StorageForPeers
    pid: int
    onions_not_passed: Mapping[str, int]
    companions: Callable[[], Mapping[str, int]] = dict
    """Name -> pid of the recorder and the page, if they run."""


class Collector:
    """`text` is what a scrape gets."""

    def __init__(self, around: Around, clock: Callable[[], float]) -> None:
        """`clock`: seconds that do not jump."""
        self._around = around
        self._clock = clock
        self._asked: dict[ControlChannel, asyncio.Task[GetMetricsReply | None]] = {}
        self._unanswered: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        """Clients that got nothing, by the reason."""
        self._answered = 0
        self._gathering: asyncio.Task[Figures] | None = None
        self._gathered = -math.inf
        self._texts: dict[bool, bytes] = {}

    async def text(self, *, as_openmetrics: bool) -> bytes:
        """The metrics of all processes, as they are now or were a moment ago."""
        self._answered += 1
        if self._gathering is None or (self._gathering.done() and self._clock() - self._gathered >= FRESH):
            self._texts.clear()
            self._gathering = asyncio.get_running_loop().create_task(self._gather())
        figures = await asyncio.shield(self._gathering)
        if as_openmetrics not in self._texts:
            self._texts[as_openmetrics] = exposition.encoded(
                figures, declared.declared.values(), as_openmetrics=as_openmetrics
            )
        return self._texts[as_openmetrics]

    async def close(self) -> None:
        """Wait for nothing any more."""
        tasks = [*self._asked.values(), *([self._gathering] if self._gathering is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _gather(self) -> Figures:
        channels = {daemon.name: daemon.channel for daemon in self._around.supervisor.running if daemon.heartbeat}
        replies = await asyncio.gather(*(self._ask(name, channel) for name, channel in channels.items()))
        figures = Figures()
        for name, reply in zip(channels, replies, strict=True):
            if reply is not None:
                figures.take(name, reply)
        self._rejected.update(figures.rejected)
        figures.take(MASTER, self._own())
        self._gathered = self._clock()
        return figures

    async def _ask(self, name: str, channel: ControlChannel) -> GetMetricsReply | None:
        """None for a daemon that has not answered in time, or has died."""
        if channel not in self._asked:
            self._asked[channel] = task = asyncio.get_running_loop().create_task(_metrics_of(channel))
            task.add_done_callback(lambda _: self._asked.pop(channel, None))
        done, _ = await asyncio.wait({self._asked[channel]}, timeout=DEADLINE)
        reply = next(iter(done)).result() if done else None
        if reply is None:
            self._unanswered[name] += 1
        return reply

    # what the master knows

    def _own(self) -> GetMetricsReply:
        around, samples = self._around, Samples()
        samples.put(declared.INFO, 1, *around.labels)
        found = Counter((peer.owner, "in" if peer.info.incoming else "out") for peer in around.peers)
        for owner in {"gossipd", *(owner for owner, _ in found)}:
            for direction in ("in", "out"):
                samples.put(declared.PEERS, found[owner, direction], owner, direction)
        samples.put(declared.SERVICES, sum(service.present for service in around.registrations))
        samples.put(declared.BLOCKHEIGHT, around.chain.blockheight)
        samples.put(declared.CHAIN_TROUBLE, bool(around.chain.warning))
        self._of_daemons(samples)
        self._of_rpc(samples)
        self._of_storage(samples)
        self._of_restarts(samples)
        samples.put_each(declared.ONIONS_NOT_PASSED, around.onions_not_passed)
        samples.put(declared.SCRAPES, self._answered)
        samples.put_each(declared.SCRAPES_REFUSED, {each: self.refused[each] for each in declared.SCRAPE_ENDS})
        samples.put(declared.LOG_LOST, lines_lost())
        return samples.reply()

    def _of_rpc(self, samples: Samples) -> None:
        clients = self._around.rpc.clients
        doing = Counter(client.doing for client in clients)
        samples.put_each(declared.RPC_CLIENTS, {each.name.lower(): doing[each] for each in Doing})
        samples.put(declared.RPC_ACCEPTED, clients.accepted)
        samples.put(declared.RPC_PUT_OUT, clients.refused)
        samples.put(declared.NOTIFICATIONS_LOST, self._around.rpc.all_notifications_lost)

    def _of_storage(self, samples: Samples) -> None:
        storage = self._around.storage
        samples.put(declared.STORED_BLOBS, len(storage.table.kept))
        samples.put(declared.STORED_BYTES, storage.table.bytes)
        samples.put(declared.STORED_WAITING, storage.waiting_bytes)
        samples.put(declared.STORAGE_RECEIVED, storage.received)
        samples.put(declared.STORAGE_RETURNED, storage.returned)
        samples.put_each(declared.STORAGE_REFUSED, {each.value: storage.refused[each] for each in Refusal})

    def _of_restarts(self, samples: Samples) -> None:
        outcomes = self._around.mover.outcomes
        for daemon in MOVABLE[:-1]:
            for metric, words in OUTCOMES.items():
                samples.put_each(metric, {word: outcomes[daemon, word] for word in words}, daemon)

    def _of_daemons(self, samples: Samples) -> None:
        around = self._around
        for metric, counts in (
            (declared.DEATHS, around.restarts.deaths),
            (declared.RESTARTS, around.restarts.restarted),
            (declared.UNANSWERED, self._unanswered),
            (declared.REJECTED, self._rejected),
        ):
            samples.put_each(metric, {name: counts[name] for name in DAEMONS})
        _put_usage(samples, MASTER, usage(around.pid))
        for name, pid in around.companions().items():
            _put_usage(samples, name, usage(pid))
        running = {daemon.name: daemon for daemon in around.supervisor.running}
        for name, daemon in running.items():
            samples.put(declared.TOLD, daemon.channel.queued, name)
            _put_usage(samples, name, usage(daemon.process.pid))
            if name == "gossipd":
                _put_usage(samples, GOSSIPD_WORKERS, together(descendants(daemon.process.pid)))


async def _metrics_of(channel: ControlChannel) -> GetMetricsReply | None:
    try:
        return await channel.request(GetMetrics(), GetMetricsReply)
    except ChannelClosed:
        return None


def _put_usage(samples: Samples, name: str, found: Usage | None) -> None:
    samples.put(declared.UP, found is not None, name)
    if found is None:
        return
    samples.put(declared.CPU, found.cpu_seconds, name)
    samples.put(declared.MEMORY, found.resident_bytes, name)
    samples.put(declared.STARTED, found.started, name)
    if found.fds is not None:
        samples.put(declared.FDS, found.fds, name)
