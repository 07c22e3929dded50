"""The two TLV streams of an onion message: `onionmsg_tlv` in the onion, `encrypted_data_tlv` for each hop of a path.

BOLT 4, The onion_message Message; Inside encrypted_recipient_data.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from wire.cursor import Cursor, WireError, encode_bigsize, read_tlvs, write_tlvs
from wire.onion.errors import Flaw, OnionError
from wire.start.late_dataclass import dataclass

REPLY_PATH, ENCRYPTED_RECIPIENT_DATA = 2, 4
FIRST_OF_FINAL = 64
"""From here on a field of `onionmsg_tlv` is a payload for the final hop."""

PADDING, SHORT_CHANNEL_ID, NEXT_NODE_ID, PATH_ID, NEXT_PATH_KEY_OVERRIDE = 1, 2, 4, 6, 8
PAYMENT_RELAY, PAYMENT_CONSTRAINTS, ALLOWED_FEATURES = 10, 12, 14
_KNOWN = frozenset(
    (
        SHORT_CHANNEL_ID,
        NEXT_NODE_ID,
        PATH_ID,
        NEXT_PATH_KEY_OVERRIDE,
        PAYMENT_RELAY,
        PAYMENT_CONSTRAINTS,
        ALLOWED_FEATURES,
    )
)
_NONCE = bytes(12)


@dataclass(frozen=True, slots=True)
class RecipientData:
    """What the maker of a blinded path tells one hop of it. Padding, and what is only for payments, is left out."""

    short_channel_id: int | None = None
    next_node_id: bytes | None = None
    path_id: bytes | None = field(default=None, repr=False)
    next_path_key_override: bytes | None = None
    allowed_features: bytes | None = None


def read_payload(payload: bytes, known: Container[int]) -> dict[int, bytes]:
    """The fields of an `onionmsg_tlv`. `known`: even types of the final hop's that are understood here. Raises
    OnionError for an unknown even type (B4-122)."""
    try:
        return read_tlvs(Cursor(payload), _Known(known))
    except WireError as error:
        raise OnionError(Flaw.PAYLOAD, f"onionmsg_tlv: {error}") from error


class _Known:
    """BOLT 4's own types, and these."""

    def __init__(self, others: Container[int]) -> None:
        self._others = others

    def __contains__(self, number: object) -> bool:
        return number in (REPLY_PATH, ENCRYPTED_RECIPIENT_DATA) or number in self._others


def decrypt(rho: bytes, encrypted: bytes) -> RecipientData:
    """Raises OnionError if it was not encrypted for us by who made this path, or is against BOLT 4 (B4-114)."""
    try:
        data = ChaCha20Poly1305(rho).decrypt(_NONCE, encrypted, None)
    except InvalidTag:
        raise OnionError(Flaw.RECIPIENT_DATA, "encrypted_recipient_data cannot be decrypted") from None
    try:
        return _recipient_data(read_tlvs(Cursor(data), _KNOWN))
    except WireError as error:
        raise OnionError(Flaw.RECIPIENT_DATA, f"encrypted_data_tlv: {error}") from error


def encrypt(rho: bytes, data: bytes) -> bytes:
    """The `encrypted_recipient_data` of an `encrypted_data_tlv`. No key is used twice, so the nonce may be zero."""
    return ChaCha20Poly1305(rho).encrypt(_NONCE, data, None)


def _recipient_data(records: Mapping[int, bytes]) -> RecipientData:
    scid = records.get(SHORT_CHANNEL_ID)
    for number, size in ((SHORT_CHANNEL_ID, 8), (NEXT_NODE_ID, 33), (NEXT_PATH_KEY_OVERRIDE, 33)):
        value = records.get(number)
        if value is not None and len(value) != size:
            raise WireError(f"{len(value)} bytes in field {number}, where there must be {size}")
    return RecipientData(
        short_channel_id=None if scid is None else int.from_bytes(scid, "big"),
        next_node_id=records.get(NEXT_NODE_ID),
        path_id=records.get(PATH_ID),
        next_path_key_override=records.get(NEXT_PATH_KEY_OVERRIDE),
        allowed_features=records.get(ALLOWED_FEATURES),
    )


def encode_data(data: RecipientData) -> bytes:
    """An `encrypted_data_tlv` without padding."""
    scid = data.short_channel_id
    records = {
        SHORT_CHANNEL_ID: None if scid is None else scid.to_bytes(8, "big"),
        NEXT_NODE_ID: data.next_node_id,
        PATH_ID: data.path_id,
        NEXT_PATH_KEY_OVERRIDE: data.next_path_key_override,
        ALLOWED_FEATURES: data.allowed_features,
    }
    return write_tlvs({number: value for number, value in records.items() if value is not None})


def encode_padded(rows: Sequence[RecipientData]) -> list[bytes]:
    """The streams of a path's hops, all of one length, so that none tells the last hop from the others (B4-116)."""
    plain = [encode_data(row) for row in rows]
    size = max(map(len, plain)) + 2
    while any(size - len(each) in _NO_PADDING for each in plain):
        size += 1
    return [_padding(size - len(each)) + each for each in plain]


_NO_PADDING = (255, 256)
"""Sizes that no padding record has: from 253 bytes on its length takes three bytes."""


def _padding(size: int) -> bytes:
    """A padding record of so many bytes in all."""
    room = size - 2 if size < _NO_PADDING[0] else size - 4
    return bytes([PADDING]) + encode_bigsize(room) + bytes(room)
