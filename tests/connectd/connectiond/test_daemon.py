"""The real connectiond as a process: the way of peers to services on the MSG bus and back."""

import hashlib
import time

import pytest

from tests.connectd.connectiond.connectiond_process import ConnectiondProcess, about, channel_id
from tests.gossipd.ends import mirrored
from wire.bus import bus_wire
from wire.bus.bus_wire import CREDIT, GiveBack
from wire.control import control_wire
from wire.control.control_wire import PeerGivenBack, PeerNongossip, PeerOwner
from wire.frames import Frames
from wire.peer_types import ALL_CHANNELS
from wire.peer_wire import ErrorMessage, Ping, Pong, WarningMessage

OPEN, ACCEPT, FUNDING_CREATED, FUNDING_SIGNED, REESTABLISH = 32, 33, 34, 35, 136
OPEN2, ACCEPT2 = 64, 65
ODD = b"\x80\x01"


async def test_service_is_given_a_peer_answers_and_gives_it_back(bus: ConnectiondProcess) -> None:
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
    await service.say(GiveBack(peer.conn_id))
    assert (await service.hear(bus_wire.PeerGivenBack)).conn_id == peer.conn_id
    returned = bus.taken_back(await bus.hear(PeerGivenBack))
    await peer.say(ODD + b"later")
    assert await returned.next() == ODD + b"later"
    await returned.say(ODD + b"too")
    assert await peer.next() == ODD + b"too"
    assert await bus.conn_ids() == []


async def test_what_was_read_and_what_is_unsent_move_with_the_connection(bus: ConnectiondProcess) -> None:
    service = await bus.service("channeld")
    near, far = (Frames(crypto) for crypto in mirrored())
    first, second = about(REESTABLISH, channel_id(1)), about(REESTABLISH, channel_id(2))
    peer = await bus.give("channeld", unread=far.encrypt(first) + far.encrypt(second), unsent=near.encrypt(ODD))
    await service.takes(peer)
    await service.hears(peer, first, second)


async def test_what_was_read_and_not_heard_goes_back_with_the_time_of_its_arrival(bus: ConnectiondProcess) -> None:
    service = await bus.service("channeld")
    peer = await bus.give("channeld")
    await service.takes(peer)
    ping, piece = peer.encrypt(Ping(1, b"")), peer.encrypt(ODD + b"cut")[:-1]
    before = time.time_ns()
    await peer.say_raw(ping + piece)
    await peer.hear(Pong)
    after = time.time_ns()
    await service.say(GiveBack(peer.conn_id))
    returned = bus.taken_back(await bus.hear(PeerGivenBack))
    assert returned.state.unread == piece
    assert before <= returned.state.read_at_ns <= after


async def test_services_messages_reach_the_peer_before_the_connection_goes(bus: ConnectiondProcess) -> None:
    service = await bus.service("channeld")
    peer = await bus.give("channeld")
    await service.takes(peer)
    large = [ODD + number.to_bytes(2, "big") + bytes(60_000) for number in range(100)]
    await service.tell(peer, *large)
    await service.say(GiveBack(peer.conn_id))
    assert [await peer.next() for _ in large] == large
    bus.taken_back(await bus.hear(PeerGivenBack))


async def test_credit_comes_back_as_the_peer_reads(bus: ConnectiondProcess) -> None:
    service = await bus.service("channeld")
    peer = await bus.give("channeld")
    assert (await service.takes(peer)).credit == CREDIT
    for _ in range(3):
        messages = [ODD + number.to_bytes(2, "big") for number in range(CREDIT // 2)]
        await service.tell(peer, *messages)
        assert [await peer.next() for _ in messages] == messages
        assert await service.hear(bus_wire.Credit) == bus_wire.Credit(peer.conn_id, CREDIT // 2)


async def test_service_without_credit_hears_nothing_until_it_gives_some(bus: ConnectiondProcess) -> None:
    service = await bus.service("channeld", credit=2)
    peer = await bus.give("channeld")
    await service.takes(peer)
    messages = [about(REESTABLISH, channel_id(number)) for number in range(1, 8)]
    await peer.say(*messages)
    await service.hears(peer, *messages[:2])
    await service.hears_nothing()
    await service.say(bus_wire.Credit(peer.conn_id, 3))
    await service.hears(peer, *messages[2:5], first=3)
    await service.say(bus_wire.Credit(peer.conn_id, 10))
    await service.hears(peer, *messages[5:], first=6)


async def test_message_that_found_no_room_goes_back_with_the_connection(bus: ConnectiondProcess) -> None:
    service = await bus.service("channeld", credit=1)
    peer = await bus.give("channeld")
    await service.takes(peer)
    messages = [about(REESTABLISH, channel_id(number)) for number in range(1, 4)]
    await peer.say(*messages)
    await service.hears(peer, messages[0])
    await service.say(GiveBack(peer.conn_id))
    given_back = await bus.hear(PeerNongossip)
    assert (given_back.message, given_back.message_type) == (messages[1], REESTABLISH)
    assert given_back.channel_id == channel_id(2)
    assert await bus.taken_back(given_back).next() == messages[2]


async def test_pings_are_answered_while_the_service_is_busy(bus: ConnectiondProcess) -> None:
    service = await bus.service("busy", credit=1)
    peer = await bus.give("busy")
    await service.takes(peer)
    await peer.say(about(REESTABLISH, channel_id(1)), Ping(5, b""))
    assert len((await peer.hear(Pong)).ignored) == 5
    await service.hears(peer, about(REESTABLISH, channel_id(1)))


async def test_gossip_goes_both_ways_meanwhile(bus: ConnectiondProcess) -> None:
    service = await bus.service("channeld")
    peer = await bus.give("channeld")
    await service.takes(peer)
    update, query = b"\x01\x02" + bytes(130), b"\x01\x05" + bytes(40)
    await peer.say(update, about(REESTABLISH, channel_id(1)), query)
    assert await peer.gossip_heard() == update
    assert await peer.gossip_heard() == query
    await service.hears(peer, about(REESTABLISH, channel_id(1)))
    peer.gossip_sock.send(update)
    assert await peer.next() == update


async def test_much_gossip_and_much_else_at_the_same_time(bus: ConnectiondProcess) -> None:
    """Neither of the two waits until the other has nothing more to say."""
    service = await bus.service("channeld")
    peer = await bus.give("channeld")
    await service.takes(peer)
    said = [ODD + number.to_bytes(2, "big") + bytes(3_000) for number in range(CREDIT)]
    gossip = [b"\x01\x02" + number.to_bytes(2, "big") + bytes(400) for number in range(100)]
    await service.tell(peer, *said)
    for packet in gossip:
        peer.gossip_sock.send(packet)
    heard = [await peer.next() for _ in range(len(said) + len(gossip))]
    assert [message for message in heard if message[:2] == ODD] == said
    assert [message for message in heard if message[:2] != ODD] == gossip


async def test_gossipd_ends_and_the_connection_lives_on(bus: ConnectiondProcess) -> None:
    service = await bus.service("channeld")
    peer = await bus.give("channeld")
    await service.takes(peer)
    peer.gossip_sock.close()
    await peer.say(b"\x01\x02" + bytes(130), about(REESTABLISH, channel_id(1)))
    await service.hears(peer, about(REESTABLISH, channel_id(1)))


# two services and one peer


async def test_two_services_have_channels_with_one_peer(bus: ConnectiondProcess) -> None:
    one = await bus.service("one", take=(OPEN,))
    two = await bus.service("two", take=(OPEN2,))
    opening = about(OPEN, channel_id(1))
    peer = await bus.give("one", opening)
    await one.takes(peer)
    await one.hears(peer, opening)
    basepoints = b"\3" * 33, b"\2" * 33
    opening2 = about(OPEN2, channel_id(2), bytes(81) + basepoints[0] + bytes(100))
    await peer.say(opening2)
    await two.takes(peer)
    await two.hears(peer, opening2)
    accept2 = about(ACCEPT2, channel_id(2), bytes(73) + basepoints[1] + bytes(100))
    await two.tell(peer, accept2)
    await one.tell(peer, about(ACCEPT, channel_id(1)))
    assert [await peer.next() for _ in range(2)] == [accept2, about(ACCEPT, channel_id(1))]
    funding = about(FUNDING_CREATED, channel_id(1), bytes([9]) * 32 + b"\0\1" + bytes(64))
    one_id = bytes([9]) * 31 + b"\x08"
    two_id = hashlib.sha256(basepoints[1] + basepoints[0]).digest()
    await peer.say(funding, about(REESTABLISH, two_id), about(REESTABLISH, one_id))
    await one.hears(peer, funding, about(REESTABLISH, one_id), first=2)
    await two.hears(peer, about(REESTABLISH, two_id), first=2)


async def test_one_of_two_services_gives_back_and_the_other_goes_on(bus: ConnectiondProcess) -> None:
    one = await bus.service("one", take=(OPEN,))
    two = await bus.service("two")
    peer = await bus.give("one", about(OPEN, channel_id(1)))
    await one.takes(peer)
    await one.hears(peer, about(OPEN, channel_id(1)))
    bus.registers("two", channels=((channel_id(2), peer.info.node_id),))
    await two.takes(peer)
    await one.say(GiveBack(peer.conn_id))
    await one.hear(bus_wire.PeerGivenBack)
    assert await bus.hear(PeerOwner) == PeerOwner(peer.info.node_id, peer.conn_id, "two")
    await peer.say(about(REESTABLISH, channel_id(2)))
    await two.hears(peer, about(REESTABLISH, channel_id(2)))
    await one.say(bus_wire.Message(peer.conn_id, 1, ODD))
    assert "is not one's" in (await one.hear(bus_wire.Error)).error
    await two.say(GiveBack(peer.conn_id))
    bus.taken_back(await bus.hear(PeerGivenBack))


async def test_every_service_with_a_channel_may_speak_first(bus: ConnectiondProcess) -> None:
    node_id = (await bus.give("nobody")).info.node_id  # there is no service: it goes back at once
    bus.taken_back(await bus.hear(PeerGivenBack))
    one = await bus.service("one", channels=((channel_id(1), node_id),))
    two = await bus.service("two", channels=((channel_id(2), node_id),))
    peer = await bus.give("one")
    for service, channel in ((one, channel_id(1)), (two, channel_id(2))):
        await service.takes(peer)
        await service.tell(peer, about(REESTABLISH, channel))
    heard = {await peer.next(), await peer.next()}
    assert heard == {about(REESTABLISH, channel_id(1)), about(REESTABLISH, channel_id(2))}


@pytest.mark.parametrize("route", ["answer", "copy", "take"])
async def test_error_for_all_channels_is_for_everybody(bus: ConnectiondProcess, route: str) -> None:
    bus.master.send(control_wire.SetMessageRoutes([(17, route)]))
    one, two = await bus.service("one"), await bus.service("two", take=(OPEN,))
    peer = await bus.give("one")
    await one.takes(peer)
    await peer.say(about(OPEN, channel_id(1)))
    await two.takes(peer)
    await two.hears(peer, about(OPEN, channel_id(1)))
    error = ErrorMessage(ALL_CHANNELS, b"no more").encode()
    await peer.say(error)
    await one.hears(peer, error)
    await two.hears(peer, error, first=2)
    assert (await bus.hear(control_wire.PeerMessage)).message == error
    for_two = ErrorMessage(channel_id(1), b"this one").encode()
    await peer.say(for_two)
    await two.hears(peer, for_two, first=3)
    await one.hears_nothing()
    assert (await bus.hear(control_wire.PeerMessage)).channel_id == channel_id(1)


async def test_message_for_a_channel_that_is_nobodys(bus: ConnectiondProcess) -> None:
    """With one service it may be its, which knows; with two none gets it, and the peer is warned, not failed."""
    one, two = await bus.service("one"), await bus.service("two", take=(OPEN2,))
    peer = await bus.give("one")
    await one.takes(peer)
    await peer.say(about(REESTABLISH, channel_id(1)), about(OPEN2, channel_id(2)))
    await one.hears(peer, about(REESTABLISH, channel_id(1)))
    await two.takes(peer)
    await two.hears(peer, about(OPEN2, channel_id(2)))
    await peer.say(about(REESTABLISH, channel_id(3)), about(OPEN, channel_id(4)))
    assert (await peer.hear(WarningMessage)).channel_id == channel_id(3)
    assert (await peer.hear(ErrorMessage)).channel_id == channel_id(4)
    await one.hears_nothing()
    await two.hears_nothing()


# the master's words


async def test_master_asks_for_everything_back(bus: ConnectiondProcess) -> None:
    service = await bus.service("channeld")
    peers = [await bus.give("channeld") for _ in range(3)]
    for peer in peers:
        await service.takes(peer)
    bus.master.send(control_wire.GiveBack(None))
    for peer in peers:
        assert (await service.hear(bus_wire.PeerGivenBack)).conn_id == peer.conn_id
        given_back = await bus.hear(PeerGivenBack)
        assert given_back.conn_id == peer.conn_id
        bus.taken_back(given_back)
    await bus.hear(control_wire.AllGivenBack)
    await service.tell(peers[0], ODD)  # on the way when the connection left: no mistake
    await service.hears_nothing()


async def test_master_speaks_pings_and_disconnects(bus: ConnectiondProcess) -> None:
    service = await bus.service("channeld")
    peer = await bus.give("channeld")
    await service.takes(peer)
    info = peer.info
    await bus.master.request(control_wire.SendMessage(info.node_id, info.conn_id, ODD), control_wire.SendMessageReply)
    assert await peer.next() == ODD
    pinging = control_wire.Ping(info.node_id, info.conn_id, 7, 3)
    task = bus.asks(pinging, control_wire.Pong)
    assert (await peer.hear(Ping)).num_pong_bytes == 7
    await peer.say(Pong(bytes(7)))
    assert (await task).totlen == 11
    last_words = WarningMessage(ALL_CHANNELS, b"bye").encode()
    bus.master.send(control_wire.Disconnect(info.node_id, info.conn_id, [last_words], "because"))
    assert await peer.is_hung_up_on() == [last_words]
    assert await service.was_disconnected(peer) == await bus.disconnected(peer) == "because"


async def test_copies_go_up_and_the_connection_stays(bus: ConnectiondProcess) -> None:
    service = await bus.service("channeld")
    bus.master.send(control_wire.SetMessageRoutes([(513, "copy")]))
    peer = await bus.give("channeld")
    await service.takes(peer)
    await peer.say(b"\x02\x01onion")
    copy = await bus.hear(control_wire.PeerMessage)
    assert (copy.conn_id, copy.message, copy.message_type) == (peer.conn_id, b"\x02\x01onion", 513)
    await service.hears_nothing()
