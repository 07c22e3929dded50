"""gossipd as a process, with a store that has grown old: it is compacted and pruned while peers listen."""

import os
import signal
import time
from pathlib import Path

from gossipd.gossmap import Gossmap
from gossipd.map import loading
from gossipd.store.file import successor_of
from tests.gossipd.gossipd_process import EVERYTHING, GossipdProcesses
from tests.gossipd.map.barriers import stored
from tests.gossipd.messages import NOW, announcement, big_map, scid, update
from tests.gossipd.writer import Writer, content_at, content_of, node_id
from tests.gossipd.writer import scid as scid_written
from wire.control.limits import Limits
from wire.control.timing import Timing

QUICK = Timing(gossip_flush=1.0)
CHANNELS = 200


def messages() -> list[bytes]:
    return big_map(CHANNELS, 60)


async def fill(gossipds: GossipdProcesses) -> Path:
    """A store with a map in it that a gossipd has written, and more dead than alive in it."""
    gossipd = gossipds.new()
    await gossipd.start()
    peer = await gossipd.connect()
    await peer.say(*messages())
    await gossipd.settled_at("accepted", len(messages()))
    await gossipds.end(gossipd)
    make_old(gossipd.store)
    return gossipd.store


def make_old(path: Path) -> None:
    """Dead records between the live ones and behind them."""
    store, _ = loading.load(path)
    while store.size <= Limits().compact_size:
        store.mark_deleted(store.append(b"\x01\x02" + bytes(60_000), NOW))
        if store.size - store.end > 1_000_000:
            store.flush()
    store.close()


async def test_store_is_compacted_while_peers_listen(gossipds: GossipdProcesses) -> None:
    path = await fill(gossipds)
    with Gossmap(path) as follower:
        before = content_of(follower)
        gossipd = gossipds.new()
        await gossipd.start(timing=QUICK)
        peer = await gossipd.connect()
        await peer.say(EVERYTHING)
        heard = await peer.gossip(len(messages()))
        assert sorted(heard) == sorted(messages())
        await gossipd.logs("is compacted")
        status = await gossipd.status()
        assert status["store_bytes"] < 300_000
        assert follower.refresh()
        assert content_of(follower) == before
        await peer.say(announcement(5_000), update(5_000))
        peer.heard = await peer.sync()
        await stored(gossipd)
        assert follower.refresh()
        assert follower.channel(scid(5_000)) is not None
        late = await gossipd.connect()
        await late.say(EVERYTHING)
        assert len(await late.gossip(len(messages()) + 2)) == len(messages()) + 2
        assert [raw for raw in await peer.sync() if raw[:2] == b"\x01\x00"] in ([], [announcement(5_000)])
        after = content_of(follower)
    await gossipds.end(gossipd)
    assert content_at(path) == after


async def test_stale_channels_are_pruned(gossipds: GossipdProcesses) -> None:
    gossipd = gossipds.new()
    writer = Writer(gossipd.store)
    now = int(time.time())  # not NOW, which a long run of tests leaves far behind
    writer.full_channel(1, 1, 2, now - 1_000)
    writer.full_channel(2, 2, 3, now + 1_000)
    writer.close()
    with Gossmap(gossipd.store) as follower:
        await gossipd.start(timing=Timing(gossip_flush=1.0, gossip_prune=2.0))
        await gossipd.settled_at("channels", 1)
        await gossipd.logs("1 stale channels are forgotten")
        await gossipd.sync_all()
        assert follower.refresh()
        assert [channel.short_channel_id for channel in follower.channels()] == [scid_written(2)]
        assert [node.node_id for node in follower.nodes()] == [node_id(2), node_id(3)]


async def test_killed_while_compacting(gossipds: GossipdProcesses) -> None:
    path = await fill(gossipds)
    expected = content_at(path)
    gossipd = gossipds.new()
    await gossipd.start(timing=QUICK)
    while not successor_of(path).exists() and "is compacted" not in gossipd.log():
        pass
    os.kill(gossipd.process.pid, signal.SIGKILL)
    gossipd.process.wait()
    gossipd.master.close()
    assert content_at(path) == expected
    assert not successor_of(path).exists()
