"""The master: puts the daemons, the table of owners, the services and the RPC together, and ends them in order."""

import asyncio
import os
import random
import signal
import traceback
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from lightningd_py.chain.source import ChainSource, make_chain
from lightningd_py.config.options import Options
from lightningd_py.daemons import connect_control
from lightningd_py.daemons import setup as briefing
from lightningd_py.daemons.connect_control import ConnectControl
from lightningd_py.daemons.connectiond_control import ConnectiondControl
from lightningd_py.daemons.gossip_control import GossipControl
from lightningd_py.daemons.registration_news import RegistrationNews
from lightningd_py.daemons.restart import Anew
from lightningd_py.daemons.supervisor import Supervisor
from lightningd_py.database import FILE_NAME, Database
from lightningd_py.errors import StartError, UsageError
from lightningd_py.log import NodeLog
from lightningd_py.opening import Door
from lightningd_py.owners.copy_programs import Listeners
from lightningd_py.owners.ownership import Ownership, tell
from lightningd_py.owners.peers import Peer
from lightningd_py.peers.access_control import AccessControl
from lightningd_py.peers.bootstrap import Bootstrap, read_peers
from lightningd_py.peers.own_address import Discovery
from lightningd_py.peers.staying_connected import Seeking, StayingConnected, every
from lightningd_py.registrations.registered import Registered
from lightningd_py.registrations.registrations import Registrations
from lightningd_py.registrations.store import RegistrationStore
from lightningd_py.rpc.commands import Commands
from lightningd_py.rpc.jsonrpc import RpcServer
from lightningd_py.rpc.params import INTERNAL_ERROR
from wire.address import DEFAULT_PORTS
from wire.control.access import is_node_id
from wire.control.control_channel import ChannelClosed, RequestFailed
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_wire import (
    AnnounceableChanged,
    ConnectiondInit,
    HsmInit,
    HsmInitReply,
    PeerInfo,
    RandomNodes,
    RandomNodesReply,
    ReachPeerReplyfail,
    SetWantedNodes,
)
from wire.control.status import Status
from wire.cursor import WireError
from wire.features import Features
from wire.peer_wire import ErrorMessage, WarningMessage, decode

if TYPE_CHECKING:
    from lightningd_py.bus.buses import Buses

status = Status("lightningd")


def _load_buses() -> "type[Buses]":
    from lightningd_py.bus.buses import Buses  # ZMQ takes 45 ms to load

    return Buses


class Node:
    """One node, on the running loop. `run` returns the exit status of the process."""

    def __init__(self, options: Options, log: NodeLog) -> None:
        """Raises UsageError for services that contradict each other."""
        self.options = options
        self.chain: ChainSource
        self.node_id = b""
        self.bindings: list[str] = []
        self.announced: list[str] = []
        try:
            self.registrations = Registrations(options.service, options.take, options.copy, options.offer)
        except ValueError as error:
            raise UsageError(str(error)) from error
        self.registrations.base_features = options.features
        self.registrations.fixed_features = options.fixed_features
        self._log = log
        self._failed = ""
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.anew = Anew(self)
        self.supervisor = Supervisor(options.log_level, self.anew.died)

    @property
    def features(self) -> Features:
        """What init and node_announcement say now."""
        return self.registrations.features

    @property
    def alias(self) -> str:
        """The name that the operator chose, or one made of the id."""
        return self.options.alias or f"lightningd-py-{self.node_id.hex()[:8]}"

    @property
    def color(self) -> bytes:
        """Red, green, blue: chosen, or the first bytes of the id, as CLN does."""
        return self.options.rgb or self.node_id[:3]

    async def run(self, started: Callable[[], None]) -> int:
        """Start, work until `stop`, a signal or a death, and end. `started` is called in between.

        Raises StartError if it cannot start.
        """
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._broken)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop, 0)
        loop.add_signal_handler(signal.SIGHUP, self._log.reopen)
        self.database = Database(self.options.network_dir / FILE_NAME)
        try:
            try:
                await self._start()
            except ChannelClosed as error:
                raise StartError("a daemon ended at the start; its reason stands in the log") from error
            started()
            return await self._ended
        finally:
            await self._end()
            if self._failed:
                status.broken(self._failed)

    async def _start(self) -> None:
        """The daemons first, then the RPC, and the door last: nobody comes in before there is an owner for him."""
        options = self.options
        port = DEFAULT_PORTS[options.network]
        fallback = read_peers(options.fallback_peers, port) if options.fallback_peers and options.seeker_peers else []
        self.hsmd, self.connectd, self.gossipd = self.supervisor.start(self.from_connectd, self.from_gossipd)
        self.ownership = Ownership(
            self.registrations,
            self.connectd.channel,
            self.gossipd.channel,
            options.timing,
            self._peer_error,
            self.hsm_socket,
        )
        self._listeners = Listeners(self.registrations)
        self.ownership.on_copy, self.ownership.on_lost = self._listeners.copy, self.anew.lost
        self._connect_control = ConnectControl(self.ownership)
        self.chain = make_chain(options, self.database)
        loading = asyncio.ensure_future(asyncio.to_thread(_load_buses))  # while the daemons start
        self.gossip_control = GossipControl(self.ownership, self.chain)
        self.node_id = await self._node_id()
        self.registrations.begin(self.node_id, RegistrationStore(self.database.sqlite))
        await briefing.init_connectd(self, self.connectd)
        self.discovery = Discovery(
            options.announce_addr_discovered_port or port,
            self.database.discovered(),
            any_address=options.dev_allow_localhost,
        )
        opened = await briefing.init_gossipd(self, self.gossipd)
        self.access = AccessControl(
            self.database,
            self.ownership,
            options.allow,
            options.deny,
            lambda message: tell(self.ownership.connectd, message),
            self.registrations.rules,
        )
        self.access.put_in_force()
        self._keep_peers()
        self._serve_services()
        self._commands = Commands(self)
        self.rpc = RpcServer(self._commands.all())
        await self.rpc.start(options.rpc_file, options.rpc_file_mode)
        self.chain.start(self.gossip_control)
        self._listeners.start()
        self.buses = (await loading)(self)
        self._first = self._first_peers(fallback, bool(opened.nodes))
        if options.msg not in ("", f"ipc://{options.network_dir / 'msg'}"):
            await self.connectiond.must_bind()
        await self.door.begin()
        self.anew.ready = True

    def _serve_services(self) -> None:
        """From here on everybody is told what services register."""
        options = self.options
        init = ConnectiondInit(options.msg, str(options.network_dir / "curve"), options.timing, options.limits)
        start = self.supervisor.start_connectiond
        self.connectiond = ConnectiondControl(start, init if options.msg else None, self.ownership)
        self.news = RegistrationNews(
            self.ownership,
            self.connectiond,
            self.access,
            self.staying.keep_for_services,
        )
        self.door = Door(
            options.require_service,
            self.registrations,
            self._activate,
            self._door_opened,
        )
        self.news.begin()
        self.registrations.on_change = self._registered
        self.registrations.on_wanted = self.ownership.release_nodes

    async def _activate(self) -> None:
        try:
            await connect_control.activate(self.connectd)
        except StartError:
            if not self.anew.ready:  # else the next connectd is activated as soon as it is there
                raise

    def _registered(self, service: Registered) -> None:
        self.news.changed(service)
        self.door.look()

    def _door_opened(self) -> None:
        where = ", ".join(self.bindings) or "nowhere"
        status.info(f"{self.node_id.hex()} on {self.options.network} listens on {where}")
        self._begin_to_dial()
        self._bootstrap = asyncio.create_task(self._first.run())
        self._bootstrap.add_done_callback(lambda task: task.cancelled() or task.result())

    def _first_peers(self, fallback: list[tuple[bytes, str]], has_map: bool) -> Bootstrap:
        """Asked only when nothing else is known: no map, no address of before, no peer."""
        return Bootstrap(
            self.options.seeds,
            fallback,
            lambda seeds: connect_control.ask_seeds(self.connectd, seeds, self.options.dev_dns_server),
            self.reach,
            lambda: has_map or len(self.ownership.peers) > 0 or self.database.knows_addresses(),
        )

    async def _node_id(self) -> bytes:
        """From hsmd, which reads a passphrase itself from our standard input: that may take a while, or be given up."""
        options = self.options
        passphrase_fd = Fd(os.dup(0)) if options.hsm_passphrase else None
        init = HsmInit(str(options.network_dir / "hsm_secret"), options.dev_force_privkey, passphrase_fd)
        asking = asyncio.ensure_future(self.hsmd.ask(init, HsmInitReply))
        if passphrase_fd is None:
            return (await asking).node_id
        waits: set[asyncio.Future[Any]] = {asking, self._ended}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            asking.cancel()
            raise StartError("ended before the passphrase was given")
        return (await asking).node_id

    def hsm_socket(self, service: str) -> Fd | None:
        """For this service, if it may have channel_announcements signed."""
        if service not in self.options.may_sign:
            return None
        try:
            return self.supervisor.hsm_socket("service")
        except OSError as error:
            status.unusual(f"service {service} cannot have anything signed: {error}")
            return None

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
        if hasattr(self, "ownership"):
            self.ownership.peers.abandon()
        self.stop(1)

    async def _end(self) -> None:
        self.anew.close()
        if hasattr(self, "door"):
            self.door.close()
        if hasattr(self, "_bootstrap"):
            self._bootstrap.cancel()
        if hasattr(self, "staying"):
            self.staying.close()
        if hasattr(self, "buses"):
            await self.buses.close()
        if hasattr(self, "rpc"):
            await self.rpc.close()
            self._commands.close()
        if hasattr(self, "ownership"):
            await self.ownership.programs.close()
            await self._listeners.close()
        if hasattr(self, "chain"):
            await self.chain.close()
        await self.supervisor.end()
        if hasattr(self, "access"):  # gossipd had begun
            self.gossip_control.ended(self.options.feed)
        self.database.close()

    # peers

    def _keep_peers(self) -> None:
        """Whoever is to stay connected, and as many others as are wanted."""
        options = self.options
        self.staying = StayingConnected(
            self.database,
            self.ownership.peers,
            self.reach,
            self._tell_kept,
            options.timing,
            random.random,
            dial=not (options.offline or options.dev_no_reconnect),
        )
        self.ownership.came += [self.staying.came, self.gossip_control.peer_came, self._peer_came]
        self.ownership.went += [self.staying.went, self.gossip_control.peer_went]
        for kept in options.keepconnected:
            if kept.address is not None:
                self.database.remember_hint(kept.node_id, str(kept.address))

    def _begin_to_dial(self) -> None:
        options = self.options
        self.staying.start(kept.node_id for kept in options.keepconnected)
        seeking = Seeking(
            self.database,
            self.ownership.peers,
            self.reach,
            self._random_nodes,
            self.node_id,
            options.seeker_peers,
            any_address=options.dev_allow_localhost,
        )
        if options.seeker_peers:
            self.staying.spawn(every(options.timing.seek_peers, seeking.seek))

    def _tell_kept(self, node_ids: Iterable[bytes]) -> None:
        """gossipd ends connections when there are too many, but not these."""
        allowed = [bytes.fromhex(what) for what in self.options.allow if is_node_id(what)]
        tell(self.ownership.gossipd, SetWantedNodes([*node_ids, *allowed, *self.registrations.node_ids]))

    async def _random_nodes(self, count: int) -> list[tuple[bytes, list[str]]]:
        return (await self.gossipd.channel.request(RandomNodes(count), RandomNodesReply)).nodes

    async def reach(self, node_id: bytes, addresses: list[str]) -> PeerInfo:
        """Connect, or find connected; these addresses first. Raises RequestFailed."""
        if missing := self.door.waits_for:
            reason = f"the node waits for service {', '.join(missing)} before it connects to anybody"
            raise RequestFailed(ReachPeerReplyfail(reason, INTERNAL_ERROR, []))
        try:
            return await connect_control.reach(self.connectd, self.database, node_id, addresses)
        except ChannelClosed:
            refusal = ReachPeerReplyfail(self.anew.refusal(self.connectd), INTERNAL_ERROR, [])
            raise RequestFailed(refusal) from None

    def _peer_came(self, peer: Peer) -> None:
        before = self.addresses
        self.discovery.heard(peer.info)
        if (after := self.addresses) != before:
            status.info(f"peers see us at {', '.join(after[len(self.announced) :])}")
            self.database.remember_discovered(self.discovery.agreed)
            tell(self.ownership.gossipd, AnnounceableChanged(after))

    @property
    def addresses(self) -> list[str]:
        """Where the world can reach us: what the operator has said, and what peers have told us."""
        when = self.options.announce_addr_discovered
        wanted = when == "true" or (when == "auto" and not self.announced)
        if self.options.always_use_proxy:  # what peers see is the proxy's, or a Tor exit's
            wanted = False
        found = self.discovery.agreed if wanted else []
        return self.announced + [address for address in found if address not in self.announced]

    # what the daemons say

    def from_connectd(self, message: ControlMessage) -> None:
        """What connectd says."""
        self._connect_control.received(message)

    def from_gossipd(self, message: ControlMessage) -> None:
        """What gossipd says."""
        self.gossip_control.received(message)

    def _broken(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Nobody has caught this: it is our own bug, and the state cannot be trusted."""
        error = context.get("exception")
        status.broken(f"{context['message']}: {error!r}")
        if error is not None:
            status.broken("".join(traceback.format_exception(error)))
        self.stop(1)

    def _peer_error(self, peer: Peer, message: bytes) -> None:
        """A peer's `error` or `warning`, remembered for listpeers."""
        try:
            said = decode(message)
        except WireError:
            return
        if isinstance(said, ErrorMessage | WarningMessage):
            peer.last_error = said.text()
