"""The keys of an onion message's hop, as BOLT 4 derives them from products of the node's key.

A hop's node needs two products: with the `path_key` that came beside the onion, and, of its key blinded by that, with
the onion's own `public_key`. hsmd makes both and tells what follows from them, never the products: on those of the
node's key a handshake of BOLT 8 rests, and no derivation here is one of its own (`docs/security.md`).
"""

import hmac
from dataclasses import field
from hashlib import sha256

from wire.secp256k1 import ecdh, multiply_secret
from wire.start.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class PathKeys:
    """Of one hop of a blinded path, 32 bytes each."""

    rho: bytes = field(repr=False)
    """Under it is the hop's `encrypted_recipient_data`."""
    factor: bytes = field(repr=False)
    """The next hop's `path_key` is this one times it."""


@dataclass(frozen=True, slots=True)
class OnionKeys:
    """Of one layer of an onion, 32 bytes each."""

    rho: bytes = field(repr=False)
    """Its pseudo-random stream hides the payloads."""
    mu: bytes = field(repr=False)
    """Under it is the HMAC."""
    factor: bytes = field(repr=False)
    """The next layer's `public_key` is this one times it."""


def derived(purpose: bytes, shared: bytes) -> bytes:
    """BOLT 4, Key Generation: `rho`, `mu`, `pad`, `blinded_node_id`."""
    return hmac.digest(purpose, shared, "sha256")


def blinding_factor(point: bytes, shared: bytes) -> bytes:
    """What turns a hop's ephemeral key, and its secret, into the next one's."""
    return sha256(point + shared).digest()


def path_keys(path_key: bytes, shared: bytes) -> PathKeys:
    """From the product of `path_key` and the hop's key."""
    return PathKeys(derived(b"rho", shared), blinding_factor(path_key, shared))


def onion_keys(public_key: bytes, shared: bytes) -> OnionKeys:
    """From the product of the onion's `public_key` and the hop's blinded key."""
    return OnionKeys(derived(b"rho", shared), derived(b"mu", shared), blinding_factor(public_key, shared))


def keys_of_path(secret: bytes, path_key: bytes) -> PathKeys:
    """Those of the node with this key. Raises ValueError for what is no point."""
    return path_keys(path_key, ecdh(secret, path_key))


def keys_of_onion(secret: bytes, path_key: bytes, public_key: bytes) -> tuple[PathKeys, OnionKeys]:
    """Those of the node with this key. Raises ValueError for what is no point. BOLT 4, Onion Decryption."""
    shared = ecdh(secret, path_key)
    blinded = multiply_secret(secret, derived(b"blinded_node_id", shared))
    return path_keys(path_key, shared), onion_keys(public_key, ecdh(blinded, public_key))
