"""Updates that a peer has for us alone: up to the service that has the channel, and nowhere else."""

import pytest

from gossipd.ingest.updates import MAX_FUTURE
from gossipd.ingest.workers import check
from gossipd.local_channels import LocalChannels
from gossipd.verdict import Consequence, PeerFault
from tests.gossipd.messages import CHAIN, KEYS, NOW, scid, spoilt, update
from wire.control.control_wire import LocalChannel, RemoteChannelUpdate
from wire.types import NETWORKS

OUR_ID, PEER_ID, CONN_ID = KEYS[1][1], KEYS[0][1], 4
DIRECT = 0b11
"""message_flags of an update that is not to be passed on."""

pytestmark = pytest.mark.bolt("B7-79")


class Local:
    """LocalChannels whose signature stage checks at once; `channel` is with KEYS[0], the first end."""

    chain_hash = CHAIN

    def __init__(self) -> None:
        self.up: list[RemoteChannelUpdate] = []
        self.faults: list[tuple[int, str, Consequence]] = []
        self.checked = 0
        self.signatures = self.judge = self
        self.channels = LocalChannels(OUR_ID, self)
        self.channels.change([LocalChannel(scid(0), PEER_ID, "shop")], [])

    def now(self) -> float:
        return float(NOW)

    def tell(self, message: RemoteChannelUpdate) -> None:
        self.up.append(message)

    def submit(self, message: bytes, key: bytes, verdict: object) -> None:
        self.checked += 1
        assert callable(verdict)
        verdict(check(message, key))

    def found_good(self, message: bytes, conn_id: int) -> None:
        raise AssertionError("such an update is not for the map")

    def found_too_often(self, conn_id: int) -> None:
        raise AssertionError("such an update has no bucket")

    def found_bad(self, conn_id: int, fault: PeerFault) -> None:
        self.faults.append((conn_id, str(fault), fault.consequence))

    def hear(self, message: bytes, peer_id: bytes = PEER_ID) -> list[bytes]:
        """What has gone up after a peer has said this."""
        self.channels.receive(message, peer_id, CONN_ID)
        return [said.channel_update for said in self.up]


@pytest.fixture
def local() -> Local:
    return Local()


@pytest.mark.parametrize("message_flags", [1, DIRECT])
def test_it_goes_up(local: Local, message_flags: int) -> None:
    message = update(0, 0, message_flags=message_flags)
    assert local.hear(message) == [message]
    assert local.up == [RemoteChannelUpdate(PEER_ID, scid(0), "shop", message)]


@pytest.mark.parametrize(
    ("message", "peer_id"),
    [
        (update(1, 0), PEER_ID),
        (update(0, 0), KEYS[2][1]),
        (update(0, 1, node=0), PEER_ID),
        (update(0, 1), OUR_ID),
        (update(0, 0, chain_hash=NETWORKS["bitcoin"]), PEER_ID),
        (update(0, 0, NOW + MAX_FUTURE + 1), PEER_ID),
        (update(0, 0, 0), PEER_ID),
    ],
    ids=["unknown channel", "somebody else", "our direction", "ourselves", "wrong chain", "future", "no time"],
)
def test_what_is_none(local: Local, message: bytes, peer_id: bytes) -> None:
    assert local.hear(message, peer_id) == []
    assert local.checked == 0
    assert local.faults == []


def test_nothing_twice_and_nothing_older(local: Local) -> None:
    first, newer = update(0, 0, NOW - 5), update(0, 0, NOW)
    local.hear(first)
    local.hear(first)
    local.hear(newer)
    assert local.hear(update(0, 0, NOW - 1)) == [first, newer]
    assert local.checked == 2


@pytest.mark.bolt("B7-80")
@pytest.mark.parametrize("message", [update(0, 0, node=2), spoilt(update(0, 0), 20)], ids=["other key", "spoilt"])
def test_wrong_signature(local: Local, message: bytes) -> None:
    assert local.hear(message) == []
    assert local.faults == [(CONN_ID, "channel_update 100x1x0: bad signature", Consequence.DISCONNECT)]


def test_channels_change(local: Local) -> None:
    first = update(0, 0, NOW - 5)
    local.hear(first)
    local.channels.change([LocalChannel(scid(0), PEER_ID, "inn"), LocalChannel(scid(1), PEER_ID, "inn")], [])
    assert local.hear(first) == [first], "it is known still"
    assert scid(1) in local.channels
    second = update(0, 0)
    assert local.hear(second) == [first, second]
    assert [said.service for said in local.up] == ["shop", "inn"]
    local.channels.change([], [scid(0), scid(2)])
    assert scid(1) in local.channels
    assert local.hear(update(0, 0, NOW + 1)) == [first, second]
    assert scid(0) not in local.channels


def test_a_channel_that_has_another_peer_now(local: Local) -> None:
    local.hear(update(0, 0))
    local.channels.change([LocalChannel(scid(0), KEYS[2][1], "shop")], [])
    other = update(0, 1, NOW - 5, node=2)
    assert local.hear(other, KEYS[2][1])[-1] == other
