"""Onion messages: what a hop costs by itself, and what a node spends on one that it relays from peer to peer."""

import asyncio
import time
from collections.abc import Callable, Iterator

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.bench.harness import Bench, Row, cpu_seconds
from tests.bench.nodes import Node, node, settled, target_of
from wire.onion.blinding import path_to
from wire.onion.keys import keys_of_onion
from wire.onion.message import open_message, read_message, seal, write_message
from wire.peer_wire import OnionMessage
from wire.secp256k1 import ecdh, new_secret, public_key

PAIRS = 20
ROUNDS = 12
PAUSE = 0.27
"""Seconds between two messages of one peer, of which four a second pass."""
PROCESSES = ("gossipd", "oniond", "hsmd")


def microseconds(work: Callable[[], object], times: int = 300) -> float:
    """CPU time of one call."""
    begin = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - begin) / times * 1e6


def alone() -> Iterator[Row]:
    """In this process, without any other."""
    secret, other = new_secret(), public_key(new_secret())
    path = path_to([public_key(secret), other], None, new_secret())
    point = path.first_path_key
    for size in (100, 20_000):
        raw = write_message(seal(path, {64: bytes(size)}, new_secret()))
        sealed = read_message(raw)
        keys = keys_of_onion(secret, sealed.path_key, sealed.packet.public_key)
        name = f"an onion of {len(sealed.packet.payloads):,} bytes"
        peeled = microseconds(lambda sealed=sealed, keys=keys: open_message(sealed, keys, ()))  # type: ignore[misc]
        yield Row(f"{name}: peeled", peeled, "µs CPU")
        made = microseconds(lambda size=size: seal(path, {64: bytes(size)}, new_secret()))  # type: ignore[misc]
        yield Row(f"{name}: made, two hops", made, "µs CPU")
    hop = microseconds(lambda: keys_of_onion(secret, point, point))
    yield Row("the keys of a hop, in hsmd", hop, "µs CPU", microseconds(lambda: ecdh(secret, point)), "an ECDH")


def pids(started: Node) -> dict[str, int]:
    """Of those that a relayed message goes through."""
    found = {module.rpartition(".")[2]: pid for pid, module in sorted(started.pids().items(), reverse=True)}
    return {"lightningd": started.process.pid, **{name: found[name] for name in PROCESSES}}


async def relayed(started: Node) -> Iterator[Row]:
    """By real peers, each as often as its limit lets it."""
    target, us = await target_of(started), bytes.fromhex((await started.rpc("getinfo"))["id"])
    senders = [await ScriptedPeer.connect(target) for _ in range(PAIRS)]
    receivers = [await ScriptedPeer.connect(target) for _ in range(PAIRS)]
    raw = [
        write_message(seal(path_to([us, peer.node_id], None, new_secret()), {64: b"x"}, new_secret()))
        for peer in receivers
    ]
    await settled(started)
    found = pids(started)
    before = {name: cpu_seconds(pid) for name, pid in found.items()}
    waited = []
    for _ in range(ROUNDS):
        began = time.monotonic()
        for sender, message in zip(senders, raw, strict=True):
            await sender.say(message)
        await asyncio.gather(*(receiver.hear(OnionMessage) for receiver in receivers))
        waited.append(time.monotonic() - began)
        await asyncio.sleep(PAUSE)
    rows = [Row(f"{PAIRS} at once: the last has arrived", min(waited) * 1e3, "ms")]
    for name, pid in found.items():
        each = (cpu_seconds(pid) - before[name]) / (PAIRS * ROUNDS) * 1e6
        rows.append(Row(f"one relayed: {name}", each, "µs CPU"))
    for peer in (*senders, *receivers):
        await peer.close()
    return iter(rows)


async def measure(bench: Bench) -> Iterator[Row]:
    """First alone, then through a node."""
    rows = list(alone())
    async with node(bench.directory, "--onion-messages=all", "--max-inbound-per-source=1000") as started:
        rows += await relayed(started)
    return iter(rows)
