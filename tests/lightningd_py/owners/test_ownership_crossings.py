"""Messages that cross each other, and each connection's one end. Channels are lists, fds are real."""

import asyncio
from typing import Any

import pytest

from lightningd_py.owners import ownership as module
from lightningd_py.owners.peers import Peer, State
from tests.lightningd_py.master import (
    CHANNEL,
    NODE,
    OPEN_CHANNEL,
    PRIVILEGED,
    STATE,
    House,
    fd,
    given_back,
    info,
    said,
)
from wire.control.control_wire import (
    Disconnect,
    HandlePeer,
    PeerConnected,
    PeerDisconnected,
    PeerFault,
    PeerMessage,
    PeerReconnected,
    PeersElsewhere,
    ReleasePeer,
    TakePeer,
)

OTHER = bytes([2]) + bytes([7]) * 32

# release_peer


async def test_release(house: House) -> None:
    peer = house.taken()
    house.ownership.release(peer, house.service)
    (asked,) = house.gossipd.take()
    assert isinstance(asked, ReleasePeer)
    assert peer.state is State.RELEASING
    with pytest.raises(ValueError, match="gossipd"):
        house.ownership.release(peer, house.service)
    house.released()
    assert peer.owner == "s"
    with pytest.raises(ValueError, match="s"):
        house.ownership.release(peer, house.service)
    taken = said(house.programs[0][0].channel)[1]
    assert isinstance(taken, TakePeer)
    assert taken.message is None


@pytest.mark.parametrize("message", [OPEN_CHANNEL, b"\x00\x88" + CHANNEL])
@pytest.mark.parametrize("taken_first", [False, True])
async def test_release_crosses_with_nongossip(house: House, message: bytes, taken_first: bool) -> None:
    """peer_nongossip decides, and the refusal that follows means nothing, wherever the connection is by then."""
    peer = house.taken()
    house.ownership.release(peer, house.service)
    house.nongossip(message=message)
    expected = State.PROGRAM if message == OPEN_CHANNEL else State.GIVEN
    if taken_first and expected is State.GIVEN:
        house.taken()
        expected = State.GOSSIPD
    house.not_released()
    assert peer.state is expected
    assert len(house.programs) == (1 if message == OPEN_CHANNEL else 0)
    assert house.ownership._wanted_by == {}


async def test_release_crosses_with_the_end(house: House) -> None:
    peer = house.taken()
    house.ownership.release(peer, house.service)
    house.disconnected()
    house.ended_once("gone")
    house.not_released()
    assert house.ownership._wanted_by == {}


async def test_release_crosses_with_disconnect(house: House) -> None:
    """gossipd lets go of it before it hears that it is to end it: the master does that."""
    peer = house.taken()
    house.ownership.release(peer, house.service)
    house.ownership.disconnect(peer, "no more")
    assert [type(order) for order in house.gossipd.take()] == [ReleasePeer, Disconnect]
    house.released()
    house.ended_once("no more")
    assert house.programs == []


# disconnect


async def test_disconnect(house: House) -> None:
    """Once, however often it is asked for; `gone` tells when it is done."""
    peer = house.taken()
    house.ownership.disconnect(peer, "no more", [b"\x00\x01bye"])
    house.ownership.disconnect(peer, "really")
    (order,) = house.gossipd.take()
    assert isinstance(order, Disconnect)
    assert (order.conn_id, order.send, order.reason) == (1, [b"\x00\x01bye"], "no more")
    assert not peer.gone.is_set()
    house.disconnected(reason="no more")
    assert peer.gone.is_set()
    house.ended_once("no more")


async def test_disconnect_before_gossipd_has_said_that_it_has_it(house: House) -> None:
    peer = house.connected()
    house.ownership.disconnect(peer, "no more")
    assert [type(order) for order in house.gossipd.take()] == [HandlePeer, Disconnect]
    house.taken()
    assert peer.state is State.ENDING
    house.disconnected()
    house.ended_once("gone")


async def test_disconnect_crosses_with_nongossip(house: House) -> None:
    """No service is started for a connection that is to end."""
    peer = house.taken()
    house.ownership.disconnect(peer, "no more")
    house.nongossip()
    house.ended_once("no more")
    assert house.programs == []


async def test_disconnect_crosses_with_giving_back(house: House) -> None:
    peer, program, say = house.with_program()
    house.ownership.disconnect(peer, "no more")
    assert [type(order) for order in said(program.channel)] == [Disconnect]
    say(given_back())
    house.ended_once("no more")
    assert house.gossipd.take() == []


async def test_disconnect_of_a_program_that_does_not_let_go(house: House) -> None:
    """It is killed, and the connection ends with it."""
    peer, program, _ = house.with_program()
    process: Any = program.process
    house.ownership.disconnect(peer, "no more")
    assert not process.killed.is_set()
    await asyncio.wait_for(process.killed.wait(), 10)
    house.programs[-1][2]("eof")
    house.ended_once("service s has left it")
    assert peer.gone.is_set()


async def test_program_that_has_given_back_and_does_not_exit(house: House) -> None:
    _, program, say = house.with_program()
    process: Any = program.process
    say(given_back())
    await asyncio.wait_for(process.killed.wait(), 10)
    process.exit(-9)
    assert house.ownership.programs._leaving == set()


async def test_program_that_exits_in_time_is_not_killed(house: House) -> None:
    peer, program, say = house.with_program()
    process: Any = program.process
    house.ownership.disconnect(peer, "no more")
    say(PeerDisconnected(NODE, 1, "as you wish"))
    process.exit(0)
    loop = asyncio.get_running_loop()
    later = loop.create_future()
    loop.call_later(0.03, later.set_result, None)  # after the timers of release_timeout
    await later
    assert not process.killed.is_set()


async def test_fault_in_its_gossip(house: House) -> None:
    peer, _, _ = house.with_program()
    house.ownership.disconnect = lambda peer, reason: order.append((peer, reason))  # type: ignore[method-assign,assignment]
    order: list[tuple[Peer, str]] = []
    house.ownership.peer_fault(PeerFault(NODE, 1, "bad gossip"))
    house.ownership.peer_fault(PeerFault(NODE, 5, "of a connection that has gone"))
    assert order == [(peer, "bad gossip")]


# The node connects again


async def test_reconnection(house: House) -> None:
    house.taken()
    house.ownership.peer_reconnected(PeerReconnected(NODE, 1))
    (order,) = house.gossipd.take()
    assert isinstance(order, Disconnect)
    house.disconnected(reason=order.reason)
    house.ended_once("the node has connected again")


async def test_reconnection_of_what_we_have_not_heard_of_yet(house: House) -> None:
    """The direct path is longer than connectd's: it ends as soon as gossipd says that it has it."""
    house.ownership.peer_reconnected(PeerReconnected(NODE, 1))
    assert house.gossipd.said == []
    peer = house.taken()
    assert [type(order) for order in house.gossipd.take()] == [Disconnect]
    assert peer.state is State.ENDING
    assert house.ownership._ends_wanted == {}


async def test_reconnection_of_what_has_gone(house: House) -> None:
    """Its end is on its way to connectd already."""
    house.taken()
    house.disconnected()
    house.ended_once("gone")
    house.ownership.peer_reconnected(PeerReconnected(NODE, 1))
    assert (house.gossipd.said, house.connectd.said) == ([], [])
    assert house.ownership._ends_wanted == {}


async def test_what_has_gone_is_remembered_for_a_while(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_REMEMBERED", 3)
    for conn_id in range(10):
        house.taken(conn_id)
        house.disconnected(conn_id)
    assert house.ownership._gone == {7, 8, 9}


async def test_arrival(house: House) -> None:
    """Now, later, or never because it has gone already."""
    peer = house.taken(1)
    assert await house.ownership.arrival(1) is peer
    waiting = asyncio.create_task(house.ownership.arrival(2))
    await asyncio.sleep(0)
    later = house.taken(2)
    assert await waiting is later
    house.disconnected(1)
    assert await house.ownership.arrival(1) is None


async def test_words_about_unknown_connections_are_our_own_bug(house: House) -> None:
    with pytest.raises(RuntimeError, match="connection 5 is not known"):
        house.disconnected(5)
    house.ownership.peer_message(PeerMessage(NODE, 5, b"\x00\x11", 17, None))
    assert house.errors == []


# The end


async def test_daemons_that_are_gone_are_told_nothing(house: House) -> None:
    """Fds are closed, nothing is raised. What comes while there is no gossipd has no owner, and is dialled again."""
    lost: list[bytes] = []
    house.ownership.on_lost = lost.append
    peers = [house.taken(conn_id) for conn_id in range(1, 4)]
    house.gossipd.closed = house.connectd.closed = True
    house.ownership.disconnect(peers[0], "no more")
    house.ownership.release(peers[1], house.service)
    house.ownership.peer_connected(PeerConnected(info(4), STATE, fd(), fd()))
    house.disconnected(3)
    assert (house.gossipd.said, house.connectd.said) == ([], [])
    assert (house.ownership.peers.get(4), lost) == (None, [NODE])


async def test_death_of_gossipd(house: House) -> None:
    """All that it had, was given or was to end is lost, each once; what a program has is not."""
    lost: list[bytes] = []
    house.ownership.on_lost = lost.append
    house.with_program()
    house.taken(2)
    house.connected(3, OTHER)
    house.ownership.release(house.taken(4), house.service)
    house.ownership.disconnect(house.taken(5), "no more")
    house.connectd.take()
    for _ in range(2):
        house.ownership.gossipd_died()
        told = house.connectd.take()
        assert [vars(message)["conn_id"] for message in told] in ([2, 3, 4, 5], [])
    assert [peer.info.conn_id for peer in house.ownership.peers] == [1]
    assert lost == [NODE, OTHER, NODE, NODE]


async def test_what_has_died_with_gossipd_before_we_heard_of_it(house: House) -> None:
    """Whoever waits for it is let go; a late word about it means nothing."""
    lost: list[bytes] = []
    house.ownership.on_lost = lost.append
    house.ownership.peer_reconnected(PeerReconnected(NODE, 1))
    waiting = asyncio.create_task(house.ownership.arrival(1))
    await asyncio.sleep(0)
    house.ownership.never_came(PeerDisconnected(NODE, 1, "gossipd has died"))
    assert (await waiting, await house.ownership.arrival(1)) == (None, None)
    assert lost == [NODE]


async def test_what_an_earlier_connectd_has_given_away(house: House) -> None:
    """The new one is told of it, for it may not have heard."""
    house.ownership.first_conn_id = 10
    house.taken(9)
    house.taken(10, OTHER)
    assert house.connectd.take() == [PeersElsewhere([info(9)])]


async def test_closing_ends_all_programs(house: House) -> None:
    house.connected(1, PRIVILEGED)
    house.connected(2, PRIVILEGED)
    program, say, _ = house.programs[-1]
    say(given_back(conn_id=2))
    await house.ownership.programs.close()
    assert [program.channel.closed for program, _, _ in house.programs] == [True, True]
    assert [program.process.running for program, _, _ in house.programs] == [False, False]
    assert program.finished
