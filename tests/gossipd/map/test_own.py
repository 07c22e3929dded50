"""What we say of ourselves: our channels to everybody, and a node_announcement that is true and young."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gossipd.map import loading
from gossipd.map.forget import Forgetting
from gossipd.map.gone import Gone
from gossipd.map.own import OwnGossip
from gossipd.map.writer import MapWriter
from gossipd.own_node import PAUSE, REST, OwnNode, descriptors
from tests.gossipd.messages import CHAIN, KEYS, NOW, announcement, node_announcement, scid, update
from tests.gossipd.writer import MapAround
from wire.address import read_descriptors
from wire.control.control_wire import GossipdInit
from wire.control.timing import Timing
from wire.peer_wire import NodeAnnouncement
from wire.secp256k1 import double_sha256, sign, verify

OUR_KEY, OUR_ID = KEYS[1]
"""So that we are the second end of channels with KEYS[0], and the first of those with KEYS[2]."""
DAY = 86_400
WISHES: dict[str, Any] = {
    "alias": "me",
    "rgb": b"\1\2\3",
    "features": b"\x80",
    "addresses": ["192.0.2.7:9735"],
}


@dataclass
class Around:
    """What our node sees of a daemon."""

    now: Callable[[], float]
    clock: Callable[[], float]
    publish: Callable[[bytes, Callable[[str | None], None]], None]


class Us:
    """A node of this key over a map, without processes: hsmd signs when `tick` has returned, if it does."""

    def __init__(self, path: Path, **changes: Any) -> None:
        self.path = path
        self.now = float(NOW)
        self.jumped = 0.0
        self.told: list[bytes] = []
        self.hsmd_answers = True
        self.refuses: str | None = None
        self.asked = 0
        self.store, self.index = loading.load(path)
        self.forgetting = Forgetting(self.store, self.index, Gone())
        self.own = OwnGossip(OUR_ID, self.store, self.index, MapAround(say_own=self.told.extend))
        self.writer = MapWriter(self.store, self.index, self.forgetting, self.own)
        init = GossipdInit(CHAIN, OUR_ID, str(path), False, Timing(), **(WISHES | changes))
        self.node = OwnNode(
            init, self.own, self._sign, Around(lambda: self.now, lambda: self.now - self.jumped, self._publish)
        )

    def _sign(self, blank: bytes, signed: Callable[[bytes], None]) -> None:
        self.asked += 1
        if self.hsmd_answers:
            signed(sign(OUR_KEY, double_sha256(blank[66:])))

    def _publish(self, message: bytes, settled: Callable[[str | None], None]) -> None:
        said = NodeAnnouncement.decode(message)
        row = self.index.nodes[OUR_ID]
        assert verify(double_sha256(message[66:]), said.signature, OUR_ID)
        assert said.timestamp > self.index.node_ts[row], "no peer would take it (B7-69)"
        if self.refuses is None:
            self.writer.write_node(row, said.timestamp, message)
        settled(self.refuses)

    def channel(self, number: int = 0, other: int = 0, *, updates: str = "ours") -> list[bytes]:
        """A channel with KEYS[other], announced; returns its announcement and our update."""
        one, two = sorted((other, 1))
        message, direction = announcement(number, one, two), int(two == 1)
        ours, theirs = update(number, direction, node=1), update(number, 1 - direction, node=other)
        row = self.writer.write_channel(message, scid(number), (KEYS[one][1], KEYS[two][1]), NOW, 1_000)
        if updates != "ours":
            self.writer.write_update(row, 1 - direction, NOW, theirs)
        if updates != "theirs":
            self.writer.write_update(row, direction, NOW, ours)
        return [message, ours]

    def said(self, after: float = 0.0) -> NodeAnnouncement | None:
        """What we announce if we are asked so many seconds later: None if nothing."""
        self.now += after
        self.told.clear()
        self.node.tick()
        if not self.told:
            return None
        (message,) = self.told
        return NodeAnnouncement.decode(message)

    def again(self, **changes: Any) -> "Us":
        """The next start, with other wishes."""
        self.store.flush()
        self.store.close()
        return Us(self.path, **changes)


@pytest.fixture
def us(tmp_path: Path) -> Iterator[Us]:
    us = Us(tmp_path / "gossip_store")
    yield us
    us.store.close()


def test_nobody_without_a_public_channel_announces_itself(us: Us) -> None:
    assert us.said() is None
    ends = KEYS[2][1], KEYS[3][1]
    us.writer.write_channel(announcement(5, 2, 3), scid(5), ends, NOW, 1_000)
    assert us.said(PAUSE) is None
    assert us.asked == 0


@pytest.mark.bolt("B7-97")
def test_announcing(us: Us) -> None:
    us.channel()
    said = us.said()
    assert said is not None
    assert (said.node_id, said.timestamp, said.rgb_color, said.features) == (OUR_ID, NOW, b"\1\2\3", b"\x80")
    assert said.alias == b"me".ljust(32, b"\0")
    assert list(map(str, read_descriptors(said.addresses))) == ["192.0.2.7:9735"]


@pytest.mark.bolt("B7-98")
def test_nothing_of_our_node_is_said_before_its_channel(us: Us) -> None:
    theirs = update(0, 0, node=0)
    message, _ = us.channel(updates="theirs")
    us.node.tick()
    assert us.told == list(us.own.messages()) == []
    row, ours = us.index.channels[scid(0)], update(0, 1, node=1)
    us.writer.write_update(row, 1, NOW, ours)
    node = us.store.read(us.index.node_announce_off[us.index.nodes[OUR_ID]])
    assert us.told == list(us.own.messages()) == [message, ours, node]
    assert theirs not in us.told


def test_announcing_where_we_have_moved_to(us: Us) -> None:
    us.channel()
    assert us.said() is not None
    us.node.announce_at(["192.0.2.7:9735"])
    assert us.said(PAUSE) is None, "nothing has changed"
    us.node.announce_at(["192.0.2.8:9735"])
    said = us.said()
    assert said is not None
    assert list(map(str, read_descriptors(said.addresses))) == ["192.0.2.8:9735"]


def test_announcing_what_services_do(us: Us) -> None:
    us.channel()
    assert us.said() is not None
    us.node.announce_features(b"\x80")
    assert us.said(PAUSE) is None, "nothing has changed"
    us.node.announce_features(b"\x08\x80")
    said = us.said()
    assert said is not None
    assert said.features == b"\x08\x80"


def test_it_stands_until_it_ages(us: Us) -> None:
    us.channel()
    assert us.said() is not None
    assert us.said(PAUSE) is None
    assert us.said(12 * DAY) is None
    again = us.said(DAY)
    assert again is not None
    assert again.timestamp == NOW + 13 * DAY + PAUSE


def test_the_next_start_says_nothing_new(us: Us) -> None:
    us.channel()
    assert us.said() is not None
    us = us.again()
    assert us.said(PAUSE) is None
    us.store.close()


@pytest.mark.parametrize(
    "change",
    [
        {"alias": "somebody"},
        {"rgb": b"\3\2\1"},
        {"features": b"\x82"},
        {"addresses": []},
        {"addresses": ["192.0.2.7:9736"]},
    ],
    ids=str,
)
@pytest.mark.parametrize("later", [-DAY, 0, DAY], ids=["clock went back", "at once", "next day"])
def test_what_changes_is_said(us: Us, change: dict[str, Any], later: int) -> None:
    us.channel()
    first = us.said()
    us = us.again(**change)
    second = us.said(later)
    assert first is not None
    assert second is not None
    assert second.timestamp == max(NOW + 1, NOW + later)
    same = {"signature": b"", "timestamp": 0}
    assert replace(second, **same) != replace(first, **same)
    assert us.said(PAUSE) is None
    us.store.close()


def test_what_somebody_else_has_said_in_our_name_is_put_right(us: Us) -> None:
    us.channel()
    us.writer.write_node(us.index.nodes[OUR_ID], NOW + 5, node_announcement(1, NOW + 5))
    said = us.said()
    assert said is not None
    assert said.timestamp == NOW + 6


def test_once_a_minute_at_most(us: Us) -> None:
    us.channel()
    us.hsmd_answers = False
    for _ in range(6):
        us.said(PAUSE / 6)
    assert us.asked == 1
    us.said(PAUSE / 6)
    assert us.asked == 2


def test_a_refusal_is_in_the_log_and_tried_again(us: Us, caplog: pytest.LogCaptureFixture) -> None:
    us.channel()
    us.refuses = "no room"
    assert us.said() is None
    assert "our node_announcement was not taken: no room" in caplog.text
    us.refuses = None
    assert us.said(PAUSE) is not None


def test_what_was_said_by_a_clock_that_was_years_ahead(us: Us) -> None:
    """Nothing could follow the end of time, and peers do not take what is far ahead."""
    us.channel()
    us.writer.write_node(us.index.nodes[OUR_ID], 0xFFFFFFFF, node_announcement(1, 0xFFFFFFFF))
    said = us.said()
    assert said is not None
    assert said.timestamp == NOW
    us = us.again()
    assert us.index.node_ts[us.index.nodes[OUR_ID]] == NOW
    us.store.close()


def jump(us: Us, seconds: float) -> None:
    us.now += seconds
    us.jumped += seconds


def test_clock_that_was_fast_is_set_right(us: Us) -> None:
    us.channel()
    assert us.said() is not None
    us = us.again()
    us.now += DAY / 2
    us.node.announce_features(b"\x08\x80")
    assert us.said() is not None
    jump(us, -DAY / 2)
    assert us.said(PAUSE) is None
    assert us.said(12 * DAY) is None
    assert us.said(DAY) is not None, "by the monotonic clock"
    us.store.close()


def test_pause_is_a_minute_whatever_the_clock_says(us: Us) -> None:
    us.channel()
    assert us.said() is not None
    us.node.announce_features(b"\x08\x80")
    jump(us, -DAY / 2)
    assert us.said(PAUSE) is not None


def test_clock_jumps_ahead(us: Us) -> None:
    """Nothing is said that bears a wrong time, unless the clock stays there."""
    us.channel()
    assert us.said() is not None
    jump(us, 20 * DAY)
    assert us.said() is None
    assert us.said(REST - 1) is None
    assert us.said(1) is not None


def test_a_dying_channel_is_not_public(us: Us) -> None:
    us.channel()
    us.forgetting.spend([scid(0)], 500)
    assert us.said() is None
    assert list(us.own.messages()) == []
    us.forgetting.block(600)
    assert us.said(PAUSE) is None
    us.channel(1)
    assert us.said(PAUSE) is not None


@pytest.mark.bolt("B7-97")
@pytest.mark.parametrize("other", [0, 2])
def test_our_channels_are_told(us: Us, other: int) -> None:
    """With our update, in that order, and without the other side's, which is not ours to tell."""
    ours = us.channel(other=other, updates="both")
    assert us.told == ours
    assert us.said() is not None
    assert list(us.own.messages()) == [*ours, us.told[0]]


def test_a_later_update_goes_alone(us: Us) -> None:
    announced, _ = us.channel()
    us.told.clear()
    row = us.index.channels[scid(0)]
    newer = update(0, 1, NOW + 9)
    us.writer.write_update(row, 1, NOW + 9, newer)
    us.writer.write_update(row, 0, NOW + 9, update(0, 0, NOW + 9))
    assert us.told == [newer]
    assert list(us.own.messages()) == [announced, newer]


def test_a_channel_of_which_we_have_said_nothing_waits(us: Us) -> None:
    us.channel(updates="theirs")
    assert us.told == []
    assert list(us.own.messages()) == []
    us.writer.write_update(us.index.channels[scid(0)], 1, NOW, update(0, 1))
    assert us.told == [announcement(0, 0, 1), update(0, 1)]


def test_others_are_not_told_of(us: Us) -> None:
    row = us.writer.write_channel(announcement(5, 2, 3), scid(5), (KEYS[2][1], KEYS[3][1]), NOW, 1_000)
    us.writer.write_update(row, 0, NOW, update(5, 0, node=2))
    us.writer.write_node(us.index.nodes[KEYS[2][1]], NOW, node_announcement(2))
    assert us.told == []
    assert list(us.own.messages()) == []


def test_our_own_is_found_again_at_the_start(us: Us) -> None:
    ours = us.channel(0) + us.channel(1, 2)
    us.channel(2, updates="theirs")
    us = us.again()
    assert sorted(us.own.messages()) == sorted(ours)
    us.store.close()


@pytest.mark.bolt("B7-70", "B7-73", "B7-74")
def test_addresses_in_their_order() -> None:
    onion = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion:9735"
    addresses = ["b.example.com:1", onion, "[2001:db8::1]:9735", "c.example.com:2", "192.0.2.1:9735", "192.0.2.2:0"]
    written = [str(address) for address in read_descriptors(descriptors([*addresses, "/tmp/socket"]))]
    assert written == ["192.0.2.1:9735", "[2001:db8::1]:9735", onion, "b.example.com:1"]
