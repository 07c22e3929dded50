"""Short channel ids as numbers and as text, and the networks' names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.address import DEFAULT_PORTS
from wire.scid import block_of, make_scid, output_of, scid_from_text, scid_to_text, transaction_of
from wire.types import NETWORKS


@pytest.mark.bolt("B7-55")
@given(st.integers(0, 2**64 - 1))
def test_round_trip(scid: int) -> None:
    assert scid_from_text(scid_to_text(scid)) == scid
    assert make_scid(block_of(scid), transaction_of(scid), output_of(scid)) == scid


@pytest.mark.bolt("B7-55")
def test_the_example_of_the_spec() -> None:
    scid = scid_from_text("539268x845x1")
    assert scid == int.from_bytes(bytes.fromhex("083a8400034d0001"), "big")
    assert (block_of(scid), transaction_of(scid), output_of(scid)) == (539268, 845, 1)


@pytest.mark.parametrize(
    "text", ["", "1x2", "1x2x3x4", "1:2:3", "-1x2x3", "1x2x65536", "16777216x0x0", "0x16777216x0", "1x2x3\n", "¹x2x3"]
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no short_channel_id"):
        scid_from_text(text)


def test_each_network_has_a_chain_hash_and_a_port() -> None:
    assert NETWORKS.keys() == DEFAULT_PORTS.keys()
    assert {len(chain_hash) for chain_hash in NETWORKS.values()} == {32}
    assert len(set(NETWORKS.values())) == len(NETWORKS)
