"""The table of connections: every row of NEXT, everything that is no row, and who waits for a connection."""

import asyncio
import re

import pytest

from lightningd_py.owners.peers import BEGIN, MAX_MOVES, NEXT, Event, IllegalStep, Peer, Peers, State
from wire.control.control_wire import PeerInfo

ILLEGAL = [(state, event) for state in State for event in Event if (state, event) not in NEXT]


def info(conn_id: int, node: int = 1) -> PeerInfo:
    return PeerInfo(bytes([2, node]) + bytes(31), conn_id, "127.0.0.1:9735", True, None, b"", [])


def peer_in(state: State) -> Peer:
    return Peer(info(1), state, "here", 0.0)


@pytest.mark.parametrize(("step", "following"), NEXT.items())
def test_each_row(step: tuple[State, Event], following: State) -> None:
    state, event = step
    peer = peer_in(state)
    peer.step(event, "there")
    assert peer.state is following
    assert peer.owner == "there"
    assert [(move.owner, move.message) for move in peer.moves] == [("there", event.value)]


@pytest.mark.parametrize(("state", "event"), ILLEGAL)
def test_what_is_no_row_is_our_own_bug(state: State, event: Event) -> None:
    peer = peer_in(state)
    with pytest.raises(IllegalStep, match=re.escape(f"{event.value} for connection 1, which is {state.value}")):
        peer.step(event, "there")
    assert (peer.state, peer.owner, list(peer.moves)) == (state, "here", [])


def test_every_state_can_be_reached_and_left() -> None:
    """From the two beginnings on; and from every state a way leads to the end."""
    reached = set(BEGIN.values())
    for _ in State:
        reached |= {following for (state, _), following in NEXT.items() if state in reached}
    assert reached == set(State)
    ending = {State.GONE}
    for _ in State:
        ending |= {state for (state, _), following in NEXT.items() if following in ending}
    assert ending == set(State)
    assert State.GONE not in {state for state, _ in NEXT}


def test_staying_with_an_owner_is_no_move() -> None:
    peer = peer_in(State.GIVEN)
    peer.step(Event.PEER_TAKEN, "here")
    assert list(peer.moves) == []


def test_moves_are_bounded() -> None:
    peer = peer_in(State.MASTER)
    for number in range(MAX_MOVES * 2):
        peer.step(Event.TAKE_PEER, f"service {number}")
        peer.step(Event.PEER_GIVEN_BACK, "master")
    assert len(peer.moves) == MAX_MOVES
    assert peer.moves[-1].owner == "master"


def test_a_connection_begins_once() -> None:
    peers = Peers()
    peers.begin(info(1), Event.PEER_CONNECTED, "master")
    with pytest.raises(IllegalStep):
        peers.begin(info(1), Event.PEER_TAKEN, "gossipd")


def test_of_two_connections_of_a_node_the_newest_is_found() -> None:
    peers = Peers()
    older = peers.begin(info(7), Event.PEER_TAKEN, "gossipd")
    newer = peers.begin(info(9), Event.PEER_CONNECTED, "master")
    other = peers.begin(info(8, node=2), Event.PEER_TAKEN, "gossipd")
    node_id = older.info.node_id
    assert peers.of_node(node_id) is newer
    assert peers.owned_by("gossipd") == [older, other]
    peers.forget(newer)
    assert newer.gone.is_set()
    assert peers.of_node(node_id) is older
    assert (len(peers), peers.get(9)) == (2, None)


async def test_arrival_waits_for_the_connection() -> None:
    peers = Peers()
    waiting = [asyncio.create_task(peers.arrival(5)) for _ in range(3)]
    cancelled = asyncio.create_task(peers.arrival(5))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait([cancelled])
    other = peers.begin(info(4), Event.PEER_TAKEN, "gossipd")
    assert not any(task.done() for task in waiting)
    peer = peers.begin(info(5), Event.PEER_TAKEN, "gossipd")
    assert await asyncio.gather(*waiting) == [peer] * 3
    assert await peers.arrival(5) is peer
    assert await peers.arrival(4) is other


async def test_who_waits_is_let_go_when_no_word_will_come() -> None:
    peers = Peers()
    peer = peers.begin(info(4), Event.PEER_TAKEN, "gossipd")
    waiting = asyncio.create_task(peers.arrival(5))
    await asyncio.sleep(0)
    peers.abandon()
    assert await waiting is None
    assert peer.gone.is_set()
