"""Blinded paths: made by who wants to be reached, joined and followed by others. BOLT 4, Route Blinding."""

from collections.abc import Sequence

from wire.cursor import Cursor, WireError
from wire.onion.errors import Flaw, OnionError
from wire.onion.keys import PathKeys, blinding_factor, derived
from wire.onion.payloads import RecipientData, encode_padded, encrypt
from wire.secp256k1 import ecdh, multiply_point, multiply_secret, public_key
from wire.start.late_dataclass import dataclass
from wire.types import POINT_CODEC, SCIDDIR_OR_PUBKEY_CODEC, U16_CODEC


@dataclass(frozen=True, slots=True)
class BlindedHop:
    """One hop: its blinded id, for which the onion's layer is made, and what its node is told."""

    blinded_node_id: bytes
    encrypted_recipient_data: bytes


@dataclass(frozen=True, slots=True)
class BlindedPath:
    """A `blinded_path`. `first_node_id` is a node_id, or a sciddir of 9 bytes."""

    first_node_id: bytes
    first_path_key: bytes
    hops: tuple[BlindedHop, ...]

    def encode(self) -> bytes:
        """As BOLT 4 writes it. Raises ValueError if it has no hop, or more than 255."""
        if not 1 <= len(self.hops) <= 255:
            raise ValueError(f"a blinded path of {len(self.hops)} hops")
        head = SCIDDIR_OR_PUBKEY_CODEC.write(self.first_node_id) + POINT_CODEC.write(self.first_path_key)
        return head + bytes([len(self.hops)]) + b"".join(map(_encode_hop, self.hops))


def _encode_hop(hop: BlindedHop) -> bytes:
    size = U16_CODEC.write(len(hop.encrypted_recipient_data))
    return POINT_CODEC.write(hop.blinded_node_id) + size + hop.encrypted_recipient_data


def read_path(raw: bytes) -> BlindedPath:
    """The path that fills `raw`. Raises OnionError for anything else."""
    cursor = Cursor(raw)
    try:
        with cursor.limit(len(raw)):
            first, path_key = SCIDDIR_OR_PUBKEY_CODEC.read(cursor), POINT_CODEC.read(cursor)
            hops = tuple(_read_hop(cursor) for _ in range(cursor.u8()))
    except WireError as error:
        raise OnionError(Flaw.PAYLOAD, f"blinded_path: {error}") from error
    if not hops:
        raise OnionError(Flaw.PAYLOAD, "a blinded_path without hops")
    return BlindedPath(first, path_key, hops)


def _read_hop(cursor: Cursor) -> BlindedHop:
    return BlindedHop(POINT_CODEC.read(cursor), cursor.take(cursor.u16()))


def blind(node_ids: Sequence[bytes], data: Sequence[bytes], session_key: bytes) -> BlindedPath:
    """The path through these nodes, an `encrypted_data_tlv` for each (B4-113). Raises ValueError for what is no point.

    `session_key`: a fresh secret, 32 bytes.
    """
    hops, ephemeral = [], session_key
    for node_id, each in zip(node_ids, data, strict=True):
        path_key, shared = public_key(ephemeral), ecdh(ephemeral, node_id)
        blinded = multiply_point(node_id, derived(b"blinded_node_id", shared))
        hops.append(BlindedHop(blinded, encrypt(derived(b"rho", shared), each)))
        ephemeral = multiply_secret(ephemeral, blinding_factor(path_key, shared))
    return BlindedPath(node_ids[0], public_key(session_key), tuple(hops))


def path_to(node_ids: Sequence[bytes], path_id: bytes | None, session_key: bytes) -> BlindedPath:
    """A path to the last of these nodes, which finds `path_id` in what comes along it."""
    rows = [RecipientData(next_node_id=node_id) for node_id in node_ids[1:]]
    return blind(node_ids, encode_padded([*rows, RecipientData(path_id=path_id)]), session_key)


def path_by(node_ids: Sequence[bytes], path: BlindedPath, first: bytes, session_key: bytes) -> BlindedPath:
    """The path of another, reached by way of these nodes; `first` is its first node's id."""
    if not node_ids:
        return path
    last = RecipientData(next_node_id=first, next_path_key_override=path.first_path_key)
    rows = [*(RecipientData(next_node_id=node_id) for node_id in node_ids[1:]), last]
    ours = blind(node_ids, encode_padded(rows), session_key)
    return BlindedPath(ours.first_node_id, ours.first_path_key, ours.hops + path.hops)


def next_path_key(path_key: bytes, data: RecipientData, keys: PathKeys) -> bytes:
    """What the next hop gets beside its onion (B4-115). Raises OnionError for what is no point."""
    if data.next_path_key_override is not None:
        return data.next_path_key_override
    try:
        return multiply_point(path_key, keys.factor)
    except ValueError as error:
        raise OnionError(Flaw.MALFORMED, "path_key is no point") from error
