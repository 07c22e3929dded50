"""Inbound connects with Noise and INIT both ways against a whole node: CPU in each of its processes.

The reference is one process that does a handshake with INIT in a straight blocking loop, with the key in its hand and
nothing around it: what the cryptography and the kernel take of each.
"""

import contextlib
import multiprocessing
import socket
from collections import defaultdict
from collections.abc import Iterator

from tests.bench.crowd import Crowd
from tests.bench.harness import Bench, Row, cpu_seconds
from tests.bench.nodes import connected, node, settled, target_of
from wire import secp256k1
from wire.features import default_init_features
from wire.frames import Frames
from wire.noise import ACT_ONE_SIZE, ACT_THREE_SIZE, Responder
from wire.peer_wire import Init
from wire.types import NETWORKS

ROUNDS = 3


def _bare(listening: socket.socket, key: bytes) -> None:
    """Answer whoever connects, until nothing listens any more; the connections stay."""
    node_id, kept = secp256k1.public_key(key), []
    init = Init(b"", default_init_features().to_bytes(), [NETWORKS["regtest"]]).encode()
    while True:
        sock, _ = listening.accept()
        responder = Responder(node_id, ephemeral=secp256k1.new_secret())
        point = responder.receive_act_one(sock.recv(ACT_ONE_SIZE, socket.MSG_WAITALL))
        sock.sendall(responder.act_two(secp256k1.ecdh(key, point)))
        _, crypto = responder.receive_act_three(sock.recv(ACT_THREE_SIZE, socket.MSG_WAITALL))
        frames = Frames(crypto)
        sock.sendall(frames.encrypt(init))
        data = sock.recv(1_000)
        assert list(frames.feed(data))
        kept.append(sock)


@contextlib.contextmanager
def _bare_node() -> Iterator[tuple[str, int]]:
    """Its target, and its pid."""
    key = secp256k1.new_secret()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = multiprocessing.get_context("fork").Process(target=_bare, args=(listening, key))
        process.start()
        try:
            assert process.pid is not None
            yield f"{secp256k1.public_key(key).hex()}@127.0.0.1:{listening.getsockname()[1]}", process.pid
        finally:
            process.kill()
            process.join()


async def _bare_each(count: int) -> float:
    """CPU seconds of a handshake there."""
    with _bare_node() as (target, pid):
        crowd = await Crowd.start(target)
        await crowd.does("connect 20 1")
        before = cpu_seconds(pid)
        await crowd.does(f"connect {count} 1")
        spent = cpu_seconds(pid) - before
        await crowd.end()
    return spent / count


async def measure(bench: Bench) -> Iterator[Row]:
    """One after the other and eight at a time, the best of some rounds; all of them stay connected."""
    count = 100 if bench.quick else 300
    bare = min([await _bare_each(count) for _ in range(ROUNDS)]) * 1e6
    best: dict[int, dict[str, float]] = {}
    rates: list[float] = []
    async with node(bench.directory) as started:
        crowd, there = await Crowd.start(await target_of(started)), 0
        for at_once in (8, 8, 1, *(8, 1) * ROUNDS):
            await settled(started)
            pids = started.pids()
            begin = {pid: cpu_seconds(pid) for pid in pids}
            seconds = await crowd.does(f"connect {count} {at_once}")
            there += count
            await settled(started, there)  # to ask the node would cost it more than some connects
            spent: dict[str, float] = defaultdict(float)
            for pid, name in pids.items():
                spent[name] += (cpu_seconds(pid) - begin[pid]) / count * 1e6
            rates += [count / seconds] * (at_once == 8)
            if at_once not in best or sum(spent.values()) < sum(best[at_once].values()):
                best[at_once] = spent
            await connected(started, there)
        await crowd.end()
    reference = bare, "bare loop, one process"
    rows = [
        Row("connect: all daemons, one by one", sum(best[1].values()), "µs CPU", *reference, "<= 600"),
        Row("connect: all daemons, 8 at a time", sum(best[8].values()), "µs CPU", *reference, "<= 500"),
        Row("connect: rate, client beside it", max(rates), "/s"),
    ]
    parts = [Row(f"connect, one by one: {name}", each, "µs CPU") for name, each in best[1].items() if each >= 1]
    return iter(rows + parts)
