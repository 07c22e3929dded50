"""The master: puts the core, the services and the RPC together, and ends them in order.

`Node.run` is the life of the process. Each thing is made from those before it; how it ends is put on a stack, so that
the last one to come is the first one to go.
"""

import asyncio
import importlib
import os
import random
import signal
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from typing import Any

from lightningd_py.chain.waiters import BlockWaiters
from lightningd_py.config.options import Options
from lightningd_py.core import Beginnings, Core, start_core
from lightningd_py.daemons.connectiond_control import ConnectiondControl
from lightningd_py.daemons.gossip_control import store_path
from lightningd_py.daemons.listing_control import ListingControl
from lightningd_py.daemons.moving import Mover, Others
from lightningd_py.daemons.opening import Opening
from lightningd_py.daemons.registration_news import RegistrationNews
from lightningd_py.daemons.restart import Restartable, Restarts
from lightningd_py.daemons.settings import Settings
from lightningd_py.daemons.setup import Replacements
from lightningd_py.errors import StartError
from lightningd_py.leaving import Leaving, close_rest, come_back, restart_by_signal
from lightningd_py.log import WRITER, NodeLog
from lightningd_py.news.news import News
from lightningd_py.node_left import NodeLeft
from lightningd_py.owners.ownership import tell
from lightningd_py.owners.peers import Peers
from lightningd_py.parts import (
    BUSES,
    Parts,
    Running,
    begin_onions,
    make_onions,
    open_buses,
    serve_metrics,
    start_companions,
)
from lightningd_py.peers.access_control import AccessControl
from lightningd_py.peers.bootstrap import Candidate
from lightningd_py.peers.finding import Around, fallback_peers, find_peers
from lightningd_py.peers.staying_connected import StayingConnected
from lightningd_py.peers.wanted_nodes import WantedNodes
from lightningd_py.registrations.changed import Changed
from lightningd_py.registrations.of_options import make_registrations
from lightningd_py.rpc.jsonrpc import RpcServer
from lightningd_py.rpc.methods.commands import Commands
from lightningd_py.rpc.methods.peer_requests import PeerRequests
from lightningd_py.service_manager import ServiceManager
from wire.command.console import END_SIGNALS, MASTERS_SIGNALS
from wire.control.access import is_node_id
from wire.control.control_channel import ChannelClosed
from wire.control.control_wire import ConnectiondInit
from wire.control.status import Status
from wire.start.version import version

ALL_SIGNALS = (*MASTERS_SIGNALS, signal.SIGUSR2)
"""They wait until there is a node that hears them."""

status = Status("lightningd")


class Node:
    """One node, on the running loop. `run` returns the exit status of the process."""

    def __init__(self, options: Options, log: NodeLog, manager: ServiceManager, left: NodeLeft | None = None) -> None:
        """`left`: the node, if it runs already. Raises UsageError for services that contradict each other."""
        self._registrations = make_registrations(options)
        self._left = left
        self._news = News(options.network)
        if left is not None:
            self._news.events.resume(left.events)
        self._mover: Mover | None = None
        self._options = options
        self._log = log
        self._manager = manager
        self._failed = ""
        self._ended: asyncio.Future[int | NodeLeft] = asyncio.get_running_loop().create_future()
        self._peers = Peers()
        is_open = left is not None and left.is_open
        self._refuses_all = left.refuses_all if left is not None else ""
        self._opening = Opening(options.require_service, self._registrations, is_open=is_open)
        self._restarts = Restarts(self.fail)

    # the life of the process

    async def run(self, started: Callable[[], None]) -> int | NodeLeft:
        """Start, work until `stop`, a signal or a death, and end; the exit status, or what the next program of this
        process needs to go on with the node. `started` is called in between.

        Raises StartError if it cannot start.
        """
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._broken)
        status.info(f"lightningd-py {version()} starts on {self._options.network}, process {os.getpid()}")
        for number in END_SIGNALS:
            loop.add_signal_handler(number, self.stop, 0)
        loop.add_signal_handler(signal.SIGHUP, self._log.reopen)
        loop.add_signal_handler(signal.SIGUSR2, self._restart_all)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ALL_SIGNALS)  # one that has come while it could not be heard
        self._log.watch(lambda exit_status: self._restarts.died(WRITER, exit_status))
        try:
            async with AsyncExitStack() as ends:
                try:
                    running = await self._start(ends)
                except ChannelClosed as error:
                    raise StartError("a daemon ended at the start; its reason stands in the log") from error
                started()
                outcome = await self._ended
                if isinstance(outcome, NodeLeft):
                    signal.pthread_sigmask(signal.SIG_BLOCK, ALL_SIGNALS)  # they wait for the next program
                    ends.pop_all()
                    await close_rest(running)
                else:
                    self._manager.stopping(self._failed or "the node ends")
            if not isinstance(outcome, NodeLeft) and not self._failed:
                status.info(f"lightningd-py has ended, exit status {outcome}")
            return outcome
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, END_SIGNALS)  # a second one does not disturb the end
            self._log.leave()
            if self._failed:
                status.broken(self._failed)

    def stop(self, exit_status: int) -> None:
        """End the node, with this exit status."""
        if not self._ended.done():
            self._ended.set_result(exit_status)

    def fail(self, reason: str) -> None:
        """End the node, with this as the last line of its log, too; exit status 1."""
        if self._ended.done():
            return
        status.unusual(reason)
        self._failed = reason
        self._peers.abandon()
        self.stop(1)

    def _broken(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An exception that nothing has caught is our own bug, and the state cannot be trusted."""
        error = context.get("exception")
        try:
            raise error or RuntimeError(context["message"])
        except BaseException:
            status.broken(context["message"], exc_info=True)
        self.stop(1)

    # the start

    async def _start(self, ends: AsyncExitStack) -> Running:
        """The daemons first, then the RPC and the buses, and peers last: each finds an owner. A node that runs already
        is not heard before all of us is there to hear it: nothing is waited for then.
        """
        options, left = self._options, self._left
        fallback = fallback_peers(options)
        loading = asyncio.ensure_future(asyncio.to_thread(importlib.import_module, BUSES))
        if left is not None:
            await loading
        core = await start_core(self._beginnings(), ends)
        parts = self._make_parts(core)
        others = Others(
            core.passphrase, parts.listingd, parts.onions, parts.connectiond, self._log, lambda: self._restarts.ready
        )
        mover = self._mover = Mover(parts.replacements, others, lambda what: leaving.become(what))
        rpc = await self._serve_rpc(core, parts, mover, ends)
        core.chain.start(core.gossip_control)
        core.listeners.start() if left is None else core.listeners.resume(left.listeners)
        await loading
        buses = open_buses(core, options, parts, rpc, ends)
        await parts.listingd.begin()
        await begin_onions(core, parts.onions, left)
        for end in (parts.onions.close, parts.staying.close, self._opening.close, self._restarts.close):
            ends.callback(end)
        if left is None and options.msg not in ("", f"ipc://{options.network_dir / 'msg'}"):
            await parts.connectiond.must_bind()
        companions = start_companions(core, options, ends)
        serves = options.metrics_addr is not None
        metrics = serve_metrics(core, parts, options, self._restarts, rpc, mover, companions, ends) if serves else None
        await self._opening.begin(lambda: self._open(core, parts.staying, fallback))
        self._restarts.begin(self._restartable(core, parts), parts.staying.dial_again)
        running = Running(
            options=options,
            core=core,
            parts=parts,
            rpc=rpc,
            buses=buses,
            metrics=metrics,
            companions=companions,
            mover=mover,
            opening=self._opening,
            news=self._news,
            restarts=self._restarts,
            manager=self._manager,
            ended=self._ended,
        )
        leaving = Leaving(running)
        if left is not None:
            come_back(left, running)
        return running

    def _beginnings(self) -> Beginnings:
        return Beginnings(
            options=self._options,
            registrations=self._registrations,
            peers=self._peers,
            opening=self._opening,
            restarts=self._restarts,
            ended=self._ended,
            news=self._news,
            left=self._left,
        )

    def _restart_all(self) -> None:
        """SIGUSR2."""
        if self._mover is not None:
            self._signalled = asyncio.ensure_future(restart_by_signal(self._mover))

    def _make_parts(self, core: Core) -> Parts:
        """From here on connectd has the rules, and each daemon is told what services register."""
        options, ownership = self._options, core.ownership
        access, connectiond = self._make_access(core), self._make_connectiond(core)
        staying, wanted = self._keep_peers(core)
        if self._left is not None:
            staying.resume(self._left.kept)

        def nodes_changed(node_ids: Iterable[bytes]) -> None:
            staying.services_changed(node_ids)
            wanted.look_again(node_ids)

        storage = core.storage
        news = RegistrationNews(ownership, connectiond, access, nodes_changed, storage.table.kept.keys())
        storage.kept_changed, storage.routes_changed = news.tell_nodes, news.tell_routes
        news.begin()

        onions = make_onions(core, options, self._registrations, self._restarts.refusal)
        onions.on_offer = news.offer_changed

        def registered(changed: Changed) -> None:
            news.changed(changed)
            storage.nodes_changed(changed.node_ids)
            onions.registrations_changed(changed)
            self._opening.registrations_changed()

        self._registrations.on_change = registered
        self._registrations.on_wanted = ownership.release_nodes
        requests = PeerRequests(ownership, core.database, core.connect_control.reach, options.timing)
        of_listingd = core.channels.get("listingd")
        begun = self._left is not None
        refusal = self._restarts.refusal
        listingd = ListingControl(core.supervisor, store_path(options), refusal, of_listingd, begun=begun)
        replacements = Replacements(
            setup=core.setup,
            connect_control=core.connect_control,
            gossip_control=core.gossip_control,
            access=access,
            news=news,
            wanted=wanted,
            opening=self._opening,
            fail=self.fail,
        )
        return Parts(access, staying, connectiond, news, requests, listingd, onions, replacements)

    def _make_access(self, core: Core) -> AccessControl:
        options, ownership = self._options, core.ownership
        access = AccessControl(
            core.database,
            ownership,
            options.allow,
            options.deny,
            lambda message: tell(ownership.connectd, message),
            self._registrations.rules,
        )
        access.refuse_all(self._refuses_all)
        return access

    def _make_connectiond(self, core: Core) -> ConnectiondControl:
        options, start = self._options, core.supervisor.start_connectiond
        init = ConnectiondInit(options.msg, str(options.network_dir / "curve"), options.timing, options.limits)
        connectiond = ConnectiondControl(start, init if options.msg else None, core.ownership)
        if self._left is not None and "connectiond" in core.channels:
            core.supervisor.hears["connectiond"] = connectiond.received
            connectiond.resume(core.channels["connectiond"], self._left.msg_endpoint)
        return connectiond

    async def _serve_rpc(self, core: Core, parts: Parts, mover: Mover, ends: AsyncExitStack) -> RpcServer:
        commands = Commands(
            options=self._options,
            own=core.own,
            chain=core.chain,
            database=core.database,
            ownership=core.ownership,
            requests=parts.requests,
            access=parts.access,
            staying=parts.staying,
            opening=self._opening,
            listingd=parts.listingd,
            onions=parts.onions,
            hsmd=lambda: core.supervisor.hsmd,
            blocks=self._blocks(core),
            news=self._news,
            storage=core.storage,
            settings=Settings(self._options, core.own, core.ownership, core.supervisor, parts.connectiond, self._log),
            refusal=self._restarts.refusal,
            stop=self.stop,
            mover=mover,
        )
        rpc = RpcServer(commands.all(), parts.listingd, lambda: parts.requests.behind, self._news.topics)
        ends.push_async_callback(rpc.close)
        if self._left is not None and self._left.clients is not None:
            rpc.resume(self._options.rpc_file, self._left.clients)
        else:
            await rpc.start(self._options.rpc_file, self._options.rpc_file_mode)
        return rpc

    def _blocks(self, core: Core) -> BlockWaiters:
        blocks = BlockWaiters(lambda: core.chain.blockheight)
        core.gossip_control.on_blockheight = blocks.grown
        return blocks

    def _restartable(self, core: Core, parts: Parts) -> dict[str, Restartable]:
        replacements = parts.replacements
        return {
            WRITER: Restartable(self._log.restart),
            "connectd": Restartable(replacements.connectd),
            "gossipd": Restartable(replacements.gossipd, core.ownership.gossipd_died),
            "websocketd": Restartable(replacements.websocketd),
            "listingd": Restartable(parts.listingd.restart),
            "oniond": Restartable(parts.onions.restart),
            "connectiond": Restartable(parts.connectiond.restart, parts.connectiond.ended),
        }

    # peers

    def _keep_peers(self, core: Core) -> tuple[StayingConnected, WantedNodes]:
        """The peers that are to stay connected, which are dialled as soon as the node opens."""
        options, ownership = self._options, core.ownership

        allowed = frozenset(bytes.fromhex(what) for what in options.allow if is_node_id(what))
        registered = self._registrations
        staying = StayingConnected(
            core.database,
            ownership.peers,
            core.connect_control.reach,
            lambda node_ids: wanted.look_again(node_ids),
            self._registrations.is_to_stay,
            options.timing,
            random.random,
            dial=not (options.offline or options.dev_no_reconnect or self._refuses_all),
        )
        wanted = WantedNodes(
            lambda: [*staying.core.nodes, *allowed, *registered.node_ids],
            lambda node_id: node_id in staying.core or node_id in allowed or registered.is_registered(node_id),
            lambda message: tell(ownership.gossipd, message),
        )
        wanted.fresh_gossipd()
        ownership.came += [staying.came, core.gossip_control.peer_came]
        ownership.went += [staying.went, core.gossip_control.peer_went]
        for kept in options.keepconnected:
            if kept.address is not None:
                core.database.remember_hint(kept.node_id, str(kept.address))
        return staying, wanted

    async def _open(self, core: Core, staying: StayingConnected, fallback: list[Candidate]) -> None:
        """Let connectd accept, dial the peers to stay with, and look for others: of the map, or the first ones."""
        options, own = self._options, core.own
        if self._left is None or not self._left.is_open:
            await self._activate(core)
        status.info(f"{own.node_id.hex()} on {options.network} listens on {', '.join(own.bindings) or 'nowhere'}")
        staying.start(kept.node_id for kept in options.keepconnected)
        around = Around(
            database=core.database,
            peers=core.ownership.peers,
            our_id=own.node_id,
            reach=core.connect_control.reach,
            ask_seeds=lambda seeds: core.connect_control.ask_seeds(seeds, options.dev_dns_server),
            random_nodes=core.gossip_control.random_nodes,
            has_map=core.has_map,
        )
        if not self._refuses_all:
            find_peers(options, around, staying, fallback)

    async def _activate(self, core: Core) -> None:
        try:
            await core.connect_control.activate()
        except StartError:
            if not self._restarts.ready:  # else the next connectd is activated as soon as it is there
                raise
