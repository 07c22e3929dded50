"""The real gossipd as one end of channels: what it tells of them, and what it passes up to their service."""

import asyncio

import pytest

from gossipd.store.records import BEGINNING_SIZE
from tests.gossipd.gossipd_process import (
    EVERYTHING,
    PATIENCE,
    PEER_ID,
    FakePeer,
    GossipdProcess,
    GossipdProcesses,
    is_gossip,
)
from tests.gossipd.messages import KEYS, NOW, announcement, scid, update
from wire.control.control_wire import (
    AddGossip,
    AddGossipReply,
    ChangeLocalChannels,
    LocalChannel,
    PeerDisconnected,
    RemoteChannelUpdate,
)
from wire.control.timing import Timing
from wire.net.gossip_fd import GOSSIP_START
from wire.peer_wire import NodeAnnouncement, WarningMessage

PEER = [node_id for _, node_id in KEYS].index(PEER_ID)
OTHER = (PEER + 3) % len(KEYS)
US = (PEER + 1) % len(KEYS)
"""We and the peer have the channel; `OTHER` has one with us, too."""


@pytest.fixture
async def gossipd(gossipds: GossipdProcesses) -> GossipdProcess:
    """gossipd with a key of KEYS."""
    gossipd = gossipds.new()
    gossipd.node_key = KEYS[US][0]
    await gossipd.start(timing=Timing(gossip_flush=1.0))
    return gossipd


async def add(gossipd: GossipdProcess, *messages: bytes) -> None:
    """As a service does it; returns when they are on the map."""
    for message in messages:
        await gossipd.master.request(AddGossip(message), AddGossipReply)


def our_channel(other: int = PEER) -> list[bytes]:
    """Its announcement and our update."""
    one, two = sorted((US, other))
    return [announcement(0, one, two), update(0, int(two == US), node=US)]


async def our_announcement(peer: FakePeer) -> NodeAnnouncement:
    """The next one that the peer hears."""
    said = await peer.hear(NodeAnnouncement)
    assert (said.node_id, said.alias.rstrip(b"\0")) == (KEYS[US][1], b"the alias")
    return said


@pytest.mark.bolt("B7-97")
async def test_peers_without_a_filter_are_told_at_once(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    await peer.sync()
    await add(gossipd, *our_channel())
    await our_announcement(peer)
    assert list(filter(is_gossip, peer.took())) == our_channel()
    theirs = update(0, int(PEER > US), node=PEER)
    await add(gossipd, theirs)
    assert theirs not in await peer.sync(), "that is not ours to tell"


@pytest.mark.bolt("B7-97")
async def test_new_peers_are_told(gossipd: GossipdProcess) -> None:
    first = await gossipd.connect()
    await add(gossipd, *our_channel())
    said = await our_announcement(first)
    second = await gossipd.connect()
    assert await second.gossip(3) == [*our_channel(), said.encode()]
    elsewhere, loop = await gossipd.connect_elsewhere(), asyncio.get_running_loop()
    await loop.sock_sendall(elsewhere, GOSSIP_START)
    heard: list[bytes] = []
    async with asyncio.timeout(PATIENCE):
        while said.encode() not in heard:
            heard.append(await loop.sock_recv(elsewhere, 65_535))
    assert list(filter(is_gossip, heard)) == [*our_channel(), said.encode()]


async def test_those_with_a_filter_are_told_once(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    await peer.say(EVERYTHING)
    await peer.sync()
    await add(gossipd, *our_channel())
    said = await our_announcement(peer)
    newer = update(0, int(US > PEER), NOW + 2, node=US)
    await add(gossipd, newer)
    later = update(0, int(PEER > US), NOW + 3, node=PEER)
    await add(gossipd, later)
    heard = peer.took() + await peer.gossip(2)
    assert list(filter(is_gossip, heard)) == [*our_channel(), newer, later]
    assert said.encode() not in heard


@pytest.mark.bolt("B7-79", "B7-87")
@pytest.mark.parametrize("message_flags", [1, 3])
async def test_what_is_for_us_alone_goes_up(gossipd: GossipdProcess, message_flags: int) -> None:
    gossipd.master.send(ChangeLocalChannels([LocalChannel(scid(0), PEER_ID, "shop")], []))
    listener = await gossipd.connect()
    await listener.say(EVERYTHING)
    await listener.sync()
    peer = await gossipd.connect()
    said = update(0, int(PEER > US), node=PEER, message_flags=message_flags)
    await peer.say(said)
    assert await gossipd.hear(RemoteChannelUpdate) == RemoteChannelUpdate(PEER_ID, scid(0), "shop", said)
    assert not any(map(is_gossip, await listener.sync()))
    assert (await gossipd.status())["store_bytes"] == BEGINNING_SIZE


@pytest.mark.bolt("B7-79")
async def test_of_a_public_channel_too(gossipd: GossipdProcess) -> None:
    """As long as the peer says that it is not to be passed on; else it is gossip as any other."""
    gossipd.master.send(ChangeLocalChannels([LocalChannel(scid(0), PEER_ID, "shop")], []))
    await add(gossipd, *our_channel())
    peer = await gossipd.connect()
    direction = int(PEER > US)
    await peer.say(update(0, direction, node=PEER))
    direct = update(0, direction, NOW + 1, node=PEER, message_flags=3)
    await peer.say(direct)
    assert (await gossipd.hear(RemoteChannelUpdate)).channel_update == direct


@pytest.mark.bolt("B7-80")
async def test_a_wrong_signature_ends_the_connection(gossipd: GossipdProcess) -> None:
    gossipd.master.send(ChangeLocalChannels([LocalChannel(scid(0), PEER_ID, "shop")], []))
    peer = await gossipd.connect()
    await peer.say(update(0, int(PEER > US), node=OTHER))
    assert b"bad signature" in (await peer.hear(WarningMessage)).data
    assert (await gossipd.hear(PeerDisconnected)).conn_id == peer.conn_id
    await peer.is_hung_up_on()


async def test_nobody_is_asked_about_them(gossipd: GossipdProcess) -> None:
    """An update of a channel that is not known makes us ask for it; not so one of our own, which is our secret."""
    gossipd.master.send(ChangeLocalChannels([LocalChannel(scid(0), PEER_ID, "shop")], []))
    peer = await gossipd.connect()
    await peer.say(update(0, int(PEER > US), node=PEER), update(1, 0, node=OTHER))
    await gossipd.hear(RemoteChannelUpdate)
    assert (await gossipd.status())["rumours"] == 1
