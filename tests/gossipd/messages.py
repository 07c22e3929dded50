"""Gossip made to order, validly signed where a test does not want it otherwise."""

import functools
import os
import time
from collections.abc import Iterable
from dataclasses import replace

from lightningd_py.tools.synthetic_map import generate
from wire.peer_wire import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from wire.scid import make_scid
from wire.secp256k1 import double_sha256, public_key, sign
from wire.types import NETWORKS

CHAIN = NETWORKS["regtest"]
NOW = int(os.environ.get("TESTS_BEGAN", time.time()))
"""The same for all workers of a run: tests are named after messages of this time."""
SIGNATURE = bytes(64)
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

Secret = bytes


def _keys() -> list[tuple[Secret, bytes]]:
    keys = [(bytes([number]) * 32, public_key(bytes([number]) * 32)) for number in range(1, 9)]
    return sorted(keys, key=lambda key: key[1])


KEYS = _keys()
"""(secret, node_id) of eight nodes, in the order of their ids."""
BITCOIN_KEYS = [(bytes([100 + number]) * 32, public_key(bytes([100 + number]) * 32)) for number in range(2)]


def scid(number: int) -> int:
    """The number-th channel, in a block of its own."""
    return make_scid(100 + number, 1, 0)


def announcement(
    channel: int = 0,
    one: int = 0,
    two: int = 1,
    *,
    features: bytes = b"",
    chain_hash: bytes = CHAIN,
    extension: bytes = b"",
) -> bytes:
    """A channel_announcement of the nodes KEYS[one] and KEYS[two]."""
    secrets, (node_1, node_2, bitcoin_1, bitcoin_2) = zip(KEYS[one], KEYS[two], *BITCOIN_KEYS, strict=True)
    blank = (SIGNATURE, SIGNATURE, SIGNATURE, SIGNATURE)
    keys = (node_1, node_2, bitcoin_1, bitcoin_2)
    message = ChannelAnnouncement(*blank, features, chain_hash, scid(channel), *keys, extension=extension)
    return signed(message, secrets)


def signed(message: ChannelAnnouncement, secrets: Iterable[Secret]) -> bytes:
    """The message with the signatures of these four keys, in its order."""
    digest = double_sha256(message.encode()[258:])
    one, two, three, four = (sign(secret, digest) for secret in secrets)
    return replace(
        message, node_signature_1=one, node_signature_2=two, bitcoin_signature_1=three, bitcoin_signature_2=four
    ).encode()


def update(
    channel: int = 0,
    direction: int = 0,
    timestamp: int = NOW,
    *,
    node: int | None = None,
    message_flags: int = 1,
    disable: bool = False,
    cltv_expiry_delta: int = 40,
    chain_hash: bytes = CHAIN,
    extension: bytes = b"",
) -> bytes:
    """A channel_update, signed by KEYS[direction] if `node` does not say otherwise."""
    secret = KEYS[direction if node is None else node][0]
    flags = direction | disable << 1
    fields = (message_flags, flags, cltv_expiry_delta, 1, 1000, 1, 10**9)
    message = ChannelUpdate(SIGNATURE, chain_hash, scid(channel), timestamp, *fields, extension=extension)
    return replace(message, signature=sign(secret, double_sha256(message.encode()[66:]))).encode()


def node_announcement(
    node: int = 0, timestamp: int = NOW, *, features: bytes = b"", addresses: bytes = b"", extension: bytes = b""
) -> bytes:
    """A node_announcement of KEYS[node]."""
    secret, node_id = KEYS[node]
    message = NodeAnnouncement(
        SIGNATURE, features, timestamp, node_id, b"\1\2\3", bytes(32), addresses, extension=extension
    )
    return replace(message, signature=sign(secret, double_sha256(message.encode()[66:]))).encode()


def spoilt(message: bytes, at: int) -> bytes:
    """The message with one bit changed."""
    return message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :]


def high_s(message: bytes, at: int = 2) -> bytes:
    """The message with the signature at this place made the other one that fits the same digest: s is over n/2."""
    s = int.from_bytes(message[at + 32 : at + 64], "big")
    return message[: at + 32] + (_ORDER - s).to_bytes(32, "big") + message[at + 64 :]


def with_number(message: bytes, number: int) -> bytes:
    """The message under another type."""
    return number.to_bytes(2, "big") + message[2:]


@functools.cache
def big_map(channels: int = 1_000, nodes: int = 300) -> list[bytes]:
    """A map that is always the same but for its timestamps: each channel with both updates, then the nodes."""
    return list(generate(1, channels, nodes, NOW))
