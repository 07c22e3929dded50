"""Blinded paths as bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.onion.blinding import BlindedHop, BlindedPath, path_to, read_path
from wire.onion.errors import OnionError
from wire.secp256k1 import public_key

NODES = [public_key(bytes([number]) * 32) for number in range(1, 9)]
SCIDDIR = b"\x01" + (103 << 40 | 1 << 16).to_bytes(8, "big")

hops = st.builds(BlindedHop, st.sampled_from(NODES), st.binary(max_size=80))
paths = st.builds(
    BlindedPath,
    st.sampled_from([*NODES, SCIDDIR, b"\0" + SCIDDIR[1:]]),
    st.sampled_from(NODES),
    st.lists(hops, min_size=1, max_size=6).map(tuple),
)


@given(paths)
def test_written_and_read(path: BlindedPath) -> None:
    assert read_path(path.encode()) == path


@given(paths, st.data())
def test_cut_or_too_long(path: BlindedPath, data: st.DataObject) -> None:
    raw = path.encode()
    with pytest.raises(OnionError):
        read_path(raw[: data.draw(st.integers(0, len(raw) - 1))])
    with pytest.raises(OnionError):
        read_path(raw + b"\0")


def test_without_hops() -> None:
    with pytest.raises(OnionError, match="without hops"):
        read_path(NODES[0] + NODES[1] + b"\0")
    with pytest.raises(ValueError, match="0 hops"):
        BlindedPath(NODES[0], NODES[1], ()).encode()


def test_no_two_paths_have_anything_in_common_but_their_first_node() -> None:
    one, two = (path_to(NODES[:3], b"x", bytes([number]) * 32) for number in (21, 22))
    assert one.first_node_id == two.first_node_id == NODES[0]
    assert not {one.first_path_key, *one.hops} & {two.first_path_key, *two.hops}
    assert not {hop.blinded_node_id for hop in (*one.hops, *two.hops)} & set(NODES)
