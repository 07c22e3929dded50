"""States as releases have written them are read by the version of now."""

import os

import msgpack
import pytest

from lightningd_py.node_left import NodeLeft, read_state
from tests.states.examples import FDS, NODE, RELEASE, path
from wire.net.states import StateError, fds_in


def read(data: bytes) -> NodeLeft:
    memfd = os.memfd_create("state")
    os.write(memfd, data)
    return read_state(memfd)


def test_what_a_release_has_written_is_read() -> None:
    assert read(path(RELEASE).read_bytes()) == NODE


def test_fields_may_come_and_go() -> None:
    """One of a later version is passed over; one that an earlier version did not have has its default."""
    version, fields = msgpack.unpackb(path(RELEASE).read_bytes())
    del fields["has_map"]
    got = read(msgpack.packb([version, fields | {"of a later version": 1}]))
    assert (got.has_map, got.node_id) == (False, NODE.node_id)


def test_every_fd_is_found() -> None:
    assert set(fds_in(NODE)) == FDS


@pytest.mark.parametrize("size", [0, 1, 100, -1])
def test_a_state_that_is_cut_is_one_sentence(size: int) -> None:
    with pytest.raises(StateError, match="no state of NodeLeft"):
        read(path(RELEASE).read_bytes()[:size])


def test_a_newer_version_is_refused() -> None:
    with pytest.raises(StateError, match="NodeLeft is of version 99"):
        read(bytes(msgpack.packb([99, {}])))
