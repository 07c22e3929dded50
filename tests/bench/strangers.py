"""What strangers can make us do, and what it cost before it was bounded: one row for each such cost.

The reference is the figure from before the repair, of another day and machine: it says how large the repair is.
Range queries and filters are in `queries`; what honest peers notice is tests/system/test_hostile.py's.
"""

import asyncio
import contextlib
import itertools
import logging
import shutil
import struct
import time
import tracemalloc
from collections.abc import Awaitable, Iterator
from pathlib import Path

from connectd.initmsg import read_init
from connectd.websocketd.websocket import WebSocket
from gossipd.ingest.pending import MAX_PENDING, Pending, PendingChannels
from gossipd.map.forget import Forgetting
from gossipd.map.gone import Gone
from gossipd.map.loading import load
from gossipd.serve.budget import QUANTUM
from gossipd.serve.queries import Answer, answer_scids
from gossipd.serve.stream import Stream
from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.bench.harness import Bench, Row
from tests.bench.nodes import Node, node
from wire.cursor import WireError, encode_bigsize
from wire.encoded import encode_short_ids
from wire.gossip_layout import CHANNEL_UPDATE, UPDATE_SIZE
from wire.peer_wire import ALL_CHANNELS, Init, QueryChannelRange, QueryShortChannelIds, WarningMessage, decode
from wire.types import NETWORKS

BEFORE = "before the repair"
CHAIN = NETWORKS["regtest"]
MORE = 2_000
"""Announcements that come when there is room for no more."""
REPEATED = 8_186
"""How often one id has room in a query."""
FLAGS, ODD_RECORDS = 60_000, 16_435
EMPTY_FRAME = b"\x82\x80\0\0\0\0"
PIECE = 65_536
LARGEST, SAID, SPENT = 65_535, 1_000_000, 500
PATIENCE = 30.0
ROUNDS = 3
WARNINGS, WARNING_SIZE = 450, 60_000
"""27 MB, which one connection sent in ten seconds."""
_UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def _milliseconds(begin: float) -> float:
    return (time.process_time() - begin) * 1e3


def _pending() -> Iterator[Row]:
    """Announcements of two sources, as many as there is room for, and then more."""
    logging.getLogger("gossipd").setLevel(logging.ERROR)  # it says once that there is no room
    pending, scids = PendingChannels(), itertools.count()
    keys = (bytes(33),) * 4
    for _ in range(MAX_PENDING):
        scid = next(scids)
        pending.add(scid, Pending(bytes(430), scid % 2, keys, 0.0))
    begin = time.process_time()
    for _ in range(MORE):
        pending.add(next(scids), Pending(bytes(430), 0, keys, 0.0))
    spent = _milliseconds(begin) / MORE * 1e3
    yield Row(f"an announcement, {MAX_PENDING:,} pending", spent, "µs CPU", 302, BEFORE, "<= 4")


def _held() -> Iterator[Row]:
    """Updates, as large as they may be, of channels that are not proven: what is kept, and what of it is counted."""
    pending, channels, update = PendingChannels(), 100, CHANNEL_UPDATE.to_bytes(2, "big").ljust(LARGEST, b"\0")
    keys = (bytes(33),) * 4
    for scid in range(channels):
        announced = Pending(bytes(430), scid, keys, 0.0)
        pending.add(scid, announced)
        for source in range(10):
            pending.hold(scid, announced, (0, 0, update[:-2] + source.to_bytes(2, "big"), source))
    kept = sum(
        len(each.message) + sum(len(message) for _, _, message, _ in each.held)
        for each in pending.table.values.values()
    )
    yield Row("updates held, unproven: counted", pending.table.size / kept * 100, "% of what is kept", 0.3, BEFORE)


def _heard() -> Iterator[Row]:
    """What one peer has said, a million messages between two flushes, so that it is not told it again."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    stream = Stream(0, 0xFFFFFFFF, 1, 1)
    for number in range(SAID):
        stream.heard(number.to_bytes(UPDATE_SIZE, "big"))
    size = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    yield Row(f"{SAID:,} messages of a peer: kept", size / 1e3, "kB", 950, BEFORE + ", never cleared")


def _init() -> Iterator[Row]:
    theirs = read_init(Init(b"", b"\xaa" * 65_000).encode(), CHAIN)
    assert theirs is not None
    yield Row("65,000 bytes of features in INIT: kept", len(theirs.features), "bytes", 65_000, BEFORE)


def _gone(bench: Bench) -> Iterator[Row]:
    """A block in which many channels of the map are spent."""
    path = bench.directory / "spent_store"
    shutil.copy(bench.map.path, path)
    store, index = load(path)
    forgetting, spent = Forgetting(store, index, Gone()), list(index.channels)[:SPENT]
    begin = time.process_time()
    forgetting.spend(spent, 1)
    yield Row(f"{len(spent)} channels spent in a block", _milliseconds(begin) / len(spent), "ms CPU each", 4, BEFORE)
    store.close()


def _decoding(raw: bytes) -> float:
    """Milliseconds, of a message that may be refused."""
    begin = time.process_time()
    with contextlib.suppress(WireError):
        decode(raw)
    return _milliseconds(begin)


def _queries(bench: Bench) -> Iterator[Row]:
    path = bench.directory / "gossip_store"
    shutil.copy(bench.map.path, path)
    store, index = load(path)
    scid = next(iter(index.channels))
    begin = time.process_time()
    answer = Answer(answer_scids(QueryShortChannelIds(CHAIN, encode_short_ids([scid] * REPEATED)), CHAIN, index, store))
    size = 0
    while not answer.finished:
        size += sum(map(len, answer.pull(QUANTUM)))
    yield Row(f"one id asked for {REPEATED:,} times: answer", size / 1e3, "kB", 5_800, BEFORE)
    yield Row("  and our CPU", _milliseconds(begin), "ms CPU")
    store.close()
    head = QueryChannelRange(CHAIN, 0, 1).encode()
    records = b"".join(b"\xfd" + struct.pack(">HB", 255 + 2 * number, 0) for number in range(ODD_RECORDS))
    yield Row(f"a query with {ODD_RECORDS:,} odd TLVs", _decoding((head + records)[:65_535]), "ms CPU", 24, BEFORE)
    head = QueryShortChannelIds(CHAIN, encode_short_ids([scid])).encode()
    record = b"\1" + encode_bigsize(1 + FLAGS) + bytes(1 + FLAGS)
    yield Row(f"{FLAGS:,} query flags", _decoding(head + record), "ms CPU", 16, BEFORE)


def _empty_frames() -> Iterator[Row]:
    websocket = WebSocket()
    websocket.receive(_UPGRADE)
    websocket.to_send()
    data = EMPTY_FRAME * (PIECE // len(EMPTY_FRAME))
    spent = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        websocket.receive(data)
        spent.append(_milliseconds(begin))
    assert websocket.frames == ROUNDS * (PIECE // len(EMPTY_FRAME))
    yield Row("64 kB of empty WebSocket frames", min(spent), "ms CPU", 26, BEFORE)


def _size(path: Path) -> int:
    return path.stat().st_size


async def _visits(target: str, count: int) -> None:
    """Come, say INIT and leave."""
    for _ in range(count):
        peer = await ScriptedPeer.connect(target)
        await peer.close()


async def _flood(target: str) -> None:
    peer = await ScriptedPeer.connect(target)
    warning = WarningMessage(ALL_CHANNELS, bytes([65]) * WARNING_SIZE)
    for _ in range(WARNINGS):
        await peer.say(warning)
    await peer.sync(PATIENCE)
    await peer.close()


async def _logged(started: Node, log: Path, causes: Awaitable[None]) -> int:
    """Bytes of the log over it, when no connection is left."""
    before = _size(log)
    await causes
    async with asyncio.timeout(PATIENCE):
        while (await started.rpc("getinfo"))["num_peers"]:  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.05)
    return _size(log) - before


async def _log(bench: Bench) -> Iterator[Row]:
    """Of a node at the level `info`: for visits from one address, and for a flood of warnings."""
    directory, count = bench.directory / "node", 200 if bench.quick else 2_000
    directory.mkdir()
    async with node(directory) as started:
        info = await started.rpc("getinfo")
        target = f"{info['id']}@127.0.0.1:{info['binding'][0]['port']}"
        visits = await _logged(started, directory / "log", _visits(target, count)) / count
        flood = await _logged(started, directory / "log", _flood(target)) / 1e3
    rows = [Row(f"the log of {count:,} who come and leave", visits, "bytes each", 158, BEFORE)]
    rows.append(Row(f"the log of {WARNINGS * WARNING_SIZE / 1e6:.0f} MB of warnings", flood, "kB", 27_000, BEFORE))
    return iter(rows)


async def measure(bench: Bench) -> Iterator[Row]:
    """Each cost of its own."""
    computed = itertools.chain(_pending(), _held(), _heard(), _init(), _gone(bench), _queries(bench), _empty_frames())
    return itertools.chain(computed, await _log(bench))
