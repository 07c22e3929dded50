"""BOLT 8's keys: how they are derived, and the state in which a connection moves from process to process.

Apart from `wire.frames`, which needs a cipher: most processes only pass it on. HKDF is that of RFC 5869 with SHA-256;
the node key is derived by it, too.
"""

import hmac
from dataclasses import field
from hashlib import sha256

from wire.start.late_dataclass import dataclass

MAX_MESSAGE = 65535
MAX_PACKET = 65569
READ_SIZE = 65536
MAX_UNREAD = MAX_PACKET + READ_SIZE

ROTATION = 1000
"""Nonces that are used with a key."""
_BOUNDARIES = range(0, ROTATION + 1, 2)


@dataclass(slots=True)
class CryptoState:
    """What BOLT 8 leaves both ends with: next nonces, keys and chaining keys for receiving (r) and sending (s)."""

    rn: int
    sn: int
    rk: bytes = field(repr=False)
    sk: bytes = field(repr=False)
    r_ck: bytes = field(repr=False)
    s_ck: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a connection has carried since its first message, in frames; a count goes on across hand-overs."""

    bytes_in: int = 0
    bytes_out: int = 0
    messages_in: int = 0
    messages_out: int = 0


@dataclass(slots=True)
class PeerState:
    """What moves with a peer's fd: `unread` came from the socket, not decrypted; `unsent` is encrypted, not taken;
    `gossip` is for gossipd, and found no room in the gossip fd (`wire.net.gossip_queue.GossipQueue.left_over`).
    `read_at_ns` is when what is `unread` had arrived, unix nanoseconds; 0 if its owner has not looked.
    """

    crypto: CryptoState
    unread: bytes = field(repr=False)
    unsent: bytes = field(repr=False)
    traffic: Traffic = field(default=Traffic(), repr=False)
    gossip: list[bytes] = field(default_factory=list, repr=False)
    read_at_ns: int = field(default=0, repr=False)


def check_nonces(crypto: CryptoState) -> None:
    """Raises ValueError for nonces that are no message boundary: not even, or past a rotation."""
    if crypto.rn not in _BOUNDARIES or crypto.sn not in _BOUNDARIES:
        raise ValueError(f"rn {crypto.rn} or sn {crypto.sn} is no message boundary")


_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))


def hkdf_sha256(salt: bytes, secret: bytes, info: bytes = b"", size: int = 64) -> bytes:
    """Extract and expand `secret` into `size` bytes, at most 8,160."""
    key = hmac.digest(salt, secret, "sha256")
    block = out = b""
    while len(out) < size:
        block = hmac.digest(key, block + info + bytes((len(out) // 32 + 1,)), "sha256")
        out += block
    return out[:size]


def hkdf_pair(salt: bytes, secret: bytes) -> tuple[bytes, bytes]:
    """BOLT 8's HKDF: no info, 64 bytes, which are two keys (B8-43). `salt` has at most 64 bytes.

    As `hkdf_sha256`, in half of its time: OpenSSL looks its HMAC up by name at each call. RFC 2104.
    """
    inner, outer = _pads(salt)
    inner, outer = _pads(sha256(outer + sha256(inner + secret).digest()).digest())
    first = sha256(outer + sha256(inner + b"\1").digest()).digest()
    return first, sha256(outer + sha256(inner + first + b"\2").digest()).digest()


def _pads(key: bytes) -> tuple[bytes, bytes]:
    """What HMAC puts before its inner and its outer hash: the key as a block, each byte of it changed."""
    block = key.ljust(64, b"\0")
    return block.translate(_INNER), block.translate(_OUTER)
