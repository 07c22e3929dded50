"""HKDF with SHA-256 (RFC 5869), as BOLT 8 and the derivation of the node key use it."""

import hmac
from hashlib import sha256

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
