"""A gossip_store that somebody cuts while it is read: between any two looks at it, and a hundred times at random."""

import asyncio
import contextlib
import os
import random
from pathlib import Path

import pytest

from gossipd.gossmap import Gossmap
from gossipd.map.index import MapIndex
from gossipd.serve.queries import answer_scids
from gossipd.store.file import StoreError
from tests.gossipd.gossipd_process import EVERYTHING, PATIENCE, FakePeer, GossipdProcess, GossipdProcesses
from tests.gossipd.messages import CHAIN, big_map, scid
from tests.gossipd.writer import Writer, content_of
from wire.encoded import encode_short_ids
from wire.gossip_layout import channel_scid
from wire.peer_wire import QueryShortChannelIds

ROUNDS = 100


def served(writer: Writer) -> set[bytes]:
    """All that a stream and the answers to queries have."""
    store, index = writer.store, writer.index
    offset, told = 1, set()
    while offset < store.end:
        records, offset = store.scan(offset, 200)
        told |= {message for _, _, kind, message, _ in records if kind < 1_000}
    query = QueryShortChannelIds(CHAIN, encode_short_ids(sorted(index.channels)))
    return told | set(list(answer_scids(query, CHAIN, index, store))[:-1])


def in_use(index: MapIndex) -> set[int]:
    """The offsets of what is on the map."""
    return {offset for column in index.offset_columns() for offset in column if offset}


@pytest.mark.parametrize("size", [1, 47, 500, 1_200])
@pytest.mark.parametrize("look", range(1, 22, 2))
def test_between_any_two_looks(
    writer: Writer, path: Path, monkeypatch: pytest.MonkeyPatch, look: int, size: int
) -> None:
    """What is served is true, whenever it is cut; and soon nothing that is missing is on the map."""
    for number in range(4):
        writer.full_channel(number, number, number + 1, 10)
        writer.node(number, 20)
    writer.store.flush()
    truth = served(writer)
    pread, looks = os.pread, 0

    def cut_before(fd: int, length: int, offset: int) -> bytes:
        nonlocal looks
        looks += 1
        if looks == look:
            os.truncate(path, size)
        return pread(fd, length, offset)

    monkeypatch.setattr(os, "pread", cut_before)
    assert served(writer) <= truth
    assert looks >= look
    for offset in in_use(writer.index):
        writer.store.read(offset)
        writer.store.flags(offset)
    monkeypatch.undo()
    writer.store.mend()
    for start, stop in writer.store.damaged:
        writer.forgetting.lose(start, stop)
    assert all(writer.store.read(offset) for offset in in_use(writer.index))
    assert path.stat().st_size == writer.store.end
    writer.full_channel(9, 1, 2, 30)
    writer.store.flush()
    with Gossmap(path) as follower:
        assert set(follower.index.channels) == set(writer.index.channels)


async def test_a_hundred_times_while_it_is_served(gossipds: GossipdProcesses) -> None:
    """gossipd goes on under its pid, says nothing that was not said to it, and has the whole map again in the end."""
    gossipd, chance = gossipds.new(), random.Random(1)
    await gossipd.start()
    told = big_map(50, 20)
    speaker, reader, asker = [await gossipd.connect() for _ in range(3)]
    pid = gossipd.process.pid
    await speaker.say(*told)
    await gossipd.settled_at("accepted", len(told))
    known = set(told)
    for number in range(ROUNDS):
        await reader.say(EVERYTHING)
        await asker.say(QueryShortChannelIds(CHAIN, encode_short_ids(sorted({scid(n) for n in range(50)}))))
        for _ in range(chance.randrange(4)):
            await gossipd.status()
        os.truncate(gossipd.store, chance.randrange(gossipd.store.stat().st_size))
        await speaker.say(*chance.sample(told, 20))
        for peer in (reader, asker):
            assert {raw for raw in await peer.sync(number + 1) if raw[:2] in (b"\1\0", b"\1\1", b"\1\2")} <= known
    assert gossipd.process.pid == pid and gossipd.process.poll() is None
    await _fed_until_it_is_whole(gossipd, speaker, told)


async def _fed_until_it_is_whole(gossipd: GossipdProcess, speaker: FakePeer, told: list[bytes]) -> None:
    channels = {channel_scid(raw) for raw in told if raw[:2] == b"\1\0"}
    async with asyncio.timeout(PATIENCE):
        while True:
            await speaker.say(*told)
            await gossipd.settled()
            with contextlib.suppress(OSError, StoreError), Gossmap(gossipd.store) as gossmap:
                if set(gossmap.index.channels) == channels and len(content_of(gossmap)) >= len(channels):
                    return
