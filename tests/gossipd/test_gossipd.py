"""gossipd as a process: what it answers to peers, whatever they say, and that it begins and ends as it should."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from gossipd.store.writer import GossipStore
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges
from tests.gossipd.gossipd_process import CHAIN, EVERYTHING, GossipdProcess, GossipdProcesses, is_gossip, peer_info
from tests.gossipd.messages import NOW, big_map
from tests.gossipd.owner import released
from wire.control import control_wire
from wire.control.control_channel import RequestFailed
from wire.control.control_wire import PeerDisconnected, PeerMessage
from wire.encoded import encode_short_ids
from wire.peer_wire import (
    ErrorMessage,
    GossipTimestampFilter,
    Ping,
    Pong,
    QueryShortChannelIds,
    ReplyShortChannelIdsEnd,
    WarningMessage,
    decode,
)

OPEN_CHANNEL = (32).to_bytes(2, "big")


def warnings(heard: list[bytes]) -> list[str]:
    """The texts of the warnings among these messages."""
    found = map(decode, heard)
    return [message.data.decode() for message in found if isinstance(message, WarningMessage)]


# pings


@pytest.mark.bolt("B1-37", "B1-38")
async def test_pong_has_the_size_that_was_asked_for(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    for size in (0, 1, 65_530, 65_531):
        await peer.say(Ping(size, b"\xff" * 3))
        assert await peer.hear(Pong) == Pong(bytes(size))


@pytest.mark.bolt("B1-37")
async def test_too_large_a_pong_is_not_sent(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    await peer.say(*(Ping(size, b"") for size in range(65_532, 65_536)), Ping(7, b""))
    assert len((await peer.hear(Pong)).ignored) == 7
    assert [raw for raw in peer.heard if raw[:2] == b"\x00\x13"] == []


async def test_pings_are_answered_while_a_map_goes_out(gossipd: GossipdProcess) -> None:
    teller, hearer = await gossipd.connect(), await gossipd.connect()
    await teller.say(*big_map())
    await teller.sync()
    await gossipd.settled()
    await hearer.say(EVERYTHING, *(Ping(mark, b"") for mark in range(2, 12)))
    for mark in range(2, 12):
        assert len((await hearer.hear(Pong)).ignored) == mark
    assert sum(map(is_gossip, hearer.heard)) < len(big_map()), "pongs do not wait behind the map"
    await hearer.gossip(len(big_map()))


async def test_peer_that_pings_and_does_not_read(gossipd: GossipdProcess) -> None:
    """Reading it stops, so memory stays bounded; when it reads, not a pong is missing (B1-37)."""
    peer = await gossipd.connect()
    pings = peer.encrypt(*(Ping(65_531 - number % 7, b"") for number in range(3_000)))
    before = gossipd.rss()
    saying = asyncio.create_task(peer.say_raw(pings))
    other = await gossipd.connect()
    for _ in range(20):
        await other.sync()
    assert gossipd.rss() < before + 20_000_000  # 200 MB of pongs are due
    for number in range(3_000):
        assert len((await peer.hear(Pong)).ignored) == 65_531 - number % 7
    await saying


async def test_small_pings_of_a_peer_that_does_not_read(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    pings = peer.encrypt(*(Ping(number % 100, b"") for number in range(30_000)))
    saying = asyncio.create_task(peer.say_raw(pings))
    other = await gossipd.connect()
    for _ in range(20):
        await other.sync()
    for number in range(30_000):
        assert len((await peer.hear(Pong)).ignored) == number % 100
    await saying


# what else a peer may say


async def test_a_filter_that_its_gossip_fd_had_no_room_for(gossipd: GossipdProcess) -> None:
    """The owner's connection brings it back, with what the peer has said otherwise; no packet stops the others."""
    teller, peer = await gossipd.connect(), await gossipd.connect()
    await teller.say(*big_map())
    await teller.sync()
    await gossipd.settled()
    await peer.sync()
    owner = await released(gossipd, peer.conn_id)
    owner.left_over = [b"\0\0\1", b"\x80\1", EVERYTHING]
    await owner.gives_back()
    assert sorted(await peer.gossip(len(big_map()))) == sorted(big_map())


async def test_first_message_is_a_filter(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    assert (await peer.hear(GossipTimestampFilter)).encode() == EVERYTHING


@pytest.mark.bolt("B1-5")
async def test_odd_unknown_message_is_ignored(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    await peer.say(bytes.fromhex("8001"), bytes.fromhex("ffff") + bytes(65_533))
    assert warnings(await peer.sync()) == []


@pytest.mark.bolt("B1-6")
async def test_even_unknown_message_ends_the_connection(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    await peer.say(bytes.fromhex("8000"), Ping(5, b""))
    assert warnings(await peer.is_hung_up_on()) == ["unknown even message type 32768"]
    assert (await gossipd.hear(PeerDisconnected)).reason == "unknown even message type 32768"


TOO_SHORT = {
    "nothing": "",
    "half a type": "00",
    "half a type that looks like one": "12",
    "ping": "0012 0000",
    "pong": "0013 0005 00",
    "error": "0011",
    "warning": "0001 00",
    "channel_announcement": "0100" + "00" * 427,
    "channel_announcement without its features": "0100" + "00" * 257,
    "channel_announcement that lies about its features": "0100" + "00" * 256 + "ffff" + "00" * 1000,
    "node_announcement": "0101" + "00" * 64,
    "node_announcement that lies about its addresses": "0101" + "00" * 64 + "0000" + "00" * 72 + "0001",
    "channel_update": "0102" + "00" * 135,
    "query_short_channel_ids": "0105" + "00" * 32,
    "query_channel_range": "0107" + "00" * 39,
    "gossip_timestamp_filter": "0109" + "00" * 39,
    "reply_short_channel_ids_end": "0106" + "00" * 32,
}


@pytest.mark.bolt("B1-7")
async def test_too_short_message_ends_the_connection(gossipd: GossipdProcess) -> None:
    """What is no gossip; gossip is passed over, since honest peers relay it unawares."""
    for name, text in TOO_SHORT.items():
        peer = await gossipd.connect()
        await peer.say(bytes.fromhex(text))
        if name.startswith(("channel_", "node_")):
            assert len(warnings(await peer.sync())) == 1, name
            continue
        assert len(warnings(await peer.is_hung_up_on())) == 1, name
        assert (await gossipd.hear(PeerDisconnected)).conn_id == peer.conn_id


@pytest.mark.bolt("B7-90")
@pytest.mark.parametrize("packed", ["0003 01 789c", "0001 00 01 03 01 789c"], ids=["short_channel_ids", "query_flags"])
async def test_query_packed_with_zlib_is_not_answered(gossipd: GossipdProcess, packed: str) -> None:
    """A warning, as BOLT 7 allows, and the connection stays: old peers pack all their queries so."""
    peer = await gossipd.connect()
    await peer.say(bytes.fromhex("0105") + CHAIN + bytes.fromhex(packed))
    heard = await peer.sync()
    assert ["encoding type 1" in text for text in warnings(heard)] == [True]
    await peer.say(QueryShortChannelIds(CHAIN, encode_short_ids([])))
    assert (await peer.hear(ReplyShortChannelIdsEnd)).full_information == 1


@pytest.mark.bolt("B1-32", "B1-34", "B1-35")
async def test_error_and_warning_go_up(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    for message in (ErrorMessage(bytes([5]) * 32, b"a\nb\xff"), WarningMessage(bytes(32), b"careful")):
        await peer.say(message)
        copy = await gossipd.hear(PeerMessage)
        assert (copy.conn_id, copy.message, copy.message_type) == (peer.conn_id, message.encode(), message.number)
        assert copy.channel_id == message.channel_id
    await peer.sync()
    assert "peer's error: a?b?" in gossipd.log()


@pytest.mark.bolt("B8-46")
async def test_bytes_that_are_no_frame(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    await peer.sync()
    await peer.say_raw(bytes(18))
    assert await peer.is_hung_up_on() == []
    assert "bad MAC" in (await gossipd.hear(PeerDisconnected)).reason


async def test_peer_hangs_up(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    peer.close()
    assert (await gossipd.hear(PeerDisconnected)).conn_id == peer.conn_id


# what the master may ask for


async def test_master_pings(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    asked = asyncio.create_task(gossipd.master.request(control_wire.Ping(b"", peer.conn_id, 9, 3), control_wire.Pong))
    assert (await peer.hear(Ping)) == Ping(9, bytes(3))
    await peer.say(Pong(bytes(8)), Pong(bytes(9)))
    assert (await asked).totlen == 4 + 9


@pytest.mark.bolt("B1-37")
async def test_ping_without_a_pong_is_answered_at_once(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    pong = await gossipd.master.request(control_wire.Ping(b"", peer.conn_id, 65_532, 0), control_wire.Pong)
    assert pong.totlen == 0
    await peer.hear(Ping)


async def test_ping_fails_when_the_connection_ends_or_is_not_there(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    asked = asyncio.create_task(gossipd.master.request(control_wire.Ping(b"", peer.conn_id, 9, 3), control_wire.Pong))
    await peer.hear(Ping)
    peer.close()
    with pytest.raises(RequestFailed, match="left before the pong came"):
        await asked
    with pytest.raises(RequestFailed, match="not here"):
        await gossipd.master.request(control_wire.Ping(b"", peer.conn_id, 9, 3), control_wire.Pong)
    await gossipd.hear(PeerDisconnected)


async def test_master_sends_a_message(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    custom = bytes.fromhex("80ff") + b"hello"
    await gossipd.master.request(control_wire.SendMessage(b"", peer.conn_id, custom), control_wire.SendMessageReply)
    assert custom in await peer.sync()


async def test_message_for_a_full_queue_or_nobody_is_refused(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    message = bytes.fromhex("8001") + bytes(60_000)
    sent = 0
    with pytest.raises(RequestFailed, match="its queue is full"):
        while sent < 100:
            await gossipd.master.request(
                control_wire.SendMessage(b"", peer.conn_id, message), control_wire.SendMessageReply
            )
            sent += 1
    assert await peer.sync() == [EVERYTHING, *[message] * sent]
    with pytest.raises(RequestFailed, match="not here"):
        await gossipd.master.request(control_wire.SendMessage(b"", 999, message), control_wire.SendMessageReply)


async def test_master_disconnects_with_last_words(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    words = ErrorMessage(bytes(32), b"go away").encode()
    gossipd.master.send(control_wire.Disconnect(b"", peer.conn_id, [words], "because"))
    gossipd.master.send(control_wire.Disconnect(b"", peer.conn_id, [words], "twice"))
    assert (await gossipd.hear(PeerDisconnected)).reason == "because"
    assert words in await peer.is_hung_up_on()
    await gossipd.status()
    assert gossipd.said.empty()


async def test_routes(gossipd: GossipdProcess) -> None:
    """Copied, ignored and closed instead of what is the default; a new table replaces the old one."""
    peer = await gossipd.connect()
    gossipd.master.send(control_wire.SetMessageRoutes([(32, "copy"), (513, "copy"), (0x8000, "ignore")]))
    await gossipd.status()
    await peer.say(OPEN_CHANNEL + bytes(66), bytes.fromhex("0201"), bytes.fromhex("8000"))
    assert (await gossipd.hear(PeerMessage)).channel_id == bytes(32)
    assert (await gossipd.hear(PeerMessage)).message_type == 513
    await peer.sync()
    gossipd.master.send(control_wire.SetMessageRoutes([]))
    await gossipd.status()
    await peer.say(bytes.fromhex("0201"), bytes.fromhex("8000"))
    assert warnings(await peer.is_hung_up_on()) == ["unknown even message type 32768"]
    await gossipd.hear(PeerDisconnected)


# beginning and end


async def test_ends_before_it_was_told_anything(gossipds: GossipdProcesses) -> None:
    gossipds.new()


async def test_unwritable_store(gossipds: GossipdProcesses) -> None:
    with pytest.raises(RequestFailed) as failed:
        await gossipds.new().start(store="/nowhere/gossip_store")
    assert failed.value.refusal.error == "/nowhere/gossip_store: No such file or directory"


async def test_store_of_another_process(gossipds: GossipdProcesses) -> None:
    await gossipds.new().start()
    with pytest.raises(RequestFailed, match="is in use by another process"):
        await gossipds.new().start()


async def test_store_with_a_cut_tail(gossipds: GossipdProcesses, tmp_path: Path) -> None:
    """The note says it, and what is good is served."""
    store = GossipStore.open(tmp_path / "gossip_store")
    SyntheticMap(random_edges(1, 20, 10), 1, NOW).write_store(store)
    store.close()
    with store.path.open("r+b") as file:
        file.truncate(store.path.stat().st_size - 5)
    gossipd = gossipds.new()
    reply = await gossipd.start()
    assert (reply.channels, reply.nodes) == (20, 10)
    assert "unfinished tail" in reply.note
    peer = await gossipd.connect()
    await peer.say(EVERYTHING)
    assert len(await peer.gossip(20 * 3 + 9)) == 20 * 3 + 9
    assert not any(map(is_gossip, await peer.sync()))


async def test_peers_that_leave_with_the_master(gossipds: GossipdProcesses) -> None:
    """All in one turn of its loop: what there is to say has no process to hear it."""
    gossipd = gossipds.new()
    await gossipd.start()
    peers = [await gossipd.connect() for _ in range(5)]
    peer, fd, state = gossipd.connection()
    gossipd.process.send_signal(signal.SIGSTOP)
    workers = gossipd.workers()
    gossipd.link.send(control_wire.HandlePeer(peer_info(peer.conn_id), state, [], None, fd, None))
    gossipd.master.close()
    for peer in peers:
        peer.close()
    gossipd.process.send_signal(signal.SIGCONT)
    gossipd.ends_well(workers)


async def test_a_signature_worker_dies(gossipds: GossipdProcesses) -> None:
    """No peer and no message is lost: another worker takes its place."""
    gossipd = gossipds.new()
    await gossipd.start()
    peers = [await gossipd.connect() for _ in range(20)]
    workers = gossipd.workers()
    saying = asyncio.create_task(peers[0].say(*big_map(500, 50)))
    os.kill(workers[0], signal.SIGKILL)
    await saying
    await gossipd.settled_at("channels", 500)
    for peer in peers:
        await peer.sync()
    after = gossipd.workers()
    assert len(after) == len(workers)
    assert workers[0] not in after
    assert f"signature worker {workers[0]} has died: it is replaced" in gossipd.log()
    gossipd.ends_well()


async def test_connection_that_comes_when_the_master_has_just_gone(gossipds: GossipdProcesses) -> None:
    """gossipd is stopped meanwhile, so that it meets both in one turn of its loop; its filter is still to be sent."""
    gossipd = gossipds.new()
    await gossipd.start()
    peer, fd, state = gossipd.connection()
    workers = gossipd.workers()
    gossipd.process.send_signal(signal.SIGSTOP)
    await asyncio.to_thread(os.waitpid, gossipd.process.pid, os.WUNTRACED)
    gossipd.master.close()
    gossipd.link.send(control_wire.HandlePeer(peer_info(peer.conn_id), state, [], None, fd, None))
    gossipd.process.send_signal(signal.SIGCONT)
    gossipd.ends_well(workers)


async def test_dies_quietly_with_everything_under_way(gossipds: GossipdProcesses) -> None:
    """The master is gone in the middle: peers, gossip in check, an answer, news for the master."""
    gossipd = gossipds.new()
    await gossipd.start()
    peers = [await gossipd.connect() for _ in range(5)]
    await peers[0].say(EVERYTHING, *big_map(100, 30))
    for peer in peers[1:]:
        peer.close()
    gossipd.ends_well()
