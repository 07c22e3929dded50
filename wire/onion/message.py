"""An onion message as one node deals with it: opened by its keys, and built to be sent.

What it says about itself is checked here, to the letter of BOLT 4; who the next node is, and whether it is connected,
is for the caller to find out.
"""

from collections.abc import Container, Mapping

from wire.cursor import WireError, write_tlvs
from wire.onion.blinding import BlindedPath, next_path_key
from wire.onion.errors import Flaw, OnionError
from wire.onion.keys import OnionKeys, PathKeys
from wire.onion.payloads import (
    ENCRYPTED_RECIPIENT_DATA,
    FIRST_OF_FINAL,
    RecipientData,
    decrypt,
    read_payload,
)
from wire.onion.sphinx import LARGE, SMALL, Packet, build, peel, read_packet, room_of
from wire.peer_wire import OnionMessage
from wire.secp256k1 import is_point
from wire.start.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Sealed:
    """An onion message that has come, and is not yet opened."""

    path_key: bytes
    packet: Packet


@dataclass(frozen=True, slots=True)
class Forward:
    """What goes on to the next node: it has one of the two, node_id or short_channel_id."""

    next_node_id: bytes | None
    short_channel_id: int | None
    message: Sealed


@dataclass(frozen=True, slots=True)
class Final:
    """What is for us."""

    fields: Mapping[int, bytes]
    """Of `onionmsg_tlv`, without `encrypted_recipient_data`."""
    path_id: bytes | None


def read_message(raw: bytes) -> Sealed:
    """Raises OnionError for what is no onion_message whose keys are points (B4-109)."""
    try:
        message = OnionMessage.decode(raw)
    except WireError as error:
        raise OnionError(Flaw.MALFORMED, str(error)) from error
    packet = read_packet(message.onion_message_packet)
    if not (is_point(message.path_key) and is_point(packet.public_key)):
        raise OnionError(Flaw.MALFORMED, "a key that is no point")
    return Sealed(message.path_key, packet)


def write_message(sealed: Sealed) -> bytes:
    """As it is said to a peer."""
    return OnionMessage(sealed.path_key, sealed.packet.encode()).encode()


def open_message(sealed: Sealed, keys: tuple[PathKeys, OnionKeys], known: Container[int]) -> Forward | Final:
    """What it is for this node, whose keys these are. `known`: even types of payloads that are understood here. Raises
    OnionError for what must be ignored.
    """
    of_path, of_onion = keys
    payload, onward = peel(sealed.packet, of_onion)
    fields = read_payload(payload, known)
    encrypted = fields.pop(ENCRYPTED_RECIPIENT_DATA, None)
    if encrypted is None:
        raise OnionError(Flaw.RECIPIENT_DATA, "encrypted_recipient_data is missing")
    data = decrypt(of_path.rho, encrypted)
    if data.allowed_features is not None and any(data.allowed_features):  # no feature is known that a message may use
        raise OnionError(Flaw.RECIPIENT_DATA, "allowed_features with unknown bits")  # B4-117
    return _final(fields, data) if onward is None else _forward(sealed, fields, data, of_path, onward)


def _final(fields: Mapping[int, bytes], data: RecipientData) -> Final:
    if sum(number >= FIRST_OF_FINAL for number in fields) > 1:  # B4-122
        raise OnionError(Flaw.PAYLOAD, "more than one payload field")
    return Final(fields, data.path_id)


def _forward(
    sealed: Sealed, fields: Mapping[int, bytes], data: RecipientData, keys: PathKeys, onward: Packet
) -> Forward:
    if fields:  # B4-118
        raise OnionError(Flaw.PAYLOAD, "other fields for a hop that is not the final one")
    if data.path_id is not None:  # B4-119
        raise OnionError(Flaw.RECIPIENT_DATA, "path_id for a hop that is not the final one")
    if data.next_node_id is None and data.short_channel_id is None:  # B4-120
        raise OnionError(Flaw.RECIPIENT_DATA, "no next hop")
    scid = None if data.next_node_id is not None else data.short_channel_id
    return Forward(data.next_node_id, scid, Sealed(next_path_key(sealed.path_key, data, keys), onward))


def seal(path: BlindedPath, fields: Mapping[int, bytes], session_key: bytes) -> Sealed:
    """A message along this path, for its first node; `fields` are for the last one, and may have a reply_path. Raises
    ValueError if it is too long, or the path has what is no point (B4-125, B4-126).

    `session_key`: a fresh secret, 32 bytes.
    """
    payloads = [write_tlvs({ENCRYPTED_RECIPIENT_DATA: hop.encrypted_recipient_data}) for hop in path.hops[:-1]]
    payloads.append(write_tlvs({**fields, ENCRYPTED_RECIPIENT_DATA: path.hops[-1].encrypted_recipient_data}))
    size = SMALL if room_of(payloads) <= SMALL else LARGE
    onion = build([hop.blinded_node_id for hop in path.hops], payloads, session_key, size)
    return Sealed(path.first_path_key, onion)
