"""The four messages of gossip v2, with the draft's names and TLV types. BOLTs' pull request 1059 of 2026-05-22.

Each is a TLV stream and nothing else. `decode` raises WireError for what a receiver is to ignore whatever it knows
besides: a record that is missing, or records that contradict each other. A record that is absent is None, not its
default: it is not signed then, and is not written.
"""

from dataclasses import KW_ONLY
from typing import Annotated, NamedTuple, Self

from wire.address import WireAddr, read_descriptors
from wire.cursor import Cursor, WireError
from wire.message import BoltMessage
from wire.peer_types import message_name
from wire.scid import output_of
from wire.types import (
    CHAIN_HASH_CODEC,
    NETWORKS,
    POINT_CODEC,
    U16_CODEC,
    U32_CODEC,
    Codec,
    Tlv,
    array,
    fixed,
    integer,
    truncated,
)

MAX_ALIAS = 32
"""Characters."""
MAX_BACKDATE = 2_016
"""Blocks: how far behind the chain's end a block_height may be."""
PERMANENT, INCOMING, OUTGOING = 1, 2, 4
"""In disable_flags: for ever; nothing is received through the channel; nothing is sent."""


class Outpoint(NamedTuple):
    """An output of a transaction. `txid`: 32 bytes in the order of the wire."""

    txid: bytes
    vout: int


class PartialSignatures(NamedTuple):
    """Two of MuSig2's partial signatures, 32 bytes each."""

    node: bytes
    bitcoin: bytes


class Policy(NamedTuple):
    """What a channel_update_2 asks for, defaults included. `htlc_maximum_msat` is None where it depends on a capacity
    that is not known."""

    disable_flags: int
    cltv_expiry_delta: int
    htlc_minimum_msat: int
    htlc_maximum_msat: int | None
    fee_base_msat: int
    fee_proportional_millionths: int
    inbound_fee_base_msat: int
    inbound_fee_proportional_millionths: int


def _read_text(cursor: Cursor) -> str:
    try:
        return cursor.rest().decode()
    except UnicodeDecodeError as error:
        raise WireError("text that is no UTF-8") from error


def _read_sciddir(cursor: Cursor) -> tuple[int, int]:
    direction = cursor.u8()
    if direction > 1:
        raise WireError(f"sciddir begins with {direction:#04x}")
    return direction, cursor.u64()


def _write_sciddir(value: tuple[int, int]) -> bytes:
    direction, scid = value
    if direction not in (0, 1):
        raise ValueError(f"{direction} is no direction")
    return bytes([direction]) + scid.to_bytes(8, "big")


def _read_host(cursor: Cursor) -> tuple[bytes, int]:
    name = cursor.take(cursor.u16())
    if len(name) > 255:
        raise WireError(f"host name of {len(name)} bytes")
    return name, cursor.u16()


def _pair(first: Codec, second: Codec) -> Codec:
    return Codec(
        lambda cursor: (first.read(cursor), second.read(cursor)),
        lambda value: first.write(value[0]) + second.write(value[1]),
    )


def _located(size: int) -> Codec:
    """Addresses of so many bytes, each with its port."""
    return array(_pair(fixed(size), U16_CODEC))


_BYTES = Codec(Cursor.rest, bytes)
_TEXT = Codec(_read_text, str.encode)
_SCID, _SIGNATURE, _HASH = integer(8), fixed(64), fixed(32)
_SCIDDIR = Codec(_read_sciddir, _write_sciddir)
_OUTPOINT = Codec(lambda cursor: Outpoint(cursor.take(32), cursor.u16()), _pair(_HASH, U16_CODEC).write)
_PARTIALS = Codec(lambda cursor: PartialSignatures(cursor.take(32), cursor.take(32)), _pair(_HASH, _HASH).write)
_HOSTS = array(Codec(_read_host, lambda host: U16_CODEC.write(len(host[0])) + host[0] + U16_CODEC.write(host[1])))
_TU32, _TU64 = truncated(4), truncated(8)

Located = list[tuple[bytes, int]]
"""Addresses or host names, each with its port, as they stand in a node_announcement_2."""


class PureTlv(BoltMessage):
    """Base of the four."""

    @classmethod
    def name(cls) -> str:
        """The draft's name."""
        return message_name(cls.number)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """The message in `raw`, which contradicts itself nowhere. Raises WireError."""
        message = super().decode(raw)
        if (flaw := message.flaw()) is not None:
            raise WireError(f"{cls.name()}: {flaw}")
        return message

    def flaw(self) -> str | None:
        """What is wrong with records that are well formed each for itself."""
        return None


class AnnouncementSignatures2(PureTlv, number=260):
    """From one end of a channel to the other: its part of what the channel_announcement_2 of both is signed with."""

    _: KW_ONLY
    channel_id: Annotated[bytes, Tlv(0, _HASH, required=True)]
    short_channel_id: Annotated[int, Tlv(2, _SCID, required=True)]
    partial_signatures: Annotated[PartialSignatures, Tlv(4, _PARTIALS, required=True)]
    funding_txid: Annotated[bytes, Tlv(6, _HASH, required=True)]


class OfChain(PureTlv):
    """What has a chain_hash."""

    chain_hash: bytes | None

    @property
    def chain(self) -> bytes:
        """The chain_hash, that of mainnet where none is said."""
        return NETWORKS["bitcoin"] if self.chain_hash is None else self.chain_hash


class ChannelAnnouncement2(OfChain, number=267):
    """The owners of a channel say that it is theirs, P2TR or P2WSH. Without bitcoin keys the output's own key has
    signed."""

    _: KW_ONLY
    chain_hash: Annotated[bytes | None, Tlv(0, CHAIN_HASH_CODEC)] = None
    features: Annotated[bytes | None, Tlv(2, _BYTES)] = None
    short_channel_id: Annotated[int, Tlv(4, _SCID, required=True)]
    capacity_satoshis: Annotated[int, Tlv(6, _TU64, required=True)]
    node_id_1: Annotated[bytes, Tlv(8, POINT_CODEC, required=True)]
    node_id_2: Annotated[bytes, Tlv(10, POINT_CODEC, required=True)]
    bitcoin_key_1: Annotated[bytes | None, Tlv(12, POINT_CODEC)] = None
    bitcoin_key_2: Annotated[bytes | None, Tlv(14, POINT_CODEC)] = None
    merkle_root_hash: Annotated[bytes | None, Tlv(16, _HASH)] = None
    outpoint: Annotated[Outpoint, Tlv(18, _OUTPOINT, required=True)]
    signature: Annotated[bytes, Tlv(240, _SIGNATURE, required=True)]

    @property
    def bitcoin_keys(self) -> tuple[bytes, bytes] | None:
        """Both, or None."""
        if self.bitcoin_key_1 is None or self.bitcoin_key_2 is None:
            return None
        return self.bitcoin_key_1, self.bitcoin_key_2

    def flaw(self) -> str | None:
        """One bitcoin key of two, node ids out of order, an outpoint that is another output than the scid's."""
        if (self.bitcoin_key_1 is None) != (self.bitcoin_key_2 is None):
            return "one bitcoin key of two"
        if self.node_id_1 >= self.node_id_2:
            return "node ids are not in ascending order"
        if self.outpoint.vout != output_of(self.short_channel_id):
            return f"output {self.outpoint.vout} where its scid has {output_of(self.short_channel_id)}"
        return None


class NodeAnnouncement2(PureTlv, number=269):
    """A node about itself. `block_height` grows from one to the next."""

    _: KW_ONLY
    features: Annotated[bytes, Tlv(0, _BYTES, required=True)]
    color: Annotated[bytes | None, Tlv(1, fixed(3))] = None
    block_height: Annotated[int, Tlv(2, U32_CODEC, required=True)]
    alias: Annotated[str | None, Tlv(3, _TEXT)] = None
    node_id: Annotated[bytes, Tlv(4, POINT_CODEC, required=True)]
    ipv4_addrs: Annotated[Located | None, Tlv(5, _located(4))] = None
    ipv6_addrs: Annotated[Located | None, Tlv(7, _located(16))] = None
    tor_v3_addrs: Annotated[Located | None, Tlv(9, _located(35))] = None
    dns_hostnames: Annotated[Located | None, Tlv(11, _HOSTS)] = None
    signature: Annotated[bytes, Tlv(240, _SIGNATURE, required=True)]

    def addresses(self) -> list[WireAddr]:
        """Those that can be used, in the order of their kinds: without port 0, and without host names that are none."""
        plain = ((1, self.ipv4_addrs), (2, self.ipv6_addrs), (4, self.tor_v3_addrs))
        descriptors = [bytes([kind]) + host + U16_CODEC.write(port) for kind, of in plain for host, port in of or ()]
        names = self.dns_hostnames or ()
        descriptors += [bytes([5, len(host)]) + host + U16_CODEC.write(port) for host, port in names]
        return [address for descriptor in descriptors for address in read_descriptors(descriptor)]

    def flaw(self) -> str | None:
        """An alias that is too long."""
        return "alias is too long" if self.alias is not None and len(self.alias) > MAX_ALIAS else None


class ChannelUpdate2(OfChain, number=271):
    """What one end of a channel asks for forwarding. `short_channel_id` is (direction, scid)."""

    _: KW_ONLY
    chain_hash: Annotated[bytes | None, Tlv(0, CHAIN_HASH_CODEC)] = None
    short_channel_id: Annotated[tuple[int, int], Tlv(2, _SCIDDIR, required=True)]
    block_height: Annotated[int, Tlv(4, U32_CODEC, required=True)]
    disable_flags: Annotated[int | None, Tlv(6, integer(1))] = None
    cltv_expiry_delta: Annotated[int | None, Tlv(10, U16_CODEC)] = None
    htlc_minimum_msat: Annotated[int | None, Tlv(12, _TU64)] = None
    htlc_maximum_msat: Annotated[int | None, Tlv(14, _TU64)] = None
    fee_base_msat: Annotated[int | None, Tlv(16, _TU32)] = None
    fee_proportional_millionths: Annotated[int | None, Tlv(18, _TU32)] = None
    inbound_fee_base_msat: Annotated[int | None, Tlv(20, _TU32)] = None
    inbound_fee_proportional_millionths: Annotated[int | None, Tlv(22, _TU32)] = None
    signature: Annotated[bytes, Tlv(240, _SIGNATURE, required=True)]

    def policy(self, capacity_sat: int | None) -> Policy:
        """What it asks for. `capacity_sat`: of its channel, if that is known; half of it is the default maximum."""
        half_msat = None if capacity_sat is None else capacity_sat * 1000 // 2
        defaults = Policy(0, 80, 1, half_msat, 1000, 1, 0, 0)
        said = {name: value for name in Policy._fields if (value := getattr(self, name)) is not None}
        return defaults._replace(**said)
