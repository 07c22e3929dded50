"""All JSON-RPC methods of a node whose daemons the test plays."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lightningd_py.chain.choice import NoChain
from lightningd_py.chain.waiters import BlockWaiters
from lightningd_py.config.options import parse
from lightningd_py.daemons.connect_control import ConnectControl
from lightningd_py.daemons.gossip_control import store_path
from lightningd_py.daemons.opening import Opening
from lightningd_py.database import Database
from lightningd_py.news.news import News
from lightningd_py.owners.claims import GOSSIPD
from lightningd_py.owners.ownership import Ownership
from lightningd_py.peers.reconnect import Reconnect
from lightningd_py.rpc.jsonrpc import RpcServer
from lightningd_py.rpc.methods.commands import Commands
from lightningd_py.rpc.methods.peer_requests import PeerRequests
from lightningd_py.rpc.params import RpcError
from tests.lightningd_py.listingd_inside import ListingdInside
from tests.lightningd_py.ownership_among_fakes import Daemon, registrations
from wire.control.control_wire import (
    PeerInfo,
    PeerTaken,
)
from wire.control.timing import Timing
from wire.features import default_init_features

NODE = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")


def away(name: str) -> str:
    return f"{name} is away"


class Rpc:
    """The methods, called as a client does."""

    def __init__(self, directory: Path) -> None:
        self.connectd, self.gossipd = Daemon(), Daemon()
        connectd: Any = self.connectd
        gossipd: Any = self.gossipd
        self.ownership = Ownership(registrations(), connectd, gossipd, Timing(), lambda peer, message: None)
        self.database = Database(directory / "database")
        self.stopped: list[int] = []
        self.kept = Reconnect(Timing(), lambda: 0.0)
        options = parse([f"--lightning-dir={directory}", "--network=regtest"])
        opening = Opening((), self.ownership.registrations)
        control = ConnectControl(self.ownership, self.database, opening, away)
        self.listingd = ListingdInside(store_path(options))
        own: Any = SimpleNamespace(
            features=default_init_features(),
            node_id=NODE,
            alias="a node",
            color=NODE[:3],
            bindings=["127.0.0.1:19846", "[::1]:1234", "/a/path"],
            addresses=["example.com:9735"],
        )
        staying: Any = SimpleNamespace(core=self.kept)
        nothing: Any = None
        self.own = own
        self.blocks = BlockWaiters(lambda: self.blockheight)
        self.blockheight = 0
        self.news = News("regtest")
        self.news.follow(self.ownership)
        commands = Commands(
            options=options,
            own=own,
            chain=NoChain(),
            database=self.database,
            ownership=self.ownership,
            requests=PeerRequests(self.ownership, self.database, control.reach, Timing()),
            access=nothing,
            staying=staying,
            opening=opening,
            listingd=self.listingd.control,
            onions=nothing,
            hsmd=nothing,
            blocks=self.blocks,
            news=self.news,
            storage=nothing,
            refusal=away,
            stop=self.stopped.append,
            mover=nothing,
            settings=nothing,
        )
        self.server = RpcServer(commands.all())

    async def __call__(self, method: str, **params: object) -> Any:
        return await self.server.call(method, params)

    async def code(self, method: str, **params: object) -> tuple[int, str]:
        with pytest.raises(RpcError) as error:
            await self.server.call(method, params)
        return error.value.code, error.value.message

    def remembered(self) -> list[str]:
        """Where NODE was reached."""
        return [known.address for known in self.database.addresses_of(NODE)]

    def peer(self, conn_id: int = 1, **fields: Any) -> PeerInfo:
        """A connected peer, at gossipd."""
        values: dict[str, Any] = {"incoming": False, "remote_addr": None, "features": b"\x80", "networks": []} | fields
        info = PeerInfo(NODE, conn_id, values.pop("address", "1.2.3.4:9735"), **values)
        self.ownership.peer_handed_over(info)
        self.ownership.heard(GOSSIPD, PeerTaken(info))
        return info
