"""A message that is nothing but TLV records: its parts, and which of them are signed. BOLTs' pull request 1059.

For signature workers and feed, which need no declared messages: whole messages come in, with their type.
"""

from collections.abc import Mapping
from hashlib import sha256

from wire.cursor import Cursor, read_tlvs, write_tlvs
from wire.gossip_layout import GOSSIP_2_TYPES, TYPE_SIZE

CHANNEL_ANNOUNCEMENT_2, NODE_ANNOUNCEMENT_2, CHANNEL_UPDATE_2 = GOSSIP_2_TYPES
SIGNATURE = 240
"""Outside of what it signs."""
LATER_SIGNED = range(1_000_000_000, 3_000_000_000)
"""Signed besides all below SIGNATURE."""
ANNOUNCED_SCID, UPDATED_SCIDDIR, ABOUT_NODE = 4, 2, 4
"""short_channel_id of a channel_announcement_2 and of a channel_update_2, node_id of a node_announcement_2."""
HEIGHT_OF = {NODE_ANNOUNCEMENT_2: 2, CHANNEL_UPDATE_2: 4}
"""Where the block_height stands of those that have one."""

_ANY = range(1 << 64)


def number_of(message: bytes) -> int:
    """The message's type."""
    return message[0] << 8 | message[1]


def read_records(message: bytes) -> dict[int, bytes]:
    """All records by type, of unknown even types, too. Raises WireError if they are no TLV stream."""
    return read_tlvs(Cursor(message[TYPE_SIZE:]), _ANY)


def is_signed(number: int) -> bool:
    """Whether the record is under the message's signature."""
    return number < SIGNATURE or number in LATER_SIGNED


def signed_part(records: Mapping[int, bytes]) -> bytes:
    """What the signature is over: the signed records as they stand in the message. A TLV stream has one form only, so
    that they may be written again."""
    return write_tlvs({number: value for number, value in records.items() if is_signed(number)})


def tagged_digest(tag: str, data: bytes) -> bytes:
    """BIP 340's tagged hash, 32 bytes."""
    return sha256(sha256(tag.encode()).digest() * 2 + data).digest()


def signature_tag(message_name: str, field_name: str = "signature") -> str:
    """The tag of a message's signature: MsgHash of the draft, as in BOLT 12."""
    return f"lightning{message_name}{field_name}"
