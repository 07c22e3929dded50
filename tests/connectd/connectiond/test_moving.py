"""One connectiond takes the place of another: what moves, what waits, and who goes on if that fails."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from connectd.connectiond.moved import VERSION, MovedBus, MovedLine, MovedShared
from tests.connectd.connectiond.connectiond_process import (
    ConnectiondProcess,
    Peer,
    Service,
    about,
    channel_id,
)
from tests.gossipd.gossipd_process import PeerGone, peer_info
from tests.states.examples import LINE
from wire.bus import bus_wire
from wire.bus.bus_wire import CREDIT, Goodbye, Hello, Restart, Welcome
from wire.control.control_channel import ControlChannel, RequestFailed
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_wire import (
    MoveAll,
    MoveAllReply,
    MoveBus,
    MoveBusReply,
    MoveDone,
    MovePeer,
    MovePeerReply,
    MovePeerReplyfail,
    PeerGivenBack,
    ServicePresence,
    TakePlace,
)
from wire.control.timing import Timing
from wire.frames import PeerState
from wire.net.states import dump

PATIENCE = 20.0
BRIEF = Timing(bus_heartbeat=60.0, bus_patience=0.5)
FIRST, SECOND = channel_id(1), channel_id(2)
REESTABLISH, UPDATE_FEE = 136, 134


def pair() -> tuple[socket.socket, Fd]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    return ours, Fd(theirs.detach())


@pytest.fixture
async def new(tmp_path: Path) -> AsyncIterator[ConnectiondProcess]:
    """One that is to take the place of another."""
    connectiond = ConnectiondProcess(tmp_path, "new.log")
    try:
        await connectiond.start(takes_place=True)
        yield connectiond
    finally:
        connectiond.clean_up()


async def answers(service: Service, ticket: bytes = b"") -> None:
    """What a service does at a restart, once."""
    await service.hear(Restart)
    await says_hello(service, ticket)


async def says_hello(service: Service, ticket: bytes = b"", *, resumes: bool = True) -> None:
    await service.say(Hello(service.name, ticket or service.name.encode().ljust(16, b"!"), CREDIT, resumes=resumes))


async def is_back(service: Service) -> None:
    """Says hello until it is welcome."""
    while True:
        await says_hello(service)
        try:
            async with asyncio.timeout(0.25):
                await service.hear(Welcome)
                return
        except TimeoutError:
            continue


def begins(old: ConnectiondProcess, new: ConnectiondProcess) -> "asyncio.Task[MoveAllReply]":
    """As the master does it."""
    ours, theirs = pair()
    new.master.send(TakePlace(theirs))
    return old.asks(MoveAll(Fd(ours.detach())), MoveAllReply)


async def ended_well(old: ConnectiondProcess) -> None:
    assert await asyncio.to_thread(old.process.wait, PATIENCE) == 0, old.log()
    assert "BROKEN" not in old.log() and "Traceback" not in old.log(), old.log()


async def hears(peer: Peer, *messages: bytes) -> None:
    """The peer gets these next."""
    for message in messages:
        assert await peer.next() == message


async def hangs_up(peer: Peer) -> None:
    """The node has closed the connection, without a word."""
    with pytest.raises(PeerGone):
        await peer.next()


# between two


async def test_all_goes_on(bus: ConnectiondProcess, new: ConnectiondProcess) -> None:
    """Numbers and credit each way, whose channel is which, what waits for a service and what waits for a peer."""
    service, other = await bus.service("one", credit=3), await bus.service("two")
    for name in ("one", "two"):
        new.registers(name)
    peer, quiet = await bus.give("one"), await bus.give("one")
    for each in (peer, quiet):
        await service.takes(each)
    await service.tell(peer, about(REESTABLISH, FIRST))
    await hears(peer, about(REESTABLISH, FIRST))
    said = [about(UPDATE_FEE, FIRST, bytes([number])) for number in range(5)]
    await peer.say(*said)
    await service.hears(peer, *said[:3])  # two are held: it gives no credit
    await other.hears_nothing()

    moving = begins(bus, new)
    for each in (service, other):
        await answers(each)
    reply = await moving
    assert (reply.owned, reply.elsewhere, reply.lost) == (2, 0, 0)
    await ended_well(bus)
    for each in (service, other):
        await is_back(each)
    assert await new.conn_ids() == [1, 2]
    await service.say(bus_wire.Credit(peer.conn_id, 100))
    await service.hears(peer, *said[3:], first=4)
    await peer.say(about(UPDATE_FEE, FIRST, b"more"), about(UPDATE_FEE, FIRST, b"and more"))
    await service.hears(peer, about(UPDATE_FEE, FIRST, b"more"), about(UPDATE_FEE, FIRST, b"and more"), first=6)
    await service.tell(peer, about(UPDATE_FEE, FIRST, b"second"))
    await hears(peer, about(UPDATE_FEE, FIRST, b"second"))
    await quiet.say(about(UPDATE_FEE, SECOND))
    await service.hears(quiet, about(UPDATE_FEE, SECOND))
    new.ends_well()


async def test_words_for_a_peer_that_does_not_read(bus: ConnectiondProcess, new: ConnectiondProcess) -> None:
    """They move as they are, and their credit comes when they go out at the new one."""
    service = await bus.service("one")
    new.registers("one")
    peer = await bus.give("one")
    await service.takes(peer)
    words = [about(UPDATE_FEE, FIRST, bytes([number]) * 30_000) for number in range(CREDIT)]
    await service.tell(peer, *words)
    moving = begins(bus, new)
    await hears_until(service, Restart)
    await says_hello(service)
    assert (await moving).owned == 1
    await is_back_with_news(service)
    await hears(peer, *words)
    await service.tell(peer, about(UPDATE_FEE, FIRST, b"one more"))
    await hears(peer, about(UPDATE_FEE, FIRST, b"one more"))
    new.ends_well()


async def hears_until(service: Service, kind: type) -> None:
    """Credit may come before it."""
    while True:
        try:
            await service.hear(kind)
            return
        except AssertionError:
            continue


async def is_back_with_news(service: Service) -> None:
    while True:
        await says_hello(service)
        try:
            async with asyncio.timeout(0.25):
                await hears_until(service, Welcome)
                return
        except TimeoutError:
            continue


async def test_what_happens_while_it_is_away(bus: ConnectiondProcess, new: ConnectiondProcess) -> None:
    """The service hears of it after its welcome: a connection that has ended, and one that has come."""
    service = await bus.service("one", node_ids=(peer_info(3).node_id,))
    new.registers("one", node_ids=(peer_info(3).node_id,))
    peer, other = await bus.give("one"), await bus.give("one")
    for each in (peer, other):
        await service.takes(each)
    moving = begins(bus, new)
    await answers(service)
    await moving
    other.sock.close()
    assert "closed" in await new.disconnected(other)
    new._last_conn_id = 2
    third = await new.give("one")
    await is_back(service)
    assert "closed" in await service.was_disconnected(other)
    await service.takes(third)
    await service.tell(other, about(UPDATE_FEE, FIRST))  # it has crossed with the end
    await service.tell(peer, about(UPDATE_FEE, FIRST))
    await hears(peer, about(UPDATE_FEE, FIRST))
    new.ends_well()


async def test_service_that_gives_back_while_its_words_wait(bus: ConnectiondProcess, new: ConnectiondProcess) -> None:
    """The connection goes to gossipd from the new one, behind them."""
    service = await bus.service("one")
    new.registers("one")
    peer = await bus.give("one")
    await service.takes(peer)
    words = [about(UPDATE_FEE, FIRST, bytes([number]) * 60_000) for number in range(40)]
    await service.tell(peer, *words)
    await service.say(bus_wire.GiveBack(peer.conn_id))
    await service.hear(bus_wire.PeerGivenBack)
    moving = begins(bus, new)
    await hears_until(service, Restart)
    await says_hello(service)
    assert (await moving).owned == 1
    await is_back(service)
    await hears(peer, *words)
    assert (await new.hear(ServicePresence)).here
    given = await new.hear(PeerGivenBack)
    assert given.conn_id == peer.conn_id
    given.close_fds()
    new.ends_well()


async def test_nothing_is_waited_for_without_services(bus: ConnectiondProcess, new: ConnectiondProcess) -> None:
    assert (await begins(bus, new)).owned == 0
    await ended_well(bus)
    service = await new.service("late")
    peer = await new.give("late")
    await service.takes(peer)
    new.ends_well()


# services that do something else


async def test_service_that_does_not_come_to_the_new_one(bus: ConnectiondProcess, tmp_path: Path) -> None:
    """Its connections wait as long as it may take nothing, and are closed."""
    new = await ConnectiondProcess(tmp_path, "new.log").start(BRIEF, takes_place=True)
    try:
        service = await bus.service("one")
        new.registers("one")
        peer = await bus.give("one")
        await service.takes(peer)
        moving = begins(bus, new)
        await answers(service)
        await moving
        assert not (await new.hear(ServicePresence)).here
        assert "has not said hello within 0.5 seconds" in await new.disconnected(peer)
        await hangs_up(peer)
        await says_hello(service)
        assert "nothing with which you could go on" in (await service.hear(bus_wire.Error)).error
        new.ends_well()
    finally:
        new.clean_up()


async def test_service_that_begins_again(bus: ConnectiondProcess, new: ConnectiondProcess) -> None:
    """Without `resumes` it is as if it had died and come back."""
    service = await bus.service("one")
    new.registers("one")
    peer = await bus.give("one")
    await service.takes(peer)
    moving = begins(bus, new)
    await answers(service)
    await moving
    again = Service(new, "one", new.endpoint)
    new._services.append(again)
    await says_hello(again, b"no ticket", resumes=False)
    assert "not valid" in (await again.hear(bus_wire.Error)).error
    await says_hello(again, resumes=False)
    await again.hear(Welcome)
    await hangs_up(peer)
    new.ends_well()


async def test_stranger_under_the_name_of_one_that_is_away(bus: ConnectiondProcess, new: ConnectiondProcess) -> None:
    """Without its ticket it gets an error, and the service goes on."""
    service = await bus.service("one")
    new.registers("one")
    peer = await bus.give("one")
    await service.takes(peer)
    moving = begins(bus, new)
    await answers(service)
    await moving
    stranger = new.stranger()
    stranger.name = "one"
    await says_hello(stranger, b"another ticket!!")
    assert "not valid" in (await stranger.hear(bus_wire.Error)).error
    await is_back(service)
    await service.tell(peer, about(UPDATE_FEE, FIRST))
    await hears(peer, about(UPDATE_FEE, FIRST))
    new.ends_well()


async def test_service_that_talks_on_before_it_is_welcome(bus: ConnectiondProcess, new: ConnectiondProcess) -> None:
    service = await bus.service("one")
    new.registers("one")
    peer = await bus.give("one")
    await service.takes(peer)
    ours, theirs = pair()
    successor = Successor(ours)
    moving = bus.asks(MoveAll(theirs), MoveAllReply)
    await answers(service)
    await successor.hear(MovePeer)
    await service.tell(peer, about(UPDATE_FEE, FIRST))
    successor.channel.close()
    with pytest.raises(RequestFailed):
        await moving
    await service.hear(Welcome)
    assert "welcomed first" in (await service.hear(bus_wire.Error)).error


async def test_service_that_comes_in_the_midst(bus: ConnectiondProcess) -> None:
    """While the old one waits for others it is let in, and told so at once; later it is to try again."""
    slow = await bus.service("slow")
    ours, theirs = pair()
    successor = Successor(ours)
    moving = bus.asks(MoveAll(theirs), MoveAllReply)
    await slow.hear(Restart)
    early = await bus.service("early")
    await answers(early)
    await says_hello(slow)
    await successor.hear(MoveBus)
    bus.registers("late")
    late = Service(bus, "late", bus.endpoint)
    bus._services.append(late)
    await says_hello(late, resumes=False)
    assert "say hello again in a moment" in (await late.hear(bus_wire.Error)).error
    successor.channel.close()
    with pytest.raises(RequestFailed):
        await moving
    for each in (slow, early):
        await each.hear(Welcome)
    await says_hello(late, resumes=False)
    await late.hear(Welcome)


# a next one that fails: the test


class Successor:
    """The far end of the old one's socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.said: asyncio.Queue[ControlMessage] = asyncio.Queue()
        self.channel = ControlChannel(sock, "predecessor", self.said.put_nowait, lambda _: None)

    async def hear(self, kind: type) -> ControlMessage:
        async with asyncio.timeout(PATIENCE):
            message = await self.said.get()
        message.close_fds()
        assert isinstance(message, kind), message
        return message


async def dies(successor: Successor) -> None:
    await successor.hear(MovePeer)


async def refuses(successor: Successor) -> None:
    message = await successor.hear(MovePeer)
    assert isinstance(message, MovePeer)
    successor.channel.reply(message, MovePeerReplyfail("it is of a newer version"))
    successor.channel.close()


async def lies(successor: Successor) -> None:
    message = await successor.hear(MovePeer)
    assert isinstance(message, MovePeer)
    successor.channel.reply(message, MovePeerReply())
    rest = await successor.hear(MoveBus)
    assert isinstance(rest, MoveBus)
    successor.channel.reply(rest, MoveBusReply(2))


@pytest.mark.parametrize("fails", [dies, refuses, lies])
async def test_old_one_goes_on(bus: ConnectiondProcess, fails: Callable[[Successor], Awaitable[None]]) -> None:
    """The service is welcomed on the connection that it has, and nothing of the conversation is lost: twice."""
    service = await bus.service("one")
    peer = await bus.give("one")
    await service.takes(peer)
    for round_ in range(2):
        ours, theirs = pair()
        successor = Successor(ours)
        moving = bus.asks(MoveAll(theirs), MoveAllReply)
        await answers(service)
        await fails(successor)
        successor.channel.close()
        with pytest.raises(RequestFailed) as refused:
            await moving
        assert "\n" not in str(refused.value)
        await service.hear(Welcome)
        await peer.say(about(UPDATE_FEE, FIRST, bytes([round_])))
        await service.hears(peer, about(UPDATE_FEE, FIRST, bytes([round_])), first=round_ + 1)
        await service.tell(peer, about(UPDATE_FEE, FIRST, b"answer"))
        await hears(peer, about(UPDATE_FEE, FIRST, b"answer"))
    assert await bus.conn_ids() == [peer.conn_id]


# an old one that says what is no state: the test

BAD = {
    "of a newer version": (dump(LINE, 99), "MovedLine is of version 99"),
    "cut": (dump(LINE, VERSION)[:-3], "no state of MovedLine"),
    "of a lying length": (b"\x92\x01\xdf\xff\xff\xff\xff", "no state of MovedLine"),
    "with words that are nobody's": (
        dump(MovedLine(LINE.peer, LINE.state, MovedShared(said=["one"])), VERSION),
        "0 messages wait, and 1 are to be told",
    ),
}


@pytest.mark.parametrize("what", sorted(BAD))
async def test_bad_state_is_refused_in_one_sentence(new: ConnectiondProcess, what: str) -> None:
    state, reason = BAD[what]
    ours, theirs = pair()
    channel = ControlChannel(ours, "successor", lambda _: None, lambda _: None)
    new.master.send(TakePlace(theirs))
    near, far = socket.socketpair()
    with far, pytest.raises(RequestFailed) as refused:
        await channel.request(MovePeer(state, Fd(near.detach()), None), MovePeerReply)
    assert reason in str(refused.value) and "\n" not in str(refused.value)
    channel.close()
    await ended_well(new)


async def test_connection_that_cannot_be_taken_is_lost_alone(new: ConnectiondProcess, tmp_path: Path) -> None:
    """A flawed state is found when it is too late to go back: the master hears of that one."""
    flawed = MovedLine(peer_info(9), PeerState(LINE.state.crypto, bytes(1 << 21), b""))
    ours, theirs = pair()
    channel = ControlChannel(ours, "successor", lambda _: None, lambda _: None)
    new.master.send(TakePlace(theirs))
    near, far = socket.socketpair()
    with far, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "msg"))
        listener.listen()
        await channel.request(MovePeer(dump(flawed, VERSION), Fd(near.detach()), None), MovePeerReply)
        copy = Fd(listener.dup().detach())
        assert (await channel.request(MoveBus(dump(MovedBus(), VERSION), copy), MoveBusReply)).peers == 1
        channel.send(MoveDone())
        gone = await new.hear(object)  # type: ignore[type-var]
        assert gone.conn_id == 9 and "no connection came" in gone.reason  # type: ignore[attr-defined]
    channel.close()
    assert (await new.service("late")).name == "late"
    new.ends_well()


async def test_service_without_an_answer_ends(bus: ConnectiondProcess, new: ConnectiondProcess) -> None:
    """After a few seconds it hears goodbye; the others have waited, and go on."""
    deaf, service = await bus.service("deaf"), await bus.service("one")
    for name in ("deaf", "one"):
        new.registers(name)
    theirs, peer = await bus.give("deaf"), await bus.give("one")
    await deaf.takes(theirs)
    await service.takes(peer)
    moving = begins(bus, new)
    await answers(service)
    reply = await moving
    assert (reply.owned, reply.lost) == (1, 1)
    await deaf.hear(Restart)
    assert "has not said hello again" in (await deaf.hear(Goodbye)).reason
    await hangs_up(theirs)
    await is_back(service)
    await service.tell(peer, about(UPDATE_FEE, FIRST))
    await hears(peer, about(UPDATE_FEE, FIRST))
    new.ends_well()
