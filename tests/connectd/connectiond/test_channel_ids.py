"""How temporary channel_ids become permanent ones, and what of it is remembered."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectd.connectiond.channel_ids import MAX_CHANNELS, MAX_OPENING, ChannelIds, id_of_basepoints, id_of_output
from tests.connectd.connectiond.connectiond_process import about
from wire.peer_types import ALL_CHANNELS, channel_id_of

OPEN, ACCEPT, FUNDING_CREATED, OPEN2, ACCEPT2 = 32, 33, 34, 64, 65
IDS = st.binary(min_size=32, max_size=32).filter(any)
POINTS = st.binary(min_size=33, max_size=33)
TEMPORARY = b"\7" * 32


def learn(ids: ChannelIds, service: str, message: bytes) -> None:
    """As from either side of the connection."""
    ids.learn(service, int.from_bytes(message[:2], "big"), channel_id_of(message), message)


def open_channel2(temporary: bytes, basepoint: bytes) -> bytes:
    """BOLT 2: two feerates, four amounts, three small numbers, funding_pubkey, then revocation_basepoint."""
    before = bytes(4 + 4 + 8 + 8 + 8 + 8 + 2 + 2 + 4) + b"\2" * 33
    return about(OPEN2, temporary, before + basepoint + b"\2" * 33 * 5 + b"\0")


def accept_channel2(temporary: bytes, basepoint: bytes) -> bytes:
    """BOLT 2: four amounts, minimum_depth, two small numbers, funding_pubkey, then revocation_basepoint."""
    before = bytes(8 + 8 + 8 + 8 + 4 + 2 + 2) + b"\2" * 33
    return about(ACCEPT2, temporary, before + basepoint + b"\2" * 33 * 5)


@given(st.binary(min_size=32, max_size=32), st.integers(0, 65_535))
def test_id_of_an_output_alters_the_last_two_bytes_of_the_txid(txid: bytes, index: int) -> None:
    expected = int.from_bytes(txid, "big") ^ index
    assert id_of_output(txid + index.to_bytes(2, "big")) == expected.to_bytes(32, "big")


@given(POINTS, POINTS)
def test_id_of_two_basepoints_does_not_depend_on_who_opened(one: bytes, other: bytes) -> None:
    lesser, greater = sorted([one, other])
    expected = hashlib.sha256(lesser + greater).digest()
    assert id_of_basepoints(one, other) == id_of_basepoints(other, one) == expected


@given(IDS, IDS, st.integers(0, 65_535))
def test_channel_of_version_1(temporary: bytes, txid: bytes, index: int) -> None:
    ids = ChannelIds()
    output = txid + index.to_bytes(2, "big")
    learn(ids, "one", about(OPEN, temporary, bytes(200)))
    learn(ids, "one", about(ACCEPT, temporary, bytes(200)))
    assert ids.service_of(temporary) == "one"
    learn(ids, "one", about(FUNDING_CREATED, temporary, output + bytes(64)))
    permanent = id_of_output(output)
    assert ids.service_of(permanent) == (None if permanent == ALL_CHANNELS else "one")


@given(IDS, POINTS, POINTS)
def test_channel_of_version_2(temporary: bytes, opener: bytes, accepter: bytes) -> None:
    ids = ChannelIds()
    learn(ids, "one", open_channel2(temporary, opener))
    learn(ids, "one", accept_channel2(temporary, accepter))
    assert ids.service_of(temporary) == ids.service_of(id_of_basepoints(opener, accepter)) == "one"


@pytest.mark.parametrize("cut", [0, 33, 67, 106, 139, 146, 179])
def test_messages_that_are_too_short_teach_nothing(cut: int) -> None:
    ids = ChannelIds()
    point = b"\3" * 33
    learn(ids, "one", open_channel2(TEMPORARY, point)[:cut])
    learn(ids, "one", accept_channel2(TEMPORARY, point)[:cut])
    learn(ids, "one", about(FUNDING_CREATED, TEMPORARY, bytes(98))[: min(cut, 67)])
    assert ids.service_of(id_of_basepoints(point, point)) is None
    assert ids.service_of(ALL_CHANNELS) is None


def test_first_service_of_an_id_keeps_it() -> None:
    ids = ChannelIds()
    learn(ids, "one", about(OPEN, TEMPORARY))
    learn(ids, "two", about(OPEN, TEMPORARY))
    ids.spoken_of("two", TEMPORARY)
    assert ids.service_of(TEMPORARY) == "one"
    ids.spoken_of("one", b"\1" * 32)
    learn(ids, "two", about(FUNDING_CREATED, b"\2" * 32, b"\1" * 32 + bytes(2 + 64)))
    assert ids.service_of(b"\1" * 32) == "one"


def test_zeros_are_nobodys_channel() -> None:
    ids = ChannelIds()
    learn(ids, "one", about(OPEN, ALL_CHANNELS))
    ids.spoken_of("one", ALL_CHANNELS)
    assert ids.service_of(ALL_CHANNELS) is None


def test_forgotten_service_has_no_channel() -> None:
    ids = ChannelIds()
    learn(ids, "one", about(OPEN, TEMPORARY))
    ids.spoken_of("one", b"\1" * 32)
    ids.spoken_of("two", b"\2" * 32)
    ids.forget("one")
    assert [ids.service_of(id_) for id_ in (TEMPORARY, b"\1" * 32, b"\2" * 32)] == [None, None, "two"]


def test_peer_that_opens_without_end_makes_the_oldest_forgotten() -> None:
    ids = ChannelIds()
    numbered = [number.to_bytes(32, "big") for number in range(1, MAX_OPENING + 2)]
    ids.spoken_of("one", TEMPORARY)
    for temporary in numbered:
        learn(ids, "one", about(OPEN, temporary))
    assert [ids.service_of(id_) for id_ in (numbered[0], numbered[1], numbered[-1])] == [None, "one", "one"]
    assert ids.service_of(TEMPORARY) == "one", "a channel that is there is not forgotten for openings"


def test_a_service_cannot_make_the_channels_of_another_forgotten() -> None:
    ids = ChannelIds()
    ids.spoken_of("one", b"\1" * 32)
    learn(ids, "one", about(OPEN, TEMPORARY))
    for number in range(1, MAX_CHANNELS + 2):
        ids.spoken_of("greedy", number.to_bytes(32, "big"))
    for number in range(1, MAX_OPENING + 2):
        learn(ids, "greedy", about(OPEN, (number << 32).to_bytes(32, "big")))
    assert ids.service_of(b"\1" * 32) == ids.service_of(TEMPORARY) == "one"
    assert ids.service_of((1).to_bytes(32, "big")) is ids.service_of((1 << 32).to_bytes(32, "big")) is None


def test_channels_have_a_bound() -> None:
    ids = ChannelIds()
    for number in range(1, MAX_CHANNELS + 2):
        ids.spoken_of("one", number.to_bytes(32, "big"))
    assert ids.service_of((1).to_bytes(32, "big")) is None
    assert ids.service_of((2).to_bytes(32, "big")) == "one"
