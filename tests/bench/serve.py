"""The whole map sent to one peer as fast as it reads, and to a hundred at once beside one that pings."""

import asyncio
import mmap
import select
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gossipd.store.records import DELETED, HEADER_AND_TYPE
from tests.bench.gossipds import Meter, running_gossipd
from tests.bench.harness import Bench, Child, Row, cpu_seconds, swallow
from tests.bench.maps import BenchMap
from tests.gossipd.ends import tcp_pair
from tests.gossipd.gossipd_process import EVERYTHING, FakePeer, GossipdProcess
from wire.control.control_wire import PeerDisconnected
from wire.crypto_state import hkdf_pair
from wire.gossip_layout import GOSSIP_TYPES
from wire.peer_wire import GossipTimestampFilter

ROUNDS = 3
CROWD = 100
CROWD_SECONDS = 10.0
PING_EVERY = 0.05
BATCH = 32_768
_NONCES = [struct.pack("<4xQ", number) for number in range(1000)]


def serve_bare(path: Path, sock: socket.socket) -> float:
    """CPU seconds to read a store, encrypt its gossip and send it, in one loop without a filter or a peer."""
    begin = time.process_time()
    key, chain = bytes(32), bytes(32)
    encrypt, nonce, batch = ChaCha20Poly1305(key).encrypt, 0, bytearray()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        offset = 1
        while offset < len(data):
            flags, length, _, _, kind = HEADER_AND_TYPE.unpack_from(data, offset)
            offset += 12 + length
            if flags & DELETED or kind not in GOSSIP_TYPES:
                continue
            if nonce == 1000:
                chain, key = hkdf_pair(chain, key)
                encrypt, nonce = ChaCha20Poly1305(key).encrypt, 0
            batch += encrypt(_NONCES[nonce], length.to_bytes(2, "big"), None)
            batch += encrypt(_NONCES[nonce + 1], data[offset - length : offset], None)
            nonce += 2
            if len(batch) >= BATCH:
                sock.sendall(batch)
                batch.clear()
    sock.sendall(batch)
    return time.process_time() - begin


def _bare(bench: Bench) -> tuple[float, float]:
    """CPU seconds and wall seconds of the bare loop, the best of some rounds."""
    rounds = []
    for _ in range(ROUNDS):
        ours, theirs = tcp_pair()
        child = Child(swallow, theirs, bench.map.wire_size)
        begin = time.monotonic()
        cpu = serve_bare(bench.map.path, ours)
        rounds.append((cpu, child.result() - begin))
        ours.close()
        theirs.close()
    return min(cpu for cpu, _ in rounds), min(wall for _, wall in rounds)


async def _asks_for_gossip(peer: FakePeer) -> None:
    """gossipd's own filter comes first, and is not to be counted."""
    await peer.hear(GossipTimestampFilter)


async def serve_one(gossipd: GossipdProcess, made: BenchMap) -> tuple[float, float]:
    """CPU seconds of gossipd and wall seconds for the map to one peer."""
    peer = await gossipd.connect(tcp=True)
    await _asks_for_gossip(peer)
    meter = await Meter.settled(gossipd)
    child = Child(swallow, peer.sock, made.wire_size)
    begin = time.monotonic()
    await peer.say(EVERYTHING)
    wall = await asyncio.to_thread(child.result) - begin
    cpu = meter.read().main
    peer.close()
    await gossipd.hear(PeerDisconnected)
    return cpu, wall


def swallow_all(socks: list[socket.socket], seconds: float) -> int:
    """Read whatever comes on any of the sockets for so long; how many bytes that was."""
    poll = select.epoll()
    for sock in socks:
        sock.setblocking(False)
        poll.register(sock.fileno(), select.EPOLLIN)
    by_fd = {sock.fileno(): sock for sock in socks}
    buffer, total, end = bytearray(1 << 18), 0, time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        for fd, _ in poll.poll(left):
            total += by_fd[fd].recv_into(buffer)
    return total


async def _crowd(gossipd: GossipdProcess, bench: Bench) -> Iterator[Row]:
    """Many peers ask for everything at once; an honest one pings all the while."""
    crowd = [await gossipd.connect(tcp=True) for _ in range(CROWD)]
    honest = await gossipd.connect(tcp=True)
    for peer in [*crowd, honest]:
        await _asks_for_gossip(peer)
    child = Child(swallow_all, [peer.sock for peer in crowd], CROWD_SECONDS)
    meter = Meter(gossipd)
    for peer in crowd:
        await peer.say(EVERYTHING)
    latencies, spent_meanwhile = [], []
    pid = gossipd.process.pid
    end = time.monotonic() + CROWD_SECONDS - 0.5
    while time.monotonic() < end:
        began, before = time.monotonic(), cpu_seconds(pid)
        await honest.sync()
        latencies.append(time.monotonic() - began)
        spent_meanwhile.append(cpu_seconds(pid) - before)
        await asyncio.sleep(PING_EVERY)
    size = await asyncio.to_thread(child.result)
    spent = meter.read()
    for peer in [*crowd, honest]:
        peer.close()
    messages = size / (bench.map.wire_size / len(bench.map.messages))
    return iter(
        [
            Row(f"serve {CROWD} peers: rate", messages / CROWD_SECONDS, "/s", None, "", ">= 200,000"),
            Row(f"serve {CROWD} peers: CPU", spent.main / messages * 1e6, "µs CPU/message"),
            Row(f"serve {CROWD} peers: worst pong", max(latencies) * 1e3, "ms", None, "", "<= 40"),
            Row(f"serve {CROWD} peers: the same", max(spent_meanwhile) * 1e3, "ms CPU of gossipd", None, "", "<= 40"),
        ]
    )


async def measure(bench: Bench) -> Iterator[Row]:
    """One peer, the best of some rounds; with the full set the crowd as well."""
    messages = len(bench.map.messages)
    bare_cpu, bare_wall = _bare(bench)
    async with running_gossipd(bench.directory / "serve", bench.map.path) as gossipd:
        rounds = [await serve_one(gossipd, bench.map) for _ in range(ROUNDS)]
        crowd = [] if bench.quick else list(await _crowd(gossipd, bench))
    cpu, wall = min(cpu for cpu, _ in rounds), min(wall for _, wall in rounds)
    rows = [
        Row("serve: rate to one peer", messages / wall, "/s", messages / bare_wall, "bare loop", ">= 250,000"),
        Row("serve: CPU", cpu / messages * 1e6, "µs CPU/message", bare_cpu / messages * 1e6, "bare loop", "<= 4"),
    ]
    return iter(rows + crowd)
