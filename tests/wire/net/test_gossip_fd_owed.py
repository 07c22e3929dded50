"""What is owed: written and read back, bounded, and any bytes are such a packet or an error."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.cursor import WireError
from wire.encoded import ALL
from wire.net.gossip_fd import GOSSIP_START, MAX_CHANNELS, MAX_NODES, NODE_ID_SIZE, GossipOwed, is_owed
from wire.peer_wire import Ping


@given(
    st.dictionaries(st.integers(0, 2**64 - 1), st.integers(1, ALL), max_size=20),
    st.sets(st.binary(min_size=NODE_ID_SIZE, max_size=NODE_ID_SIZE), max_size=5),
    st.booleans(),
)
def test_what_is_written_is_read(channels: dict[int, int], nodes: set[bytes], overflowed: bool) -> None:
    packet = GossipOwed(channels, nodes, overflowed).encode()
    assert is_owed(packet) and packet != GOSSIP_START
    assert GossipOwed.decode(packet) == GossipOwed(channels, nodes, overflowed)


@given(st.binary(max_size=100).map(lambda rest: b"\0\0" + rest))
def test_any_bytes_are_a_packet_or_an_error(packet: bytes) -> None:
    with contextlib.suppress(WireError):
        assert GossipOwed.decode(GossipOwed.decode(packet).encode()) == GossipOwed.decode(packet)


@pytest.mark.parametrize("packet", [b"", GOSSIP_START, b"\1\2\0\0\0", b"\0\0\0\0\1", b"\0\0\0\0\0\1"])
def test_what_is_none(packet: bytes) -> None:
    with pytest.raises(WireError):
        GossipOwed.decode(packet)


def test_it_is_bounded_and_fits_into_a_packet() -> None:
    owed = GossipOwed()
    for number in range(MAX_CHANNELS + 10):
        owed.note(_update(number))
    assert len(owed.channels) == MAX_CHANNELS
    assert owed.overflowed
    owed.nodes = {number.to_bytes(NODE_ID_SIZE, "big") for number in range(MAX_NODES)}
    assert len(owed.encode()) < 60_000
    assert GossipOwed.decode(owed.encode()) == owed


def test_what_is_no_announcement_leaves_nothing() -> None:
    owed = GossipOwed()
    owed.note(Ping(1, b"").encode())
    owed.note(b"\1\2 cut off")
    assert not owed


def _update(number: int) -> bytes:
    """channel_update of a channel of this number."""
    return b"\1\2" + bytes(64 + 32) + number.to_bytes(8, "big") + bytes(4 + 1 + 1 + 2 + 8 + 4 + 4 + 8)
