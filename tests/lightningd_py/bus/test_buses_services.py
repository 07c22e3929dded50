"""Connections of bus services: through connectiond, a puppet here; away and back; beside a program."""

import pytest

from lightningd_py.owners.claims import GOSSIPD
from lightningd_py.owners.peers import State
from lightningd_py.registrations.changed import Changed
from tests.lightningd_py.bus_services import INIT, BusServices, turn
from tests.lightningd_py.ownership_among_fakes import CHANNEL, OPEN_CHANNEL, PRIVILEGED, STATE, fd, given_back
from tests.lightningd_py.table import CHANNEL_2, ID, NODE, OTHER
from wire.bus.bus_wire import BusChannel, Register
from wire.control.control_message import ControlMessage
from wire.control.control_wire import (
    ChangeServiceRegistrations,
    ConnectiondInitReplyfail,
    Disconnect,
    HandlePeer,
    PeerDisconnected,
    PeerMessage,
    PeerNongossip,
    PeerOwner,
    ReleasePeer,
    SetMessageRoutes,
    TakePeer,
)
from wire.peer_wire import ErrorMessage, WarningMessage, decode

REESTABLISH = b"\x00\x88" + CHANNEL
ERROR_FOR_ALL = b"\x00\x11" + bytes(32) + b"\x00\x00"


def service_registrations(said: list[ControlMessage]) -> list[ControlMessage]:
    return [message for message in said if isinstance(message, ChangeServiceRegistrations)]


# connectiond itself


async def test_connectiond_starts_with_the_first_bus_service(bus: BusServices) -> None:
    """connectiond is told everything at once, and from then on what changes."""
    assert bus.starts == 0
    first = bus.registrations.arrive("first")
    second = bus.registrations.arrive("second")
    await turn()
    assert bus.starts == 1
    assert bus.puppet.take() == [
        INIT,
        SetMessageRoutes([(32, "take")]),
        ChangeServiceRegistrations("first", first),
        ChangeServiceRegistrations("second", second),
    ]
    assert bus.control.endpoint == "ipc:///the/msg"
    bus.registrations.register("first", Register(node_ids=[ID], channels=[BusChannel(CHANNEL, NODE)], take=[33]))
    bus.registrations.register("first", Register(copy=[513]))
    assert bus.puppet.take() == [
        ChangeServiceRegistrations("first", first, [ID], [(CHANNEL, NODE)], [33]),
        SetMessageRoutes([(513, "copy"), (32, "take")]),
    ]
    bus.presence("first", here=True)
    assert bus.puppet.take() == [SetMessageRoutes([(513, "copy"), (32, "take"), (33, "take")])]
    bus.registrations.leave("first", "goodbye")
    assert bus.puppet.take() == [
        SetMessageRoutes([(32, "take")]),
        ChangeServiceRegistrations("first", b"", without_take=[33]),
    ]


@pytest.mark.parametrize("trouble", ["refused", "dead", "unstartable"])
async def test_msg_cannot_be_had(bus: BusServices, trouble: str) -> None:
    """The log says why; services are here without it, as far as that goes."""
    bus.unstartable_connectiond = trouble == "unstartable"
    bus.puppet.answer = ConnectiondInitReplyfail("it is in use") if trouble == "refused" else None
    await bus.service(copy=[513], present=False)
    assert bus.registrations.for_copies(513)
    assert bus.ownership.owners() == ([bus.gossipd, bus.puppet] if trouble == "dead" else [bus.gossipd])
    bus.puppet.take()
    await bus.service("second")
    assert bus.starts == (trouble != "unstartable"), "that would not be different with the next one"
    bus.taken(node_id=ID)
    bus.nongossip(message=REESTABLISH)
    assert isinstance(bus.gossipd.take().pop(), HandlePeer)


async def test_death_of_connectiond(bus: BusServices) -> None:
    """All that it had is lost, each once; none of another's."""
    await bus.service(node_ids=[ID, NODE])
    bus.connected(1, ID)
    bus.ownership.disconnect(bus.connected(2, NODE), "enough")
    bus.connected(3, OTHER)
    bus.connectd.take()
    bus.ownership.connectiond_died()
    bus.ownership.connectiond_died()
    assert sorted(bus.connectd.take(), key=lambda said: vars(said)["conn_id"]) == [
        PeerDisconnected(ID, 1, "connectiond has died"),
        PeerDisconnected(NODE, 2, "connectiond has died"),
    ]
    assert [peer.info.conn_id for peer in bus.ownership.peers] == [3]


async def test_connectiond_is_restarted(bus: BusServices) -> None:
    """Not before its time, and it is told all once more; its services have to come to MSG again."""
    await bus.service(node_ids=[ID])
    service = bus.registrations.named("bus")
    assert service is not None
    await bus.service("absent", present=False)
    bus.puppet.take()
    lost: list[str] = []
    bus.registrations.msg_lost = lost.append
    bus.control.ended()
    assert not service.present
    assert lost == ["bus"]
    bus.registrations.leave("absent", "")
    bus.news.changed(Changed.whole(service))
    assert bus.starts == 1
    await bus.control.restart()
    await turn()
    assert bus.starts == 2
    assert service_registrations(bus.puppet.take()) == [ChangeServiceRegistrations("bus", service.ticket, [ID])]


# its connections


async def test_registered_node_is_the_services_from_the_first_moment(bus: BusServices) -> None:
    await bus.service(node_ids=[ID], channels=[BusChannel(CHANNEL, NODE)])
    for conn_id, node_id in enumerate((ID, NODE), start=1):
        bus.connected(conn_id, node_id)
        peer = bus.taken_by_bus(conn_id)
        assert peer.owner == "bus"
    assert bus.gossipd.said == []


async def test_message_moves_the_connection(bus: BusServices) -> None:
    await bus.service(take=[33])
    bus.taken()
    bus.nongossip(message=b"\x00\x21" + CHANNEL)
    order = bus.puppet.said[-1]
    assert isinstance(order, TakePeer)
    assert (order.message, order.state) == (b"\x00\x21" + CHANNEL, STATE)
    bus.taken_by_bus()


async def test_given_back(bus: BusServices) -> None:
    """To gossipd, even what is registered: the service has had it."""
    await bus.service(node_ids=[ID])
    bus.connected(node_id=ID)
    peer = bus.taken_by_bus()
    bus.control.received(given_back(node_id=ID, send=[b"\x80\x01"]))
    (order,) = (said for said in bus.gossipd.take() if isinstance(said, HandlePeer))
    assert order.send == [b"\x80\x01"]
    assert (peer.state, peer.owner) == (State.GIVEN, "gossipd")
    assert bus.ownership.channel_of(peer) is bus.gossipd


async def test_connectiond_has_nobody_for_a_message(bus: BusServices) -> None:
    """The spec's answer goes with the connection to gossipd."""
    await bus.service(take=[33])
    bus.taken()
    bus.nongossip(message=b"\x00\x21" + CHANNEL)
    node_id = bus.taken_by_bus().info.node_id
    bus.control.received(PeerNongossip(node_id, 1, REESTABLISH, 136, CHANNEL, STATE, fd(), fd()))
    order = bus.gossipd.take().pop()
    assert isinstance(order, HandlePeer)
    assert [type(decode(message)) for message in order.send] == [WarningMessage]


async def test_disconnect_and_owner(bus: BusServices) -> None:
    """connectiond is told, and says so when it is done; another service may stand for it meanwhile."""
    await bus.service(node_ids=[ID])
    await bus.service("other")
    bus.connected(node_id=ID)
    peer = bus.taken_by_bus()
    moves: list[str] = []
    bus.ownership.moved.append(lambda peer: moves.append(peer.owner))
    bus.control.received(PeerOwner(ID, 1, "other"))
    assert (peer.owner, moves) == ("other", ["other"])
    bus.ownership.disconnect(peer, "enough")
    assert bus.puppet.take()[-1] == Disconnect(ID, 1, [], "enough")
    bus.control.received(PeerOwner(ID, 1, "bus"))
    assert peer.state is State.ENDING
    bus.connectd.take()
    bus.control.received(PeerDisconnected(ID, 1, "enough"))
    bus.ended_once("enough")
    bus.control.received(PeerOwner(ID, 1, "late"))


async def test_who_hears_what_is_asked_of_the_owner(bus: BusServices) -> None:
    await bus.service(node_ids=[ID])
    at_bus, at_gossipd = bus.connected(1, ID), bus.taken(2, NODE)
    assert bus.ownership.channel_of(at_bus) is bus.puppet
    assert bus.ownership.channel_of(at_gossipd) is bus.gossipd
    assert bus.ownership.owners() == [bus.gossipd, bus.puppet]


async def test_takepeer_for_a_service_that_leaves_meanwhile(bus: BusServices) -> None:
    await bus.service(take=[33])
    peer = bus.taken()
    service = bus.registrations.named("bus")
    assert service is not None
    bus.ownership.release(peer, service)
    bus.registrations.leave("bus", "")
    bus.released()
    assert (peer.state, peer.owner) == (State.GIVEN, "gossipd")


async def test_release_for_one_who_leaves_comes_to_who_has_registered_the_node_meanwhile(bus: BusServices) -> None:
    await bus.service("first", take=[33])
    await bus.service("second")
    peer = bus.taken(1, ID)
    first = bus.registrations.named("first")
    assert first is not None
    bus.ownership.release(peer, first)
    bus.registrations.leave("first", "")
    bus.registrations.register("second", Register(node_ids=[ID]))
    bus.released()
    assert bus.taken_by_bus().owner == "second"


async def test_a_program_and_a_bus_service_side_by_side(bus: BusServices) -> None:
    """Each has its own peer, and the program's death is not the other's."""
    await bus.service(take=[33])
    bus.connected(1, PRIVILEGED)
    bus.taken(2, ID)
    bus.nongossip(2, b"\x00\x21" + CHANNEL)
    bus.taken(3, NODE)
    bus.nongossip(3, OPEN_CHANNEL)
    assert [peer.owner for peer in bus.ownership.peers] == ["s", "bus", "s"]
    bus.programs[0][2]("eof")
    bus.presence(here=False)
    assert [(peer.info.conn_id, peer.owner) for peer in bus.ownership.peers] == [(2, "bus"), (3, "s")]


# away and back


async def test_away(bus: BusServices) -> None:
    """gossipd has its nodes; a channel message ends the connection without a word, gossip and the rest go on."""
    await bus.service(node_ids=[ID], channels=[BusChannel(CHANNEL, NODE)])
    bus.registrations.leave("bus", "it is gone")
    for conn_id, node_id, message, channel_id in (
        (1, ID, REESTABLISH, CHANNEL_2),
        (2, NODE, REESTABLISH, CHANNEL),
        (3, ID, b"\x00\x26\x01", None),
    ):
        peer = bus.connected(conn_id, node_id)
        bus.taken(conn_id, node_id)
        assert peer.state is State.GOSSIPD
        bus.gossipd.take()
        bus.connectd.take()
        bus.nongossip(conn_id, message, channel_id)
        assert bus.gossipd.take() == []
        bus.ended_once("service bus is away", conn_id)
    bus.taken(4, OTHER)
    bus.nongossip(4, REESTABLISH)
    answered = bus.gossipd.take().pop()
    assert isinstance(answered, HandlePeer), "a node that no service has named gets the usual answer"
    assert len(answered.send) == 1


async def test_message_of_an_absent_services_node(bus: BusServices) -> None:
    """Of a type that a service takes who is here: an opening is its own, all else the absent one's."""
    await bus.service(take=[33, 64])
    await bus.service("away", channels=[BusChannel(CHANNEL, ID)], present=False)
    bus.taken(1, ID)
    bus.nongossip(1, b"\x00\x40" + bytes(32) + CHANNEL_2, CHANNEL_2)
    assert bus.taken_by_bus(1).owner == "bus"
    bus.taken(2, ID)
    bus.connectd.take()
    bus.nongossip(2, b"\x00\x21" + CHANNEL_2, CHANNEL_2)
    bus.ended_once("service away is away", 2)


async def test_back(bus: BusServices) -> None:
    """Its nodes come from gossipd, and it is said which ones are to stay connected."""
    await bus.service(node_ids=[ID], channels=[BusChannel(CHANNEL, NODE)])
    bus.registrations.leave("bus", "")
    assert not any(map(bus.registrations.is_to_stay, (ID, NODE)))
    bus.taken(1, ID)
    bus.connected(2, NODE)
    bus.taken(3, OTHER)
    bus.gossipd.take()
    bus.registrations.arrive("bus")
    assert [said for said in bus.gossipd.take() if isinstance(said, ReleasePeer)] == [], "it is not on MSG yet"
    bus.presence(here=True)
    asked = [said for said in bus.gossipd.take() if isinstance(said, ReleasePeer)]
    assert asked == [ReleasePeer(ID, 1), ReleasePeer(NODE, 2)]
    assert all(map(bus.registrations.is_to_stay, (ID, NODE)))
    assert bus.looked_at[-1] == [ID, NODE]
    bus.released(1)
    bus.taken_by_bus(1)


async def test_registering_what_is_connected(bus: BusServices) -> None:
    """What it had already, and has given back, is not fetched again."""
    await bus.service(node_ids=[ID])
    bus.connected(1, ID)
    bus.taken(2, NODE)
    bus.control.received(given_back(node_id=ID))
    bus.gossipd.take()
    bus.registrations.register("bus", Register(node_ids=[ID, NODE]))
    assert [said for said in bus.gossipd.take() if isinstance(said, ReleasePeer)] == [ReleasePeer(NODE, 2)]


async def test_connectd_has_not_heard_of_it_in_time(bus: BusServices) -> None:
    """connectd has given the connection to gossipd directly: the master asks for it."""
    await bus.service(node_ids=[ID])
    bus.gossipd.take()
    bus.taken(node_id=ID)
    assert bus.gossipd.take() == [ReleasePeer(ID, 1)]
    bus.released()
    bus.taken_by_bus()


# copies


async def test_error_about_all_channels(bus: BusServices) -> None:
    """To everybody with something registered for the peer, who has not heard it as an owner."""
    await bus.service("node", node_ids=[ID], present=False)
    await bus.service("channel", channels=[BusChannel(CHANNEL, ID)])
    await bus.service("other", node_ids=[NODE])
    said = PeerMessage(ID, 1, ERROR_FOR_ALL, 17, bytes(32))
    bus.connected(1, ID)
    bus.taken_by_bus()
    bus.control.received(said)
    assert bus.copies == [("node", said)]
    bus.control.received(given_back(node_id=ID))
    bus.copies.clear()
    bus.ownership.heard(GOSSIPD, said)
    assert bus.copies == [("node", said), ("channel", said)]
    assert bus.errors == [ERROR_FOR_ALL] * 2
    bus.copies.clear()
    bus.ownership.heard(GOSSIPD, PeerMessage(ID, 1, b"\x00\x01" + bytes(32), 1, bytes(32)))
    assert bus.copies == []


@pytest.mark.parametrize("number", [1, 17])
async def test_trouble_with_one_channel(bus: BusServices, number: int) -> None:
    """To its service, who has given the connection back; never for the channel that another node claims."""
    await bus.service("channel", channels=[BusChannel(CHANNEL, ID)])
    await bus.service("other", node_ids=[ID])
    said = PeerMessage(ID, 1, number.to_bytes(2, "big") + CHANNEL, number, CHANNEL)
    bus.connected(1, ID)
    bus.taken_by_bus()
    bus.control.received(said)
    assert bus.copies == []
    bus.control.received(given_back(node_id=ID))
    bus.ownership.heard(GOSSIPD, said)
    assert bus.copies == [("channel", said)]
    bus.copies.clear()
    bus.taken(2, NODE)
    bus.ownership.heard(GOSSIPD, PeerMessage(NODE, 2, said.message, number, CHANNEL))
    bus.ownership.heard(GOSSIPD, PeerMessage(ID, 1, said.message, number, CHANNEL_2))
    assert bus.copies == []


async def test_copies_of_channel_messages(bus: BusServices) -> None:
    """They come to the master in any case: a copy goes to each that wants it, and the answer to the peer."""
    await bus.service(copy=[64], present=False)
    bus.taken()
    bus.nongossip(message=b"\x00\x40" + bytes(32) + CHANNEL)
    ((name, copy),) = bus.copies
    assert (name, copy.message_type, copy.channel_id) == ("bus", 64, CHANNEL)
    order = bus.gossipd.take().pop()
    assert isinstance(order, HandlePeer)
    assert [type(decode(message)) for message in order.send] == [ErrorMessage]


# hooks


async def test_came_moved_went(bus: BusServices) -> None:
    """Several may listen; between two owners the master is not worth a word, and neither is the same owner."""
    heard: list[tuple[str, ...]] = []

    def listen(who: str) -> None:
        bus.ownership.came.append(lambda peer: heard.append((who, "came")))
        bus.ownership.moved.append(lambda peer: heard.append((who, peer.owner)))
        bus.ownership.went.append(lambda peer, reason: heard.append((who, "went", reason)))

    for who in ("a", "b"):
        listen(who)
    await bus.service(take=[33])
    bus.taken()
    assert heard == [("a", "came"), ("b", "came")]
    heard.clear()
    bus.nongossip(message=REESTABLISH)
    bus.taken()
    assert heard == []
    bus.nongossip(message=b"\x00\x21" + CHANNEL)
    assert heard == [("a", "bus"), ("b", "bus")]
    heard.clear()
    bus.control.received(PeerDisconnected(bus.peer().info.node_id, 1, "enough"))
    assert heard == [("a", "went", "enough"), ("b", "went", "enough")]
