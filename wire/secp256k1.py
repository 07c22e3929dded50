"""secp256k1, and SHA-256 twice: the one place that knows coincurve.

It calls libsecp256k1 through coincurve's private cffi layer, because the public classes take DER signatures and parse
a key at every use. That layer may change with any release: pyproject.toml pins it, and a test touches every function
used here. All calls release the GIL and share nothing that a thread writes to, but for the cache of parsed keys, where
a race costs at most a second parsing.
"""

import os
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from coincurve._libsecp256k1 import ffi, lib
from coincurve.context import GLOBAL_CONTEXT

_CONTEXT = GLOBAL_CONTEXT.ctx  # randomised at import, against side channels
_PUBKEY = ffi.typeof("secp256k1_pubkey *")
_SIGNATURE = ffi.typeof("secp256k1_ecdsa_signature *")
_BYTES = ffi.typeof("unsigned char[]")
_RECOVERABLE = ffi.typeof("secp256k1_ecdsa_recoverable_signature *")
_SIZE, _INT = ffi.typeof("size_t *"), ffi.typeof("int *")
_X_ONLY, _KEYPAIR = ffi.typeof("secp256k1_xonly_pubkey *"), ffi.typeof("secp256k1_keypair *")
_PUBKEYS = ffi.typeof("secp256k1_pubkey *[]")


class _ParsedKeys:
    """Parsed points by their encoding, in two generations, so that being bounded costs nothing at each use.

    When the young generation is full it becomes the old one, and the old one is forgotten, but for the keys that were
    asked for again in the meantime. So node keys stay while the bitcoin keys of announcements, used once, pass through.
    """

    def __init__(self, limit: int) -> None:
        self.generation_limit = limit // 2
        self._young: dict[bytes, Any] = {}
        self._old: dict[bytes, Any] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, point: bytes) -> Any:
        """The parsed point, or None if it is no point."""
        parsed = self._young.get(point)
        if parsed is None:
            parsed = self._old.pop(point, None) or _parse(point)
            if parsed is None:
                return None
            if len(self._young) >= self.generation_limit:
                self._young, self._old = {}, self._young
            self._young[point] = parsed
        return parsed


def _parse(point: bytes) -> Any:
    if len(point) != 33:
        return None
    parsed = ffi.new(_PUBKEY)
    return parsed if lib.secp256k1_ec_pubkey_parse(_CONTEXT, parsed, point, 33) else None


_parsed_keys = _ParsedKeys(65_536)


def new_secret() -> bytes:
    """A fresh secret key: 32 bytes that are a valid scalar."""
    while True:
        secret = os.urandom(32)
        if lib.secp256k1_ec_seckey_verify(_CONTEXT, secret):
            return secret


def public_key(secret: bytes) -> bytes:
    """The compressed point of a secret key, 33 bytes. Raises ValueError if the secret is no valid scalar."""
    parsed = ffi.new(_PUBKEY)
    if len(secret) != 32 or not lib.secp256k1_ec_pubkey_create(_CONTEXT, parsed, secret):
        raise ValueError("no secret key")
    return _serialized(parsed)


def _serialized(parsed: Any) -> bytes:
    out, size = ffi.new(_BYTES, 33), ffi.new(_SIZE, 33)
    lib.secp256k1_ec_pubkey_serialize(_CONTEXT, out, size, parsed, lib.SECP256K1_EC_COMPRESSED)
    return bytes(ffi.buffer(out))


def is_point(data: bytes) -> bool:
    """Is this the 33-byte compressed encoding of a point on the curve?"""
    return _parse(data) is not None  # strangers' ephemeral keys come here, each once: not through the cache


class Point:
    """A point that was parsed, to be used more than once: parsing takes 5 µs. Raises ValueError for what is none."""

    __slots__ = ("parsed",)

    def __init__(self, point: bytes) -> None:
        self.parsed = _parse(point)  # not through the cache, as above
        if self.parsed is None:
            raise ValueError("no point on the curve")


def ecdh(secret: bytes, point: bytes | Point) -> bytes:
    """SHA-256 of the compressed product, 32 bytes (BOLT 8). Raises ValueError if the point or the secret is invalid."""
    parsed = (Point(point) if isinstance(point, bytes) else point).parsed
    out = ffi.new(_BYTES, 32)
    if len(secret) != 32 or not lib.secp256k1_ecdh(_CONTEXT, out, parsed, secret, ffi.NULL, ffi.NULL):
        raise ValueError("no secret key")
    return bytes(ffi.buffer(out))


def multiply_point(point: bytes, factor: bytes) -> bytes:
    """The product, compressed. Raises ValueError if the point is none, or the factor no scalar, 32 bytes."""
    parsed = _parse(point)
    if parsed is None:
        raise ValueError("no point on the curve")
    if len(factor) != 32 or not lib.secp256k1_ec_pubkey_tweak_mul(_CONTEXT, parsed, factor):
        raise ValueError("no factor")
    return _serialized(parsed)


def multiply_secret(secret: bytes, factor: bytes) -> bytes:
    """The secret of the product. Raises ValueError for what is no scalar, 32 bytes."""
    product = ffi.new(_BYTES, secret)
    if len(secret) != 32 or len(factor) != 32 or not lib.secp256k1_ec_seckey_tweak_mul(_CONTEXT, product, factor):
        raise ValueError("no secret key, or no factor")
    return bytes(ffi.buffer(product, 32))


def sign(secret: bytes, digest: bytes) -> bytes:
    """A compact ECDSA signature, 64 bytes, low-S, deterministic (RFC 6979). Raises ValueError for a wrong size."""
    signature = ffi.new(_SIGNATURE)
    if (
        len(secret) != 32
        or len(digest) != 32
        or not lib.secp256k1_ecdsa_sign(_CONTEXT, signature, digest, secret, ffi.NULL, ffi.NULL)
    ):
        raise ValueError("no secret key, or no digest of 32 bytes")
    out = ffi.new(_BYTES, 64)
    lib.secp256k1_ecdsa_signature_serialize_compact(_CONTEXT, out, signature)
    return bytes(ffi.buffer(out))


def sign_recoverable(secret: bytes, digest: bytes) -> tuple[bytes, int]:
    """The same signature, and the number (0 to 3) with which the public key can be found from it."""
    signature = ffi.new(_RECOVERABLE)
    if (
        len(secret) != 32
        or len(digest) != 32
        or not lib.secp256k1_ecdsa_sign_recoverable(_CONTEXT, signature, digest, secret, ffi.NULL, ffi.NULL)
    ):
        raise ValueError("no secret key, or no digest of 32 bytes")
    out, recovery_id = ffi.new(_BYTES, 64), ffi.new(_INT)
    lib.secp256k1_ecdsa_recoverable_signature_serialize_compact(_CONTEXT, out, recovery_id, signature)
    return bytes(ffi.buffer(out)), int(recovery_id[0])


def recover(digest: bytes, signature: bytes, recovery_id: int) -> bytes | None:
    """The public key that has made a compact signature, None if there is no such key. Raises ValueError for what is no
    signature: sizes, r or s out of range."""
    parsed = ffi.new(_RECOVERABLE)
    if (
        len(digest) != 32
        or len(signature) != 64
        or not 0 <= recovery_id <= 3
        or not lib.secp256k1_ecdsa_recoverable_signature_parse_compact(_CONTEXT, parsed, signature, recovery_id)
    ):
        raise ValueError("no recoverable signature")
    key = ffi.new(_PUBKEY)
    return _serialized(key) if lib.secp256k1_ecdsa_recover(_CONTEXT, key, parsed, digest) else None


def verify(digest: bytes, signature: bytes, point: bytes, *, again: bool = True) -> bool:
    """Does the compact signature hold? False for anything wrong: sizes, no point, r or s out of range, high S.

    `again`: whether that point is likely to come again, so that it is kept parsed.
    """
    if len(digest) != 32 or len(signature) != 64:
        return False
    parsed_key = _parsed_keys.get(point) if again else _parse(point)
    if parsed_key is None:
        return False
    parsed_signature = ffi.new(_SIGNATURE)
    if not lib.secp256k1_ecdsa_signature_parse_compact(_CONTEXT, parsed_signature, signature):
        return False
    return bool(lib.secp256k1_ecdsa_verify(_CONTEXT, parsed_signature, digest, parsed_key))


def first_wrong(signed: bytes, signatures: Sequence[bytes], points: Sequence[bytes], again: int) -> int:
    """The number, from 1, of the first signature over `signed` (hashed twice) that does not hold by its point; 0 if all
    do. The first `again` points are likely to come again, see `verify`.
    """
    digest = double_sha256(signed)
    for number, (signature, point) in enumerate(zip(signatures, points, strict=True)):
        if not verify(digest, signature, point, again=number < again):
            return number + 1
    return 0


def sign_schnorr(secret: bytes, digest: bytes, aux_rand: bytes | None = None) -> bytes:
    """A BIP 340 signature, 64 bytes; deterministic without `aux_rand`, 32 bytes. Raises ValueError for a wrong size."""
    pair, out = ffi.new(_KEYPAIR), ffi.new(_BYTES, 64)
    if len(secret) != 32 or len(digest) != 32 or not lib.secp256k1_keypair_create(_CONTEXT, pair, secret):
        raise ValueError("no secret key, or no digest of 32 bytes")
    lib.secp256k1_schnorrsig_sign32(_CONTEXT, out, digest, pair, ffi.NULL if aux_rand is None else aux_rand)
    return bytes(ffi.buffer(out))


def verify_schnorr(message: bytes, signature: bytes, x_only: bytes) -> bool:
    """Does the BIP 340 signature of `message`, a digest, hold by this key of 32 bytes? False for anything wrong."""
    parsed = _parse_x_only(x_only)
    if parsed is None or len(signature) != 64:
        return False
    return bool(lib.secp256k1_schnorrsig_verify(_CONTEXT, signature, message, len(message), parsed))


def key_agg(points: Sequence[bytes]) -> bytes | None:
    """KeyAgg of BIP 327 in the order given: the x-only key, 32 bytes. None if one is no point, or there is none."""
    parsed = [_parse(point) for point in points]
    if not parsed or None in parsed:
        return None
    out, pointers = ffi.new(_X_ONLY), ffi.new(_PUBKEYS, parsed)
    if not lib.secp256k1_musig_pubkey_agg(_CONTEXT, out, ffi.NULL, pointers, len(parsed)):
        return None
    return _serialized_x_only(out)


def tweak_x_only(x_only: bytes, tweak: bytes) -> bytes | None:
    """The key of BIP 341: that with an even y, plus `tweak` times the generator, x-only. None if there is no such key:
    no point, or a tweak that is no scalar."""
    parsed, tweaked, out = _parse_x_only(x_only), ffi.new(_PUBKEY), ffi.new(_X_ONLY)
    if parsed is None or len(tweak) != 32:
        return None
    if not lib.secp256k1_xonly_pubkey_tweak_add(_CONTEXT, tweaked, parsed, tweak):
        return None
    lib.secp256k1_xonly_pubkey_from_pubkey(_CONTEXT, out, ffi.NULL, tweaked)
    return _serialized_x_only(out)


def _parse_x_only(x_only: bytes) -> Any:
    if len(x_only) != 32:
        return None
    parsed = ffi.new(_X_ONLY)
    return parsed if lib.secp256k1_xonly_pubkey_parse(_CONTEXT, parsed, x_only) else None


def _serialized_x_only(parsed: Any) -> bytes:
    out = ffi.new(_BYTES, 32)
    lib.secp256k1_xonly_pubkey_serialize(_CONTEXT, out, parsed)
    return bytes(ffi.buffer(out))


def double_sha256(data: bytes | bytearray | memoryview) -> bytes:
    """SHA-256 of the SHA-256: what gossip signatures sign. BOLT 7."""
    return sha256(sha256(data).digest()).digest()
