"""How many connections of strangers services may have."""

from dataclasses import replace

import pytest

from lightningd_py.config.values import Service, Wanted
from lightningd_py.owners.peers import MovingConnection, Peer, State
from lightningd_py.owners.strangers import StrangersAtServices
from lightningd_py.registrations.registrations import Registrations
from tests.lightningd_py.ownership_among_fakes import CHANNEL, NODE, PRIVILEGED, OwnershipAmongFakes, info
from wire.control.control_wire import HandlePeer, PeerInfo
from wire.control.limits import Limits
from wire.routing import answer_without_service


def of(conn_id: int, address: str, node_id: bytes = NODE) -> PeerInfo:
    return replace(info(conn_id, node_id), address=address)


class Table:
    """Connections of the service `s` that come, and perhaps are refused."""

    def __init__(self, inbound: int) -> None:
        self.registrations = Registrations([Service("s", ("x",))], [Wanted("s", (32,), (PRIVILEGED,))])
        self.strangers = StrangersAtServices(inbound, self.registrations)
        self.peers: dict[int, Peer] = {}

    def comes(self, conn_id: int, address: str, node_id: bytes = NODE) -> bool:
        refused = self.strangers.refuses(of(conn_id, address, node_id))
        if not refused:
            peer = self.peers[conn_id] = Peer(of(conn_id, address, node_id), State.PROGRAM, "s", 0.0)
            self.strangers.moved(peer)
        return not refused


def test_half_of_inbound_and_a_share_for_each_network(caplog: pytest.LogCaptureFixture) -> None:
    table = Table(8)
    assert table.comes(1, "1.2.3.1:1") and table.comes(2, "1.2.3.2:1")
    assert not table.comes(3, "1.2.9.9:1")
    assert "services have 2 connections of strangers of 1.2.0.0/16" in caplog.text
    assert table.comes(4, "1.3.0.1:1") and table.comes(5, "1.4.0.1:1")
    assert not table.comes(6, "1.5.0.1:1")
    assert "services have 4 connections of strangers, and" in caplog.text
    assert table.comes(7, "1.6.0.1:1", PRIVILEGED), "it is wanted, and does not count"
    table.peers[4].owner = "gossipd"
    table.strangers.moved(table.peers[4])
    assert table.comes(8, "1.6.0.1:1")
    assert not table.comes(9, "1.7.0.1:1")
    table.strangers.went(table.peers[8], "gone")
    assert table.comes(9, "1.7.0.1:1")


def test_who_is_no_stranger() -> None:
    strangers = Table(8).strangers
    assert strangers.network_of(replace(of(1, "1.2.3.4:5"), incoming=False)) is None
    assert strangers.network_of(of(1, "1.2.3.4:5", PRIVILEGED)) is None
    assert strangers.network_of(of(1, "1.2.3.4:5")) == "1.2.0.0/16"


def started(
    service: Service,
    info: PeerInfo,
    moving: MovingConnection,
    message: bytes | None,
    routes: list[tuple[int, str]],
    source: str | None,
) -> bool:
    """A program has it."""
    moving.close()
    return True


async def test_a_stranger_too_many_stays_with_gossipd() -> None:
    """And is answered as where there is no service. One whose connection has come back makes room."""
    around = OwnershipAmongFakes(Limits(inbound=2))
    around.ownership.programs.start = started  # type: ignore[method-assign]
    for conn_id, node_id in ((1, NODE), (2, bytes([4]) * 33)):
        around.taken(conn_id, node_id)
        around.nongossip(conn_id)
    assert [around.peer(conn_id).owner for conn_id in (1, 2)] == ["s", "gossipd"]
    (order,) = around.gossipd.take()
    assert isinstance(order, HandlePeer)
    assert order.send == answer_without_service(32, CHANNEL)
    around.ownership._lost(1, "its program has left it")
    around.taken(2, bytes([4]) * 33)
    around.nongossip(2)
    assert around.peer(2).owner == "s"
