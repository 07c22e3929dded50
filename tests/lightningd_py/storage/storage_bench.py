"""Peer storage with an ownership around it whose daemons answer as a test wishes, and a clock that the test sets."""

from pathlib import Path
from typing import Any

from lightningd_py.owners.claims import GOSSIPD
from lightningd_py.owners.ownership import Ownership
from lightningd_py.owners.peers import Peer
from lightningd_py.owners.teller import Teller
from lightningd_py.storage.for_peers import StorageForPeers, StorageLeft
from tests.harness.waiting import until
from tests.lightningd_py.ownership_among_fakes import CHANNEL, Daemon, fd
from tests.lightningd_py.table import Table
from wire.bus.bus_wire import BusChannel, Unregister
from wire.control.control_message import Reply, Request
from wire.control.control_wire import (
    HandlePeer,
    PeerConnected,
    PeerDisconnected,
    PeerInfo,
    PeerMessage,
    PeerTaken,
    SendMessage,
    SendMessageReply,
)
from wire.control.timing import Timing
from wire.crypto_state import CryptoState, PeerState
from wire.features import Features
from wire.frames import Frames
from wire.message import BoltMessage
from wire.peer_wire import PeerStorage, decode

OURS = CryptoState(0, 0, bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32, bytes([4]) * 32)
THEIRS = CryptoState(0, 0, OURS.sk, OURS.rk, OURS.s_ck, OURS.r_ck)
QUOTA = 1 << 20


class StorageBench:
    """One node."""

    def __init__(self, directory: Path, mode: str = "all", left: StorageLeft | None = None) -> None:
        self.connectd, self.gossipd = Daemon(), Daemon()
        connectd: Any = self.connectd
        gossipd: Any = self.gossipd
        self.registrations = Table(directory / "database")
        self.registrations.named("program").offer.clear()  # type: ignore[union-attr]
        self.ownership = Ownership(self.registrations, connectd, gossipd, Timing(), lambda peer, message: None)
        self.teller = Teller(self.ownership, Timing())
        self.now = 1_000.0
        self.kept_changed: list[list[bytes]] = []
        self.routes_changed = 0
        self.gossipd.answer = self.takes
        self.storage = StorageForPeers(mode, QUOTA, directory, self.ownership, self.teller, lambda: self.now)
        self.storage.kept_changed = lambda node_ids: self.kept_changed.append([*node_ids])
        self.storage.routes_changed = self.routes
        self.registrations.on_change = lambda changed: self.storage.nodes_changed(changed.node_ids)
        self.storage.begin(left)

    def takes(self, request: Request) -> Reply:
        """gossipd has it in the queue of the connection."""
        return SendMessageReply()

    def routes(self) -> None:
        self.routes_changed += 1

    def close(self, *, moved: bool = False) -> None:
        self.teller.close()
        self.storage.close(moved=moved)
        self.registrations.database.close()

    # peers

    def info(self, node_id: bytes, conn_id: int, *, offers: bool = True, address: str = "1.2.3.4:9735") -> PeerInfo:
        features = Features.of([43] if offers else []).to_bytes()
        return PeerInfo(node_id, conn_id, address, True, None, features, [])

    def connects(self, node_id: bytes, conn_id: int = 1, **how: Any) -> Peer:
        """By the direct path."""
        info = self.info(node_id, conn_id, **how)
        self.ownership.peer_handed_over(info)
        self.ownership.heard(GOSSIPD, PeerTaken(info))
        return self.peer(conn_id)

    def comes_to_us(self, node_id: bytes, conn_id: int = 1) -> list[BoltMessage]:
        """By the master: what the peer is told before its owner can say anything."""
        state = PeerState(OURS, b"", b"", read_at_ns=77)
        self.ownership.peer_connected(PeerConnected(self.info(node_id, conn_id), state, fd(), fd()))
        given = [said for said in self.gossipd.take() if isinstance(said, HandlePeer)]
        assert [(each.peer.conn_id, each.state.read_at_ns, each.send) for each in given] == [(conn_id, 77, [])]
        self.ownership.heard(GOSSIPD, PeerTaken(given[0].peer))
        return [decode(message) for message in Frames(THEIRS).feed(given[0].state.unsent)]

    def leaves(self, peer: Peer) -> None:
        info = peer.info
        self.ownership.heard(GOSSIPD, PeerDisconnected(info.node_id, info.conn_id, "it has gone"))

    def peer(self, conn_id: int = 1) -> Peer:
        found = self.ownership.peers.get(conn_id)
        assert found is not None
        return found

    def says(self, peer: Peer, message: BoltMessage | bytes) -> None:
        """Its owner passes a copy up."""
        raw = message if isinstance(message, bytes) else message.encode()
        number = int.from_bytes(raw[:2], "big")
        copy = PeerMessage(peer.info.node_id, peer.info.conn_id, raw, number, None)
        self.ownership.heard(GOSSIPD, copy)

    def stores(self, peer: Peer, blob: bytes) -> None:
        self.says(peer, PeerStorage(blob))

    def told(self) -> list[tuple[bytes, BoltMessage]]:
        """What gossipd was asked to tell peers, since the last time."""
        asked, self.gossipd.asked = self.gossipd.asked, []
        return [(each.node_id, decode(each.message)) for each in asked if isinstance(each, SendMessage)]

    async def tells(self, *expected: tuple[bytes, BoltMessage]) -> None:
        """Wait until it has been asked for so much, and compare."""

        async def so() -> bool:
            return len(self.gossipd.asked) >= len(expected)

        await until(so, "it is not told")
        assert self.told() == list(expected)

    # services

    def has_channel(self, node_id: bytes, service: str = "s", number: int = 0) -> None:
        channel_id = bytes([number]) + CHANNEL[1:]
        self.registrations.service(service, channels=[BusChannel(channel_id, node_id)])

    def has_none(self, service: str = "s", number: int = 0) -> None:
        self.registrations.unregister(service, Unregister(channel_ids=[bytes([number]) + CHANNEL[1:]]))
