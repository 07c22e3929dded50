"""The real connectiond as a process: the way of peers to services on the MSG bus and back."""

from tests.connectd.bus_house import BusHouse, about, channel_id
from wire import bus_wire
from wire.control_wire import PeerGivenBack
from wire.peer_wire import Ping, Pong

OPEN, ACCEPT, FUNDING_CREATED, REESTABLISH = 32, 33, 34, 136


async def test_service_is_given_a_peer_answers_and_gives_it_back(bus: BusHouse) -> None:
    service = await bus.service("channeld", take=(OPEN,))
    opening = about(OPEN, channel_id(1))
    peer = await bus.give("channeld", opening)
    taken = await service.takes(peer)
    assert (taken.address, taken.incoming, taken.features) == (peer.info.address, True, peer.info.features)
    message = await service.hear(bus_wire.Message)
    assert (message.seq, message.message, message.message_type) == (1, opening, OPEN)
    assert (message.node_id, message.channel_id) == (peer.info.node_id, channel_id(1))
    accept = about(ACCEPT, channel_id(1))
    await service.tell(peer, accept)
    assert await peer.next() == accept
    await service.say(bus_wire.GiveBack(peer.conn_id))
    assert (await service.hear(bus_wire.PeerGivenBack)).conn_id == peer.conn_id
    returned = bus.taken_back(await bus.hear(PeerGivenBack))
    await peer.say(b"\x80\x01later")
    assert await returned.next() == b"\x80\x01later"
    await returned.say(b"\x80\x03too")
    assert await peer.next() == b"\x80\x03too"
    assert await bus.conn_ids() == []


async def test_pings_are_answered_while_the_service_is_busy(bus: BusHouse) -> None:
    service = await bus.service("busy", credit=1)
    peer = await bus.give("busy")
    await service.takes(peer)
    await peer.say(about(REESTABLISH, channel_id(1)), Ping(5, b""))
    assert len((await peer.hear(Pong)).ignored) == 5
    await service.hears(peer, about(REESTABLISH, channel_id(1)))
