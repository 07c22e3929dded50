"""The master's half of gossipd: what it is told at the start, and each of its messages to what it calls."""

from pathlib import Path

from lightningd_py.options import Options
from lightningd_py.ownership import Ownership
from lightningd_py.supervisor import Daemon
from wire import control_wire
from wire.chains import NETWORKS
from wire.control_wire import ControlMessage


class GossipControl:
    """gossipd, as the master sees it."""

    def __init__(self, ownership: Ownership) -> None:
        self._ownership = ownership

    def received(self, message: ControlMessage) -> None:
        """A message that is no reply."""
        ownership = self._ownership
        match message:
            case control_wire.PeerTaken():
                ownership.peer_taken(message)
            case control_wire.PeerNongossip():
                ownership.peer_nongossip(message)
            case control_wire.ReleasePeerReply():
                ownership.release_peer_reply(message)
            case control_wire.ReleasePeerReplyfail():
                ownership.release_peer_replyfail(message)
            case control_wire.PeerGivenBack():
                ownership.peer_given_back(message)
            case control_wire.PeerDisconnected():
                ownership.peer_disconnected(message)
            case control_wire.PeerFault():
                ownership.peer_fault(message)
            case control_wire.PeerMessage():
                ownership.peer_message(message)
            case _:
                raise RuntimeError(f"gossipd said {message.name()}")


async def init_gossipd(
    daemon: Daemon, options: Options, node_id: bytes, check_txout: bool, routes: list[tuple[int, str]]
) -> control_wire.GossipdInitReply:
    """Open the store and learn the routes. Raises StartError."""
    reply = await daemon.ask(
        control_wire.GossipdInit(
            chain_hash=NETWORKS[options.network],
            node_id=node_id,
            store=str(store_path(options)),
            check_txout=check_txout,
            timing=options.timing,
            limits=options.limits,
        ),
        control_wire.GossipdInitReply,
    )
    daemon.channel.send(control_wire.SetMessageRoutes(routes))
    return reply


def store_path(options: Options) -> Path:
    """Where the map is kept: CLN's name for it, so that its tools find it."""
    return options.network_dir / "gossip_store"
