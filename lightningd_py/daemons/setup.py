"""What connectd and gossipd are told when they are fresh: at the start of the node, and when one was started anew.

First comes the request of the start, which may be refused; what it leaves open follows in one step, so that nothing can
change in between. At the start `RegistrationNews.begin` and `StayingConnected.start` say the second part as it is made.
"""

from typing import TYPE_CHECKING

from lightningd_py.daemons import connect_control, gossip_control
from lightningd_py.daemons.gossip_control import OwnNode
from lightningd_py.daemons.supervisor import Daemon
from lightningd_py.owners.ownership import tell
from wire.control.control_wire import AnnounceableChanged, GossipdInitReply, PeersElsewhere
from wire.control.status import Status
from wire.features import Features

if TYPE_CHECKING:
    from lightningd_py.node import Node

status = Status("lightningd")


async def init_connectd(node: "Node", daemon: Daemon) -> None:
    """Have it listen: where the one before it did, if there was one. Raises StartError."""
    first_conn_id = node.ownership.first_conn_id = node.database.next_conn_id_block()
    websocket_fd = node.supervisor.websocket_fd() if node.options.websockets else None
    bound = await connect_control.init_connectd(
        daemon, node.options, node.node_id, node.features, first_conn_id, websocket_fd, node.bindings
    )
    kept = [address for address in node.announced if ".onion" not in address]
    node.bindings, node.announced = bound.bindings, list(dict.fromkeys([*kept, *bound.announceable]))


async def init_gossipd(node: "Node", daemon: Daemon) -> GossipdInitReply:
    """Have it open its store. Raises StartError."""
    own = OwnNode(node.node_id, node.alias, node.color, node.features, node.addresses)
    opened = await gossip_control.init_gossipd(daemon, node.options, own, node.chain.checks_outputs)
    if opened.note:
        status.unusual(f"gossip_store: {opened.note}")
    status.info(f"gossip_store has {opened.channels} channels and {opened.nodes} nodes")
    return opened


def brief_connectd(node: "Node", daemon: Daemon, features: Features) -> None:
    """It takes its place. It was told these `features` in `connectd_init`."""
    node.connectd, node.ownership.connectd = daemon, daemon.channel
    tell(daemon.channel, PeersElsewhere([peer.info for peer in node.ownership.peers]))
    node.access.put_in_force()
    node.news.fresh_connectd(features)
    tell(node.ownership.gossipd, AnnounceableChanged(node.addresses))


def brief_gossipd(node: "Node", daemon: Daemon, features: Features) -> None:
    """It takes its place. It was told these `features` in `gossipd_init`."""
    node.gossipd, node.ownership.gossipd = daemon, daemon.channel
    node.news.fresh_gossipd(features)
    node.staying.tell_again()
    tell(daemon.channel, AnnounceableChanged(node.addresses))
    node.gossip_control.returned()
