"""States go from one version to another."""

import contextlib
from dataclasses import dataclass, field

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipd.ask.moving import MovedSeeker
from gossipd.moving import VERSION, MovedPeer, MovedRest
from gossipd.peers.standing import MovedStanding
from wire.control.control_wire import GossipState, PeerInfo
from wire.crypto_state import CryptoState, PeerState, Traffic
from wire.net.states import StateError, dump, load


@dataclass(frozen=True)
class Inner:
    number: int
    share: float = 0.5


@dataclass(frozen=True)
class Old:
    name: str
    inner: Inner
    data: bytes = b""
    pair: tuple[int, int] | None = None
    many: list[Inner] = field(default_factory=list)


@dataclass(frozen=True)
class New:
    name: str
    inner: Inner
    added: int = 7


OLD = Old("n", Inner(3), b"\1", (1, 2), [Inner(4, 1.0)])


def test_what_is_written_is_read() -> None:
    assert load(Old, dump(OLD, 1), 1) == OLD


def test_unknown_fields_are_ignored_and_missing_ones_have_their_defaults() -> None:
    assert load(New, dump(OLD, 1), 2) == New("n", Inner(3), 7)
    assert load(Old, dump(New("n", Inner(3)), 1), 1) == Old("n", Inner(3))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        dump(OLD, 2),
        dump(OLD, 0),
        msgpack.packb([1]),
        msgpack.packb([True, {}]),
        msgpack.packb([1, []]),
        msgpack.packb([1, {"name": "n"}]),
        msgpack.packb([1, {"name": 5, "inner": {"number": 3}}]),
        msgpack.packb([1, {"name": "n", "inner": {"number": True}}]),
        msgpack.packb([1, {"name": "n", "inner": {"number": 3}, "pair": [1]}]),
        msgpack.packb([1, {"name": "n", "inner": {"number": 3}, "many": {}}]),
        dump(OLD, 1)[:-1],
        dump(OLD, 1) + b"\0",
        b"\x91" * 5_000,
    ],
)
def test_no_such_state(data: bytes) -> None:
    with pytest.raises(StateError):
        load(Old, data, 1)


@given(st.binary(max_size=64))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    with contextlib.suppress(StateError):
        load(Old, data, 1)


INFO = PeerInfo(bytes(33), 5, "127.0.0.1:9735", True, None, b"\2", [bytes(32)])
KEYS = CryptoState(2, 3, b"r" * 32, b"s" * 32, b"x" * 32, b"y" * 32)
GOSSIP = GossipState((0, 9), b"u" * 32, 77, (1, 2), True, [b"\1\5"])
STANDING = MovedStanding(3.5, 1.0, 1, 2, 3, 4, True)


@pytest.mark.parametrize(
    "state",
    [
        MovedPeer(
            INFO, PeerState(KEYS, b"in", b"out", Traffic(1, 2, 3, 4), [b"g"]), GOSSIP, [b"m"], True, STANDING, 9, [77]
        ),
        MovedPeer(INFO),
        MovedRest(MovedSeeker("normal", 5, 1.5, 2.5, [(1, 2, 3)]), [(b"m", 5)], [bytes(33)], [("peer.connected", 3)]),
        MovedRest(),
    ],
)
def test_what_gossipd_leaves_is_what_the_next_one_gets(state: MovedPeer | MovedRest) -> None:
    assert load(type(state), dump(state, VERSION), VERSION) == state
