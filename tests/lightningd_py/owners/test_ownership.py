"""The master's decisions: who gets a connection, and what programs may say. Channels are lists, fds are real."""

from collections.abc import Callable
from typing import Any

import pytest

from lightningd_py.owners.peers import State
from tests.lightningd_py.ownership_among_fakes import (
    CHANNEL,
    KEYS,
    NODE,
    OPEN_CHANNEL,
    PRIVILEGED,
    STATE,
    OwnershipAmongFakes,
    given_back,
    info,
    said,
)
from wire.control.control_message import ControlMessage
from wire.control.control_wire import (
    Disconnect,
    HandlePeer,
    PeerDisconnected,
    PeerMessage,
    SendMessageReply,
    SetMessageRoutes,
    TakePeer,
)
from wire.crypto_state import CryptoState, PeerState
from wire.peer_wire import ErrorMessage, WarningMessage, decode
from wire.routing import answer_without_service

# Without services


async def test_nobody_wants_it(around: OwnershipAmongFakes) -> None:
    """To gossipd, with its gossip fd, and everything that belongs to it."""
    peer = around.connected()
    (order,) = around.gossipd.take()
    assert isinstance(order, HandlePeer)
    assert (order.peer, order.state, order.send, order.gossip_state) == (info(1), STATE, [], None)
    assert order.gossip_fd is not None
    assert (peer.state, peer.owner) == (State.GIVEN, "gossipd")
    around.taken()
    assert peer.state is State.GOSSIPD
    assert around.connectd.said == []


@pytest.mark.bolt("B1-36")
@pytest.mark.parametrize(
    ("number", "channel_id", "answer"),
    [(32, CHANNEL, ErrorMessage), (64, CHANNEL, ErrorMessage)]
    + [(number, CHANNEL, WarningMessage) for number in (33, 34, 38, 65, 128, 136, 255)]
    + [(32, None, None), (255, None, None), (1, CHANNEL, None), (17, CHANNEL, None), (9999, None, None)],
)
def test_answer_without_service(number: int, channel_id: bytes | None, answer: type[Any] | None) -> None:
    """Never an error for a channel that may exist."""
    messages = [decode(raw) for raw in answer_without_service(number, channel_id)]
    assert [type(message) for message in messages] == ([answer] if answer else [])
    assert [vars(message)["channel_id"] for message in messages] == ([channel_id] if answer else [])


async def test_answer_goes_back_with_the_connection(around: OwnershipAmongFakes) -> None:
    peer = around.taken()
    around.nongossip(message=b"\x00\x88" + CHANNEL)
    (order,) = around.gossipd.take()
    assert isinstance(order, HandlePeer)
    assert order.send == answer_without_service(136, CHANNEL)
    assert [move.message for move in peer.moves] == ["peer_taken", "peer_nongossip", "handle_peer"]


@pytest.mark.bolt("B1-6", "B1-7")
@pytest.mark.parametrize(
    ("message", "channel_id", "reason"),
    [
        (b"\x00\xfe" + CHANNEL, CHANNEL, "unknown even message type 254"),
        (b"\x00\xfe", None, "unknown even message type 254"),
        (b"\x00\x26\x01", None, "shutdown is too short"),
    ],
)
async def test_message_that_ends_it_without_service(
    around: OwnershipAmongFakes, message: bytes, channel_id: bytes | None, reason: str
) -> None:
    """gossipd gets the connection to say why and end it."""
    around.taken()
    around.nongossip(message=message, channel_id=channel_id)
    given, order = around.gossipd.take()
    assert isinstance(given, HandlePeer)
    assert given.send == []
    assert isinstance(order, Disconnect)
    assert [decode(words) for words in order.send] == [WarningMessage(bytes(32), reason.encode())]
    around.disconnected(reason=reason)
    around.ended_once(reason)


async def test_unknown_odd_message_without_service(around: OwnershipAmongFakes) -> None:
    around.taken()
    around.nongossip(message=b"\x00\xfd", channel_id=None)
    (given,) = around.gossipd.take()
    assert isinstance(given, HandlePeer)
    assert given.send == []


# With one


async def test_registered_node(around: OwnershipAmongFakes) -> None:
    peer = around.connected(node_id=PRIVILEGED)
    assert (peer.state, peer.owner) == (State.PROGRAM, "s")
    ((program, _, _),) = around.programs
    routes, taken = said(program.channel)
    assert isinstance(routes, SetMessageRoutes)
    assert isinstance(taken, TakePeer)
    assert (taken.service, taken.peer, taken.message, taken.state) == ("s", info(1, PRIVILEGED), None, STATE)
    assert taken.limits.slow_reader == 7.0, "what the options say holds for programs, too"
    assert around.gossipd.said == []


async def test_program_gets_the_message_and_gives_back(around: OwnershipAmongFakes) -> None:
    peer = around.taken()
    around.nongossip()
    program, say, _ = around.programs[0]
    taken = said(program.channel)[1]
    assert isinstance(taken, TakePeer)
    assert taken.message == OPEN_CHANNEL
    state = PeerState(KEYS, b"", b"")
    say(given_back(state=state, send=[b"\x80\x01"]))
    (order,) = around.gossipd.take()
    assert isinstance(order, HandlePeer)
    assert (order.state, order.send, order.gossip_state) == (state, [b"\x80\x01"], None)
    assert (peer.state, peer.owner) == (State.GIVEN, "gossipd")
    assert program.channel.closed
    around.taken()
    around.nongossip()
    assert len(around.programs) == 2, "a new one for the next time"


async def test_program_that_cannot_be_started(around: OwnershipAmongFakes) -> None:
    around.unstartable = True
    peer = around.taken()
    around.nongossip()
    (order,) = around.gossipd.take()
    assert isinstance(order, HandlePeer)
    assert order.send == answer_without_service(32, CHANNEL)
    assert peer.owner == "gossipd"


async def test_program_says_that_it_is_over(around: OwnershipAmongFakes) -> None:
    _, program, say = around.with_program()
    say(PeerDisconnected(NODE, 1, "enough"))
    around.ended_once("enough")
    assert program.channel.closed


@pytest.mark.parametrize("order", ["closed first", "exited first"])
async def test_program_leaves(around: OwnershipAmongFakes, order: str) -> None:
    """Its end of the socket closes, and then its process ends; or the other way round."""
    _, program, _ = around.with_program()
    process: Any = program.process
    steps = [lambda: around.programs[-1][2]("eof"), lambda: process.exit(1)]
    for step in steps if order == "closed first" else reversed(steps):
        step()
    around.ended_once("service s has left it")
    assert around.ownership.programs._leaving == set()


async def test_error_of_a_peer_while_a_program_has_it(around: OwnershipAmongFakes) -> None:
    _, _, say = around.with_program()
    say(PeerMessage(NODE, 1, b"\x00\x11...", 17, CHANNEL))
    assert around.errors == [b"\x00\x11..."]


@pytest.mark.parametrize(
    "make",
    [
        lambda: PeerDisconnected(NODE, 2, "not its own"),
        lambda: given_back(conn_id=2),
        lambda: given_back(send=[b""]),
        lambda: given_back(state=PeerState(CryptoState(0, 0, b"", b"", b"", b""), b"", b"")),
    ],
)
async def test_what_a_program_may_not_say(around: OwnershipAmongFakes, make: Callable[[], ControlMessage]) -> None:
    """The program is killed; its connection ends when its socket closes."""
    around.taken(2)
    peer, program, say = around.with_program()
    process: Any = program.process
    say(make())
    assert process.killed.is_set()
    assert peer.state is State.PROGRAM
    assert around.peer(2).state is State.GOSSIPD
    around.programs[-1][2]("eof")
    around.ended_once("service s has left it")


async def test_late_words_of_a_program(around: OwnershipAmongFakes) -> None:
    """After giving back it has nothing more to say."""
    peer, program, say = around.with_program()
    process: Any = program.process
    say(given_back())
    say(PeerDisconnected(NODE, 1, "late"))
    assert process.killed.is_set()
    assert peer.state is State.GIVEN
    assert around.connectd.said == []


async def test_released_before_gossipd_has_said_that_it_has_it(around: OwnershipAmongFakes) -> None:
    peer = around.connected()
    assert peer.state is State.GIVEN
    around.ownership.release(peer, around.only_service)
    around.taken()
    assert peer.state is State.RELEASING
    around.released()
    assert (peer.state, peer.owner) == (State.PROGRAM, "s")


async def test_answers_that_nobody_waits_for_are_ignored(around: OwnershipAmongFakes) -> None:
    peer, program, say = around.with_program()
    say(SendMessageReply(request_id=99))
    assert peer.state is State.PROGRAM
    process: Any = program.process
    assert not process.killed.is_set()
