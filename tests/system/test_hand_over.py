"""A live connection goes from process to process: the fd, the crypto state and every byte, in whatever state it is.

The test is the master and connectd; the far end of each connection is the test's too.
"""

import asyncio
import os

import pytest

from tests.gossipd.ends import mirrored
from tests.gossipd.gossipd_process import CHAIN, FakePeer, GossipdProcess, peer_info
from tests.gossipd.owner import Owner, released, taken
from tests.harness import processes
from wire.control.control_message import Fd
from wire.control.control_wire import (
    Disconnect,
    GiveBack,
    HandlePeer,
    PeerDisconnected,
    PeerNongossip,
    PeerTaken,
    ReleasePeer,
    ReleasePeerReply,
    ReleasePeerReplyfail,
)
from wire.crypto_state import PeerState
from wire.peer_wire import Ping, Pong

OPEN_CHANNEL = (32).to_bytes(2, "big") + CHAIN + bytes(range(32)) + bytes(100)


# one hand-over


async def test_fd_leaves_one_process_and_appears_in_the_other(gossipd: GossipdProcess) -> None:
    peer, fd, state = gossipd.connection()
    socket_inode = processes.inode(fd)
    await gossipd.hand_over(peer_info(peer.conn_id), fd, state)
    processes.look_into(gossipd.process.pid)
    assert socket_inode in processes.sockets(gossipd.process.pid)
    assert socket_inode not in processes.sockets(os.getpid())
    await peer.say(OPEN_CHANNEL)
    message = await gossipd.hear(PeerNongossip)
    assert (message.node_id, message.conn_id) == (peer_info(1).node_id, peer.conn_id)
    assert (message.message, message.message_type) == (OPEN_CHANNEL, 32)
    assert message.channel_id == bytes(range(32))
    owner = Owner(gossipd, message)
    assert processes.inode(owner.fd) == socket_inode
    await gossipd.status()  # it closes its copy when the message is sent
    assert socket_inode not in processes.sockets(gossipd.process.pid)
    await owner.say(b"\x80\x01from the owner")
    assert [await peer.next(), await peer.next()][1] == b"\x80\x01from the owner", "after our filter"
    owner.hangs_up()


async def test_peer_taken_comes_before_anything_else(gossipd: GossipdProcess) -> None:
    """Even if what it brings along gives it up at once."""
    peer, fd, state = gossipd.connection()
    state.unread = peer.encrypt(OPEN_CHANNEL)
    gossipd.master.send(HandlePeer(peer_info(peer.conn_id), state, [], None, fd, None))
    assert (await gossipd.hear(PeerTaken)).peer == peer_info(peer.conn_id)
    (await taken(gossipd)).hangs_up()


async def test_first_messages_come_first(gossipd: GossipdProcess) -> None:
    words = [b"\x80\x01first", b"\x80\x01second"]
    peer = await gossipd.connect(send=tuple(words))
    assert (await peer.sync())[:2] == words


async def test_over_the_link(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect(over_the_link=True)
    await peer.sync()
    await peer.say(OPEN_CHANNEL)
    (await taken(gossipd)).hangs_up()


@pytest.mark.bolt("B8-52", "B8-54")
async def test_around_the_rotation_of_keys(gossipd: GossipdProcess) -> None:
    for rn, sn in [*((nonce, 0) for nonce in NONCES), *((0, nonce) for nonce in NONCES), (998, 998), (1000, 1000)]:
        peer, fd, state = gossipd.connection(rn=rn, sn=sn)
        await gossipd.hand_over(peer_info(peer.conn_id), fd, state)
        await moves_three_times(gossipd, peer)


NONCES = (0, 2, 996, 998, 1000)


async def moves_three_times(gossipd: GossipdProcess, peer: FakePeer) -> None:
    """Away and back, with a message each way each time."""
    for _ in range(3):
        await peer.sync()
        owner = await released(gossipd, peer.conn_id)
        await owner.say(b"\x80\x01hello")
        await peer.say(b"\x80\x03hello")
        assert await owner.next() == b"\x80\x03hello"
        await owner.gives_back()
    await peer.sync()


@pytest.mark.bolt("B8-54")
async def test_in_the_middle_of_a_message(gossipd: GossipdProcess) -> None:
    """In the header, behind it, in the body: what is not whole counts as not decrypted."""
    for cut in (1, 17, 18, 19, 100):
        await moves_in_the_middle(gossipd, cut)


async def moves_in_the_middle(gossipd: GossipdProcess, cut: int) -> None:
    """A message comes in two pieces, and the connection moves twice between them."""
    peer = await gossipd.connect()
    await peer.sync()
    packet = peer.encrypt(b"\x80\x03" + bytes(300))
    ping = peer.encrypt(Ping(3, b""))
    await peer.say_raw(packet[:cut])
    await gossipd.sync_all()
    owner = await released(gossipd, peer.conn_id)
    assert owner.state.unread == packet[:cut]
    assert owner.state.crypto.rn % 2 == 0
    await owner.gives_back()
    await gossipd.sync_all()
    owner = await released(gossipd, peer.conn_id)
    await peer.say_raw(packet[cut:])
    assert await owner.next() == b"\x80\x03" + bytes(300)
    await owner.gives_back()
    await peer.say_raw(ping)
    assert len((await peer.hear(Pong)).ignored) == 3


@pytest.mark.bolt("B8-54")
async def test_a_hundred_messages_behind_open_channel(gossipd: GossipdProcess) -> None:
    """In one read: they are the new owner's, and none of them has been decrypted."""
    peer = await gossipd.connect()
    behind = [b"\x80\x03" + bytes([number]) * number for number in range(100)]
    before = peer.encrypt(Ping(1, b""), OPEN_CHANNEL)
    packets = peer.encrypt(*behind)
    await peer.say_raw(before + packets)
    owner = await taken(gossipd)
    assert owner.state.unread == packets
    assert [await owner.next() for _ in behind] == behind
    await owner.say()
    assert len((await peer.hear(Pong)).ignored) == 1, "what was answered before goes out all the same"
    owner.hangs_up()


@pytest.mark.bolt("B8-54")
async def test_with_as_much_unsent_as_there_can_be(gossipd: GossipdProcess) -> None:
    """The peer does not read while its pongs queue up; nothing of them is lost over several hand-overs."""
    peer = await gossipd.connect()
    pings = peer.encrypt(*(Ping(60_000 + number, b"") for number in range(200)))
    await peer.say_raw(pings)
    await gossipd.sync_all()
    owner = await released(gossipd, peer.conn_id)
    assert 0 < len(owner.state.unsent) < 400_000
    assert owner.state.unread
    await owner.gives_back()
    owner = await released(gossipd, peer.conn_id)
    await owner.gives_back()
    assert [len((await peer.hear(Pong)).ignored) for _ in range(200)] == [60_000 + number for number in range(200)]


# who gets it


async def test_release_of_a_connection_that_is_not_there(gossipd: GossipdProcess) -> None:
    gossipd.master.send(ReleasePeer(peer_info(1).node_id, 77))
    assert await gossipd.hear(ReleasePeerReplyfail) == ReleasePeerReplyfail(peer_info(1).node_id, 77)


async def test_release_crosses_with_nongossip(gossipd: GossipdProcess) -> None:
    """Either way one message has the connection; the release fails if the peer's message came first."""
    peers = [await gossipd.connect() for _ in range(40)]
    await gossipd.sync_all()
    saying = [peer.say(OPEN_CHANNEL) for peer in peers]
    for peer, say in zip(peers, saying, strict=True):
        await say
        gossipd.master.send(ReleasePeer(b"", peer.conn_id))
    got: dict[int, list[str]] = {peer.conn_id: [] for peer in peers}
    owners = []
    while any(not said or (said == ["PeerNongossip"]) for said in got.values()):
        message = await asyncio.wait_for(gossipd.said.get(), 60)
        assert isinstance(message, PeerNongossip | ReleasePeerReply | ReleasePeerReplyfail)
        got[message.conn_id].append(type(message).__name__)
        if not isinstance(message, ReleasePeerReplyfail):
            owners.append(Owner(gossipd, message))
    assert all(said in (["PeerNongossip", "ReleasePeerReplyfail"], ["ReleasePeerReply"]) for said in got.values())
    for owner in owners:
        owner.hangs_up()
    await gossipd.status()
    assert gossipd.said.empty()


async def test_release_comes_first(gossipd: GossipdProcess) -> None:
    """What the peer says after it is the new owner's."""
    peer = await gossipd.connect()
    owner = await released(gossipd, peer.conn_id)
    await peer.say(OPEN_CHANNEL)
    assert await owner.next() == OPEN_CHANNEL
    owner.hangs_up()
    await gossipd.status()
    assert gossipd.said.empty()


async def test_disconnected_is_said_once(gossipd: GossipdProcess) -> None:
    """Whatever comes together: the peer hangs up, says nonsense, and the master ends the connection."""
    peer = await gossipd.connect()
    await peer.say(b"\x80\x00", b"\x80\x00")
    peer.close()
    gossipd.master.send(Disconnect(b"", peer.conn_id, [], "the master's reason"))
    gossipd.master.send(ReleasePeer(b"", peer.conn_id))
    said = {type(await asyncio.wait_for(gossipd.said.get(), 60)).__name__ for _ in range(2)}
    assert said == {"PeerDisconnected", "ReleasePeerReplyfail"}
    gossipd.master.send(GiveBack(peer.conn_id))
    await gossipd.status()
    assert gossipd.said.empty()


async def test_fd_that_is_no_socket(gossipd: GossipdProcess) -> None:
    near, _ = mirrored()
    fd = Fd(os.open("/dev/null", os.O_RDONLY))
    await gossipd.hand_over(peer_info(5), fd, PeerState(near, b"", b""))
    assert (await gossipd.hear(PeerDisconnected)).conn_id == 5


# under traffic


async def back_and_forth(gossipd: GossipdProcess, peer: FakePeer, times: int, turn: asyncio.Event) -> list[int]:
    """Take the connection away and give it back, over and over; some owners read a ping and say something.

    The numbers of the pings that owners have read.
    """
    read = []
    for number in range(times):
        owner = await released(gossipd, peer.conn_id)
        turn.set()
        if number % 3 == 0:
            read.append(int.from_bytes(Ping.decode(await owner.next()).ignored, "big"))
        if number % 5 == 0:
            await owner.say(b"\x80\x05" + number.to_bytes(4, "big"))
        await owner.gives_back(b"\x80\x07" + number.to_bytes(4, "big"))
        turn.set()
    return read


async def ping_until(done: asyncio.Future[list[int]], peer: FakePeer, turn: asyncio.Event) -> int:
    """Ping a few times whenever the connection has moved, each with its number; how many there were."""
    number = 0
    while not done.done():
        await turn.wait()
        turn.clear()
        pings = [Ping(each % 300, each.to_bytes(4, "big")) for each in range(number, number + 20)]
        await peer.say(*pings)
        number += len(pings)
    return number


async def listen(peer: FakePeer) -> dict[bytes, list[int]]:
    """What the peer hears, by type: the size of pongs, the number in all others; up to the pong of the last ping."""
    heard: dict[bytes, list[int]] = {b"\x00\x13": [], b"\x80\x05": [], b"\x80\x07": [], b"\x01\x09": []}
    while True:
        message = await peer.next()
        if message == Pong(bytes(LAST)).encode():
            return heard
        heard[message[:2]].append(len(message) - 4 if message[0] == 0 else int.from_bytes(message[2:6], "big"))


LAST = 1_000


@pytest.mark.bolt("B8-54")
async def test_five_hundred_hand_overs_under_traffic(gossipd: GossipdProcess) -> None:
    """Pings one way; their pongs, the owners' words and first messages the other way: all of them, once, in order."""
    times = 500
    peer, turn = await gossipd.connect(), asyncio.Event()
    moving = asyncio.create_task(back_and_forth(gossipd, peer, times, turn))
    saying = asyncio.create_task(ping_until(moving, peer, turn))
    listening = asyncio.create_task(listen(peer))
    read = await moving
    pings = await saying
    await peer.say(Ping(LAST, b""))
    heard = await listening
    assert heard[b"\x00\x13"] == [number % 300 for number in range(pings) if number not in set(read)]
    assert read == sorted(read)
    assert len(read) == len(range(0, times, 3))
    assert heard[b"\x80\x05"] == list(range(0, times, 5))
    assert heard[b"\x80\x07"] == list(range(times))
    assert len(heard[b"\x01\x09"]) == 1, "our filter goes out once in the life of a connection"
