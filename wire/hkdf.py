"""HKDF with SHA-256 (RFC 5869), as BOLT 8 and the derivation of the node key use it."""

import hmac


def hkdf_sha256(salt: bytes, secret: bytes, info: bytes = b"", size: int = 64) -> bytes:
    """Extract and expand `secret` into `size` bytes, at most 8,160."""
    key = hmac.digest(salt, secret, "sha256")
    block = out = b""
    while len(out) < size:
        block = hmac.digest(key, block + info + bytes((len(out) // 32 + 1,)), "sha256")
        out += block
    return out[:size]


def hkdf_pair(salt: bytes, secret: bytes) -> tuple[bytes, bytes]:
    """BOLT 8's HKDF: no info, 64 bytes, which are two keys (B8-43)."""
    out = hkdf_sha256(salt, secret)
    return out[:32], out[32:]
