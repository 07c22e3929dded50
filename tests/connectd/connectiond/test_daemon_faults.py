"""The real connectiond as a process: services and peers that do what they should not, or go."""

import asyncio
import contextlib
import resource

import pytest

from connectd.connectiond.daemon import FDS_BESIDES, GO_AWAY
from tests.connectd.connectiond.connectiond_process import TIMING, ConnectiondProcess, about, channel_id
from wire.bus import bus_wire
from wire.bus.bus_wire import CREDIT, GiveBack, Hello
from wire.control import control_wire
from wire.control.control_channel import RequestFailed
from wire.control.control_wire import (
    ConnectiondInit,
    ConnectiondInitReply,
    ListPeers,
    ListPeersReply,
    PeerGivenBack,
    PeerNongossip,
    ServicePresence,
    SetLimits,
)
from wire.control.limits import Limits
from wire.control.timing import Timing
from wire.peer_wire import Ping, Pong

OPEN, REESTABLISH = 32, 136
ODD = b"\x80\x01"

# sessions


async def test_hello_without_a_ticket_is_refused(bus: ConnectiondProcess) -> None:
    stranger = bus.stranger()
    bus.registers("away", ticket=b"")
    for ticket in (b"", b"x" * 16):
        for name in ("nobody", "away"):
            await stranger.say(Hello(name, ticket))
            assert "ticket" in (await stranger.hear(bus_wire.Error)).error
    await stranger.say(bus_wire.Message(1, 1, ODD))
    assert (await stranger.hear(bus_wire.Error)).error == "say hello first"


async def test_ticket_that_the_master_has_just_told_is_known(bus: ConnectiondProcess) -> None:
    """The service may be quicker at our other door than the master's word."""
    for number in range(20):
        await bus.service(f"service{number}")


async def test_too_much_credit_at_hello_is_refused(bus: ConnectiondProcess) -> None:
    ticket = bus.registers("greedy")
    stranger = bus.stranger()
    await stranger.say(Hello("greedy", ticket, credit=1_000_000))
    assert "too much" in (await stranger.hear(bus_wire.Error)).error


async def test_session_ends_with_the_one_on_ctl(bus: ConnectiondProcess) -> None:
    service = await bus.service("channeld")
    peer = await bus.give("channeld")
    await service.takes(peer)
    bus.registers("channeld", ticket=b"")
    assert (await bus.hear(ServicePresence)).here is False
    assert "CTL" in await bus.disconnected(peer)
    assert "CTL" in (await service.hear(bus_wire.Goodbye)).reason
    assert await peer.is_hung_up_on() == []


@pytest.mark.parametrize("how", ["goodbye", "death"])
async def test_service_leaves_with_peers_in_its_hands(bus: ConnectiondProcess, how: str) -> None:
    """Every connection of its ends, without a word to the peers and with the reason for everybody else."""
    leaver, other = await bus.service("leaver"), await bus.service("other", take=(OPEN,))
    peers = [await bus.give("leaver") for _ in range(2)]
    kept = await bus.give("other")
    for peer in peers:
        await leaver.takes(peer)
    await other.takes(kept)
    await peers[1].say(about(OPEN, channel_id(1)))
    await other.takes(peers[1])
    await other.hears(peers[1], about(OPEN, channel_id(1)))
    if how == "goodbye":
        await leaver.say(bus_wire.Goodbye("enough"))
    else:
        leaver.leaves()
    presence = await bus.hear(ServicePresence)
    assert (presence.service, presence.here) == ("leaver", False)
    for peer in peers:
        assert "service leaver has left" in await bus.disconnected(peer)
        assert await peer.is_hung_up_on() == []
    assert "service leaver has left" in await other.was_disconnected(peers[1])
    await kept.say(about(REESTABLISH, channel_id(1)))
    await other.hears(kept, about(REESTABLISH, channel_id(1)))


async def test_service_is_back_and_has_its_part_again(bus: ConnectiondProcess) -> None:
    keeper, away = await bus.service("keeper"), await bus.service("away")
    peer = await bus.give("keeper")
    await keeper.takes(peer)
    away.leaves()
    assert (await bus.hear(ServicePresence)).here is False
    back = await bus.service("away", channels=((channel_id(1), peer.info.node_id),))
    await back.takes(peer)
    await peer.say(about(REESTABLISH, channel_id(1)))
    await back.hears(peer, about(REESTABLISH, channel_id(1)))


async def test_message_for_a_service_that_is_away_ends_the_connection(bus: ConnectiondProcess) -> None:
    keeper = await bus.service("keeper")
    peer = await bus.give("keeper")
    await keeper.takes(peer)
    bus.registers("away", channels=((channel_id(1), peer.info.node_id),), ticket=b"")
    await peer.say(about(REESTABLISH, channel_id(1)))
    assert await bus.disconnected(peer) == await keeper.was_disconnected(peer) == "service away is not here"
    assert await peer.is_hung_up_on() == []


async def test_connection_for_a_service_that_is_not_here_goes_back(bus: ConnectiondProcess) -> None:
    opening = about(OPEN, channel_id(1))
    peer = await bus.give("away", opening)
    nongossip = await bus.hear(PeerNongossip)
    assert (nongossip.conn_id, nongossip.message, nongossip.channel_id) == (peer.conn_id, opening, channel_id(1))
    bus.taken_back(nongossip)
    peer = await bus.give("away")
    given_back = await bus.hear(PeerGivenBack)
    await peer.say(ODD)
    assert await bus.taken_back(given_back).next() == ODD


# services that make mistakes


@pytest.mark.parametrize("seqs", [(2,), (0,), (1, 1), (1, 3)])
async def test_wrong_seq_ends_that_connection(bus: ConnectiondProcess, seqs: tuple[int, ...]) -> None:
    service = await bus.service("channeld")
    peer, other = await bus.give("channeld"), await bus.give("channeld")
    await service.takes(peer)
    await service.takes(other)
    for seq in seqs:
        await service.say(bus_wire.Message(peer.conn_id, seq, ODD))
    error = await service.hear(bus_wire.Error)
    assert (error.conn_id, error.error) == (peer.conn_id, f"seq {seqs[-1]} came where {len(seqs)} was due")
    assert error.error in await service.was_disconnected(peer)
    assert error.error in await bus.disconnected(peer)
    for _ in range(20):  # on the way meanwhile: no mistakes any more
        await service.say(bus_wire.Message(peer.conn_id, 9, ODD))
    await service.tell(other, ODD)
    assert await other.next() == ODD


async def test_more_than_the_credit_ends_that_connection(bus: ConnectiondProcess) -> None:
    service = await bus.service("channeld")
    peer = await bus.give("channeld")
    await service.takes(peer)
    large = ODD + bytes(20_000)
    await service.tell(peer, *[large] * (CREDIT + 60))  # the peer reads nothing: some 20 fit into its socket
    assert "without credit" in (await service.hear(bus_wire.Error)).error
    assert "without credit" in await service.was_disconnected(peer)
    assert "without credit" in await bus.disconnected(peer)


@pytest.mark.parametrize("said", [b"", b"\1", bytes(65_536)])
async def test_message_that_cannot_be_said_ends_that_connection(bus: ConnectiondProcess, said: bytes) -> None:
    service = await bus.service("channeld")
    peer = await bus.give("channeld")
    await service.takes(peer)
    await service.tell(peer, said)
    assert f"a message of {len(said)} bytes" in (await service.hear(bus_wire.Error)).error
    await service.was_disconnected(peer)
    await bus.disconnected(peer)


async def test_what_is_not_its_own_is_refused(bus: ConnectiondProcess) -> None:
    one, two = await bus.service("one", take=(OPEN,)), await bus.service("two")
    peer = await bus.give("one", about(OPEN, channel_id(1)))
    await one.takes(peer)
    await one.hears(peer, about(OPEN, channel_id(1)))
    wrong = (bus_wire.Message(peer.conn_id, 1, ODD), bus_wire.Credit(peer.conn_id, 5), GiveBack(peer.conn_id))
    for message in (*wrong, bus_wire.Disconnect(conn_id=peer.conn_id), GiveBack(77)):
        await two.say(message)
        error = await two.hear(bus_wire.Error)
        assert (error.error, error.conn_id) == (f"connection {error.conn_id} is not two's", message.conn_id)
    bus.registers("two", node_ids=(peer.info.node_id,))
    await two.takes(peer)
    await two.tell(peer, about(REESTABLISH, channel_id(1)))
    assert "is one's" in (await two.hear(bus_wire.Error)).error
    await two.tell(peer, about(17, bytes(32)))
    assert "other services" in (await two.hear(bus_wire.Error)).error
    await two.say(bus_wire.Disconnect(conn_id=peer.conn_id))
    assert "is one's, too" in (await two.hear(bus_wire.Error)).error
    await two.tell(peer, ODD)
    assert await peer.next() == ODD


async def test_too_much_credit_is_refused(bus: ConnectiondProcess) -> None:
    service = await bus.service("channeld")
    peer = await bus.give("channeld")
    await service.takes(peer)
    await service.say(bus_wire.Credit(peer.conn_id, 1 << 40))
    assert "too much" in (await service.hear(bus_wire.Error)).error
    await peer.say(about(REESTABLISH, channel_id(1)))
    await service.hears(peer, about(REESTABLISH, channel_id(1)))


async def test_rubbish_ends_the_session_and_its_connections(bus: ConnectiondProcess) -> None:
    service = await bus.service("mad")
    peer = await bus.give("mad")
    await service.takes(peer)
    for _ in range(10):
        await service.say(b"\xc1")
        await service.hear(bus_wire.Error)
    await service.hear(bus_wire.Goodbye)
    assert (await bus.hear(ServicePresence)).here is False
    assert "were wrong" in await bus.disconnected(peer)


async def test_service_that_leaves_msg_unread_is_cut_off(new_bus: ConnectiondProcess) -> None:
    """The service has given credit for all of that, and does not read it."""
    bus = await new_bus.start(Timing(bus_heartbeat=60.0, bus_patience=0.2))
    service = await bus.service("stuck", credit=60_000)
    other = await bus.service("other")
    peer, unhurt = await bus.give("stuck"), await bus.give("other")
    await service.takes(peer)
    await other.takes(unhurt)
    message = about(REESTABLISH, channel_id(1), bytes(300))
    saying = asyncio.create_task(peer.say(*[message] * 8_000))  # more than ZMQ and the kernel keep for it
    assert "has taken nothing" in (await bus.hear(ServicePresence)).reason
    assert "service stuck has left" in await bus.disconnected(peer)
    saying.cancel()
    with contextlib.suppress(asyncio.CancelledError, OSError):
        await saying
    await other.tell(unhurt, ODD)
    assert await unhurt.next() == ODD


async def test_service_that_stops_to_read_hurts_nobody_else(bus: ConnectiondProcess) -> None:
    """Its peers' messages are not read any more, and no memory grows; everybody else goes on."""
    service = await bus.service("sleepy", credit=60_000)
    other = await bus.service("other")
    peer, unhurt = await bus.give("sleepy"), await bus.give("other")
    await service.takes(peer)
    await other.takes(unhurt)
    message = about(REESTABLISH, channel_id(1), bytes(300))
    count = 4_000  # more than ZMQ and the kernel keep for it
    saying = asyncio.create_task(peer.say(*[message] * count))
    for number in range(50):
        await unhurt.sync(number + 1)
    await other.tell(unhurt, ODD)
    assert await unhurt.next() == ODD
    await service.hears(peer, *[message] * count)  # it wakes up: all is there, in order
    await saying


# peers


async def test_peer_that_hangs_up(bus: ConnectiondProcess) -> None:
    service = await bus.service("channeld")
    peer = await bus.give("channeld")
    await service.takes(peer)
    await peer.say(about(REESTABLISH, channel_id(1)))
    peer.close()
    await service.hears(peer, about(REESTABLISH, channel_id(1)))
    assert await service.was_disconnected(peer) == await bus.disconnected(peer) == "the peer has closed the connection"
    await service.tell(peer, ODD)
    await service.hears_nothing()


async def test_service_ends_a_connection(bus: ConnectiondProcess) -> None:
    service = await bus.service("channeld")
    peer = await bus.give("channeld")
    await service.takes(peer)
    await service.tell(peer, ODD)
    await service.say(bus_wire.Disconnect(conn_id=peer.conn_id, reason="bored\n", id=5))
    reason = "service channeld has ended it: bored?"
    assert await service.was_disconnected(peer) == reason
    assert (await service.hear(bus_wire.Ok)).id == 5
    assert await bus.disconnected(peer) == reason
    assert await peer.is_hung_up_on() == [ODD]


BAD = {
    "unknown even message type 32768": b"\x80\x00",
    "unknown even message type 200": b"\x00\xc8" + bytes(40),
    "a message without a type": b"\x80",
    "ping: ping: 2 bytes are missing": b"\x00\x12\x00\x01",
    "channel_reestablish is too short": b"\x00\x88" + bytes(20),
}


@pytest.mark.bolt("B1-6", "B1-7")
@pytest.mark.parametrize("said", BAD.values(), ids=BAD)
async def test_peer_that_says_what_ends_a_connection(bus: ConnectiondProcess, said: bytes) -> None:
    service = await bus.service("channeld")
    peer = await bus.give("channeld")
    await service.takes(peer)
    await peer.say(said, about(REESTABLISH, channel_id(1)))
    (warning,) = await peer.is_hung_up_on()
    reason = await bus.disconnected(peer)
    assert warning[:2] == b"\0\1"
    assert reason.encode() in warning
    assert await service.was_disconnected(peer) == reason


async def test_peer_that_does_not_read_its_pongs_is_not_read(bus: ConnectiondProcess) -> None:
    service = await bus.service("channeld")
    peer = await bus.give("channeld")
    await service.takes(peer)
    count = 500
    saying = asyncio.create_task(peer.say(*[Ping(60_000, b"")] * count, about(REESTABLISH, channel_id(1))))
    other = await bus.give("channeld")
    await service.takes(other)
    for number in range(20):
        await other.sync(number + 1)
    for _ in range(count):
        assert len((await peer.hear(Pong)).ignored) == 60_000
    await saying
    await service.hears(peer, about(REESTABLISH, channel_id(1)))


async def test_peer_that_does_not_read_gets_no_more_than_the_credit(bus: ConnectiondProcess) -> None:
    service = await bus.service("channeld")
    peer = await bus.give("channeld")
    await service.takes(peer)
    message = ODD + bytes(20_000)
    await service.tell(peer, *[message] * CREDIT)
    await service.hears_nothing()
    info = peer.info
    with pytest.raises(RequestFailed, match="does not read"):
        await bus.master.request(
            control_wire.SendMessage(info.node_id, info.conn_id, ODD), control_wire.SendMessageReply
        )
    for _ in range(CREDIT):
        assert await peer.next() == message


async def test_silent_peer_is_pinged_and_gone_if_it_stays_silent(new_bus: ConnectiondProcess) -> None:
    bus = await new_bus.start(Timing(ping_idle=0.1, ping_timer=(0.01, 0.02), pong_timeout=0.3))
    service = await bus.service("channeld")
    alive, dead = await bus.give("channeld"), await bus.give("channeld")
    await alive.hear(Ping)
    await alive.say(Pong(bytes(1)))
    assert await bus.disconnected(dead) == "it does not answer pings"
    for peer in (alive, dead):
        await service.takes(peer)
    assert await service.was_disconnected(dead) == "it does not answer pings"
    (stats,) = (await bus.master.request(ListPeers(), ListPeersReply)).peers
    assert (stats.conn_id, stats.traffic.messages_in) == (alive.conn_id, 1)
    assert stats.latency is not None


@pytest.mark.parametrize("later", [False, True], ids=["at the start", "while it runs"])
async def test_peer_that_never_reads_is_gone_after_a_while(new_bus: ConnectiondProcess, later: bool) -> None:
    limits = Limits(slow_reader=0.5)
    bus = await new_bus.start(limits=Limits() if later else limits)
    if later:
        bus.master.send(SetLimits(limits))
    service = await bus.service("channeld")
    peer = await bus.give("channeld")
    await service.takes(peer)
    await service.tell(peer, *[ODD + bytes(20_000)] * 100)
    assert await service.was_disconnected(peer) == await bus.disconnected(peer) == "it does not take what is sent to it"


async def test_gossipd_that_does_not_read_holds_up_a_peer_for_a_while_only(new_bus: ConnectiondProcess) -> None:
    bus = await new_bus.start(Timing(bus_heartbeat=60.0, backpressure_pause=0.1))
    service = await bus.service("channeld")
    peer = await bus.give("channeld")
    await service.takes(peer)
    gossip = b"\x01\x02" + bytes(1_000)
    saying = asyncio.create_task(peer.say(*[gossip] * 1_000, about(REESTABLISH, channel_id(1)), Ping(3, b"")))
    await service.hears(peer, about(REESTABLISH, channel_id(1)))
    assert len((await peer.hear(Pong)).ignored) == 3
    await saying
    assert "gossip of this peer is dropped" in bus.log()


async def test_as_many_peers_as_there_are_fds_for(new_bus: ConnectiondProcess) -> None:
    fds = 2 * 3 + FDS_BESIDES
    resource.prlimit(new_bus.process.pid, resource.RLIMIT_NOFILE, (fds, fds))
    bus = await new_bus.start()
    service = await bus.service("channeld")
    for number in range(3):
        await service.takes(await bus.give("channeld"))
        assert await bus.conn_ids() == list(range(1, number + 2))
    refused = await bus.give("channeld")
    assert await refused.is_hung_up_on() == [GO_AWAY]
    assert await bus.disconnected(refused) == "too many peers"
    await service.hears_nothing()


async def test_endpoint_that_cannot_be_bound(new_bus: ConnectiondProcess) -> None:
    for endpoint in ("ipc:///nowhere/at/all", "carrier pigeon"):
        with pytest.raises(RequestFailed):
            await new_bus.master.request(ConnectiondInit(endpoint, "", TIMING), ConnectiondInitReply)
