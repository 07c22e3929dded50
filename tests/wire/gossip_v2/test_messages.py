"""Gossip v2's messages: round trips, what is signed, and each rule of the draft broken."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightningd_py.tools.synthetic_gossip_v2 import SyntheticGossip2
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges
from wire.address import parse_address
from wire.cursor import WireError, write_tlvs
from wire.gossip_v2.about import about_v2, subject, undated
from wire.gossip_v2.messages import (
    AnnouncementSignatures2,
    ChannelAnnouncement2,
    ChannelUpdate2,
    NodeAnnouncement2,
    Outpoint,
    PartialSignatures,
    Policy,
    PureTlv,
)
from wire.gossip_v2.records import is_signed, number_of, read_records, signed_part
from wire.message import BoltMessage
from wire.peer_wire import decode
from wire.scid import make_scid, output_of
from wire.types import NETWORKS

GOSSIP = SyntheticGossip2(SyntheticMap(random_edges(1, 3, 3), 1, 1_700_000_000), 1_000)
ANNOUNCED, UPDATED, NODE = (
    GOSSIP.channel(0).announcement,
    GOSSIP.channel(0).updates[1],
    GOSSIP.node_announcement(1, 900),
)
SCID = make_scid(101, 1, 0)
PARTS = AnnouncementSignatures2(
    channel_id=b"\1" * 32,
    short_channel_id=SCID,
    partial_signatures=PartialSignatures(b"\2" * 32, b"\3" * 32),
    funding_txid=b"\4" * 32,
).encode()
ALL = {"channel_announcement_2": ANNOUNCED, "channel_update_2": UPDATED, "node_announcement_2": NODE}
ALL |= {"announcement_signatures_2": PARTS}

U16S, U32S, U64S = (st.integers(0, 2**bits - 1) for bits in (16, 32, 64))


def sized(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def located(hosts: st.SearchStrategy[bytes]) -> st.SearchStrategy[Any]:
    return optional(st.lists(st.tuples(hosts, U16S), max_size=3))


POINTS = st.tuples(st.sampled_from([b"\2", b"\3"]), sized(32)).map(b"".join)
EXTENSION = st.dictionaries(
    st.integers(60, 2**62).map(lambda number: 2 * number + 1), st.binary(max_size=20), max_size=3
).map(write_tlvs)
PARTIALS = st.builds(PartialSignatures, sized(32), sized(32))
SIGNATURES_2 = st.builds(
    AnnouncementSignatures2,
    channel_id=sized(32),
    short_channel_id=U64S,
    partial_signatures=PARTIALS,
    funding_txid=sized(32),
    extension=EXTENSION,
)
NODES = st.builds(
    NodeAnnouncement2,
    features=st.binary(max_size=20),
    color=optional(sized(3)),
    block_height=U32S,
    alias=optional(st.text(max_size=32, alphabet=st.characters(exclude_categories=["Cs"]))),
    node_id=POINTS,
    ipv4_addrs=located(sized(4)),
    ipv6_addrs=located(sized(16)),
    tor_v3_addrs=located(sized(35)),
    dns_hostnames=located(st.binary(max_size=255)),
    signature=sized(64),
    extension=EXTENSION,
)
UPDATES = st.builds(
    ChannelUpdate2,
    chain_hash=optional(sized(32)),
    short_channel_id=st.tuples(st.integers(0, 1), U64S),
    block_height=U32S,
    disable_flags=optional(st.integers(0, 255)),
    cltv_expiry_delta=optional(U16S),
    htlc_minimum_msat=optional(U64S),
    htlc_maximum_msat=optional(U64S),
    fee_base_msat=optional(U32S),
    fee_proportional_millionths=optional(U32S),
    inbound_fee_base_msat=optional(U32S),
    inbound_fee_proportional_millionths=optional(U32S),
    signature=sized(64),
    extension=EXTENSION,
)


@st.composite
def announcements(draw: st.DrawFn) -> ChannelAnnouncement2:
    scid, keys = draw(U64S), draw(st.lists(POINTS, min_size=2, max_size=2, unique=True).map(sorted))
    owners = draw(optional(st.tuples(POINTS, POINTS))) or (None, None)
    return ChannelAnnouncement2(
        chain_hash=draw(optional(sized(32))),
        features=draw(optional(st.binary(max_size=20))),
        short_channel_id=scid,
        capacity_satoshis=draw(U64S),
        node_id_1=keys[0],
        node_id_2=keys[1],
        bitcoin_key_1=owners[0],
        bitcoin_key_2=owners[1],
        merkle_root_hash=draw(optional(sized(32))),
        outpoint=Outpoint(draw(sized(32)), output_of(scid)),
        signature=draw(sized(64)),
        extension=draw(EXTENSION),
    )


MESSAGES: st.SearchStrategy[BoltMessage] = announcements() | NODES | UPDATES | SIGNATURES_2


@pytest.mark.bolt("G2-1")
@given(MESSAGES)
def test_round_trip(message: BoltMessage) -> None:
    raw = message.encode()
    assert decode(raw) == message
    assert decode(raw).encode() == raw


@given(MESSAGES, st.data())
def test_damaged_messages_are_read_or_refused(message: BoltMessage, data: st.DataObject) -> None:
    raw = bytearray(message.encode())
    raw[data.draw(st.integers(2, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        damaged = decode(bytes(raw))
    except WireError:
        return
    assert damaged.encode() == raw


@given(st.sampled_from([260, 267, 269, 271]), st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(number: int, payload: bytes) -> None:
    raw = number.to_bytes(2, "big") + payload
    try:
        message = decode(raw)
    except WireError:
        return
    assert message.encode() == raw


@pytest.mark.parametrize("raw", ALL.values(), ids=ALL)
def test_too_short_at_each_length(raw: bytes) -> None:
    name = decode(raw).name()
    assert ALL[name] == raw
    for size in range(2, len(raw)):
        with pytest.raises(WireError, match=f"^{name}: "):
            decode(raw[:size])


@pytest.mark.bolt("G2-2")
@given(MESSAGES)
def test_what_is_signed_stands_in_the_message(message: BoltMessage) -> None:
    """The runs of records 0 to 239 and 1000000000 to 2999999999, as they are on the wire."""
    raw = message.encode()
    records = read_records(raw)
    low = write_tlvs({number: value for number, value in records.items() if number < 240})
    high = write_tlvs({number: value for number, value in records.items() if 10**9 <= number <= 2_999_999_999})
    assert signed_part(records) == low + high
    assert raw[2:].startswith(low)
    assert high in raw
    assert write_tlvs(records) == raw[2:]


@pytest.mark.bolt("G2-2")
def test_the_ends_of_what_is_signed() -> None:
    signed = [0, 239, 1_000_000_000, 2_999_999_999]
    assert all(map(is_signed, signed))
    assert not any(map(is_signed, [240, 241, 999_999_999, 3_000_000_000, 2**64 - 1]))


def without(raw: bytes, number: int) -> bytes:
    records = read_records(raw)
    del records[number]
    return raw[:2] + write_tlvs(records)


def instead(raw: bytes, number: int, value: bytes) -> bytes:
    return raw[:2] + write_tlvs(read_records(raw) | {number: value})


REQUIRED = [
    *((PARTS, number) for number in (0, 2, 4, 6)),
    *((ANNOUNCED, number) for number in (4, 6, 8, 10, 18, 240)),
    *((NODE, number) for number in (0, 2, 4, 240)),
    *((UPDATED, number) for number in (2, 4, 240)),
]


@pytest.mark.bolt("G2-4", "G2-9", "G2-13")
@pytest.mark.parametrize(("raw", "number"), REQUIRED, ids=lambda each: str(each if isinstance(each, int) else ""))
def test_a_record_that_each_message_has_is_missing(raw: bytes, number: int) -> None:
    message = decode(raw)
    with pytest.raises(WireError, match=f"^{message.name()}: no {message.plan.records[number][0]}$"):
        decode(without(raw, number))


def test_all_other_records_may_be_missing() -> None:
    for raw in ALL.values():
        for number in read_records(raw).keys() - {number for each, number in REQUIRED if each == raw}:
            if (number_of(raw), number) not in ((267, 12), (267, 14)):  # which come together
                assert decode(without(raw, number)) != decode(raw)


BROKEN = {
    "one bitcoin key": (without(ANNOUNCED, 12), "one bitcoin key of two"),
    "the other bitcoin key": (without(ANNOUNCED, 14), "one bitcoin key of two"),
    "node ids the wrong way": (instead(ANNOUNCED, 8, b"\3" + b"\xff" * 32), "not in ascending order"),
    "one node": (instead(ANNOUNCED, 8, read_records(ANNOUNCED)[10]), "not in ascending order"),
    "another output": (instead(ANNOUNCED, 18, bytes(32) + b"\0\7"), "output 7 where its scid has 0"),
    "node id that is none": (instead(ANNOUNCED, 8, b"\4" + bytes(32)), "point begins with 0x04"),
    "capacity with a zero before it": (instead(ANNOUNCED, 6, b"\0\1"), "leading zeros"),
    "capacity too long": (instead(ANNOUNCED, 6, b"\1" * 9), "truncated integer of 9 bytes"),
    "outpoint too short": (instead(ANNOUNCED, 18, bytes(33)), "2 bytes wanted"),
    "outpoint too long": (instead(ANNOUNCED, 18, bytes(35)), "1 bytes too many"),
    "merkle root too short": (instead(ANNOUNCED, 16, bytes(31)), "32 bytes wanted"),
    "signature too short": (instead(ANNOUNCED, 240, bytes(63)), "64 bytes wanted"),
    "unknown even record": (instead(ANNOUNCED, 22, b""), "unknown even TLV type 22"),
    "unknown even record, not signed": (instead(ANNOUNCED, 242, b""), "unknown even TLV type 242"),
    "records out of order": (ANNOUNCED + b"\1\0", "TLV type 1 after 240"),
    "no records": (ANNOUNCED[:2], "no short_channel_id"),
    "alias too long": (instead(NODE, 3, b"x" * 33), "alias is too long"),
    "alias too long in letters of two bytes": (instead(NODE, 3, "ü".encode() * 33), "alias is too long"),
    "alias that is no text": (instead(NODE, 3, b"\xff"), "no UTF-8"),
    "node_id that is none": (instead(NODE, 4, b"\5" + bytes(32)), "point begins with 0x05"),
    "colour of two bytes": (instead(NODE, 1, b"\1\2"), "3 bytes wanted"),
    "half an address": (instead(NODE, 5, bytes(9)), "4 bytes wanted at offset 6, 3 left"),
    "half a port": (instead(NODE, 7, bytes(17)), "2 bytes wanted"),
    "host name past its end": (instead(NODE, 11, b"\0\5abc"), "5 bytes wanted"),
    "host name of 256 bytes": (instead(NODE, 11, b"\1\0" + b"a" * 256 + b"\0\1"), "host name of 256 bytes"),
    "sciddir of a key": (instead(UPDATED, 2, b"\2" + bytes(32)), "sciddir begins with 0x02"),
    "sciddir of direction 4": (instead(UPDATED, 2, b"\4" + bytes(8)), "sciddir begins with 0x04"),
    "sciddir too short": (instead(UPDATED, 2, bytes(8)), "8 bytes wanted"),
    "block height of three bytes": (instead(UPDATED, 4, bytes(3)), "4 bytes wanted"),
    "two disable flags": (instead(UPDATED, 6, bytes(2)), "1 bytes too many"),
    "fee of five bytes": (instead(UPDATED, 16, b"\1" * 5), "truncated integer of 5 bytes"),
    "fee with a zero before it": (instead(UPDATED, 18, b"\0"), "leading zeros"),
}


@pytest.mark.bolt("G2-1", "G2-4", "G2-5", "G2-9", "G2-10", "G2-13", "G2-14")
@pytest.mark.parametrize("case", BROKEN)
def test_a_rule_is_broken(case: str) -> None:
    raw, text = BROKEN[case]
    with pytest.raises(WireError, match=text):
        decode(raw)


@pytest.mark.parametrize("raw", ALL.values(), ids=ALL)
def test_a_message_that_is_made_without_what_it_must_have_is_our_own_bug(raw: bytes) -> None:
    kind = type(decode(raw))
    assert issubclass(kind, PureTlv)
    with pytest.raises(TypeError, match="missing"):
        kind()


def test_direction_that_is_none_is_our_own_bug() -> None:
    message = ChannelUpdate2(short_channel_id=(2, 5), block_height=1, signature=bytes(64))
    with pytest.raises(ValueError, match="no direction"):
        message.encode()


@pytest.mark.bolt("G2-3")
def test_the_chain_is_mainnet_where_none_is_said() -> None:
    for raw in (ANNOUNCED, UPDATED):
        message, plain = decode(raw), decode(without(raw, 0))
        assert isinstance(message, ChannelAnnouncement2 | ChannelUpdate2)
        assert isinstance(plain, ChannelAnnouncement2 | ChannelUpdate2)
        assert (message.chain, plain.chain) == (NETWORKS["regtest"], NETWORKS["bitcoin"])


@pytest.mark.bolt("G2-15")
def test_what_an_update_does_not_say_has_its_default() -> None:
    bare = ChannelUpdate2(short_channel_id=(0, SCID), block_height=1, signature=bytes(64))
    assert bare.policy(1_001) == Policy(0, 80, 1, 500_500, 1000, 1, 0, 0)
    assert bare.policy(None).htlc_maximum_msat is None
    said = ChannelUpdate2(
        short_channel_id=(0, SCID),
        block_height=1,
        disable_flags=7,
        cltv_expiry_delta=0,
        htlc_minimum_msat=0,
        htlc_maximum_msat=0,
        fee_base_msat=0,
        fee_proportional_millionths=0,
        inbound_fee_base_msat=3,
        inbound_fee_proportional_millionths=4,
        signature=bytes(64),
    )
    assert said.policy(1_001) == Policy(7, 0, 0, 0, 0, 0, 3, 4)


@pytest.mark.bolt("G2-11")
def test_addresses_that_can_be_used() -> None:
    """Port 0 is ignored, and so is a host name that is none; there may be more than one of a kind."""
    message = NodeAnnouncement2(
        features=b"",
        block_height=1,
        node_id=b"\2" * 33,
        ipv4_addrs=[(b"\1\2\3\4", 9735), (b"\1\2\3\5", 0), (b"\1\2\3\6", 1)],
        ipv6_addrs=[(bytes(15) + b"\1", 2), (bytes(16), 0)],
        tor_v3_addrs=[(bytes(35), 3), (bytes(35), 0)],
        dns_hostnames=[(b"one.example", 4), (b"", 5), (b"\xff", 6), (b"two.example", 7), (b"three.example", 0)],
        signature=bytes(64),
    )
    onion = "a" * 56 + ".onion:3"
    written = ["1.2.3.4:9735", "1.2.3.6:1", "[::1]:2", onion, "one.example:4", "two.example:7"]
    assert message.addresses() == [parse_address(text, 0) for text in written]


def said(raw: bytes) -> bytes | None:
    return about_v2(raw).undated


def test_what_is_said_whenever_it_is_said() -> None:
    older, newer = GOSSIP.update(0, 1, 500), GOSSIP.update(0, 1, 501)
    assert older != newer
    assert said(older) == said(newer) != said(GOSSIP.update(0, 0, 500))
    assert said(GOSSIP.node_announcement(1, 5)) == said(GOSSIP.node_announcement(1, 6))
    assert said(GOSSIP.node_announcement(1, 5)) != said(GOSSIP.node_announcement(2, 5))
    assert said(ANNOUNCED) == said(instead(ANNOUNCED, 240, bytes(64))) != said(instead(ANNOUNCED, 6, b"\1"))


def test_what_a_message_is_about() -> None:
    scid = SCID.to_bytes(8)
    assert about_v2(ANNOUNCED)[:3] == (scid, None, None)
    assert about_v2(UPDATED)[:3] == (scid, 1, None)
    assert about_v2(NODE)[:3] == (None, None, read_records(NODE)[4])
    assert about_v2(PARTS)[:3] == (None, None, None)
    assert (subject(UPDATED), subject(ANNOUNCED)) == ((SCID, 1, None, None), (SCID, None, None, None))
    assert subject(NODE) == (None, None, read_records(NODE)[4], None)
    assert (undated(NODE), undated(NODE[:-1])) == (about_v2(NODE).undated, None)
    v1 = GOSSIP.made.channel(0)
    assert subject(v1.updates[1]) == (SCID, 1, None, v1.timestamps[1])
    assert undated(v1.announcement) == v1.announcement[:2] + v1.announcement[258:]
    for number, of in ((4, ANNOUNCED), (2, UPDATED), (4, NODE)):
        for wrong in (b"", bytes(7), b"\2" * 9, bytes(40)):
            assert about_v2(instead(of, number, wrong))[:3] == (None, None, None)
        assert about_v2(without(of, number))[:3] == (None, None, None)
        assert about_v2(of[:-1]) == (None, None, None, None)
        assert about_v2(of[:2])[:3] == (None, None, None)
