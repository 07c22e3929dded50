"""What owners, and connectd, may say of which connection; and what is said of one by two that must agree."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lightningd_py.owners import claims
from lightningd_py.owners.claims import CONNECTIOND, GOSSIPD, PROGRAM, AboutOne
from lightningd_py.owners.peers import State
from tests.lightningd_py.bus_services import BusServices
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
)
from tests.lightningd_py.table import ID
from wire.control import status
from wire.control.control_wire import (
    Disconnect,
    GossipState,
    PeerConnected,
    PeerDisconnected,
    PeerFault,
    PeerMessage,
    PeerNongossip,
    PeerOwner,
    PeerReconnected,
    PeerTaken,
    ReleasePeerReply,
    ReleasePeerReplyfail,
)

ERROR = b"\x00\x11" + bytes(32)
Word = Callable[[bytes, int], AboutOne]

WORDS: dict[str, Word] = {
    "peer_taken": lambda node_id, conn_id: PeerTaken(info(conn_id, node_id)),
    "peer_nongossip": lambda node_id, conn_id: PeerNongossip(
        node_id, conn_id, OPEN_CHANNEL, 32, CHANNEL, STATE, fd(), fd()
    ),
    "release_peer_reply": lambda node_id, conn_id: ReleasePeerReply(node_id, conn_id, STATE, fd(), fd()),
    "peer_given_back": lambda node_id, conn_id: given_back(conn_id, node_id=node_id),
    "peer_disconnected": lambda node_id, conn_id: PeerDisconnected(node_id, conn_id, "gone"),
    "peer_owner": lambda node_id, conn_id: PeerOwner(node_id, conn_id, "bus"),
    "peer_message": lambda node_id, conn_id: PeerMessage(node_id, conn_id, ERROR, 17, bytes(32)),
}
OF_ANY: dict[str, Word] = {
    "peer_fault": lambda node_id, conn_id: PeerFault(node_id, conn_id, "bad gossip"),
    "release_peer_replyfail": lambda node_id, conn_id: ReleasePeerReplyfail(node_id, conn_id),
}


def open_fds() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(autouse=True)
def no_fd_is_lost(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The fakes close what they are given at once: so none stays whatever becomes of a message. No line was logged
    before.
    """
    monkeypatch.setattr(status, "_strangers_lines", status.StrangersLines())
    before = open_fds()
    yield
    assert open_fds() == before


def nothing_was_done(around: OwnershipAmongFakes) -> bool:
    """To any connection, and nobody was told anything."""
    return (around.connectd.said, around.gossipd.said, around.errors, len(around.programs)) == ([], [], [], 0)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("speaker", [CONNECTIOND, PROGRAM])
async def test_nobody_speaks_for_gossipd(
    around: OwnershipAmongFakes, caplog: pytest.LogCaptureFixture, speaker: str, word: str
) -> None:
    peer = around.taken()
    around.ownership.heard(speaker, WORDS[word](NODE, 1))
    assert nothing_was_done(around)
    assert (peer.state, peer.owner, around.ownership.peers.get(1)) == (State.GOSSIPD, "gossipd", peer)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.messages == [f"{speaker} says {word} of connection 1, which gossipd has: ignored"]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("speaker", [GOSSIPD, CONNECTIOND])
async def test_nobody_speaks_for_a_program(
    around: OwnershipAmongFakes, caplog: pytest.LogCaptureFixture, speaker: str, word: str
) -> None:
    peer, _, _ = around.with_program()
    around.ownership.heard(speaker, WORDS[word](NODE, 1))
    assert (around.connectd.said, around.gossipd.said, around.errors, len(around.programs)) == ([], [], [], 1)
    assert (peer.state, peer.owner) == (State.PROGRAM, "s")
    assert caplog.messages == [f"{speaker} says {word} of connection 1, which a program has: ignored"]


@pytest.mark.parametrize("word", WORDS)
async def test_nobody_speaks_for_connectiond(bus: BusServices, caplog: pytest.LogCaptureFixture, word: str) -> None:
    await bus.service(node_ids=[ID])
    bus.connected(1, ID)
    peer = bus.taken_by_bus()
    bus.gossipd.take(), bus.connectd.take()
    caplog.clear()
    bus.ownership.heard(GOSSIPD, WORDS[word](ID, 1))
    assert (bus.connectd.said, bus.gossipd.said, bus.errors) == ([], [], [])
    assert (peer.state, peer.owner) == (State.CONNECTIOND, "bus")
    assert caplog.messages == [f"gossipd says {word} of connection 1, which connectiond has: ignored"]


@pytest.mark.parametrize("word", WORDS | OF_ANY)
async def test_nobody_speaks_of_a_connection_as_another_node_s(
    around: OwnershipAmongFakes, caplog: pytest.LogCaptureFixture, word: str
) -> None:
    peer = around.taken()
    around.ownership.heard(GOSSIPD, (WORDS | OF_ANY)[word](PRIVILEGED, 1))
    assert nothing_was_done(around)
    assert (peer.state, peer.info.node_id) == (State.GOSSIPD, NODE)
    assert caplog.messages == [f"gossipd says {word} of connection 1, which is another node's: ignored"]


@pytest.mark.parametrize("word", [word for word in WORDS | OF_ANY if word != "peer_taken"])
async def test_nobody_speaks_of_a_connection_that_is_not(
    around: OwnershipAmongFakes, caplog: pytest.LogCaptureFixture, word: str
) -> None:
    around.ownership.heard(GOSSIPD, (WORDS | OF_ANY)[word](NODE, 5))
    assert nothing_was_done(around)
    assert caplog.messages == [f"gossipd says {word} of connection 5, which is not known: ignored"]


@pytest.mark.parametrize("word", ["release_peer_reply", "peer_taken", "peer_owner"])
async def test_what_cannot_come_now(around: OwnershipAmongFakes, caplog: pytest.LogCaptureFixture, word: str) -> None:
    """An answer that was not asked for: the owner is broken, and not the master."""
    peer = around.taken()
    around.ownership.heard(GOSSIPD, WORDS[word](NODE, 1))
    assert nothing_was_done(around)
    assert peer.state is State.GOSSIPD
    assert caplog.messages == [f"gossipd says {word} of connection 1, which is gossipd: ignored"]


async def test_a_late_word_is_no_surprise(around: OwnershipAmongFakes, caplog: pytest.LogCaptureFixture) -> None:
    around.taken()
    around.disconnected()
    around.connectd.take()
    for word in (*OF_ANY.values(), WORDS["peer_message"], WORDS["peer_owner"], WORDS["peer_disconnected"]):
        around.ownership.heard(GOSSIPD, word(NODE, 1))
    assert nothing_was_done(around)
    assert [text for text in caplog.messages if "says" in text] == []


async def test_no_program_is_told_of_a_connection_by_gossipd_alone(
    around: OwnershipAmongFakes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An invented node's, with a message for a service: all is held, then dropped, and gossipd is to end it."""
    monkeypatch.setattr(claims, "HELD_TIME", 0.01)
    given_up = asyncio.Event()
    around.gossipd.on_said = given_up.set
    before = open_fds()
    around.ownership.heard(GOSSIPD, WORDS["peer_taken"](PRIVILEGED, 7))
    around.ownership.heard(GOSSIPD, WORDS["peer_nongossip"](PRIVILEGED, 7))
    around.ownership.heard(GOSSIPD, WORDS["peer_message"](PRIVILEGED, 7))
    assert open_fds() == before + 2
    assert nothing_was_done(around)
    async with asyncio.timeout(60):
        await given_up.wait()
    (order,) = around.gossipd.take()
    assert isinstance(order, Disconnect)
    assert (order.node_id, order.conn_id) == (PRIVILEGED, 7)
    (told,) = around.connectd.take()
    assert isinstance(told, PeerDisconnected)
    assert (around.errors, around.programs, len(around.ownership.peers)) == ([], [], 0)
    assert caplog.messages == ["gossipd says peer_taken of connection 7, which connectd has not given to it: ignored"]
    around.ownership.heard(GOSSIPD, PeerDisconnected(PRIVILEGED, 7, order.reason))
    assert len(caplog.messages) == 1


async def test_the_two_words_in_either_order(around: OwnershipAmongFakes) -> None:
    """What follows waits, too, and comes in its order."""
    around.taken(1)
    around.ownership.heard(GOSSIPD, WORDS["peer_taken"](NODE, 2))
    around.ownership.heard(GOSSIPD, WORDS["peer_message"](NODE, 2))
    around.ownership.heard(GOSSIPD, WORDS["peer_nongossip"](NODE, 2))
    assert (around.ownership.peers.get(2), around.errors) == (None, [])
    around.ownership.peer_handed_over(info(2))
    assert (around.peer(2).owner, around.errors) == ("s", [ERROR])
    assert around.ownership.claims._held == {}


async def test_the_two_must_say_the_same(around: OwnershipAmongFakes, monkeypatch: pytest.MonkeyPatch) -> None:
    around.ownership.peer_handed_over(info(1))
    around.ownership.heard(GOSSIPD, PeerTaken(replace(info(1), node_id=PRIVILEGED)))
    around.ownership.heard(GOSSIPD, PeerTaken(replace(info(1), address="8.8.8.8:9")))
    assert (nothing_was_done(around), len(around.ownership.peers)) == (True, 0)
    around.ownership.heard(GOSSIPD, PeerTaken(info(1)))
    assert around.peer().owner == "gossipd"


@pytest.mark.parametrize(("bound", "most"), [("MOST_HELD", 3), ("MOST_HELD_BYTES", 600)])
async def test_what_is_held_has_a_bound(
    around: OwnershipAmongFakes, monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    monkeypatch.setattr(claims, bound, most)
    for conn_id in range(1, 100):
        around.ownership.heard(GOSSIPD, WORDS["peer_taken"](NODE, conn_id))
        around.ownership.heard(GOSSIPD, WORDS["peer_nongossip"](NODE, conn_id))
    held = around.ownership.claims
    assert held._held_count <= 3
    assert sum(len(each.messages) for each in held._held.values()) == held._held_count
    assert sum(each.size for each in held._held.values()) == held._held_size
    around.ownership.gossipd_died()
    assert (held._held, held._held_count, held._held_size) == ({}, 0, 0)


async def test_what_connectd_reports_has_a_bound(around: OwnershipAmongFakes, monkeypatch: pytest.MonkeyPatch) -> None:
    held = around.ownership.claims
    held._reported.most = held._ends_wanted.most = 3
    for conn_id in range(10):
        around.ownership.peer_handed_over(info(conn_id))
        around.ownership.peer_reconnected(PeerReconnected(NODE, conn_id + 100))
    assert (list(held._reported), list(held._ends_wanted)) == ([7, 8, 9], [107, 108, 109])


async def test_connectd_does_not_speak_for_owners(
    around: OwnershipAmongFakes, caplog: pytest.LogCaptureFixture
) -> None:
    peer = around.taken()
    around.ownership.peer_connected(PeerConnected(info(1, PRIVILEGED), STATE, fd(), fd()))
    around.ownership.peer_handed_over(info(1, PRIVILEGED))
    around.ownership.peer_reconnected(PeerReconnected(PRIVILEGED, 1))
    around.ownership.never_came(PeerDisconnected(NODE, 1, "gone"))
    flawed = replace(STATE, crypto=replace(STATE.crypto, rk=b""))
    around.ownership.peer_connected(PeerConnected(info(2), flawed, fd(), fd()))
    assert nothing_was_done(around)
    assert (peer.state, len(around.ownership.peers)) == (State.GOSSIPD, 1)
    assert caplog.messages == [
        "connectd says peer_connected of connection 1, which is no new one: ignored",
        "connectd says peer_handed_over of connection 1, which is no new one: ignored (2 times so far)",
        "connectd says peer_disconnected of connection 1, which gossipd has: ignored (4 times so far)",
    ]


@pytest.mark.parametrize(
    ("fields", "flaw"),
    [
        ({"state": replace(STATE, crypto=replace(STATE.crypto, rn=1))}, "no message boundary"),
        ({"state": replace(STATE, unsent=bytes(2_000_000))}, "2000000 bytes are unsent"),
        ({"send": [b"\x01"]}, "has no type"),
    ],
)
async def test_a_flawed_connection_ends(
    around: OwnershipAmongFakes, caplog: pytest.LogCaptureFixture, fields: dict[str, Any], flaw: str
) -> None:
    """Its next owner would not survive it."""
    around.taken()
    around.ownership.heard(GOSSIPD, given_back(**fields))
    assert around.ownership.peers.get(1) is None
    (told,) = around.connectd.take()
    assert isinstance(told, PeerDisconnected)
    assert flaw in told.reason
    assert flaw in caplog.messages[0]


async def test_only_gossipd_knows_what_gossipd_remembers(around: OwnershipAmongFakes) -> None:
    around.taken()
    memory = GossipState((0, 1), b"u", 7, (0, 1), True, [b"\x01\x05"])
    around.ownership.heard(GOSSIPD, given_back(gossip_state=memory))
    (order,) = around.gossipd.take()
    assert vars(order)["gossip_state"] == memory
    for speaker in (CONNECTIOND, PROGRAM):
        message = given_back(gossip_state=memory)
        assert claims.flaw_of(message, speaker)
        message.close_fds()
