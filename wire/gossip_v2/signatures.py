"""The one BIP 340 signature of a gossip v2 message. For signature workers: 100 to 200 µs a message."""

from collections.abc import Mapping
from hashlib import sha256

from wire.gossip_layout import GOSSIP_2_TYPES
from wire.gossip_v2.keys import aggregate, lift
from wire.gossip_v2.records import (
    ABOUT_NODE,
    CHANNEL_ANNOUNCEMENT_2,
    NODE_ANNOUNCEMENT_2,
    SIGNATURE,
    number_of,
    read_records,
    signature_tag,
    signed_part,
)
from wire.peer_types import message_name
from wire.secp256k1 import verify_schnorr

NODE_IDS, BITCOIN_KEYS = (8, 10), (12, 14)
"""Records of a channel_announcement_2."""

_PREFIXES = {number: sha256(signature_tag(message_name(number)).encode()).digest() * 2 for number in GOSSIP_2_TYPES}


def digest_of(number: int, records: Mapping[int, bytes]) -> bytes:
    """What the signature of a message with this type and these records signs, 32 bytes."""
    return sha256(_PREFIXES[number] + signed_part(records)).digest()


def holds(message: bytes, key: bytes) -> bool:
    """Whether a decoded message is rightly signed. `key`: of a channel_update_2 the node that must have signed it; of a
    channel_announcement_2 without bitcoin keys the key of its output, 33 bytes each. False if a key is no point."""
    number, records = number_of(message), read_records(message)
    signer = _signer(number, records, key)
    return signer is not None and verify_schnorr(digest_of(number, records), records[SIGNATURE], signer)


def _signer(number: int, records: Mapping[int, bytes], key: bytes) -> bytes | None:
    """The x-only key."""
    if number == CHANNEL_ANNOUNCEMENT_2:
        nodes = [records[each] for each in NODE_IDS]
        owners = [records[each] for each in BITCOIN_KEYS if each in records]
        return aggregate(*nodes, *(owners or [key]))
    return (records[ABOUT_NODE] if number == NODE_ANNOUNCEMENT_2 else key)[1:]


def output_key(script: bytes) -> bytes:
    """The key of a P2TR output, as `holds` wants it."""
    return lift(script[2:])
