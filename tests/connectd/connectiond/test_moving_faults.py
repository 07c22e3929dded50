"""One connectiond is to take the place of another, and services, or one of the two, do something else."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from connectd.connectiond.moved import VERSION, MovedBus, MovedLine, MovedShared
from tests.connectd.connectiond.connectiond_process import (
    ConnectiondProcess,
    Service,
    about,
)
from tests.connectd.connectiond.restarts import (
    FIRST,
    PATIENCE,
    UPDATE_FEE,
    answers,
    away,
    begins,
    ended_well,
    hangs_up,
    hears,
    is_back,
    pair,
    says_hello,
    with_a_peer,
)
from tests.gossipd.gossipd_process import peer_info
from tests.states.examples import LINE
from wire.bus import bus_wire
from wire.bus.bus_wire import Goodbye, Restart, Welcome
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
    ServicePresence,
    TakePlace,
)
from wire.control.timing import Timing
from wire.crypto_state import PeerState
from wire.net.states import dump

BRIEF = Timing(bus_heartbeat=60.0, bus_patience=0.5)


# services that do something else


async def test_service_that_does_not_come_to_the_new_one(bus: ConnectiondProcess, tmp_path: Path) -> None:
    """Its connections wait as long as it may take nothing, and are closed."""
    new = await ConnectiondProcess(tmp_path, "new.log").start(BRIEF, takes_place=True)
    try:
        service, peer = await away(bus, new)
        assert not (await new.hear(ServicePresence)).here
        assert "has not said hello within 0.5 seconds" in await new.disconnected(peer)
        await hangs_up(peer)
        await says_hello(service)
        assert "nothing with which you could go on" in (await service.hear(bus_wire.Error)).error
        new.ends_well()
    finally:
        new.clean_up()


async def test_restart_before_a_service_has_come_back(
    bus: ConnectiondProcess, new: ConnectiondProcess, tmp_path: Path
) -> None:
    """The service says hello again all the while, and goes on with the process that is there then."""
    newest = await ConnectiondProcess(tmp_path, "newest.log").start(BRIEF, takes_place=True)
    try:
        service, peer = await away(bus, new)
        await ended_well(bus)
        newest.registers("one")
        reply = await begins(new, newest)
        assert (reply.owned, reply.lost) == (1, 0)
        await ended_well(new)
        await is_back(service)
        await service.tell(peer, about(UPDATE_FEE, FIRST))
        await hears(peer, about(UPDATE_FEE, FIRST))
        newest.ends_well()
    finally:
        newest.clean_up()


async def test_service_that_begins_again(bus: ConnectiondProcess, new: ConnectiondProcess) -> None:
    """Without `resumes` it is as if it had died and come back."""
    _, peer = await away(bus, new)
    await ended_well(bus)  # or its last breath would take the hello
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
    service, peer = await away(bus, new)
    await ended_well(bus)  # or its last breath would take the hello
    stranger = new.stranger()
    stranger.name = "one"
    await says_hello(stranger, b"another ticket!!")
    assert "not valid" in (await stranger.hear(bus_wire.Error)).error
    await is_back(service)
    await service.tell(peer, about(UPDATE_FEE, FIRST))
    await hears(peer, about(UPDATE_FEE, FIRST))
    new.ends_well()


async def test_service_that_talks_on_before_it_is_welcome(bus: ConnectiondProcess, new: ConnectiondProcess) -> None:
    service, peer = await with_a_peer(bus, new)
    ours, theirs = pair()
    successor = Successor(ours)
    moving = bus.asks(MoveAll(theirs), MoveAllReply)
    await answers(service)
    await successor.hear(MovePeer)
    await service.tell(peer, about(UPDATE_FEE, FIRST))
    stranger = bus.stranger()
    for _ in range(2):  # when the second is answered all that was said before the first has been read
        await says_hello(stranger, b"no ticket")
        await stranger.hear(bus_wire.Error)
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
    service, peer = await with_a_peer(bus)
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
