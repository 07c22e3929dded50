"""Every message of BOLT 1 and 7: round trips, cut off at every byte, and any bytes that a stranger may send."""

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import message as declarations
from wire.address import WireAddr, parse_address
from wire.cursor import WireError, encode_bigsize
from wire.features import Features
from wire.message import MAX_MESSAGE
from wire.peer_wire import (
    BoltMessage,
    ChannelAnnouncement,
    ErrorMessage,
    Init,
    NodeAnnouncement,
    PeerStorage,
    Ping,
    Pong,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
    UnknownMessage,
    WarningMessage,
    decode,
    encode_short_ids,
    printable,
)
from wire.types import (
    U8,
    U16,
    U32,
    U64,
    Alias,
    Bytes,
    ChainHash,
    ChannelId,
    Codec,
    Point,
    RgbColor,
    ShortChannelId,
    Signature,
)

CLASSES = [cls for cls in BoltMessage.registry.values() if cls.__module__ == "wire.peer_wire"]
U32S, U64S = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
PAIRS = st.lists(st.tuples(U32S, U32S), max_size=5)


def sized(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


FIELDS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (U8, st.integers(0, 255)),
    (U16, st.integers(0, 65535)),
    (U32, U32S),
    (U64, U64S),
    (ShortChannelId, U64S),
    (ChainHash, sized(32)),
    (ChannelId, sized(32)),
    (Alias, sized(32)),
    (RgbColor, sized(3)),
    (Signature, sized(64)),
    (Point, st.tuples(st.sampled_from([b"\2", b"\3"]), sized(32)).map(b"".join)),
    (Bytes, st.binary(max_size=40)),
]
BY_CODEC: dict[Codec, st.SearchStrategy[Any]] = {hint.__metadata__[0]: strategy for hint, strategy in FIELDS}
RECORDS: dict[str, st.SearchStrategy[Any]] = {
    "networks": st.lists(sized(32), max_size=3),
    "remote_addr": st.builds(WireAddr, st.just("ipv4"), st.ip_addresses(v=4).map(str), st.integers(0, 65535)),
    "query_flags": st.lists(U64S, max_size=5),
    "query_option": U64S,
    "timestamps_tlv": PAIRS,
    "checksums_tlv": PAIRS,
}
UNKNOWN_RECORD = st.builds(
    lambda number, value: encode_bigsize(2 * number + 1) + bytes([len(value)]) + value,
    st.integers(50, 2**63 - 1),
    st.binary(max_size=20),
)


def messages_of(cls: type[BoltMessage], *, bare: bool = False) -> st.SearchStrategy[BoltMessage]:
    """Any message of the class; a bare one has neither TLVs nor extension."""
    fields = {name: BY_CODEC[codec] for name, codec in cls.plan.fields}
    if bare:
        return st.builds(cls, **fields)
    for name, _ in cls.plan.records.values():
        fields[name] = st.none() | RECORDS[name]
    extension = UNKNOWN_RECORD if cls.plan.records else st.binary(max_size=20)
    return st.builds(cls, **fields, extension=st.just(b"") | extension)


MESSAGES = st.sampled_from(CLASSES).flatmap(messages_of)
BARE_MESSAGES = st.sampled_from(CLASSES).flatmap(lambda cls: messages_of(cls, bare=True))


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.name())
def test_there_is_a_strategy_for_each_class(cls: type[BoltMessage]) -> None:
    assert {codec for _, codec in cls.plan.fields} <= BY_CODEC.keys()


@pytest.mark.bolt("B1-2", "B1-8")
@given(MESSAGES)
def test_round_trip(message: BoltMessage) -> None:
    raw = message.encode()
    assert decode(raw) == message
    assert decode(raw).encode() == raw


@pytest.mark.bolt("B1-7")
@given(BARE_MESSAGES)
def test_too_short_at_each_length(message: BoltMessage) -> None:
    raw = message.encode()
    for size in range(2, len(raw)):
        with pytest.raises(WireError, match=f"^{message.name()}: "):
            decode(raw[:size])
    for size in range(2):
        with pytest.raises(WireError, match="wanted"):
            decode(raw[:size])


@given(
    st.binary(max_size=300)
    | st.builds(
        lambda cls, payload: cls.number.to_bytes(2, "big") + payload, st.sampled_from(CLASSES), st.binary(max_size=300)
    )
)
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        message = decode(raw)
    except WireError:
        return
    assert message.encode() == raw


@given(MESSAGES, st.data())
def test_damaged_messages_are_read_or_refused(message: BoltMessage, data: st.DataObject) -> None:
    raw = bytearray(message.encode())
    raw[data.draw(st.integers(2, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        damaged = decode(bytes(raw))
    except WireError:
        return
    assert damaged.encode() == raw


@pytest.mark.bolt("B1-3")
def test_65535_bytes_are_the_most() -> None:
    assert len(Pong(bytes(65531)).encode()) == len(PeerStorage(bytes(65531)).encode()) == MAX_MESSAGE
    for message in (Pong(bytes(65532)), PeerStorage(bytes(65536)), UnknownMessage(32769, bytes(65534))):
        with pytest.raises(ValueError, match=r"too long|does not fit"):
            message.encode()


@pytest.mark.bolt("B1-20")
def test_init_on_the_wire() -> None:
    init = Init(b"", b"\x82", [bytes(32)], parse_address("1.2.3.4", 9735))
    assert init.encode().hex() == "0010" + "0000" + "000182" + "0120" + "00" * 32 + "0307" + "01010203042607"


@pytest.mark.bolt("B1-27")
def test_both_feature_maps_count() -> None:
    assert Init(b"\x01", b"\x80\x00").all_features() == Features.of([0, 15])


CUT = ["", "01", "010203042607", "0101020304260700", "05ff"]
"""Descriptors of a wrong length: as CLN does, what is malformed here is taken for unsaid."""


@pytest.mark.bolt("B1-26")
@pytest.mark.parametrize("value", ["0901", "00", "0501412607", "0502ffff2607", "05012e2607", "05ff" + "ff" * 257, *CUT])
def test_a_remote_addr_that_we_cannot_use_is_kept_unread(value: str) -> None:
    record = bytes.fromhex(value)
    raw = Init(b"", b"").encode() + b"\3" + encode_bigsize(len(record)) + record
    init = decode(raw)
    assert isinstance(init, Init)
    assert init.remote_addr is None
    assert init.encode() == raw


@pytest.mark.bolt("B1-26")
@given(st.binary(max_size=300))
def test_any_remote_addr_is_read_or_kept_unread(value: bytes) -> None:
    raw = Init(b"", b"").encode() + b"\3" + encode_bigsize(len(value)) + value
    assert decode(raw).encode() == raw


@pytest.mark.bolt("B1-151")
def test_65531_bytes_are_the_most_that_a_peer_may_store() -> None:
    most = PeerStorage(bytes(65_531)).encode()
    assert decode(most) == PeerStorage(bytes(65_531))
    with pytest.raises(ValueError, match="too long"):
        PeerStorage(bytes(65_532)).encode()


def test_query_flags_are_bounded_by_the_channels_that_fit_beside_them() -> None:
    for most, flag in [(7_277, 31), (5_951, 0xFD)]:  # of one byte and of three
        scids = encode_short_ids(range(most))
        assert decode(QueryShortChannelIds(bytes(32), scids, [flag] * most).encode()).encode()
    with pytest.raises(WireError, match="more than 691 query flags"):
        decode(QueryShortChannelIds(bytes(32), b"\0", [1] * 60_000).encode())


@pytest.mark.bolt("B1-12")
@pytest.mark.parametrize(
    "message",
    [
        Init(b"", b"").encode() + b"\1\1\0",
        QueryShortChannelIds(bytes(32), b"\0").encode() + bytes.fromhex("01 04 00 fd0001"),
        QueryShortChannelIds(bytes(32), b"\0").encode() + bytes.fromhex("01 00"),
        QueryChannelRange(bytes(32), 0, 1).encode() + bytes.fromhex("01 02 0303"),
        QueryChannelRange(bytes(32), 0, 1).encode() + bytes.fromhex("01 03 fd0003"),
        ReplyChannelRange(bytes(32), 0, 1, 1, b"\0").encode() + bytes.fromhex("01 05 00 00000001"),
        ReplyChannelRange(bytes(32), 0, 1, 1, b"\0").encode() + bytes.fromhex("03 04 00000001"),
    ],
)
def test_known_records_must_have_their_exact_form(message: bytes) -> None:
    with pytest.raises(WireError):
        decode(message)


@pytest.mark.bolt("B1-8", "B7-57")
def test_what_follows_the_fields_of_an_announcement_is_kept() -> None:
    signature, point = bytes(64), bytes([2]) * 33
    signatures = (signature, signature, signature, signature)
    message = ChannelAnnouncement(*signatures, b"", bytes(32), 1, point, point, point, point)
    raw = message.encode() + b"\0anything"
    assert decode(raw).extension == b"\0anything"
    assert decode(raw).encode() == raw


@pytest.mark.bolt("B7-67")
def test_a_node_id_that_is_no_point_is_refused() -> None:
    raw = NodeAnnouncement(bytes(64), b"", 1, b"\4" * 33, bytes(3), bytes(32), b"").encode()
    with pytest.raises(WireError, match="point begins with 0x04"):
        decode(raw)


@pytest.mark.bolt("B1-35")
@pytest.mark.parametrize("cls", [ErrorMessage, WarningMessage])
def test_only_printable_text_is_shown(cls: type[ErrorMessage] | type[WarningMessage]) -> None:
    assert cls(bytes(32), b"no such channel ~").text() == "no such channel ~"
    assert cls(bytes(32), b"a\x1b[2J").text() == "611b5b324a"
    assert printable(b"\x7f") == "7f"


@pytest.mark.bolt("B1-4")
def test_a_wrong_value_is_our_own_bug() -> None:
    for message in (
        Ping(65536, b""),
        Ping(-1, b""),
        ErrorMessage(bytes(31), b""),
        Init(b"", b"", extension=b"\2\0"),
        ReplyChannelRange(bytes(32), 0, 1, 1, b"", checksums_tlv=[(-1, 0)]),
    ):
        with pytest.raises(ValueError, match=r"fit|must be|extension"):
            message.encode()


@pytest.mark.bolt("B1-5", "B1-6")
def test_unknown_types_are_kept_whole() -> None:
    assert decode(bytes.fromhex("8001aabb")) == UnknownMessage(32769, b"\xaa\xbb")
    assert decode(bytes.fromhex("8002")).encode() == bytes.fromhex("8002")


def test_the_wrong_class_refuses() -> None:
    with pytest.raises(WireError, match="message 18 where pong was expected"):
        Pong.decode(Ping(1, b"").encode())


def test_a_number_is_declared_once() -> None:
    with pytest.raises(TypeError, match="declared twice"):
        type("Second", (BoltMessage,), {"__annotations__": {}}, number=18)


def test_decode_does_not_depend_on_what_is_imported() -> None:
    """In a fresh interpreter; it stands in one place only, where all messages are known."""
    code = "from wire.peer_wire import decode; print(type(decode(bytes.fromhex('001200000000'))).__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "Ping\n"
    assert not hasattr(declarations, "decode")
