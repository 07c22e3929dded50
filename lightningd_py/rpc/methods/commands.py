"""All JSON-RPC methods, and those about the node itself: CLN's names, parameters, result fields and error codes."""

from collections.abc import Callable
from typing import Any

from lightningd_py.chain.source import ChainSource
from lightningd_py.chain.waiters import BlockWaiters
from lightningd_py.config.options import Options
from lightningd_py.daemons.listing_control import ListingControl
from lightningd_py.daemons.moving import Mover
from lightningd_py.daemons.opening import Opening
from lightningd_py.daemons.settings import Settings
from lightningd_py.database import Database
from lightningd_py.news.news import News
from lightningd_py.onions.onion_control import OnionControl
from lightningd_py.owners.ownership import Ownership
from lightningd_py.owners.peers import Peers
from lightningd_py.peers.access_control import AccessControl
from lightningd_py.peers.own_node import OwnNode
from lightningd_py.peers.staying_connected import StayingConnected
from lightningd_py.rpc.jsonrpc import Command
from lightningd_py.rpc.methods.config_commands import ConfigCommands
from lightningd_py.rpc.methods.connection_commands import ConnectionCommands, address_json
from lightningd_py.rpc.methods.decode_commands import DecodeCommands
from lightningd_py.rpc.methods.graceful_command import GracefulCommand
from lightningd_py.rpc.methods.map_commands import MapCommands
from lightningd_py.rpc.methods.news_commands import NewsCommands
from lightningd_py.rpc.methods.onion_commands import OnionCommands
from lightningd_py.rpc.methods.peer_commands import PeerCommands
from lightningd_py.rpc.methods.peer_requests import PeerRequests
from lightningd_py.rpc.methods.restart_command import RestartCommand
from lightningd_py.rpc.methods.service_commands import ServiceCommands
from lightningd_py.rpc.methods.sign_commands import SignCommands
from lightningd_py.rpc.methods.storage_commands import StorageCommands
from lightningd_py.rpc.params import WAIT_TIMEOUT, RpcError, boolean, optional, required, text, u32, u64
from lightningd_py.storage.for_peers import StorageForPeers
from wire.address import DEFAULT_PORTS
from wire.control.control_channel import ControlChannel
from wire.start.late_dataclass import dataclass
from wire.start.version import version


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """What the methods use of the node: each group of them gets its part."""

    options: Options
    own: OwnNode
    chain: ChainSource
    database: Database
    ownership: Ownership
    requests: PeerRequests
    access: AccessControl
    staying: StayingConnected
    opening: Opening
    listingd: ListingControl
    onions: OnionControl
    hsmd: Callable[[], ControlChannel]
    blocks: BlockWaiters
    news: News
    storage: StorageForPeers
    refusal: Callable[[str], str]
    """Why the daemon of this name is not there."""
    stop: Callable[[int], None]
    """Ends the node, with this exit status."""
    mover: Mover
    settings: Settings

    def all(self) -> list[Command]:
        """Every method, for the RPC server and for docs/json-rpc.md."""
        port = DEFAULT_PORTS[self.options.network]
        return [
            *NodeCommands(self.options, self.own, self.chain, self.ownership.peers, self.blocks, self.stop).all(),
            *DecodeCommands(port).all(),
            *RestartCommand(self.mover).all(),
            *ConfigCommands(self.options, self.own, self.settings).all(),
            *ConnectionCommands(
                port, self.requests, self.ownership, self.database, self.staying, self.news.pinged
            ).all(),
            *NewsCommands(self.news).all(),
            *GracefulCommand(self.ownership, self.requests, self.access, self.staying).all(),
            *MapCommands(self.options, self.ownership, self.refusal).all(),
            *PeerCommands(port, self.database, self.staying, self.access).all(),
            *ServiceCommands(self.ownership, self.requests, self.opening).all(),
            *OnionCommands(self.onions).all(),
            *SignCommands(self.hsmd, self.listingd).all(),
            *StorageCommands(self.storage).all(),
        ]


class NodeCommands:
    """The methods about the node itself."""

    def __init__(
        self,
        chosen: Options,
        own: OwnNode,
        chain: ChainSource,
        peers: Peers,
        blocks: BlockWaiters,
        stop: Callable[[int], None],
    ) -> None:
        """`stop` ends the node with an exit status."""
        self._options = chosen
        self._own = own
        self._chain = chain
        self._peers = peers
        self._blocks = blocks
        self._stop = stop

    def all(self) -> list[Command]:
        """For `Commands`."""
        return [
            Command("getinfo", self.getinfo, (), "Show this node: id, addresses, features, and what it knows."),
            Command("stop", self.stop, (), "End the node."),
            Command(
                "waitblockheight",
                self.waitblockheight,
                (
                    required("blockheight", u32, "the height to wait for"),
                    optional("timeout", u32, "seconds after which it is given up", 60),
                ),
                "Wait until the chain is so high.",
            ),
            Command(
                "batching",
                self.batching,
                (required("enable", boolean, "whether"),),
                "CLN's, which saves it writing to its database; has no effect here.",
            ),
            Command(
                "listaddresses",
                self.listaddresses,
                (
                    optional("address", text, "this one alone"),
                    optional("start", u64, "the first index"),
                    optional("limit", u32, "how many"),
                ),
                "CLN's, of its wallet: this node has none, and no address of one.",
            ),
        ]

    async def getinfo(self) -> dict[str, Any]:
        """CLN's fields; the channel counts are 0, for this is the peer-to-peer half."""
        own, chosen = self._own, self._options
        port = DEFAULT_PORTS[chosen.network]
        init = own.features.to_bytes().hex()
        info = {
            "id": own.node_id.hex(),
            "alias": own.alias,
            "color": own.color.hex(),
            "num_peers": len(self._peers),
            "num_pending_channels": 0,
            "num_active_channels": 0,
            "num_inactive_channels": 0,
            "address": [address_json(address, port) for address in own.addresses],
            "binding": [_binding_json(address, port) for address in own.bindings],
            "version": version(),
            "blockheight": self._chain.blockheight,
            "network": chosen.network,
            "fees_collected_msat": 0,
            "lightning-dir": str(chosen.network_dir),
            "our_features": {"init": init, "node": init, "channel": "", "invoice": ""},
        }
        if self._chain.warning:
            info["warning_bitcoind_sync"] = self._chain.warning
        return info

    async def waitblockheight(self, blockheight: int, timeout: int) -> dict[str, Any]:  # noqa: ASYNC109 - CLN's name
        """CLN's code 2000 if it takes longer."""
        try:
            return {"blockheight": await self._blocks.until(blockheight, timeout)}
        except TimeoutError:
            raise RpcError(WAIT_TIMEOUT, "Timed out.") from None

    async def batching(self, enable: bool) -> dict[str, Any]:
        """Each write is safe on its own."""
        return {}

    async def listaddresses(self, address: str | None, start: int | None, limit: int | None) -> dict[str, Any]:
        """Where the node is reached stands in getinfo."""
        return {"addresses": []}

    async def stop(self) -> dict[str, Any]:
        """The answer is written before the socket closes."""
        self._stop(0)
        return {"result": "Shutdown complete"}


def _binding_json(text: str, default_port: int) -> dict[str, str | int]:
    """As CLN shows it, a WebSocket's kind of address as its subtype."""
    shown = address_json(text.removeprefix("ws:"), default_port)
    return shown | {"type": "websocket", "subtype": shown["type"]} if text.startswith("ws:") else shown
