"""Sphinx: an onion is peeled by a layer, and built for a row of nodes. BOLT 4, Onion Decryption, Packet Construction.

Onions of messages only: no associated data, and payloads of any length, which all layers share.
"""

import hmac
from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from wire.cursor import Cursor, WireError, encode_bigsize
from wire.onion.errors import Flaw, OnionError
from wire.onion.keys import OnionKeys, blinding_factor, derived, onion_keys
from wire.secp256k1 import ecdh, multiply_point, multiply_secret, public_key
from wire.start.late_dataclass import dataclass

VERSION = 0
HMAC_SIZE = 32
HEADER_SIZE = 34
"""Version and public_key."""
OVERHEAD = HEADER_SIZE + HMAC_SIZE
SMALL, LARGE = 1300, 32_768
"""Bytes of payloads that are usual: one who sees others knows more of the message (B4-112)."""
_NO_MORE = bytes(HMAC_SIZE)
_NONCE = bytes(16)


@dataclass(frozen=True, slots=True)
class Packet:
    """An onion_message_packet of version 0."""

    public_key: bytes
    payloads: bytes
    hmac: bytes

    def encode(self) -> bytes:
        """As it stands in the message."""
        return bytes([VERSION]) + self.public_key + self.payloads + self.hmac


def read_packet(raw: bytes) -> Packet:
    """Raises OnionError for another version, or less than one byte of payloads (B4-109). Whether the key is on the
    curve shows when it is used."""
    if len(raw) <= OVERHEAD:
        raise OnionError(Flaw.MALFORMED, f"an onion of {len(raw)} bytes")
    if raw[0] != VERSION:
        raise OnionError(Flaw.MALFORMED, f"an onion of version {raw[0]}")
    return Packet(raw[1:HEADER_SIZE], raw[HEADER_SIZE:-HMAC_SIZE], raw[-HMAC_SIZE:])


def peel(packet: Packet, keys: OnionKeys) -> tuple[bytes, Packet | None]:
    """This layer's payload, and the onion for the next hop; None if there is none. Raises OnionError."""
    size = len(packet.payloads)
    if not hmac.compare_digest(hmac.digest(keys.mu, packet.payloads, "sha256"), packet.hmac):
        raise OnionError(Flaw.HMAC, "the HMAC of the onion is another one")
    cursor = Cursor(_xor_stream(keys.rho, packet.payloads + bytes(size)))
    try:
        length = cursor.bigsize()
        if length < 2:  # reserved (B4-110)
            raise OnionError(Flaw.PAYLOAD, f"a payload of {length} bytes")
        payload, next_hmac, rest = cursor.take(length), cursor.take(HMAC_SIZE), cursor.rest()
    except WireError as error:
        raise OnionError(Flaw.PAYLOAD, f"the onion's payload: {error}") from error
    if len(rest) < size:
        raise OnionError(Flaw.PAYLOAD, "the payload is longer than the onion")
    if next_hmac == _NO_MORE:
        return payload, None
    try:
        next_key = multiply_point(packet.public_key, keys.factor)
    except ValueError as error:
        raise OnionError(Flaw.MALFORMED, "the onion's key is no point") from error
    return payload, Packet(next_key, rest[:size], next_hmac)


def room_of(payloads: Sequence[bytes]) -> int:
    """Bytes that these take in an onion."""
    return sum(len(encode_bigsize(len(payload))) + len(payload) + HMAC_SIZE for payload in payloads)


def build(node_ids: Sequence[bytes], payloads: Sequence[bytes], session_key: bytes, size: int) -> Packet:
    """An onion for these nodes, in their order, one payload each. Raises ValueError if the payloads are longer than
    `size`, or a node_id is no point.

    `session_key`: a fresh secret, 32 bytes.
    """
    if room_of(payloads) > size:
        raise ValueError(f"the payloads do not fit an onion of {size} bytes")
    hops = [encode_bigsize(len(payload)) + payload for payload in payloads]
    keys = _layers(node_ids, session_key)
    hidden = _xor_stream(derived(b"pad", session_key), bytes(size))
    filler = _filler(keys, [len(hop) + HMAC_SIZE for hop in hops], size)
    mac = _NO_MORE
    for hop, layer in zip(reversed(hops), reversed(keys), strict=True):
        hidden = _xor_stream(layer.rho, (hop + mac + hidden)[:size])
        if mac == _NO_MORE:
            hidden = hidden[: size - len(filler)] + filler
        mac = hmac.digest(layer.mu, hidden, "sha256")
    return Packet(public_key(session_key), hidden, mac)


def _layers(node_ids: Sequence[bytes], session_key: bytes) -> list[OnionKeys]:
    """The keys of each layer. Raises ValueError for what is no point."""
    keys, ephemeral = [], session_key
    for node_id in node_ids:
        point, shared = public_key(ephemeral), ecdh(ephemeral, node_id)
        keys.append(onion_keys(point, shared))
        ephemeral = multiply_secret(ephemeral, blinding_factor(point, shared))
    return keys


def _filler(keys: Sequence[OnionKeys], lengths: Sequence[int], size: int) -> bytes:
    """What the hops before the last one will have put behind the payloads. BOLT 4, Filler Generation."""
    filler = b""
    for layer, length in zip(keys[:-1], lengths, strict=False):
        stream = _xor_stream(layer.rho, bytes(size - len(filler)) + filler + bytes(length))
        filler = stream[size - len(filler) :]
    return filler


def _xor_stream(key: bytes, data: bytes) -> bytes:
    """BOLT 4, Pseudo Random Byte Stream, over these bytes. No key is used twice, so the nonce may be zero."""
    return Cipher(ChaCha20(key, _NONCE), mode=None).encryptor().update(data)
