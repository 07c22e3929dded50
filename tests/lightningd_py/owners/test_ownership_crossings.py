"""Messages that cross each other, and each connection's one end. Channels are lists, fds are real."""

import asyncio
from typing import Any

import pytest

from lightningd_py.owners.claims import GOSSIPD
from lightningd_py.owners.peers import Peer, State
from tests.lightningd_py.ownership_among_fakes import (
    CHANNEL,
    NODE,
    OPEN_CHANNEL,
    PRIVILEGED,
    STATE,
    OwnershipAmongFakes,
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
    PeerReconnected,
    PeersElsewhere,
    ReleasePeer,
    TakePeer,
)

OTHER = bytes([2]) + bytes([7]) * 32

# release_peer


async def test_release(around: OwnershipAmongFakes) -> None:
    peer = around.taken()
    around.ownership.release(peer, around.only_service)
    (asked,) = around.gossipd.take()
    assert isinstance(asked, ReleasePeer)
    assert peer.state is State.RELEASING
    with pytest.raises(ValueError, match="gossipd"):
        around.ownership.release(peer, around.only_service)
    around.released()
    assert peer.owner == "s"
    with pytest.raises(ValueError, match="s"):
        around.ownership.release(peer, around.only_service)
    taken = said(around.programs[0][0].channel)[1]
    assert isinstance(taken, TakePeer)
    assert taken.message is None


@pytest.mark.parametrize("message", [OPEN_CHANNEL, b"\x00\x88" + CHANNEL])
@pytest.mark.parametrize("taken_first", [False, True])
async def test_release_crosses_with_nongossip(around: OwnershipAmongFakes, message: bytes, taken_first: bool) -> None:
    """peer_nongossip decides, and the refusal that follows means nothing, wherever the connection is by then."""
    peer = around.taken()
    around.ownership.release(peer, around.only_service)
    around.nongossip(message=message)
    expected = State.PROGRAM if message == OPEN_CHANNEL else State.GIVEN
    if taken_first and expected is State.GIVEN:
        around.taken()
        expected = State.GOSSIPD
    around.not_released()
    assert peer.state is expected
    assert len(around.programs) == (1 if message == OPEN_CHANNEL else 0)
    assert around.ownership.wanted_by == {}


async def test_release_crosses_with_the_end(around: OwnershipAmongFakes) -> None:
    peer = around.taken()
    around.ownership.release(peer, around.only_service)
    around.disconnected()
    around.ended_once("gone")
    around.not_released()
    assert around.ownership.wanted_by == {}


async def test_release_crosses_with_disconnect(around: OwnershipAmongFakes) -> None:
    """gossipd lets go of it before it hears that it is to end it: the master does that."""
    peer = around.taken()
    around.ownership.release(peer, around.only_service)
    around.ownership.disconnect(peer, "no more")
    assert [type(order) for order in around.gossipd.take()] == [ReleasePeer, Disconnect]
    around.released()
    around.ended_once("no more")
    assert around.programs == []


# disconnect


async def test_disconnect(around: OwnershipAmongFakes) -> None:
    """Once, however often it is asked for; `gone` tells when it is done."""
    peer = around.taken()
    around.ownership.disconnect(peer, "no more", [b"\x00\x01bye"])
    around.ownership.disconnect(peer, "really")
    (order,) = around.gossipd.take()
    assert isinstance(order, Disconnect)
    assert (order.conn_id, order.send, order.reason) == (1, [b"\x00\x01bye"], "no more")
    assert not peer.is_gone
    around.disconnected(reason="no more")
    assert peer.is_gone
    around.ended_once("no more")


async def test_disconnect_before_gossipd_has_said_that_it_has_it(around: OwnershipAmongFakes) -> None:
    peer = around.connected()
    around.ownership.disconnect(peer, "no more")
    assert [type(order) for order in around.gossipd.take()] == [HandlePeer, Disconnect]
    around.taken()
    assert peer.state is State.ENDING
    around.disconnected()
    around.ended_once("gone")


async def test_disconnect_crosses_with_nongossip(around: OwnershipAmongFakes) -> None:
    """No service is started for a connection that is to end."""
    peer = around.taken()
    around.ownership.disconnect(peer, "no more")
    around.nongossip()
    around.ended_once("no more")
    assert around.programs == []


async def test_disconnect_crosses_with_giving_back(around: OwnershipAmongFakes) -> None:
    peer, program, say = around.with_program()
    around.ownership.disconnect(peer, "no more")
    assert [type(order) for order in said(program.channel)] == [Disconnect]
    say(given_back())
    around.ended_once("no more")
    assert around.gossipd.take() == []


async def test_disconnect_of_a_program_that_does_not_let_go(around: OwnershipAmongFakes) -> None:
    """The program is killed, and the connection ends with it."""
    peer, program, _ = around.with_program()
    process: Any = program.process
    around.ownership.disconnect(peer, "no more")
    assert not process.killed.is_set()
    await asyncio.wait_for(process.killed.wait(), 60)
    around.programs[-1][2]("eof")
    around.ended_once("service s has left it")
    assert peer.is_gone


async def test_program_that_has_given_back_and_does_not_exit(around: OwnershipAmongFakes) -> None:
    _, program, say = around.with_program()
    process: Any = program.process
    say(given_back())
    await asyncio.wait_for(process.killed.wait(), 60)
    process.exit(-9)
    assert around.ownership.programs._leaving == set()


async def test_program_that_exits_in_time_is_not_killed(around: OwnershipAmongFakes) -> None:
    peer, program, say = around.with_program()
    process: Any = program.process
    around.ownership.disconnect(peer, "no more")
    say(PeerDisconnected(NODE, 1, "as you wish"))
    process.exit(0)
    loop = asyncio.get_running_loop()
    later = loop.create_future()
    loop.call_later(0.03, later.set_result, None)  # after the timers of release_timeout
    await later
    assert not process.killed.is_set()


async def test_fault_in_its_gossip(around: OwnershipAmongFakes) -> None:
    peer, _, _ = around.with_program()
    order: list[tuple[Peer, str]] = []

    def disconnect(peer: Peer, reason: str, last_words: list[bytes] | None = None) -> None:
        order.append((peer, reason))

    around.ownership.disconnect = disconnect  # type: ignore[method-assign]
    around.ownership.heard(GOSSIPD, PeerFault(NODE, 1, "bad gossip"))
    around.ownership.heard(GOSSIPD, PeerFault(NODE, 5, "of a connection that has gone"))
    assert order == [(peer, "bad gossip")]


# The node connects again


async def test_reconnection(around: OwnershipAmongFakes) -> None:
    around.taken()
    around.ownership.peer_reconnected(PeerReconnected(NODE, 1))
    (order,) = around.gossipd.take()
    assert isinstance(order, Disconnect)
    around.disconnected(reason=order.reason)
    around.ended_once("the node has connected again")


async def test_reconnection_of_what_we_have_not_heard_of_yet(around: OwnershipAmongFakes) -> None:
    """The direct path is longer than connectd's: it ends as soon as gossipd says that it has it."""
    around.ownership.peer_reconnected(PeerReconnected(NODE, 1))
    assert around.gossipd.said == []
    peer = around.taken()
    assert [type(order) for order in around.gossipd.take()] == [Disconnect]
    assert peer.state is State.ENDING
    assert len(around.ownership.claims._ends_wanted) == 0


async def test_reconnection_of_what_has_gone(around: OwnershipAmongFakes) -> None:
    """Its end is on its way to connectd already."""
    around.taken()
    around.disconnected()
    around.ended_once("gone")
    around.ownership.peer_reconnected(PeerReconnected(NODE, 1))
    assert (around.gossipd.said, around.connectd.said) == ([], [])
    assert len(around.ownership.claims._ends_wanted) == 0


async def test_what_has_gone_is_remembered_for_a_while(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr("lightningd_py.owners.claims.MOST_REMEMBERED", 3)
    around: OwnershipAmongFakes = request.getfixturevalue("around")
    for conn_id in range(10):
        around.taken(conn_id)
        around.disconnected(conn_id)
    assert [around.ownership.claims.is_gone(conn_id) for conn_id in range(10)] == [False] * 7 + [True] * 3


async def test_arrival(around: OwnershipAmongFakes) -> None:
    """Now, later, or never because it has gone already."""
    peer = around.taken(1)
    assert await around.ownership.arrival(1) is peer
    waiting = asyncio.create_task(around.ownership.arrival(2))
    await asyncio.sleep(0)
    later = around.taken(2)
    assert await waiting is later
    around.disconnected(1)
    assert await around.ownership.arrival(1) is None


# The end


async def test_daemons_that_are_gone_are_told_nothing(around: OwnershipAmongFakes) -> None:
    """Fds are closed, nothing is raised. What comes while there is no gossipd has no owner, and is dialled again."""
    lost: list[bytes] = []
    around.ownership.on_lost = lost.append
    peers = [around.taken(conn_id) for conn_id in range(1, 4)]
    around.gossipd.closed = around.connectd.closed = True
    around.ownership.disconnect(peers[0], "no more")
    around.ownership.release(peers[1], around.only_service)
    around.ownership.peer_connected(PeerConnected(info(4), STATE, fd(), fd()))
    around.disconnected(3)
    assert (around.gossipd.said, around.connectd.said) == ([], [])
    assert (around.ownership.peers.get(4), lost) == (None, [NODE])


async def test_death_of_gossipd(around: OwnershipAmongFakes) -> None:
    """All that it had, was given or was to end is lost, each once; what a program has is not."""
    lost: list[bytes] = []
    around.ownership.on_lost = lost.append
    around.with_program()
    around.taken(2)
    around.connected(3, OTHER)
    around.ownership.release(around.taken(4), around.only_service)
    around.ownership.disconnect(around.taken(5), "no more")
    around.connectd.take()
    for _ in range(2):
        around.ownership.gossipd_died()
        told = around.connectd.take()
        assert [vars(message)["conn_id"] for message in told] in ([2, 3, 4, 5], [])
    assert [peer.info.conn_id for peer in around.ownership.peers] == [1]
    assert lost == [NODE, OTHER, NODE, NODE]


async def test_what_has_died_with_gossipd_before_we_heard_of_it(around: OwnershipAmongFakes) -> None:
    """What waits for it waits no longer; a late word about it means nothing."""
    lost: list[bytes] = []
    around.ownership.on_lost = lost.append
    around.ownership.peer_reconnected(PeerReconnected(NODE, 1))
    waiting = asyncio.create_task(around.ownership.arrival(1))
    await asyncio.sleep(0)
    around.ownership.never_came(PeerDisconnected(NODE, 1, "gossipd has died"))
    assert (await waiting, await around.ownership.arrival(1)) == (None, None)
    assert lost == [NODE]


async def test_what_an_earlier_connectd_has_given_away(around: OwnershipAmongFakes) -> None:
    """The new one is told of it, for it may not have heard."""
    around.ownership.first_conn_id = 10
    around.taken(9)
    around.taken(10, OTHER)
    assert around.connectd.take() == [PeersElsewhere([info(9)])]


async def test_closing_ends_all_programs(around: OwnershipAmongFakes) -> None:
    around.connected(1, PRIVILEGED)
    around.connected(2, PRIVILEGED)
    program, say, _ = around.programs[-1]
    say(given_back(conn_id=2, node_id=PRIVILEGED))
    await around.ownership.programs.close()
    assert [program.channel.closed for program, _, _ in around.programs] == [True, True]
    assert [program.process.running for program, _, _ in around.programs] == [False, False]
    assert program.finished
