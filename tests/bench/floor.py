"""The limits: what the signatures, the ciphers and a handed-over fd cost with next to no Python around them."""

import array
import os
import socket
import time
from collections.abc import Iterator
from typing import NamedTuple

from coincurve._libsecp256k1 import ffi, lib
from coincurve.context import GLOBAL_CONTEXT
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from tests.bench.harness import Bench, Row, in_two_processes
from tests.bench.maps import BenchMap
from wire.gossip_layout import (
    CHANNEL_SIGNED,
    SIGNED,
    channel_keys,
    channel_signatures,
    node_id_of,
    signature_of,
    update_direction,
)
from wire.secp256k1 import double_sha256

SAMPLE = 2_000
"""Channels, and nodes, whose signatures are checked to learn the rate."""

Check = tuple[bytes, bytes, bytes]
"""digest, signature, key"""


class Rates(NamedTuple):
    """Seconds of CPU for one of each, in a process that does nothing else."""

    verify: float
    parse: float
    verifies_per_second: float


class Floor(NamedTuple):
    """What the signatures of a whole map must cost: CPU for a message, and wall time over two cores, in seconds."""

    cpu_a_message: float
    wall: float


def checks_of(channels: list[list[bytes]], nodes: list[bytes]) -> Iterator[Check]:
    """Every signature of some gossip, with what it signs and who."""
    for announcement, *updates in channels:
        digest, keys = double_sha256(announcement[CHANNEL_SIGNED:]), channel_keys(announcement)
        for signature, key in zip(channel_signatures(announcement), keys, strict=True):
            yield digest, signature, key
        for update in updates:
            yield double_sha256(update[SIGNED:]), signature_of(update), keys[update_direction(update)]
    for node in nodes:
        yield double_sha256(node[SIGNED:]), signature_of(node), node_id_of(node)


def check_bare(checks: list[Check]) -> tuple[Rates, int]:
    """The rates, and how many different keys there were."""
    context = GLOBAL_CONTEXT.ctx
    keys = {key: ffi.new("secp256k1_pubkey *") for _, _, key in checks}
    signature = ffi.new("secp256k1_ecdsa_signature *")
    begin = time.process_time()
    for encoded, parsed in keys.items():
        lib.secp256k1_ec_pubkey_parse(context, parsed, encoded, 33)
    parsed_at, wall = time.process_time(), time.monotonic()
    for digest, compact, key in checks:
        lib.secp256k1_ecdsa_signature_parse_compact(context, signature, compact)
        if not lib.secp256k1_ecdsa_verify(context, signature, digest, keys[key]):
            raise ValueError("the map has a wrong signature")
    rate = len(checks) / (time.monotonic() - wall)
    verify = (time.process_time() - parsed_at) / len(checks)
    return Rates(verify, (parsed_at - begin) / len(keys), rate), len(keys)


def floor_of(made: BenchMap) -> Floor:
    """The floor of the whole map, by the rates of a sample in two processes at once."""
    checks = list(checks_of(made.channels[:SAMPLE], made.nodes[:SAMPLE]))
    both = [rates for rates, _ in in_two_processes(check_bare, checks)]
    verify = sum(rates.verify for rates in both) / 2
    parse = sum(rates.parse for rates in both) / 2
    signatures = sum(3 + len(channel) for channel in made.channels) + len(made.nodes)
    cpu = signatures * verify + (2 * len(made.channels) + len(made.nodes)) * parse
    slowdown = 1 / (verify * sum(rates.verifies_per_second for rates in both) / 2)
    return Floor(cpu / len(made.messages), cpu / 2 * slowdown)


def seal_bare(size: int, count: int = 50_000) -> float:
    """CPU seconds to encrypt so many bytes."""
    cipher, nonce, message = ChaCha20Poly1305(bytes(32)), bytes(12), bytes(size)
    begin = time.process_time()
    for _ in range(count):
        cipher.encrypt(nonce, message, None)
    return (time.process_time() - begin) / count


def pass_bare(count: int = 20_000) -> float:
    """CPU seconds to send an fd to ourselves, receive it and close it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [ours.fileno()]))]
    begin = time.process_time()
    for _ in range(count):
        ours.sendmsg([b"x"], rights)
        _, control, _, _ = theirs.recvmsg(16, 64)
        os.close(int.from_bytes(control[0][2], "little"))
    spent = (time.process_time() - begin) / count
    ours.close()
    theirs.close()
    return spent


async def measure(bench: Bench) -> Iterator[Row]:
    """The table of limits, measured again."""
    checks = list(checks_of(bench.map.channels[:SAMPLE], bench.map.nodes[:SAMPLE]))
    alone, _ = check_bare(checks)
    both = [rates for rates, _ in in_two_processes(check_bare, checks)]
    two = sum(rates.verifies_per_second for rates in both)
    return iter(
        [
            Row("verify, one process", 1 / alone.verify, "/s"),
            Row("verify, two processes", two, "/s", 1 / alone.verify, "one process"),
            Row("parse a public key", alone.parse * 1e6, "µs CPU"),
            Row("ChaCha20-Poly1305, 2 bytes", seal_bare(2) * 1e6, "µs CPU"),
            Row("ChaCha20-Poly1305, 430 bytes", seal_bare(430) * 1e6, "µs CPU"),
            Row("an fd sent, received, closed", pass_bare() * 1e6, "µs CPU"),
            Row("gossip floor: signatures", floor_of(bench.map).cpu_a_message * 1e6, "µs CPU/message"),
        ]
    )
