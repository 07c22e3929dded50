"""Peers of one version have one copy of what they say alike; whatever is said is said on unchanged."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gossipd.peers.common import KEPT, LONGEST_KEPT, _kept, in_common
from tests.gossipd.gossipd_process import peer_info
from wire.control.control_wire import PeerInfo

NETWORKS = st.lists(st.binary(min_size=32, max_size=32), max_size=3)


def came(features: bytes, networks: list[bytes], conn_id: int) -> PeerInfo:
    """As the master's message has it: with bytes of its own."""
    own = [bytes(bytearray(network)) for network in networks]
    return replace(peer_info(conn_id), features=bytes(bytearray(features)), networks=own)


@given(features=st.binary(min_size=2, max_size=600), networks=NETWORKS)
def test_each_has_what_it_said_and_no_second_copy_of_it(features: bytes, networks: list[bytes]) -> None:
    one, two = (in_common(came(features, networks, conn_id)) for conn_id in (1, 2))
    assert (one, two) == (came(features, networks, 1), came(features, networks, 2))
    is_kept = len(features) + 32 * len(networks) <= LONGEST_KEPT
    assert (one.features is two.features) == is_kept
    assert (one.networks is two.networks) == is_kept


def test_what_is_kept_is_bounded() -> None:
    for number in range(3 * KEPT):
        in_common(came(number.to_bytes(4, "big"), [], number))
    assert _kept.cache_info().currsize == KEPT
