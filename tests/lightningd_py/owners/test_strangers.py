"""How many connections of strangers services may have."""

from dataclasses import replace

from lightningd_py.config.values import Service
from lightningd_py.owners.peers import MovingConnection
from lightningd_py.owners.strangers import StrangersAtServices
from tests.lightningd_py.ownership_among_fakes import CHANNEL, NODE, PRIVILEGED, OwnershipAmongFakes, info
from wire.control.control_wire import HandlePeer, PeerInfo
from wire.control.limits import Limits
from wire.routing import answer_without_service


def of(conn_id: int, address: str, node_id: bytes = NODE) -> PeerInfo:
    return replace(info(conn_id, node_id), address=address)


def test_half_of_inbound_and_a_share_for_each_network() -> None:
    registered: set[bytes] = set()
    strangers = StrangersAtServices(8, registered.__contains__)

    def comes(conn_id: int, address: str, node_id: bytes = NODE) -> str | None:
        network = strangers.network_of(of(conn_id, address, node_id))
        refusal = strangers.refuses(network)
        if refusal is None:
            strangers.came(of(conn_id, address, node_id), network)
        return refusal

    assert [comes(conn_id, f"1.2.3.{conn_id}:1") for conn_id in (1, 2)] == [None, None]
    assert "2 connections of strangers of 1.2.0.0/16" in str(comes(3, "1.2.9.9:1"))
    assert [comes(4, "1.3.0.1:1"), comes(5, "1.4.0.1:1", PRIVILEGED)] == [None, None]
    assert "services have 4 connections of strangers" in str(comes(6, "1.5.0.1:1"))
    registered.add(PRIVILEGED)
    assert comes(7, "1.6.0.1:1", PRIVILEGED) is None, "it is wanted"
    assert comes(8, "1.6.0.1:1") is None, "and connection 5 no longer counts"
    assert "4 connections" in str(comes(9, "1.7.0.1:1"))
    strangers.went(8)
    assert comes(9, "1.7.0.1:1") is None


def test_who_is_no_stranger() -> None:
    strangers = StrangersAtServices(8, {PRIVILEGED}.__contains__)
    assert strangers.network_of(replace(of(1, "1.2.3.4:5"), incoming=False)) is None
    assert strangers.network_of(of(1, "1.2.3.4:5", PRIVILEGED)) is None
    assert strangers.network_of(of(1, "1.2.3.4:5")) == "1.2.0.0/16"


def started(service: Service, info: PeerInfo, moving: MovingConnection, *_: object) -> bool:
    """A program has it."""
    moving.close()
    return True


async def test_a_stranger_too_many_stays_with_gossipd() -> None:
    """And is answered as where there is no service. One whose connection has come back makes room."""
    around = OwnershipAmongFakes(Limits(inbound=2))
    around.ownership.programs.start = started  # type: ignore[method-assign]
    for conn_id in (1, 2):
        around.taken(conn_id, bytes([4, conn_id]) + bytes(31))
        around.nongossip(conn_id)
    assert [around.peer(conn_id).owner for conn_id in (1, 2)] == ["s", "gossipd"]
    (order,) = around.gossipd.take()
    assert isinstance(order, HandlePeer)
    assert order.send == answer_without_service(32, CHANNEL)
    around.disconnected(1)
    around.taken(2)
    around.nongossip(2)
    assert around.peer(2).owner == "s"
