"""One gossipd moves all that it has to the next one, and no peer notices; where that fails, nothing has moved."""

import asyncio
import socket
from collections.abc import Callable

import pytest

from gossipd.moving import VERSION, MovedPeer, MovedRest
from tests.gossipd.gossipd_process import (
    EVERYTHING,
    PATIENCE,
    FakePeer,
    GossipdProcess,
    GossipdProcesses,
    is_gossip,
    peer_info,
)
from tests.gossipd.messages import announcement, big_map, update
from tests.gossipd.owner import released, taken
from wire.control.control_channel import ControlChannel, RequestFailed
from wire.control.control_message import ControlMessage, Fd, Reply, Request
from wire.control.control_wire import (
    MoveAll,
    MoveAllReply,
    MoveDone,
    MovePeer,
    MovePeerReply,
    MovePeerReplyfail,
    MoveRest,
    MoveRestReply,
    NewConnectdLink,
    OpenStore,
    OpenStoreReply,
    OpenStoreReplyfail,
    PeerDisconnected,
    SetMessageRoutes,
)
from wire.encoded import encode_short_ids
from wire.net.gossip_fd import GOSSIP_START
from wire.net.states import load
from wire.peer_wire import Ping, Pong, QueryShortChannelIds, ReplyShortChannelIdsEnd
from wire.routing import Action

CHAIN = peer_info(1).networks[0]


def pair() -> tuple[Fd, Fd]:
    """The two ends of a socket between two daemons."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Fd(ours.detach()), Fd(theirs.detach())


async def moved(
    gossipds: GossipdProcesses, old: GossipdProcess, tell: Callable[[GossipdProcess], None] = lambda new: None
) -> tuple[GossipdProcess, MoveAllReply]:
    """Another gossipd takes the place of this one, which ends; `tell` says what the master tells it first."""
    old_end, new_end = pair()
    new = gossipds.new()
    new.node_key = old.node_key
    starting = asyncio.create_task(new.start(predecessor_fd=new_end))
    await asyncio.sleep(0)  # the init goes first
    tell(new)
    old.link.close()  # connectd speaks to the next one
    async with asyncio.timeout(PATIENCE):
        reply = await old.master.request(MoveAll(old_end), MoveAllReply)
        await starting
    assert await asyncio.to_thread(old.process.wait, PATIENCE) == 0, old.log()
    assert "BROKEN" not in old.log(), old.log()
    assert old.said.empty(), "nothing is said of connections that go on"
    old.master.close()
    new.base_fds = old.base_fds
    return new, reply


async def tell_map(gossipd: GossipdProcess, messages: list[bytes]) -> FakePeer:
    """Tell gossipd a map."""
    teller = await gossipd.connect()
    await teller.say(*messages)
    await teller.sync()
    await gossipd.settled()
    return teller


async def test_nothing_to_move(gossipds: GossipdProcesses, gossipd: GossipdProcess) -> None:
    _, reply = await moved(gossipds, gossipd)
    assert (reply.owned, reply.elsewhere) == (0, 0)


async def test_streams_answers_and_gossip_fds_go_on(gossipds: GossipdProcesses, gossipd: GossipdProcess) -> None:
    """Each peer is at another place of the map, one in the midst of an answer, two have other owners."""
    whole = big_map()
    await tell_map(gossipd, whole)
    peers = [await gossipd.connect() for _ in range(4)]
    first = []
    for number, peer in enumerate(peers):
        await peer.say(EVERYTHING)
        first.append(await peer.gossip(number * 300 + 1))
    asking = await gossipd.connect()
    scids = sorted({int.from_bytes(m[98:106], "big") for m in whole if m[1] == 2})
    await asking.say(QueryShortChannelIds(CHAIN, encode_short_ids(scids)))
    answered = await asking.gossip(1)
    elsewhere, silent = await gossipd.connect_elsewhere(), await gossipd.connect_elsewhere()
    loop = asyncio.get_running_loop()
    for packet in (GOSSIP_START, EVERYTHING):
        await loop.sock_sendall(elsewhere, packet)
    heard = [await loop.sock_recv(elsewhere, 65_536) for _ in range(300)]

    new, reply = await moved(gossipds, gossipd)
    assert (reply.owned, reply.elsewhere) == (6, 2)
    assert new.said.empty(), "no owner has changed"
    for peer, beginning in zip(peers, first, strict=True):
        assert sorted(beginning + await peer.gossip(len(whole) - len(beginning))) == sorted(whole)
        assert [raw[:2] for raw in await peer.sync()] == [EVERYTHING[:2]], "our filter goes out once"
    assert (await asking.hear(ReplyShortChannelIdsEnd)).full_information == 1
    assert len(answered) + len([raw for raw in asking.took() if is_gossip(raw)]) == len(whole)
    async with asyncio.timeout(PATIENCE):
        while len([packet for packet in heard if is_gossip(packet)]) < len(whole):
            heard.append(await loop.sock_recv(elsewhere, 65_536))
    assert sorted(filter(is_gossip, heard)) == sorted(whole)
    with pytest.raises(BlockingIOError):
        silent.recv(65_536)  # its owner has not begun to read
    assert (await new.status())["remote_peers"] == 2


async def test_no_peer_is_told_what_it_said_itself(gossipds: GossipdProcesses, gossipd: GossipdProcess) -> None:
    """Be it that it said so first, or after another one, since the last flush."""
    first, second, third = [await gossipd.connect() for _ in range(3)]
    for peer in (first, second, third):
        await peer.say(EVERYTHING)
        await peer.sync()
    news = [announcement(1), update(1), announcement(2), update(2)]
    await first.say(*news)
    await first.sync()
    await gossipd.settled_at("accepted", len(news))
    await second.say(*news)
    await second.sync()
    await moved(gossipds, gossipd)
    assert sorted(await third.gossip(len(news))) == sorted(news)
    for peer in (first, second):
        assert not any(map(is_gossip, await peer.sync()))


async def test_gossip_on_its_way_arrives(gossipds: GossipdProcesses, gossipd: GossipdProcess) -> None:
    """Messages in the socket, half a message, an announcement without an update, an update without a channel."""
    peer = await gossipd.connect()
    await peer.say(announcement(1))
    await peer.sync()
    tail = peer.encrypt(announcement(2), update(2), Ping(3, b""))
    await peer.say_raw(tail[:100])
    new, _ = await moved(gossipds, gossipd)
    await peer.say_raw(tail[100:])
    assert len((await peer.hear(Pong)).ignored) == 3
    await peer.say(update(1))
    await new.settled_at("accepted", 3)


async def test_what_the_master_says_first_is_known_before_a_peer_is_heard(
    gossipds: GossipdProcesses, gossipd: GossipdProcess
) -> None:
    """A message that a service wants finds it: it came behind pings whose pongs the peer has not taken yet."""
    peer = await gossipd.connect()
    await peer.sync()
    await peer.say(*[Ping(60_000, b"")] * 40, bytes.fromhex("8003"))
    await gossipd.sync_all()

    def routes(new: GossipdProcess) -> None:
        new.master.send(SetMessageRoutes([(0x8003, Action.TAKE.value)]))

    new, _ = await moved(gossipds, gossipd, routes)
    owner, hearing = asyncio.create_task(taken(new)), asyncio.create_task(pongs(peer, 40))
    await (await owner).say()  # the end of the pongs may have been left to it
    assert await hearing == [60_000] * 40
    owner.result().hangs_up()


async def pongs(peer: FakePeer, count: int) -> list[int]:
    """So many of them, by their length."""
    return [len((await peer.hear(Pong)).ignored) for _ in range(count)]


class Successor:
    """The next gossipd, played by the test; each message is answered by `answer`."""

    def __init__(self, old: GossipdProcess) -> None:
        old_end, our_end = pair()
        self.old_end = old_end
        self.heard: list[ControlMessage] = []
        self.refuses: str = ""
        """The message at which it fails,"""
        self.dies = False
        """by its death instead of a word;"""
        self.after = 0
        """after so many of that kind."""
        self.lies: Callable[[Request], list[Reply]] = lambda request: []
        """What it says besides, before its answer."""
        self.lacks = 0
        """So many connections have not come, as it says."""
        self.channel = ControlChannel(socket.socket(fileno=our_end), "predecessor", self.hear, lambda reason: None)

    def hear(self, message: ControlMessage) -> None:
        """Answer, and let go of the fds."""
        same = sum(isinstance(earlier, type(message)) for earlier in self.heard)
        self.heard.append(message)
        fails = message.name() == self.refuses and same >= self.after
        if fails and self.dies:
            message.close_fds()
            self.channel.close()
            return
        if isinstance(message, Request):
            for lie in self.lies(message):
                self.channel.send(lie)
        match message:
            case OpenStore():
                self.channel.reply(message, OpenStoreReplyfail("no room") if fails else OpenStoreReply())
            case MovePeer():
                load(MovedPeer, message.state, VERSION)
                message.close_fds()
                self.channel.reply(message, MovePeerReplyfail("no room") if fails else MovePeerReply())
            case MoveRest():
                load(MovedRest, message.state, VERSION)
                if not fails:
                    peers = sum(isinstance(earlier, MovePeer) for earlier in self.heard)
                    self.channel.reply(message, MoveRestReply(peers - self.lacks))


def renew_link(gossipd: GossipdProcess) -> None:
    """connectd speaks to this one again."""
    ours, theirs = pair()
    sock = socket.socket(fileno=ours)
    gossipd.link = ControlChannel(sock, "gossipd", gossipd.said.put_nowait, lambda _: None)
    gossipd.master.send(NewConnectdLink(theirs))


LIES: dict[str, tuple[Callable[[Request], list[Reply]], str]] = {
    "a connection that was not given": (
        lambda request: [MovePeerReply(request_id=request.request_id + 1_000)],
        "successor said move_peer_reply, for which it was not asked",
    ),
    "all of it at once": (
        lambda request: [MoveRestReply(3, request_id=request.request_id)],
        "successor answered open_store with move_rest_reply",
    ),
}


@pytest.mark.parametrize("lie", [*LIES, "some have not come"])
async def test_a_next_one_that_acknowledges_what_it_did_not_get(gossipd: GossipdProcess, lie: str) -> None:
    """One sentence, and the old one goes on."""
    peers = [await gossipd.connect() for _ in range(3)]
    successor = Successor(gossipd)
    if lie in LIES:
        successor.lies, reason = LIES[lie]
    else:
        successor.lacks, reason = 1, "it says that it has 2 connections of 3"
    gossipd.link.close()
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(RequestFailed, match=f"^{reason}$"):
            await gossipd.master.request(MoveAll(successor.old_end), MoveAllReply)
    successor.channel.close()
    for peer in peers:
        await peer.sync()
    renew_link(gossipd)
    late = await gossipd.connect(over_the_link=True)
    await late.sync()
    assert "BROKEN" not in gossipd.log()


@pytest.mark.parametrize("dies", [True, False])
@pytest.mark.parametrize(
    ("refuses", "after"), [("open_store", 0), ("move_peer", 0), ("move_peer", 3), ("move_rest", 0)]
)
async def test_the_old_one_goes_on_if_the_next_one_fails(
    gossipd: GossipdProcess, refuses: str, after: int, dies: bool
) -> None:
    whole = big_map(100, 30)
    await tell_map(gossipd, whole)
    peers = [await gossipd.connect() for _ in range(5)]
    for peer in peers:
        await peer.say(EVERYTHING)
        await peer.gossip(1)
    elsewhere = await gossipd.connect_elsewhere()
    await asyncio.get_running_loop().sock_sendall(elsewhere, GOSSIP_START)
    successor = Successor(gossipd)
    successor.refuses, successor.after, successor.dies = refuses, after, dies or refuses == "move_rest"
    gossipd.link.close()
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(RequestFailed):
            await gossipd.master.request(MoveAll(successor.old_end), MoveAllReply)
    successor.channel.close()
    assert not any(isinstance(message, MoveDone) for message in successor.heard)
    for peer in peers:
        await peer.gossip(len(whole) - 1)
        await peer.sync()
    assert (await gossipd.status())["remote_peers"] == 1
    renew_link(gossipd)
    late = await gossipd.connect(over_the_link=True)
    await late.say(announcement(500), update(500))
    await late.sync()
    await gossipd.settled_at("accepted", len(whole) + 2)
    for _ in peers:
        peers.pop().close()
        await gossipd.hear(PeerDisconnected)
    (await released(gossipd, late.conn_id)).hangs_up()
