"""The core of the node: the daemons, told who they are, the master's half of each, the table of owners and the chain.

What the rest of the node stands on, made in the order in which each is needed by the next.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

from lightningd_py.chain.choice import make_chain
from lightningd_py.chain.source import ChainSource
from lightningd_py.config.options import Options
from lightningd_py.daemons.connect_control import ConnectControl
from lightningd_py.daemons.gossip_control import GossipControl, remove_dead_feed
from lightningd_py.daemons.hsm_control import PassphraseInput, SigningSockets, init_hsmd
from lightningd_py.daemons.listening import ListeningSockets, inherited
from lightningd_py.daemons.opening import Opening
from lightningd_py.daemons.restart import Restarts
from lightningd_py.daemons.setup import Setup
from lightningd_py.daemons.supervisor import Supervisor
from lightningd_py.database import FILE_NAME, Database
from lightningd_py.news.news import News
from lightningd_py.node_left import NodeLeft
from lightningd_py.owners.copy_programs import Listeners
from lightningd_py.owners.ownership import Ownership
from lightningd_py.owners.peers import Peer, Peers
from lightningd_py.owners.table_left import resume_table
from lightningd_py.owners.teller import Teller
from lightningd_py.peers.own_node import OwnNode
from lightningd_py.registrations.registrations import Registrations
from lightningd_py.registrations.store import RegistrationStore
from lightningd_py.storage.for_peers import StorageForPeers
from wire.control.control_channel import ControlChannel
from wire.control.control_message import ControlMessage
from wire.cursor import WireError
from wire.peer_wire import ErrorMessage, WarningMessage, decode
from wire.start.late_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginnings:
    """What is there before any daemon is."""

    options: Options
    registrations: Registrations
    peers: Peers
    opening: Opening
    restarts: Restarts
    ended: asyncio.Future[int | NodeLeft]
    """Done when the node is to end."""
    news: News
    left: NodeLeft | None = None
    """The node, if it runs already: then nothing is waited for here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """What `start_core` makes."""

    database: Database
    supervisor: Supervisor
    passphrase: PassphraseInput
    channels: dict[str, ControlChannel]
    """To each daemon that was there when this program began, by its name."""
    ownership: Ownership
    signing: SigningSockets
    listeners: Listeners
    teller: Teller
    storage: StorageForPeers
    chain: ChainSource
    own: OwnNode
    connect_control: ConnectControl
    gossip_control: GossipControl
    setup: Setup
    has_map: bool = False
    """The gossip_store has nodes."""


async def start_core(before: Beginnings, ends: AsyncExitStack) -> Core:
    """Start the daemons, or go on with those that run; how each thing ends goes on the stack. Raises StartError."""
    options, registrations, left = before.options, before.registrations, before.left
    database = Database(options.network_dir / FILE_NAME, options.timing.control_timeout)
    ends.callback(database.close)
    listening = ListeningSockets(inherited(os.environ, os.getpid()) if left is None else left.listening_sockets)
    ends.callback(listening.close)
    supervisor = Supervisor(lambda: options.log_style, before.restarts.died, options.timing, before.news.log.heard)
    ends.callback(remove_dead_feed, options.feed)
    ends.push_async_callback(supervisor.end)
    channels = _channels(
        supervisor,
        left,
        lambda message: connect_control.received(message),  # neither is heard before the first wait, further down
        lambda message: gossip_control.received(message, channels["gossipd"]),
    )
    signing = SigningSockets(supervisor, options.may_sign)
    listeners = Listeners(registrations, options.timing)
    ownership = _make_ownership(before, channels, signing, listeners)
    teller = Teller(ownership, options.timing)
    ends.callback(teller.close)
    storage = StorageForPeers(options.peer_storage, options.peer_storage_quota, options.network_dir, ownership, teller)
    ends.callback(storage.close)
    chain = make_chain(options, database)
    ends.push_async_callback(chain.close)
    ends.push_async_callback(lambda: asyncio.gather(listeners.close(), ownership.programs.close()))
    passphrase = PassphraseInput() if left is None else PassphraseInput(left.passphrase_begins)
    node_id = await _who_we_are(before, supervisor, channels["hsmd"], passphrase)
    registrations.begin(node_id, RegistrationStore(database))
    own = OwnNode(options, registrations, database, node_id)
    connect_control = ConnectControl(ownership, database, before.opening, before.restarts.refusal, before.news.dialled)
    gossip_control = GossipControl(ownership, chain, own, before.news.topics)
    setup = Setup(options, database, supervisor, ownership, own, listening, chain.checks_outputs)
    core = Core(
        database=database,
        supervisor=supervisor,
        passphrase=passphrase,
        channels=channels,
        ownership=ownership,
        signing=signing,
        listeners=listeners,
        teller=teller,
        storage=storage,
        chain=chain,
        own=own,
        connect_control=connect_control,
        gossip_control=gossip_control,
        setup=setup,
    )
    return replace(core, has_map=await _open(core) if left is None else _resume(core, registrations, left))


def _make_ownership(
    before: Beginnings, channels: dict[str, ControlChannel], signing: SigningSockets, listeners: Listeners
) -> Ownership:
    """The table of owners. What it tells is heard by those who ask for copies, and by the news."""
    ownership = Ownership(
        before.registrations,
        channels["connectd"],
        channels["gossipd"],
        before.options.timing,
        partial(_said, before.news),
        signing.make,
        before.peers,
        before.options.limits,
    )
    ownership.on_copy, ownership.on_lost = listeners.copy, before.restarts.lost
    before.news.follow(ownership)
    return ownership


async def _who_we_are(
    before: Beginnings, supervisor: Supervisor, hsmd: ControlChannel, passphrase: PassphraseInput
) -> bytes:
    """Our node_id. An hsmd that the program before us has left is watched already. Raises StartError."""
    if before.left is not None:
        return before.left.node_id
    node_id = await init_hsmd(hsmd, before.options, passphrase, before.ended)
    supervisor.watch(hsmd)
    return node_id


async def _open(core: Core) -> bool:
    """Have connectd listen and gossipd open its store: whether there is a map. Raises StartError."""
    await core.setup.connectd(core.channels["connectd"])
    opened = await core.setup.gossipd(core.channels["gossipd"])
    core.storage.begin(None)
    return bool(opened.nodes)


def _resume(core: Core, registrations: Registrations, left: NodeLeft) -> bool:
    """Go on with what the program before us has left: whether there is a map."""
    registrations.resume(left.sessions)
    resume_table(core.ownership, left.table, left.programs)
    core.own.listens(left.bindings, left.announced)
    core.gossip_control.resume(left.txouts)
    core.gossip_control.news.resume(frozenset(left.topics))
    core.storage.begin(left.storage)
    return left.has_map


def _channels(
    supervisor: Supervisor,
    left: NodeLeft | None,
    from_connectd: Callable[[ControlMessage], None],
    from_gossipd: Callable[[ControlMessage], None],
) -> dict[str, ControlChannel]:
    """To the daemons, which are started, or are those of the program before us."""
    if left is None:
        channels = {daemon.name: daemon.channel for daemon in supervisor.start(from_connectd, from_gossipd)}
        return channels | {"listingd": supervisor.start_listingd()}  # it loads while the others do
    supervisor.hears |= {"connectd": from_connectd, "gossipd": from_gossipd}
    return supervisor.resume(left.daemons, frozenset(number for number, _ in left.control))


def _said(news: News, peer: Peer, message: bytes) -> None:
    """A copy of what a peer has said: for notifications, and an `error` or `warning` for listpeers."""
    with contextlib.suppress(WireError):
        said = decode(message)
        if isinstance(said, ErrorMessage | WarningMessage):
            peer.last_error = said.text()
    news.said(peer, message)
