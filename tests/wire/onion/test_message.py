"""Messages built here and opened hop by hop, and each of BOLT 4's reasons to ignore one."""

import dataclasses
import hmac
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wire.cursor import write_tlvs
from wire.onion.blinding import blind, path_by, path_to
from wire.onion.errors import Flaw, OnionError
from wire.onion.keys import keys_of_onion, keys_of_path
from wire.onion.message import Final, Forward, Sealed, open_message, read_message, seal, write_message
from wire.onion.payloads import RecipientData, encode_data, encode_padded
from wire.onion.sphinx import LARGE, OVERHEAD, SMALL, Packet, _xor_stream, build
from wire.peer_wire import OnionMessage
from wire.secp256k1 import public_key

SECRETS = [bytes([number]) * 32 for number in range(1, 21)]
NODES = [public_key(secret) for secret in SECRETS]
SESSION, OTHER_SESSION = b"\x61" * 32, b"\x62" * 32
KNOWN = frozenset({64})
NO_POINT = b"\x02" + b"\xff" * 32


def opened_by(secret: bytes, sealed: Sealed) -> Forward | Final:
    """What a node reads from what its peer says."""
    sealed = read_message(write_message(sealed))
    return open_message(sealed, keys_of_onion(secret, sealed.path_key, sealed.packet.public_key), KNOWN)


def forwarded(opened: Forward | Final) -> Forward:
    assert isinstance(opened, Forward)
    return opened


# built and peeled


@pytest.mark.bolt("B4-109", "B4-111", "B4-113", "B4-116", "B4-121", "B4-125")
@settings(max_examples=40)
@given(hops=st.integers(1, 20), payload=st.binary(max_size=600), path_id=st.none() | st.binary(max_size=40))
def test_each_hop_learns_just_the_next_one(hops: int, payload: bytes, path_id: bytes | None) -> None:
    path = path_to(NODES[:hops], path_id, SESSION)
    assert len({len(hop.encrypted_recipient_data) for hop in path.hops}) == 1
    sealed = seal(path, {64: payload}, OTHER_SESSION)
    for number, secret in enumerate(SECRETS[: hops - 1]):
        assert len(sealed.packet.encode()) in (SMALL + OVERHEAD, LARGE + OVERHEAD)
        onward = forwarded(opened_by(secret, sealed))
        assert (onward.next_node_id, onward.short_channel_id) == (NODES[number + 1], None)
        sealed = onward.message
    assert opened_by(SECRETS[hops - 1], sealed) == Final({64: payload}, path_id)


@pytest.mark.bolt("B4-115", "B4-127")
@settings(max_examples=20)
@given(before=st.integers(0, 10), hops=st.integers(1, 10))
def test_a_path_of_another_is_reached_by_way_of_others(before: int, hops: int) -> None:
    theirs = path_to(NODES[before : before + hops], b"theirs", SESSION)
    path = path_by(NODES[:before], theirs, NODES[before], b"\x63" * 32)
    assert len(path.hops) == before + hops
    sealed = seal(path, {64: b"x"}, OTHER_SESSION)
    for number in range(before + hops - 1):
        onward = forwarded(opened_by(SECRETS[number], sealed))
        assert onward.next_node_id == NODES[number + 1]
        sealed = onward.message
    assert opened_by(SECRETS[before + hops - 1], sealed) == Final({64: b"x"}, b"theirs")


@pytest.mark.bolt("B4-112", "B4-125")
@pytest.mark.parametrize(("length", "size"), [(1100, SMALL), (1180, SMALL), (1300, LARGE), (30_000, LARGE)])
def test_two_sizes(length: int, size: int) -> None:
    sealed = seal(path_to(NODES[:1], None, SESSION), {64: bytes(length)}, OTHER_SESSION)
    assert len(sealed.packet.payloads) == size
    assert opened_by(SECRETS[0], sealed) == Final({64: bytes(length)}, None)


def test_the_small_size_is_used_to_its_last_byte() -> None:
    path = path_to(NODES[:1], None, SESSION)
    sizes = [len(seal(path, {64: bytes(length)}, OTHER_SESSION).packet.payloads) for length in range(1200, 1260)]
    edge = sizes.index(LARGE)
    assert sizes == [SMALL] * edge + [LARGE] * (60 - edge)
    full = 1200 + edge - 1
    overhead = 3 + 2 + len(path.hops[0].encrypted_recipient_data) + 4 + 32  # lengths and types, and the HMAC
    assert full + overhead == SMALL


@pytest.mark.bolt("B4-112")
@pytest.mark.parametrize("size", [200, 1301, 5000, 65_000])
def test_other_sizes_are_legal(size: int) -> None:
    path = path_to(NODES[:2], None, SESSION)
    payloads = [write_tlvs({4: hop.encrypted_recipient_data}) for hop in path.hops]
    packet = build([hop.blinded_node_id for hop in path.hops], payloads, OTHER_SESSION, size)
    onward = forwarded(opened_by(SECRETS[0], Sealed(path.first_path_key, packet)))
    assert opened_by(SECRETS[1], onward.message) == Final({}, None)


def test_what_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        seal(path_to(NODES[:2], None, SESSION), {64: bytes(LARGE)}, OTHER_SESSION)


@pytest.mark.parametrize("length", [*range(240, 270), 510, 1000])
def test_padding_of_any_size(length: int) -> None:
    rows = [RecipientData(next_node_id=NODES[0]), RecipientData(path_id=bytes(length))]
    one, two = encode_padded(rows)
    assert len(one) == len(two)
    assert one.endswith(encode_data(rows[0]))
    assert two.endswith(encode_data(rows[1]))


def test_secrets_do_not_print() -> None:
    keys = keys_of_onion(SECRETS[0], NODES[1], NODES[2])
    assert not any(value.hex() in repr(keys) or repr(value) in repr(keys) for value in dataclasses.astuple(keys[1]))


# what must be ignored


def flaw_of(sealed: Sealed, secret: bytes = SECRETS[0]) -> Flaw:
    with pytest.raises(OnionError) as caught:
        opened_by(secret, sealed)
    return caught.value.flaw


def made(fields: Sequence[Mapping[int, bytes]], data: Sequence[bytes | None]) -> Sealed:
    """A message for as many hops; where `data` is None the hop has no encrypted_recipient_data."""
    path = blind(NODES[: len(fields)], [each or b"" for each in data], SESSION)
    payloads = [
        write_tlvs({**more, **({4: hop.encrypted_recipient_data} if each is not None else {})})
        for more, each, hop in zip(fields, data, path.hops, strict=True)
    ]
    return Sealed(
        path.first_path_key, build([hop.blinded_node_id for hop in path.hops], payloads, OTHER_SESSION, SMALL)
    )


NEXT = encode_data(RecipientData(next_node_id=NODES[1]))
SCID = encode_data(RecipientData(short_channel_id=7))


@pytest.mark.bolt("B4-120")
def test_the_next_hop_by_short_channel_id() -> None:
    onward = forwarded(opened_by(SECRETS[0], made([{}, {}], [SCID, b""])))
    assert (onward.next_node_id, onward.short_channel_id) == (None, 7)


@pytest.mark.bolt("B4-120")
def test_a_node_id_counts_more_than_a_channel() -> None:
    both = encode_data(RecipientData(short_channel_id=7, next_node_id=NODES[1]))
    onward = forwarded(opened_by(SECRETS[0], made([{}, {}], [both, b""])))
    assert (onward.next_node_id, onward.short_channel_id) == (NODES[1], None)


@pytest.mark.bolt("B4-114", "B4-117", "B4-118", "B4-119", "B4-120")
@pytest.mark.parametrize(
    ("fields", "data", "flaw"),
    [
        ({5: b""}, None, Flaw.RECIPIENT_DATA),
        ({}, b"", Flaw.RECIPIENT_DATA),
        ({}, NEXT + b"\x10\0", Flaw.RECIPIENT_DATA),
        ({}, NEXT[:-1], Flaw.RECIPIENT_DATA),
        ({}, b"\x02\x01\x07", Flaw.RECIPIENT_DATA),
        ({}, b"\x04\x20" + NODES[1][:-1], Flaw.RECIPIENT_DATA),
        ({}, NEXT + b"\x06\0", Flaw.RECIPIENT_DATA),
        ({}, NEXT + b"\x0e\x01\x02", Flaw.RECIPIENT_DATA),
        ({2: b""}, NEXT, Flaw.PAYLOAD),
        ({5: b""}, NEXT, Flaw.PAYLOAD),
        ({64: b""}, NEXT, Flaw.PAYLOAD),
        ({66: b""}, NEXT, Flaw.PAYLOAD),
        ({65: b""}, NEXT, Flaw.PAYLOAD),
    ],
)
def test_a_hop_on_the_way_ignores(fields: Mapping[int, bytes], data: bytes | None, flaw: Flaw) -> None:
    assert flaw_of(made([fields, {}], [data, b""])) is flaw


@pytest.mark.bolt("B4-114", "B4-117", "B4-122")
@pytest.mark.parametrize(
    ("fields", "data", "flaw"),
    [
        ({64: b""}, None, Flaw.RECIPIENT_DATA),
        ({64: b""}, b"\x10\0", Flaw.RECIPIENT_DATA),
        ({64: b""}, b"\x0e\x01\x01", Flaw.RECIPIENT_DATA),
        ({64: b"", 65: b""}, b"", Flaw.PAYLOAD),
        ({66: b""}, b"", Flaw.PAYLOAD),
        ({6: b""}, b"", Flaw.PAYLOAD),
    ],
)
def test_the_final_hop_ignores(fields: Mapping[int, bytes], data: bytes | None, flaw: Flaw) -> None:
    assert flaw_of(made([fields], [data])) is flaw


@pytest.mark.bolt("B4-117", "B4-122")
def test_the_final_hop_reads() -> None:
    assert opened_by(SECRETS[0], made([{3: b"odd", 64: b"x"}], [b"\x0e\0"])) == Final({3: b"odd", 64: b"x"}, None)


@pytest.mark.bolt("B4-109")
@settings(max_examples=60)
@given(bit=st.integers(0, 8 * (SMALL + 32) - 1))
def test_a_bit_that_was_changed_on_the_way(bit: int) -> None:
    sealed = made([{64: b"x"}], [b""])
    raw = bytearray(sealed.packet.payloads + sealed.packet.hmac)
    raw[bit // 8] ^= 1 << bit % 8
    changed = Packet(sealed.packet.public_key, bytes(raw[:-32]), bytes(raw[-32:]))
    assert flaw_of(Sealed(sealed.path_key, changed)) is Flaw.HMAC


@pytest.mark.bolt("B4-109")
def test_of_another_node_or_another_path() -> None:
    sealed = made([{64: b"x"}], [b""])
    assert flaw_of(sealed, SECRETS[1]) is Flaw.HMAC
    assert flaw_of(Sealed(NODES[3], sealed.packet)) is Flaw.HMAC


@pytest.mark.bolt("B4-110")
@pytest.mark.parametrize("length", [b"\0", b"\x01", b"\xfd\0\x10", b"\xfd\xff\xff", b"\xff" * 9])
def test_lengths_that_lie(length: bytes) -> None:
    """With an HMAC that is right: made by replacing what the hop finds where the length is."""
    path = blind(NODES[:1], [b""], SESSION)
    packet = build([path.hops[0].blinded_node_id], [bytes(200)], OTHER_SESSION, SMALL)
    _, of_onion = keys_of_onion(SECRETS[0], path.first_path_key, packet.public_key)
    assert flaw_of(Sealed(path.first_path_key, relabelled(packet, of_onion.rho, of_onion.mu, length))) is Flaw.PAYLOAD


@pytest.mark.bolt("B4-110")
@pytest.mark.parametrize(("length", "says"), [(SMALL - 35, "encrypted_recipient_data"), (SMALL - 34, "longer than")])
def test_a_payload_ends_with_its_hmac_within_the_onion(length: int, says: str) -> None:
    path = blind(NODES[:1], [b""], SESSION)
    packet = build([path.hops[0].blinded_node_id], [bytes(40)], OTHER_SESSION, SMALL)
    keys = keys_of_onion(SECRETS[0], path.first_path_key, packet.public_key)
    head = b"\xfd" + length.to_bytes(2, "big") + b"\x01\xfd" + (length - 4).to_bytes(2, "big")
    with pytest.raises(OnionError, match=says):
        open_message(Sealed(path.first_path_key, relabelled(packet, keys[1].rho, keys[1].mu, head)), keys, ())


def relabelled(packet: Packet, rho: bytes, mu: bytes, head: bytes) -> Packet:
    plain = _xor_stream(rho, packet.payloads)
    hidden = _xor_stream(rho, head + plain[len(head) :])
    return Packet(packet.public_key, hidden, hmac.digest(mu, hidden, "sha256"))


@pytest.mark.bolt("B4-109")
@pytest.mark.parametrize(
    "message",
    [
        OnionMessage(NODES[0], b""),
        OnionMessage(NODES[0], bytes(OVERHEAD)),
        OnionMessage(NODES[0], b"\x01" + NODES[1] + bytes(100)),
        OnionMessage(NODES[0], b"\0" + NO_POINT + bytes(100)),
        OnionMessage(NO_POINT, b"\0" + NODES[1] + bytes(100)),
    ],
)
def test_what_is_no_onion(message: OnionMessage) -> None:
    with pytest.raises(OnionError) as caught:
        read_message(message.encode())
    assert caught.value.flaw is Flaw.MALFORMED


@pytest.mark.bolt("B4-109")
def test_a_message_cut_anywhere() -> None:
    raw = write_message(made([{64: b"x"}], [b""]))
    for size in range(0, len(raw), 7):
        with pytest.raises(OnionError):
            read_message(raw[:size])


@given(raw=st.binary(max_size=200))
def test_any_bytes_at_all(raw: bytes) -> None:
    with pytest.raises(OnionError):
        read_message(b"\x02\x01" + raw[:32])
    for known in ((), KNOWN):
        _, of_onion = keys_of_onion(SECRETS[0], NODES[1], NODES[2])
        with pytest.raises(OnionError):
            open_message(
                Sealed(NODES[1], Packet(NODES[2], raw, bytes(32))),
                (keys_of_path(SECRETS[0], NODES[1]), of_onion),
                known,
            )
