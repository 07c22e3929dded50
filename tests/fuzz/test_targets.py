"""The targets of atheris take any bytes: a few hundred of each here, so that they do not rot."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipd.store.records import beginning
from tests.fuzz.targets import TARGETS
from wire.peer_wire import Ping

STARTS = {"peer_messages": Ping(1, b"").encode(), "gossip_store": beginning(bytes(32)), "json_rpc": b'{"id": '}
"""What is right so far, for parsers that would see nothing else of most inputs."""


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.binary(max_size=300))
def test_any_bytes(name: str, data: bytes) -> None:
    TARGETS[name](data)
    TARGETS[name](STARTS.get(name, b"") + data)
